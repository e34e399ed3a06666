"""One request on one connection, and its answer within bounds."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore

from tool_server.egress.attempt import Attempt
from tool_server.egress.connections import Connection, Connections, Purpose
from tool_server.egress.decoding import ACCEPTED, BodyDecoder, can_decode
from tool_server.egress.injection import Outgoing
from tool_server.egress.request import GuestRequest, is_redirect
from tool_server.errors import Unavailable
from tool_server.version import VERSION

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110, section 9.2.2)."""
_DROPPED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})
"""Of an answer: they describe the message on the wire, which the guest does not see."""

RawHeaders = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of an answer, bytes; `follow` says whether redirects are followed, so that their bodies do not matter."""

    body: int
    headers: int
    follow: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; of a redirect that is followed, the body is left unread."""

    status: int
    headers: RawHeaders
    """Names in lower case, without those of the wire."""
    location: str | None
    body: bytes


class Exchanger:
    """Sends requests.

    Args:
        connections: opens and keeps the connections.
        bounds: of every answer.
    """

    def __init__(self, connections: Connections, bounds: Bounds) -> None:
        self._connections = connections
        self._bounds = bounds

    async def send(self, plugin: str, request: GuestRequest, outgoing: Outgoing, attempt: Attempt) -> Answer:
        """Send one request and read its answer; cancelling closes the connection.

        Args:
            plugin: whose request it is.
            request: what to send.
            outgoing: its query and headers with the secrets put in.
            attempt: is told the address, the status and the bytes.

        Raises:
            Denied: `address_refused`.
            Unavailable: as `Connections.opened`; `connection_lost`, `bad_response`, `response_too_large`.
        """
        purpose = Purpose(plugin, outgoing.secrets, request.target.origin)
        connection = await self._connections.kept(purpose)
        if connection is not None:
            try:
                return await self._on(connection, purpose, request, outgoing, attempt)
            except Unavailable as error:
                # The server may have closed it at the very moment; what may be sent twice is.
                if error.code != "connection_lost" or request.method not in _REPEATABLE:
                    raise
        connection = await self._connections.opened(purpose, request.target)
        return await self._on(connection, purpose, request, outgoing, attempt)

    async def _on(
        self, connection: Connection, purpose: Purpose, request: GuestRequest, outgoing: Outgoing, attempt: Attempt
    ) -> Answer:
        attempt.address, attempt.bytes_out = connection.address, len(request.body)
        finished = False
        try:
            with _translated(request.target.host):
                response = await connection.http.handle_async_request(_message(request, outgoing))
                attempt.status = response.status
                answer = await self._read(response, request.target.host, attempt)
                await response.aclose()
            finished = True
        finally:
            if not finished:
                await connection.close()
        await self._connections.give_back(connection, purpose)
        return answer

    async def _read(self, response: httpcore.Response, host: str, attempt: Attempt) -> Answer:
        headers = [(name.lower(), value) for name, value in response.headers]
        if sum(len(name) + len(value) for name, value in headers) > self._bounds.headers:
            raise Unavailable(
                "response_too_large",
                f"the headers of {host}'s answer have more than {self._bounds.headers} bytes (egress.header_bytes)",
            )
        location = next(iter(_all(headers, b"location")), None)
        shown = [pair for pair in headers if pair[0] not in _DROPPED]
        if self._bounds.follow and is_redirect(response.status, location):
            return Answer(response.status, shown, location, b"")
        encoding = ", ".join(_all(headers, b"content-encoding")).strip().lower()
        if not can_decode(encoding):
            raise Unavailable(
                "bad_response", f"the body of {host} has the encoding {encoding[:40]!r}, which was not asked for"
            )
        decoder = BodyDecoder(encoding, self._bounds.body, host)
        async for chunk in response.aiter_stream():
            attempt.bytes_in += len(chunk)
            decoder.feed(chunk)
        return Answer(response.status, shown, location, decoder.finish())


def _message(request: GuestRequest, outgoing: Outgoing) -> httpcore.Request:
    target = request.target
    headers = [(b"host", target.authority.encode()), *outgoing.headers, (b"accept-encoding", ACCEPTED.encode())]
    names = {name for name, _ in outgoing.headers}
    if b"user-agent" not in names:
        headers.append((b"user-agent", f"tool-server/{VERSION}".encode()))
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.append((b"content-length", str(len(request.body)).encode()))
    url = httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.host.encode(),
        port=target.port,
        target=f"{target.path}{outgoing.query}".encode(),
    )
    return httpcore.Request(request.method.encode(), url, headers=headers, content=request.body)


def _all(headers: RawHeaders, name: bytes) -> Iterable[str]:
    return (value.decode("latin-1") for given, value in headers if given == name)


@contextmanager
def _translated(host: str) -> Generator[None]:
    """Turn what httpcore raises into `Unavailable`."""
    lost = f"{host} closed the connection before its answer was complete"
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, ssl.SSLError) as error:
        raise Unavailable("connection_lost", lost) from error
    except httpcore.ProtocolError as error:
        # httpcore says "Server disconnected …" by an error of this kind, and h11 that a body broke off.
        if "disconnected" in str(error) or "closed connection" in str(error):
            raise Unavailable("connection_lost", lost) from error
        raise Unavailable("bad_response", f"{host} does not answer as an HTTP/1.1 server does") from error
