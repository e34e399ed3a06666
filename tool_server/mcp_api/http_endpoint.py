"""Streamable HTTP on the SDK: which of its three ways of serving a request gets.

A request of 2026-07-28 whose client takes event streams is answered by one as soon as there is something to tell, and
by plain JSON otherwise. Clients of the handshake era get a session when they say `initialize`, so that plugins can ask
them things; whatever comes without one, or with one that is not known any more, is served all the same, in plain JSON.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, cast

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic_core import from_json
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tool_server.mcp_api.body import replay, whole_body
from tool_server.mcp_api.lane.answers import INVALID_REQUEST
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.resumption import RecentEvents, ResumableSessionManager
from tool_server.mcp_api.sessions import SESSION_HEADER, ClientSessions

_SESSION = SESSION_HEADER.encode()
_NOT_FOUND, _BUSY = 404, 503


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What the Streamable HTTP endpoint accepts."""

    allowed_hosts: Sequence[str]
    """Host header values; `name:*` takes any port."""
    allowed_origins: Sequence[str]
    max_body_bytes: int
    lane: bool = True
    """Whether plain requests are answered in front of the SDK; without, every one goes through it."""
    max_sessions: int = 1_000
    session_idle_s: float = 1_800
    stream_s: float = 300
    """How long the response to a call in a session is held open: its client comes back for the rest."""


class HttpEndpoint:
    """An ASGI application behind the authentication, which puts the caller into the scope's state.

    Args:
        server: what answers.
        settings: what is accepted.
        listing: is told through whose eyes a request looks.
        sessions: the clients of the handshake era.
    """

    def __init__(self, server: Server[Any], settings: HttpSettings, listing: Listing, sessions: ClientSessions) -> None:
        def manager(*, json: bool, stateless: bool, events: RecentEvents | None = None) -> StreamableHTTPSessionManager:
            return ResumableSessionManager(
                server,
                events=events,
                json_response=json,
                stateless=stateless,
                security_settings=TransportSecuritySettings(
                    allowed_hosts=list(settings.allowed_hosts), allowed_origins=list(settings.allowed_origins)
                ),
                session_idle_timeout=settings.session_idle_s,
                max_request_body_size=settings.max_body_bytes,
                max_sessions=settings.max_sessions,
            )

        self._plain = manager(json=True, stateless=True)
        self._streaming = manager(json=False, stateless=True)
        self._stateful = manager(json=False, stateless=False, events=RecentEvents())
        self._stream_s = settings.stream_s
        self._limit = settings.max_body_bytes
        self._listing = listing
        self._sessions = sessions
        self._streams = NoticeStreams()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve while the block runs."""
        async with self._plain.run(), self._streaming.run(), self._stateful.run():
            yield

    def close_streams(self) -> None:
        """End every stream on which a client waits for notices, and open none any more."""
        self._streams.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict[bytes, bytes](scope["headers"])
        with self._listing.seen_by(scope["state"]["caller"].view):
            version = headers.get(b"mcp-protocol-version")
            if version is not None and version.decode("latin-1") not in HANDSHAKE_PROTOCOL_VERSIONS:
                await self._serve_modern(scope, receive, send, headers)
            else:
                await self._serve_handshake(scope, receive, send, headers)

    async def _serve_modern(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        if scope["method"] == "POST" and not _takes_streams(headers):
            await _serve(self._plain.asgi_app, scope, receive, send, watch=True)
        elif scope["method"] == "POST":
            await _serve(self._streaming.asgi_app, scope, receive, send)
        else:
            await _refuse_method(scope, receive, send)

    async def _serve_handshake(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        caller = scope["state"]["caller"].name
        name = headers.get(_SESSION, b"").decode("latin-1")
        if self._sessions.has_ended(name):
            await _refuse_ended(scope, receive, send)
            return
        known = self._sessions.find(name, caller) is not None
        if scope["method"] != "POST":
            if not known:
                # Without a session there is nothing that a stream opened by GET could carry, or a DELETE could end.
                await _refuse_method(scope, receive, send)
                return
            await self._streams.serve(self._stateful.asgi_app, scope, receive, send)
            if scope["method"] == "DELETE":
                self._sessions.end(name)
            return
        message = await whole_body(receive, self._limit)
        greets = not name and _is_greeting(message)
        if (known or greets) and _takes_streams(headers):
            attempt = _Attempt(send, partial(self._sessions.open, caller=caller) if greets else None)
            await _serve(
                self._stateful.asgi_app, scope, replay(message, receive), attempt.send, stream_s=self._stream_s
            )
            if not attempt.refused:
                return
            self._sessions.close(name)
        # A session that is not this caller's must not be found by the name in the header either.
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != _SESSION]}
        await _serve(self._plain.asgi_app, scope, replay(message, receive), send, watch=True)


class NoticeStreams:
    """Answers that have no end of their own: the event streams that clients of the handshake era open by GET."""

    def __init__(self) -> None:
        self._open: set[anyio.CancelScope] = set()
        self._closed = False

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, until `close` at the latest."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with anyio.CancelScope() as stream:
            self._open.add(stream)
            try:
                if self._closed:
                    stream.cancel()
                await app(scope, receive, watch)
            finally:
                self._open.discard(stream)
        if stream.cancelled_caught:
            if not begun:
                await Response(status_code=503)(scope, receive, send)
            else:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self) -> None:
        """End them all."""
        self._closed = True
        for stream in tuple(self._open):
            stream.cancel()


class _Attempt:
    """Watches an answer go by, and holds back the one that there is no such session, or no room for another.

    Args:
        send: takes the others.
        opened: is told the name of the session that was opened.
    """

    def __init__(self, send: Send, opened: Callable[[str], None] | None) -> None:
        self._send = send
        self._opened = opened
        self.refused = False

    async def send(self, message: Message) -> None:
        """ASGI's `send`."""
        if message["type"] == "http.response.start":
            self.refused = message["status"] in (_NOT_FOUND, _BUSY)
            name = next((value.decode() for key, value in message["headers"] if key == _SESSION), None)
            if name is not None and self._opened is not None:
                # Before the client knows of it: its next message may be quick.
                self._opened(name)
        if not self.refused:
            await self._send(message)


async def _serve(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, watch: bool = False, stream_s: float = inf
) -> None:
    # Streams watch their client themselves; of plain answers the SDK does not notice that nobody waits for them.
    state = {**scope["state"], "watch_client": watch, "stream_s": stream_s}
    await app({**scope, "state": state}, receive, send)


async def _refuse_method(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)


async def _refuse_ended(scope: Scope, receive: Receive, send: Send) -> None:
    error = {"code": INVALID_REQUEST, "message": "Session not found: its client has ended it"}
    await JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, _NOT_FOUND)(scope, receive, send)


def _takes_streams(headers: dict[bytes, bytes]) -> bool:
    return b"text/event-stream" in headers.get(b"accept", b"").lower()


def _is_greeting(message: Message) -> bool:
    body = message.get("body", b"")
    if message["type"] != "http.request" or message.get("more_body") or b"initialize" not in body:
        return False
    try:
        document = from_json(body)
    except ValueError:
        return False
    return isinstance(document, dict) and cast("dict[str, Any]", document).get("method") == "initialize"
