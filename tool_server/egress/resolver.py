"""From a name to addresses, all of them checked."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address

import anyio
import anyio.to_thread

from tool_server.egress.addresses import Address, AddressPolicy
from tool_server.egress.target import Target
from tool_server.errors import Denied, Unavailable

MAX_LOOKUPS = 32
"""Look-ups at once, each in a thread of its own."""
MAX_LOOKUPS_OF_ONE = 4
"""Of them, those of one plugin."""
LOOKUP_SECONDS = 10.0


@dataclass(slots=True)
class _LookUp:
    host: str
    plugin: str
    started: bool = False
    """Whether a thread has it, or may not take it any more."""


class Resolver:
    """Looks names up in the system's resolver.

    A look-up cannot be interrupted. One that is given up on keeps its thread and its place in the bounds until it
    ends by itself, so that names whose servers do not answer cannot pile up threads.

    Args:
        policy: which addresses may be reached.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()
        # The bound is kept here, where threads count that were given up; anyio's would forget them.
        self._threads = anyio.CapacityLimiter(10 * MAX_LOOKUPS)

    async def resolve(self, target: Target, plugin: str) -> tuple[Address, ...]:
        """The addresses of a target, in the resolver's order.

        Raises:
            Denied: `address_refused`, one of them may not be reached: one is enough, since a name that mixes both
                kinds is a trick.
            Unavailable: `name_not_resolved`; `busy`, too many look-ups are under way.
        """
        literal = target.address
        addresses = (literal,) if literal is not None else await self._look_up(target.host, plugin)
        for address in addresses:
            if not self._policy.permits(address):
                raise Denied(
                    "address_refused",
                    f"{target.host} is at {address}, which is no address of the public Internet: not contacted "
                    "(an operator can open networks with egress.allow_addresses)",
                    {"host": target.host, "address": str(address)},
                )
        return addresses

    async def _look_up(self, host: str, plugin: str) -> tuple[Address, ...]:
        look_up = _LookUp(host, plugin)
        with self._lock:
            if self._running.total() >= MAX_LOOKUPS or self._running[plugin] >= MAX_LOOKUPS_OF_ONE:
                raise Unavailable(
                    "busy", f"{host} was not looked up: too many look-ups are under way", {"retry_after_ms": 1_000}
                )
            self._running[plugin] += 1
        found: tuple[Address, ...] = ()
        try:
            with anyio.move_on_after(LOOKUP_SECONDS):
                found = await anyio.to_thread.run_sync(
                    self._in_thread, look_up, limiter=self._threads, abandon_on_cancel=True
                )
        finally:
            with self._lock:
                if not look_up.started:  # cancelled before a thread took it, and now none will
                    look_up.started = True
                    self._leave(plugin)
        if not found:
            raise Unavailable("name_not_resolved", f"the host name {host} cannot be resolved", {"host": host})
        return found

    def _in_thread(self, look_up: _LookUp) -> tuple[Address, ...]:
        with self._lock:
            if look_up.started:
                return ()
            look_up.started = True
        try:
            found = socket.getaddrinfo(look_up.host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        finally:
            with self._lock:
                self._leave(look_up.plugin)
        return tuple(dict.fromkeys(ip_address(str(sockaddr[0])) for *_, sockaddr in found))

    def _leave(self, plugin: str) -> None:
        self._running[plugin] -= 1
        if not self._running[plugin]:
            del self._running[plugin]
