"""Stopping calls whose HTTP client has gone, at no cost to the many calls that are over at once."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from tool_server.background import background

Result = TypeVar("Result")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""ASGI's `receive` of one request."""

LOOK_SECONDS = 0.05
"""How often calls are looked at, and how old one must be before its connection is watched."""


@dataclass(eq=False, slots=True)
class _Running:
    receive: Receive
    scope: anyio.CancelScope
    started: float
    watched: bool = False


class HangUpWatch:
    """Cancels running calls when their clients disconnect.

    The SDK answers calls in plain JSON here, and then does not notice a client that leaves. A task beside each call
    would: but most calls end within a millisecond, so one task looks for the few that do not.
    """

    def __init__(self) -> None:
        self._running: set[_Running] = set()

    async def run(self, receive: Receive, work: Callable[[], Awaitable[Result]]) -> Result | None:
        """Await `work()`; None when the client left before it was done. The request's body must have been read."""
        with anyio.CancelScope() as scope:
            entry = _Running(receive, scope, time.monotonic())
            self._running.add(entry)
            try:
                return await work()
            finally:
                self._running.discard(entry)
        return None

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Watch while the block runs."""
        async with background(self._look):
            yield

    async def _look(self) -> None:
        async with anyio.create_task_group() as tasks:
            while True:
                await anyio.sleep(LOOK_SECONDS)
                young = time.monotonic() - LOOK_SECONDS
                for entry in self._running:
                    if not entry.watched and entry.started < young:
                        entry.watched = True
                        tasks.start_soon(self._watch, entry)

    async def _watch(self, entry: _Running) -> None:
        # After the answer, too, the next message is a disconnect: the task ends with the request at the latest.
        while (await entry.receive())["type"] != "http.disconnect":
            pass
        if entry in self._running:
            entry.scope.cancel()
