"""The fast lane over Streamable HTTP: plain `tools/call` of the modern era, and plain `tools/list` of both.

A request is answered here only when every check that the authentication and the SDK make would let it pass. All
others, the refused ones among them, go to them as they came, body and all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tool_server.errors import InvalidInput, NotFound
from tool_server.mcp_api.body import replay, whole_body
from tool_server.mcp_api.calls import NO_ORIGIN, Origin, ToolCalls
from tool_server.mcp_api.lane.agreed_json import NotAgreedError, parse_agreed
from tool_server.mcp_api.lane.answers import HANDSHAKE, INVALID_PARAMS, Answers, ServerInfo
from tool_server.mcp_api.lane.client import client_with
from tool_server.mcp_api.lane.pending import answer_pending
from tool_server.mcp_api.lane.requests import (
    CALL,
    LIST,
    MODERN,
    Call,
    List,
    Request,
    read_handshake,
    read_modern,
    read_request,
)
from tool_server.mcp_api.listing import Listing
from tool_server.model.caller import Caller

Headers = Mapping[bytes, bytes]

_FAMILIAR = frozenset(
    {
        *(b"host", b"origin", b"authorization", b"accept", b"accept-encoding", b"accept-language", b"user-agent"),
        *(b"content-type", b"content-length", b"connection", b"keep-alive", b"transfer-encoding", b"cache-control"),
        *(b"pragma", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-dest", b"traceparent", b"tracestate"),
        *(b"mcp-protocol-version", b"mcp-method", b"mcp-name"),
    }
)
"""Headers of which none but those looked at here mean anything to the SDK."""
_FAMILIAR_BEFORE = (_FAMILIAR | {b"mcp-session-id"}) - {b"mcp-method", b"mcp-name"}
"""The same in the handshake era."""

_SESSION = b"mcp-session-id"
_HANDSHAKE = frozenset({b"2024-11-05", b"2025-03-26", b"2025-06-18", b"2025-11-25"})

_JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
_BOTH_TYPES = frozenset({"application/json", "text/event-stream"})
_METHODS = frozenset({CALL.encode(), LIST.encode()})
_OK, _BAD_REQUEST = 200, 400


class Doors(NamedTuple):
    """What the SDK lets in."""

    hosts: frozenset[str]
    """Host header values; `name:*` takes any port."""
    origins: frozenset[str]
    max_body_bytes: int


class Sessions(Protocol):
    """The sessions of the handshake era."""

    def find(self, name: str | None, caller: str) -> object | None:
        """The session of this name, where it is this caller's."""
        ...

    def has_ended(self, name: str) -> bool:
        """Whether its client has ended a session of this name."""
        ...


