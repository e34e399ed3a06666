"""Connections: opened to checked addresses, kept for the plugin that opened them, closed by their owner.

httpcore speaks HTTP/1.1 on one connection; its pool is not used, since it knows neither plugins nor addresses.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio
import anyio.to_thread
import httpcore

from tool_server.egress.addresses import Address
from tool_server.egress.resolver import Resolver
from tool_server.egress.target import Target
from tool_server.errors import InvalidInput, Unavailable

MAX_ADDRESSES = 4
"""Addresses of one name that are tried."""
FIRST_SECONDS, CONNECT_SECONDS = 2.0, 10.0
"""How long an address is tried while there are others, and the last one."""
IDLE_SECONDS = 15.0
MAX_IDLE, MAX_IDLE_OF_ONE = 32, 4
"""Kept connections in all, and those that serve the same plugin, secrets and origin."""
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whom a connection serves; it is never used for another purpose."""

    plugin: str
    secrets: frozenset[str]
    """Names of the secrets that are sent over it."""
    origin: tuple[str, str, int]


@dataclass(eq=False, slots=True)
class Connection:
    """An open connection."""

    http: httpcore.AsyncHTTP11Connection
    address: str
    """The IP address of its other end."""
    reused: bool = False

    async def close(self) -> None:
        """Close, also while being cancelled."""
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self.http.aclose()


class Connections:
    """Opens and keeps connections.

    Args:
        resolver: gives checked addresses.
        ca_file: certificates of further authorities, PEM.
    """

    def __init__(self, resolver: Resolver, ca_file: Path | None) -> None:
        self._resolver = resolver
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        self._idle: OrderedDict[Connection, Purpose] = OrderedDict()
        self._closed = False

    @property
    def idle(self) -> int:
        """Connections that are kept."""
        return len(self._idle)

    async def kept(self, purpose: Purpose) -> Connection | None:
        """An idle connection of that purpose, the one used last, or None."""
        await self._close_expired()
        for connection, kept_for in reversed(self._idle.items()):
            if kept_for == purpose:
                del self._idle[connection]
                connection.reused = True
                return connection
        return None

    async def opened(self, purpose: Purpose, target: Target) -> Connection:
        """A new connection to a checked address of `target`, its certificate verified for the name.

        Raises:
            Denied: `address_refused`.
            Unavailable: `name_not_resolved`, `connect_failed`, `tls_failed`, `busy`.
            InvalidInput: `invalid_config`, the file of certificates cannot be read.
        """
        addresses = await self._resolver.resolve(target, purpose.plugin)
        tls = await self._tls_context() if target.scheme == "https" else None
        stream, address = await _connect(target, addresses[:MAX_ADDRESSES])
        try:
            if tls is not None:
                stream = await _secure(stream, tls, target)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
            raise
        origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
        http = httpcore.AsyncHTTP11Connection(origin, stream, keepalive_expiry=IDLE_SECONDS)
        return Connection(http, str(address))

    async def give_back(self, connection: Connection, purpose: Purpose) -> None:
        """Keep a connection whose answer was read to its end; close any other."""
        if self._closed or not connection.http.is_idle():
            await connection.close()
            return
        self._idle[connection] = purpose
        same = [kept for kept, kept_for in self._idle.items() if kept_for == purpose]
        surplus = same[: max(0, len(same) - MAX_IDLE_OF_ONE)] or list(self._idle)[: max(0, len(self._idle) - MAX_IDLE)]
        for oldest in surplus:
            del self._idle[oldest]
        for oldest in surplus:
            await oldest.close()

    async def aclose(self) -> None:
        """Close what is kept, and keep nothing from now on."""
        self._closed = True
        kept = list(self._idle)
        self._idle.clear()
        for connection in kept:
            await connection.close()

    async def _close_expired(self) -> None:
        expired = [connection for connection in self._idle if connection.http.has_expired()]
        for connection in expired:
            del self._idle[connection]
        for connection in expired:
            await connection.close()

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading some hundred certificates takes longer than a call may hold up the others.
            self._tls = await anyio.to_thread.run_sync(_make_tls_context, self._ca_file)
        return self._tls


def _make_tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidInput("invalid_config", f"egress.ca_file {ca_file.name} holds no certificates") from error
    return context


async def _connect(target: Target, addresses: tuple[Address, ...]) -> tuple[httpcore.AsyncNetworkStream, Address]:
    backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
    for number, address in enumerate(addresses, start=1):
        seconds = CONNECT_SECONDS if number == len(addresses) else FIRST_SECONDS
        try:
            return await backend.connect_tcp(str(address), target.port, timeout=seconds), address
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            continue
    tried = ", ".join(str(address) for address in addresses)
    raise Unavailable(
        "connect_failed",
        f"no connection to {target.host} port {target.port} (at {tried}): it refuses or does not answer",
        {"host": target.host, "port": target.port},
    )


async def _secure(
    stream: httpcore.AsyncNetworkStream, context: ssl.SSLContext, target: Target
) -> httpcore.AsyncNetworkStream:
    try:
        return await stream.start_tls(context, target.host, CONNECT_SECONDS)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        cause = error.__cause__ or error.__context__
        verdict = getattr(cause, "verify_message", "") or "no TLS handshake"
        raise Unavailable(
            "tls_failed", f"{target.host} port {target.port} is not trusted: {verdict}", {"host": target.host}
        ) from error
