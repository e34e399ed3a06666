"""The host functions of hyper-mcp, in module `extism:host/user`: the same shapes, decided by this server's rules.

What needs the MCP client goes through a `ClientChannel`; where that cannot ask, the guest gets what its own host says
to a client without the capability.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from tool_server.errors import InvalidInput, Unavailable
from tool_server.inspection import hyper_host
from tool_server.inspection.hyper_host import KeyringEntry
from tool_server.interfaces import ClientChannel
from tool_server.model.call import Call
from tool_server.model.json_value import JsonObject, JsonValue, dump_json
from tool_server.model.keyring import keyring_secret_name
from tool_server.sandbox.guest_log import forward_log
from tool_server.sandbox.guest_secrets import GuestSecrets
from tool_server.sandbox.host_calls import Handler, HostCall, HostReply
from tool_server.sandbox.protocol import USER

MAX_LINES = 1_000
"""Log lines of one call that come as host calls."""

_MAX_LINE = 8_192
_GUEST_LEVELS = {"debug": "debug", "info": "info", "notice": "info", "warning": "warn"}
"""Of MCP's levels; the others are errors."""

_NOTHING = HostReply(value=0)


class UnreachableClient:
    """The `ClientChannel` where no client can be asked: every question ends at once, every notice goes nowhere."""

    async def ask(self, call: Call, method: str, params: JsonObject, timeout_s: float | None = None) -> JsonObject:
        """See `ClientChannel.ask`."""
        raise Unavailable("client_cannot_be_asked", f"the client of this call cannot be asked for {method}")

    async def tell(self, call: Call, method: str, params: JsonObject) -> None:
        """See `ClientChannel.tell`."""


class HyperFunctions:
    """Answers the host calls of plugins that were written for hyper-mcp.

    Args:
        secrets: reads what a plugin may hold.
        client: reaches the client of a call.
    """

    def __init__(self, secrets: GuestSecrets, client: ClientChannel) -> None:
        self._secrets = secrets
        self._client = client

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """For `HostFunctions`."""
        named: dict[str, Handler] = {
            "get_keyring_secret": self._get_keyring_secret,
            "get_access_token": self._get_access_token,
            "create_elicitation": self._create_elicitation,
            "create_message": self._create_message,
            "list_roots": self._list_roots,
            "notify_logging_message": self._notify_logging_message,
            "notify_progress": self._notice("notifications/progress", hyper_host.progress),
            "notify_url_elicitation_completed": self._notice(
                "notifications/elicitation/complete", hyper_host.elicitation_completed
            ),
        }
        return {(USER, name): handler for name, handler in named.items()}

    async def _get_keyring_secret(self, question: HostCall) -> HostReply:
        value = await self._secret(question.call, hyper_host.keyring_entry(_argument(question)))
        return HostReply((value or "").encode())

    async def _get_access_token(self, question: HostCall) -> HostReply:
        value = await self._secret(question.call, hyper_host.token_entry(_argument(question)))
        return _json(hyper_host.access_token(value))

    async def _secret(self, call: Call, entry: KeyringEntry) -> str | None:
        return await self._secrets.read(call, keyring_secret_name(entry.service, entry.user))

    async def _create_elicitation(self, question: HostCall) -> HostReply:
        wanted = hyper_host.elicitation(_argument(question))
        return await self._asked(
            question.call, "elicitation/create", wanted.params, hyper_host.declined(wanted.mode), wanted.timeout_s
        )

    async def _create_message(self, question: HostCall) -> HostReply:
        params = hyper_host.message_request(_argument(question))
        return await self._asked(question.call, "sampling/createMessage", params, hyper_host.no_message())

    async def _list_roots(self, question: HostCall) -> HostReply:
        return await self._asked(question.call, "roots/list", {}, hyper_host.NO_ROOTS)

    async def _asked(
        self, call: Call, method: str, params: JsonObject, otherwise: JsonObject, timeout_s: float | None = None
    ) -> HostReply:
        try:
            return _json(await self._client.ask(call, method, _redacted(call, params), timeout_s))
        except Unavailable as error:
            if error.code != "client_cannot_be_asked":
                raise
            return _json(otherwise)

    async def _notify_logging_message(self, question: HostCall) -> HostReply:
        call = question.call
        message: JsonObject = hyper_host.logging_message(_argument(question))
        number = call.journal.take_line()
        if number > MAX_LINES:
            return _NOTHING
        if number == MAX_LINES:
            message = {"level": "warning", "data": f"this call has logged {MAX_LINES} messages: no further one is kept"}
        level = _GUEST_LEVELS.get(str(message["level"]), "error")
        message = _redacted(call, message)
        forward_log(call, {"lines": [[level, _line(message)]]})
        await self._client.tell(call, "notifications/message", message)
        return _NOTHING

    def _notice(self, method: str, read: Callable[[bytes], JsonObject]) -> Callable[[HostCall], Awaitable[HostReply]]:
        async def notify(question: HostCall) -> HostReply:
            params = read(_argument(question))
            await self._client.tell(question.call, method, _redacted(question.call, params))
            return _NOTHING

        return notify


def _argument(question: HostCall) -> bytes:
    if len(question.blocks) != 1:
        raise InvalidInput("invalid_frame", f"{question.name} takes one argument")
    return question.blocks[0]


def _json(value: JsonValue) -> HostReply:
    return HostReply(dump_json(value))


def _redacted(call: Call, params: JsonObject) -> JsonObject:
    cleaned = call.journal.redactor.json(params)
    return cleaned if isinstance(cleaned, dict) else {}


def _line(message: JsonObject) -> str:
    data = message["data"]
    text = data if isinstance(data, str) else dump_json(data).decode()
    logger = message.get("logger")
    return (text if logger is None else f"{logger}: {text}")[:_MAX_LINE]
