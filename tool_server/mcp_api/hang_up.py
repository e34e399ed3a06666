"""Stopping calls whose HTTP client has gone, at no cost to the many calls that are over at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from tool_server.background import background

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""ASGI's `receive` of one request."""

LOOK_SECONDS = 0.05
"""How often calls are looked at, and how old one must be before its connection is watched."""


class Watched:
    """A running call whose client may leave: its task is cancelled then, and takes that back.

    A cancel scope around each call would do the same, and cost as much as checking the call's arguments.
    """

    __slots__ = ("_task", "left", "receive", "started", "watched")

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.started = time.monotonic()
        self.watched = False
        self.left = False
        """Whether the client has gone."""
        self._task = asyncio.current_task()

    def leave(self) -> None:
        """The client has gone: end the call."""
        if self._task is not None:
            self.left = True
            self._task.cancel()

    def take_back(self) -> bool:
        """After a cancellation of the task: whether it was for the client's leaving and for nothing else."""
        return self.left and self._task is not None and self._task.uncancel() == 0


class HangUpWatch:
    """Cancels running calls when their clients disconnect.

    The SDK answers calls in plain JSON here, and then does not notice a client that leaves. A task beside each call
    would: but most calls end within a millisecond, so one task looks for the few that do not.
    """

    def __init__(self) -> None:
        self._running: set[Watched] = set()

    def add(self, receive: Receive) -> Watched:
        """Watch the client of the call that this task makes from now on; the request's body must have been read."""
        watched = Watched(receive)
        self._running.add(watched)
        return watched

    def remove(self, watched: Watched) -> None:
        """The call is over."""
        self._running.discard(watched)

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
                for watched in self._running:
                    if not watched.watched and watched.started < young:
                        watched.watched = True
                        tasks.start_soon(self._watch, watched)

    async def _watch(self, watched: Watched) -> None:
        # After the answer, too, the next message is a disconnect: the task ends with the request at the latest.
        while (await watched.receive())["type"] != "http.disconnect":
            pass
        if watched in self._running:
            watched.leave()