class HttpLane:
    """An ASGI application in front of the SDK's, behind the authentication.

    Args:
        sdk: answers whatever is not answered here.
        doors: what it lets in.
        listing: the tools.
        calls: what runs them.
        server: stamped on answers of the modern era.
        sessions: those of the handshake era.
    """

    def __init__(
        self,
        sdk: ASGIApp,
        doors: Doors,
        listing: Listing,
        calls: ToolCalls,
        server: ServerInfo,
        sessions: Sessions,
    ) -> None:
        self._sdk = sdk
        self._sessions = sessions
        self._max_body_bytes = doors.max_body_bytes
        self._listing = listing
        self._calls = calls
        self._answers = Answers(MODERN, server)
        self._handshake = Answers(HANDSHAKE, server)
        self.answered = 0
        """Requests that did not reach the SDK."""
        # Clients say the same again and again.
        self._opens = lru_cache(maxsize=256)(partial(_opens, doors))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http" and scope["method"] == "POST":
            headers = dict[bytes, bytes](scope["headers"])
            if len(headers) == len(scope["headers"]) and self._are_plain(headers):
                message = await whole_body(receive, self._max_body_bytes)
                status, answer = await self._answer(headers, message, scope["state"]["caller"], receive)
                if answer is not None:
                    self.answered += 1
                    session = headers.get(_SESSION)
                    if session is not None and self._is_in_session(session, scope["state"]["caller"]):
                        await _stream(send, answer, session)
                    else:
                        await _respond(send, status, answer)
                    return
                receive = replay(message, receive)
        await self._sdk(scope, receive, send)

    def _are_plain(self, headers: Headers) -> bool:
        version = headers.get(b"mcp-protocol-version")
        if version == _MODERN:
            familiar, known = headers.get(b"mcp-method") in _METHODS, _FAMILIAR
        else:
            # Whose session it is does not matter: a list is the caller's, and there is nothing to tell on the way.
            familiar, known = version in _HANDSHAKE and b"mcp-method" not in headers, _FAMILIAR_BEFORE
            if self._sessions.has_ended(headers.get(_SESSION, b"").decode("latin-1")):
                return False
        return (
            familiar
            and headers.get(b"content-type") in _JSON_TYPES
            and _accepts_both(headers.get(b"accept", b""))
            and self._opens(headers.get(b"host"), headers.get(b"origin"))
            and _is_short(headers.get(b"content-length"), self._max_body_bytes)
            and (headers.keys() <= known or _mean_nothing(headers.keys() - known))
        )

    def _is_in_session(self, session: bytes, caller: Caller) -> bool:
        return self._sessions.find(session.decode("latin-1"), caller.name) is not None

    async def _answer(
        self, headers: Headers, message: Message, caller: Caller, receive: Receive
    ) -> tuple[int, bytes | None]:
        request = _request_in(message, self._max_body_bytes)
        if request is None:
            return _OK, None
        if headers[b"mcp-protocol-version"] != _MODERN:
            asked = read_handshake(request)
            return _OK, self._listed(request, asked, caller, self._handshake) if isinstance(asked, List) else None
        if request.method.encode() != headers[b"mcp-method"]:
            return _OK, None
        asked = read_modern(request)
        if isinstance(asked, List):
            return _OK, self._listed(request, asked, caller, self._answers)
        if (
            isinstance(asked, Call)
            and self._listing.offers_plain(asked.name, caller.view)
            and asked.name.encode() == headers.get(b"mcp-name")
            and self._listing.answers_at_once(asked, caller.view)
        ):
            return await self._called(request, asked, caller, receive, _origin(headers))
        return _OK, None

    async def _called(
        self, request: Request, asked: Call, caller: Caller, receive: Receive, origin: Origin
    ) -> tuple[int, bytes]:
        name, arguments, client = asked.name, asked.arguments, client_with(asked.capabilities)
        try:
            result = await self._calls.call_while_connected(receive, name, arguments, caller, client, origin)
        except NotFound as error:  # uninstalled a moment ago
            return _BAD_REQUEST, self._answers.failed(request.id, INVALID_PARAMS, error.message)
        if result.pending is not None:
            return _OK, await answer_pending(self._calls, self._answers, request.id, asked, caller, result.pending)
        refusal = self._answers.refused(request.id, result) if result.is_error else None
        if refusal is not None:
            return _BAD_REQUEST, refusal
        return _OK, self._answers.called(request.id, result)

    def _listed(self, request: Request, asked: List, caller: Caller, answers: Answers) -> bytes | None:
        try:
            page = self._listing.page(asked.cursor, caller.view)
        except InvalidInput:
            return None
        return answers.listed(request.id, page)


_MODERN = MODERN.encode()
_TRACE_HEADERS = (b"traceparent", b"tracestate")


def _origin(headers: Headers) -> Origin:
    if b"traceparent" not in headers:
        return NO_ORIGIN
    traced = {name.decode(): headers[name].decode("latin-1") for name in _TRACE_HEADERS if name in headers}
    return Origin(headers=traced)


def _opens(doors: Doors, host: bytes | None, origin: bytes | None) -> bool:
    if host is None or not _matches(host.decode("latin-1"), doors.hosts):
        return False
    return origin is None or _matches(origin.decode("latin-1"), doors.origins)


def _matches(value: str, allowed: frozenset[str]) -> bool:
    base, colon, port = value.rpartition(":")
    return value in allowed or (bool(colon) and port.isascii() and port.isdigit() and f"{base}:*" in allowed)


@lru_cache(maxsize=256)
def _accepts_both(accept: bytes) -> bool:
    types = {part.strip().split(";")[0].strip().lower() for part in accept.decode("latin-1").split(",")}
    return types >= _BOTH_TYPES


def _is_short(content_length: bytes | None, limit: int) -> bool:
    return content_length is None or (content_length.isdigit() and int(content_length[:20]) <= limit)


def _mean_nothing(unfamiliar: Iterable[bytes]) -> bool:
    # Names not in lower case are against ASGI, and might be any.
    return all(name.islower() and not name.startswith(b"mcp-") for name in unfamiliar)


def _request_in(message: Message, limit: int) -> Request | None:
    body = message.get("body", b"")
    if message["type"] != "http.request" or message.get("more_body") or len(body) > limit:
        return None
    try:
        return read_request(parse_agreed(body))
    except NotAgreedError:
        return None


async def _stream(send: Send, body: bytes, session: bytes) -> None:
    """An answer as the SDK gives it in a session: one event."""
    event = b"event: message\r\ndata: " + body + b"\r\n\r\n"
    headers = [
        (b"content-length", b"%d" % len(event)),
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-cache, no-transform"),
        (_SESSION, session),
    ]
    await send({"type": "http.response.start", "status": _OK, "headers": headers})
    await send({"type": "http.response.body", "body": event})


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
