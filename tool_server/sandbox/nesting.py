"""Room for calls that plugins make of other tools, while their own calls keep their permits and wait.

A guest is blocked while it waits for another tool, so of every permit only one guest runs at any time, however many
calls stand on top of one another: what nested calls need beyond the permits is processes, and those are bounded here.
Whoever holds a place may want another one. So that they never wait for each other in a circle, one tree of calls at a
time is privileged: it has places of its own for the whole depth that there can be, comes to its end without waiting,
and hands the privilege on.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tool_server.model.nesting import CallTree
from tool_server.sandbox.admission import shutting_down


@dataclass(eq=False, slots=True)
class Place:
    """One nested call on its way, as `Ticket` is for a client's."""

    tree: CallTree
    caller: str
    entered_at: float
    """Monotonic seconds."""
    privileged: bool = False
    cpu_s: float | None = None
    """What the call says to have used, seconds; None where nobody can say."""


@dataclass(eq=False, slots=True)
class _Waiter:
    place: Place
    admitted: asyncio.Future[None]


class Nesting:
    """Hands out places for nested calls.

    Args:
        places: calls at once, beside those of the privileged tree.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken: Counter[str] = Counter()
        """Places in use by caller, those of the privileged tree not counted."""
        self._privileged: CallTree | None = None
        self._privileged_calls = 0
        self._waiters: list[_Waiter] = []
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls that wait: at most one of each call of a client."""
        return len(self._waiters)

    @asynccontextmanager
    async def place(self, tree: CallTree, caller: str) -> AsyncGenerator[Place]:
        """Hold a place while the block runs; who has the fewest gets the next one.

        Raises:
            Unavailable: `shutting_down`.
        """
        place = Place(tree, caller, time.monotonic())
        if self._closed:
            raise shutting_down()
        if not self._admit(place):
            await self._wait(place)
        begun = time.monotonic()
        try:
            yield place
        finally:
            tree.cpu_s += time.monotonic() - begun if place.cpu_s is None else place.cpu_s
            self._leave(place)

    def close(self) -> None:
        """Turn away everyone who waits or comes later."""
        self._closed = True
        for waiter in self._waiters:
            if not waiter.admitted.done():
                waiter.admitted.set_exception(shutting_down())
        self._waiters.clear()

    def _admit(self, place: Place) -> bool:
        if self._taken.total() < self._places:
            self._taken[place.caller] += 1
            return True
        if self._privileged is None or self._privileged is place.tree:
            self._privileged = place.tree
            self._privileged_calls += 1
            place.privileged = True
            return True
        return False

    async def _wait(self, place: Place) -> None:
        waiter = _Waiter(place, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.admitted
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.admitted.done() and not waiter.admitted.cancelled() and waiter.admitted.exception() is None:
                self._leave(place)  # cancelled when it had just been admitted
            raise

    def _leave(self, place: Place) -> None:
        if place.privileged:
            self._privileged_calls -= 1
            if not self._privileged_calls:
                self._privileged = None
        else:
            self._taken[place.caller] -= 1
            if not self._taken[place.caller]:
                del self._taken[place.caller]
        # Of those that were cancelled some have not noticed yet.
        self._waiters = [waiter for waiter in self._waiters if not waiter.admitted.done()]
        while self._waiters:
            waiter = min(self._waiters, key=lambda waiting: self._taken[waiting.place.caller])
            if not self._admit(waiter.place):
                return
            self._waiters.remove(waiter)
            waiter.admitted.set_result(None)
