"""The host functions of hyper-mcp, in module `extism:host/user`: the same shapes, decided by this server's rules.

What needs the MCP client goes through the call's `ClientChannel`; where that cannot ask, the guest gets what its own
host says to a client without the capability.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from tool_server.errors import InvalidInput, Unavailable
from tool_server.inspection import hyper_host
from tool_server.inspection.hyper_host import KeyringEntry
from tool_server.model.call import Call
from tool_server.model.client import ELICIT, ROOTS, SAMPLE, ClientRequest
from tool_server.model.json_value import JsonObject, JsonValue, dump_json
from tool_server.model.keyring import keyring_secret_name
from tool_server.sandbox.client_functions import ask, without_secrets
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


class HyperFunctions:
    """Answers the host calls of plugins that were written for hyper-mcp.

    Args:
        secrets: reads what a plugin may hold.
    """

    def __init__(self, secrets: GuestSecrets) -> None:
        self._secrets = secrets

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
        request = ClientRequest(ELICIT, wanted.params, wanted.timeout_s)
        return _asked(question, request, hyper_host.declined(wanted.mode))

    async def _create_message(self, question: HostCall) -> HostReply:
        params = hyper_host.message_request(_argument(question))
        return _asked(question, ClientRequest(SAMPLE, params), hyper_host.no_message())

    async def _list_roots(self, question: HostCall) -> HostReply:
        return _asked(question, ClientRequest(ROOTS, {}), hyper_host.NO_ROOTS)

    async def _notify_logging_message(self, question: HostCall) -> HostReply:
        call = question.call
        message: JsonObject = hyper_host.logging_message(_argument(question))
        number = call.journal.take_line()
        if number > MAX_LINES:
            return _NOTHING
        if number == MAX_LINES:
            message = {"level": "warning", "data": f"this call has logged {MAX_LINES} messages: no further one is kept"}
        level = _GUEST_LEVELS.get(str(message["level"]), "error")
        message = without_secrets(call, message)
        forward_log(call, {"lines": [[level, _line(message)]]})
        await call.client.tell("notifications/message", message)
        return _NOTHING

    def _notice(self, method: str, read: Callable[[bytes], JsonObject]) -> Callable[[HostCall], Awaitable[HostReply]]:
        async def notify(question: HostCall) -> HostReply:
            params = read(_argument(question))
            await question.call.client.tell(method, without_secrets(question.call, params))
            return _NOTHING

        return notify


def _argument(question: HostCall) -> bytes:
    if len(question.blocks) != 1:
        raise InvalidInput("invalid_frame", f"{question.name} takes one argument")
    return question.blocks[0]


def _asked(question: HostCall, request: ClientRequest, otherwise: JsonObject) -> HostReply:
    try:
        answer = ask(question, {"answer": request})["answer"]
    except Unavailable as error:
        if error.code != "client_cannot_be_asked":
            raise
        return _json(otherwise)
    if answer.error is not None:
        raise Unavailable("client_refused", f"the client answered {request.method} with an error: {answer.error}")
    return _json(answer.result)


def _json(value: JsonValue) -> HostReply:
    return HostReply(dump_json(value))


def _line(message: JsonObject) -> str:
    data = message["data"]
    text = data if isinstance(data, str) else dump_json(data).decode()
    logger = message.get("logger")
    return (text if logger is None else f"{logger}: {text}")[:_MAX_LINE]
