"""How many requests run at once: some for each plugin, some in all."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from tool_server.errors import Unavailable


@dataclass(eq=False, slots=True)
class _Lane:
    places: anyio.Semaphore
    users: int = 0


class Admission:
    """Places for requests. A plugin's requests wait for its own alone, and never for another plugin's.

    Args:
        total: requests at once in all.
        each: of one plugin.
        waiting: most that wait for one plugin's places.
        seconds: longest wait.
    """

    def __init__(self, total: int, each: int, waiting: int = 64, seconds: float = 10.0) -> None:
        self._total = total
        self._each = each
        self._waiting = waiting
        self._seconds = seconds
        self._running = 0
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def place(self, plugin: str) -> AsyncGenerator[None]:
        """Hold a place while the block runs.

        Raises:
            Unavailable: `busy`, with `retry_after_ms`.
        """
        lane = self._lanes.setdefault(plugin, _Lane(anyio.Semaphore(self._each)))
        if lane.users >= self._each + self._waiting:
            raise _busy(f"{self._waiting} requests of this plugin are waiting already")
        lane.users += 1
        try:
            await self._enter(lane)
            try:
                yield
            finally:
                self._running -= 1
                lane.places.release()
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[plugin]

    async def _enter(self, lane: _Lane) -> None:
        got = False
        with anyio.move_on_after(self._seconds):
            await lane.places.acquire()
            got = True
        if not got:
            raise _busy(f"none of this plugin's requests ended within {self._seconds:g} s")
        if self._running >= self._total:
            lane.places.release()
            raise _busy(f"{self._running} requests of all plugins are under way")
        self._running += 1


def _busy(why: str) -> Unavailable:
    return Unavailable("busy", f"no HTTP request was made: {why}. Try again in a second.", {"retry_after_ms": 1_000})
