"""Small HTTP/1.1 servers that behave as the path says: well, badly, or like an attacker's."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import ssl
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import anyio
from anyio.abc import ByteStream, SocketAttribute, TaskGroup
from anyio.streams.tls import TLSListener

Headers = dict[str, str]
MEGABYTE = 2**20


@dataclass
class Request:
    """What a server received."""

    server: str
    connection: int
    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The parameters."""
        return dict(parse_qsl(urlsplit(self.target).query))

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "server": self.server,
            "connection": self.connection,
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body": self.body.decode("latin-1"),
        }


@dataclass
class Web:
    """All servers of a test, and what they saw."""

    tasks: TaskGroup
    seen: list[Request] = field(default_factory=list[Request])
    open_connections: int = 0
    holding: int = 0
    """Requests for `/hold` that wait."""
    release: anyio.Event = field(default_factory=anyio.Event)
    _connections: int = 0

    async def listen(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serve on one address."""
        listener: Any = await anyio.create_tcp_listener(local_host=address, local_port=port)
        if tls is not None:
            listener = TLSListener(listener, tls, standard_compatible=False)
        self.tasks.start_soon(listener.serve, self._serve)

    async def _serve(self, stream: ByteStream) -> None:
        self._connections += 1
        self.open_connections += 1
        number = self._connections
        address, port = stream.extra(SocketAttribute.local_address)[:2]  # noqa: S610 - not Django's
        try:
            buffer = bytearray()
            while (request := await _read(stream, buffer, f"{address}:{port}", number)) is not None:
                self.seen.append(request)
                await self._answer(stream, request)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, ssl.SSLError):
            pass
        finally:
            self.open_connections -= 1
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    async def _answer(self, stream: ByteStream, request: Request) -> None:
        path = urlsplit(request.target).path
        if path == "/hold":
            self.holding += 1
            try:
                await self._wait_for_release(stream)
            finally:
                self.holding -= 1
            await send(stream, b"held")
            return
        await PATHS.get(path, echo)(stream, request)

    async def _wait_for_release(self, stream: ByteStream) -> None:
        """Until the test lets go, or the client does."""
        async with anyio.create_task_group() as tasks:

            async def released() -> None:
                await self.release.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(released)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                await stream.receive()
            tasks.cancel_scope.cancel()


async def _read(stream: ByteStream, buffer: bytearray, server: str, connection: int) -> Request | None:
    while b"\r\n\r\n" not in buffer:
        try:
            buffer += await stream.receive()
        except anyio.EndOfStream:
            return None
    head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = int(headers.get("content-length", "0"))
    while len(rest) < size:
        rest += await stream.receive()
    buffer[:] = rest[size:]
    return Request(server, connection, method, target, headers, rest[:size])


async def send(stream: ByteStream, body: bytes, status: str = "200 OK", **headers: str) -> None:
    """A whole answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    await stream.send(f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)


async def echo(stream: ByteStream, request: Request) -> None:
    """What was received, as JSON."""
    await send(stream, json.dumps(request.shown()).encode(), Content_Type="application/json", X_Seen=request.method)


async def status(stream: ByteStream, request: Request) -> None:
    """`?code=`."""
    await send(stream, b"sorry", f"{request.query['code']} Whatever", X_Why="because")


async def redirect(stream: ByteStream, request: Request) -> None:
    """`?to=&code=`."""
    await send(stream, b"", f"{request.query.get('code', '302')} Go", Location=request.query["to"])


async def leak(stream: ByteStream, request: Request) -> None:
    """The query's key and the Authorization header, in every spelling there is, in body, header and header name."""
    secret = request.headers.get("authorization", "").removeprefix("Bearer ") or request.query["key"]
    raw = secret.encode()
    spellings = [
        secret,
        *(base64.b64encode(b"x" * shift + raw + b"tail").decode() for shift in range(3)),
        *(base64.urlsafe_b64encode(b"x" * shift + raw).decode() for shift in range(3)),
        quote(secret, safe=""),
        "".join(f"%{byte:02x}" for byte in raw),
        json.dumps(secret)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    ]
    body = gzip.compress("\n".join(spellings).encode())
    await send(stream, body, Content_Encoding="gzip", X_Key=quote(secret, safe=""), X_Asked=request.target)


async def leaving(stream: ByteStream, request: Request) -> None:
    """A redirect that quotes the key."""
    key = quote(request.query.get("key", ""), safe="")
    await send(stream, b"", "302 Go", Location=f"{request.query['to']}?taken={key}")


@functools.cache
def compressed_bodies() -> dict[str, tuple[str, bytes]]:
    """Content-Encoding and body by name; two of them are bombs of 200 and 50 MB."""
    text = b"well compressed " * 100
    raw, bomb = zlib.compressobj(wbits=-15), zlib.compressobj(wbits=31)
    return {
        "gzip": ("gzip", gzip.compress(text)),
        "members": ("gzip", gzip.compress(text[:800]) + gzip.compress(text[800:])),
        "deflate": ("deflate", zlib.compress(text)),
        "raw": ("deflate", raw.compress(text) + raw.flush()),
        "identity": ("identity", text),
        "broken": ("gzip", gzip.compress(text)[:-12]),
        "damaged": ("gzip", b"this is not gzip at all"),
        "unknown": ("br", text),
        "twice": ("gzip, gzip", gzip.compress(gzip.compress(text))),
        "bomb": ("gzip", b"".join([*(bomb.compress(bytes(MEGABYTE)) for _ in range(200)), bomb.flush()])),
        "bombs": ("gzip", gzip.compress(bytes(MEGABYTE // 2)) * 100),
    }


async def compressed(stream: ByteStream, request: Request) -> None:
    """`?how=`: good and bad compression."""
    encoding, body = compressed_bodies()[request.query["how"]]
    await send(stream, body, Content_Encoding=encoding)


async def endless(stream: ByteStream, _request: Request) -> None:
    """A body without an end."""
    await stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send(b"10000\r\n" + bytes(65_536) + b"\r\n")


async def large(stream: ByteStream, request: Request) -> None:
    """`?bytes=` of body, declared."""
    await send(stream, b"x" * int(request.query["bytes"]))


async def silent(stream: ByteStream, _request: Request) -> None:
    """No answer."""
    await stream.receive()


async def slow(stream: ByteStream, _request: Request) -> None:
    """A byte of the head now and then."""
    while True:
        await stream.send(b"H")
        await anyio.sleep(0.1)


async def gone(stream: ByteStream, _request: Request) -> None:
    """Closes instead of answering."""
    await stream.aclose()


async def raw(stream: ByteStream, request: Request) -> None:
    """`?text=`, as it is, and closes."""
    await stream.send(unquote(request.query["text"]).encode("latin-1"))
    await stream.aclose()


async def many_headers(stream: ByteStream, request: Request) -> None:
    """`?bytes=` of headers."""
    await send(stream, b"", X_Long="h" * int(request.query["bytes"]))


PATHS: dict[str, Callable[[ByteStream, Request], Awaitable[None]]] = {
    "/status": status,
    "/redirect": redirect,
    "/leak": leak,
    "/leaving": leaving,
    "/compressed": compressed,
    "/endless": endless,
    "/large": large,
    "/silent": silent,
    "/slow": slow,
    "/gone": gone,
    "/raw": raw,
    "/headers": many_headers,
}
