"""What guests may ask of the server: HTTP, the host interface, and the functions of whoever embeds the server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tool_server.config import EgressSettings
from tool_server.errors import InvalidInput
from tool_server.interfaces import Clock
from tool_server.model.host_interface import USER_MODULE
from tool_server.model.json_value import JsonObject, compact_json, json_type, parse_json
from tool_server.model.secret import Secret
from tool_server.sandbox.announcements import AnnouncementFunctions, Announcer
from tool_server.sandbox.client_functions import client_functions
from tool_server.sandbox.guest_secrets import GuestSecrets
from tool_server.sandbox.host_calls import Handler, HostCall, HostFunctions, HostReply, forgiving
from tool_server.sandbox.hyper_functions import HyperFunctions
from tool_server.sandbox.protocol import ENV
from tool_server.services.nested_calls import NestedCalls

if TYPE_CHECKING:
    from tool_server.egress.service import Egress, EgressReply
    from tool_server.services.host_functions import HostFunction


UNRECORDED = frozenset({(USER_MODULE, "get_keyring_secret"), (USER_MODULE, "get_access_token")})
"""Host functions that give out secrets: no transcript keeps those."""


@asynccontextmanager
async def open_host_functions(
    settings: EgressSettings,
    read_secret: Callable[[str], Awaitable[Secret | None]],
    clock: Clock,
    nested: NestedCalls,
    embedded: Sequence[HostFunction] = (),
    announcer: Announcer | None = None,
) -> AsyncGenerator[HostFunctions]:
    """All of them, while the block runs.

    Args:
        settings: the bounds of requests.
        read_secret: gives a secret's value for the moment.
        clock: tells guests the time.
        nested: calls other tools.
        embedded: what the program that embeds the server offers.
        announcer: hands on what plugins announce; by default nobody is told.

    Raises:
        InvalidInput: `invalid_host_function`, two of the embedded ones have the same name.
    """
    requests = _Requests(settings, read_secret)
    handlers: dict[tuple[str, str], Handler] = {
        (ENV, "http_request"): requests.http_request,
        (USER_MODULE, "http_get"): forgiving(requests.http_get),
        (USER_MODULE, "get_current_time"): _current_time(clock),
        (USER_MODULE, "call_tool"): forgiving(_tool_caller(nested)),
        **HyperFunctions(GuestSecrets(read_secret)).handlers(),
        **AnnouncementFunctions(announcer).handlers(),
        **client_functions(announcer),
    }
    if embedded:
        # Here, for what checks types by their hints takes a while to import.
        from tool_server.services.host_functions import by_import

        handlers |= {place: forgiving(_embedded(function)) for place, function in by_import(embedded).items()}
    try:
        yield HostFunctions(handlers, UNRECORDED)
    finally:
        await requests.aclose()


class _Requests:
    """HTTP. The client is loaded with the first request."""

    def __init__(self, settings: EgressSettings, read_secret: Callable[[str], Awaitable[Secret | None]]) -> None:
        self._settings = settings
        self._read_secret = read_secret
        self._egress: Egress | None = None

    async def aclose(self) -> None:
        """Close the kept connections."""
        if self._egress is not None:
            await self._egress.aclose()

    async def http_request(self, question: HostCall) -> HostReply:
        """Extism's own."""
        if len(question.blocks) != 2:
            raise InvalidInput("invalid_frame", "http_request takes a request and a body")
        reply = await self._send(question, *question.blocks)
        return HostReply(reply.body, status=reply.status, headers=reply.headers)

    async def http_get(self, question: HostCall) -> HostReply:
        """`{"url", "headers"?}` -> `{"status", "headers", "body"}`."""
        request = parse_json(_argument(question), what="the request of http_get")
        if not isinstance(request, dict):
            raise _invalid_get(f"it must be a JSON object, not {json_type(request)}")
        if unknown := request.keys() - {"url", "headers"}:
            raise _invalid_get(f"there is no {min(unknown)[:80]!r} in it")
        reply = await self._send(question, compact_json(request), b"")
        answer: JsonObject = {"status": reply.status, "headers": dict(reply.headers)}
        return HostReply(compact_json(answer | _body(reply.body)))

    async def _send(self, question: HostCall, request: bytes, body: bytes) -> EgressReply:
        if self._egress is None:
            from tool_server.egress.service import Egress

            self._egress = Egress(self._settings, self._read_secret)
        return await self._egress.request(question.call, request, body)


def _body(data: bytes) -> JsonObject:
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        import base64

        return {"bodyBase64": base64.b64encode(data).decode()}


def _invalid_get(problem: str) -> InvalidInput:
    return InvalidInput("invalid_request", f"the request of http_get is not valid: {problem}; write {{'url': …}}")


def _current_time(clock: Clock) -> Handler:
    async def get_current_time(question: HostCall) -> HostReply:
        moment = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return HostReply(compact_json(moment))

    return get_current_time


def _tool_caller(nested: NestedCalls) -> Handler:
    async def call_tool(question: HostCall) -> HostReply:
        # Of a secret that this guest holds, no other plugin is told.
        argument = question.call.journal.redactor.data(_argument(question))
        transcript = question.call.journal.transcript
        within = None if transcript is None or question.entry is None else transcript.within(question.entry)
        return HostReply(await nested.call(question.call, question.deadline, argument, within))

    return call_tool


def _embedded(function: HostFunction) -> Handler:
    async def answer(question: HostCall) -> HostReply:
        return HostReply(await function.answer(question.call, _argument(question)))

    return answer


def _argument(question: HostCall) -> bytes:
    """The one block that a function was given; empty where it was given none."""
    if len(question.blocks) > 1:
        raise InvalidInput(
            "invalid_request",
            f"host function {question.name[:80]} takes one offset of a block, not {len(question.blocks)} values",
        )
    return question.blocks[0] if question.blocks else b""
