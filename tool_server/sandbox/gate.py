"""Admission of calls: so many at once, the rest in a bounded, fair queue."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from tool_server.errors import Unavailable
from tool_server.sandbox.fair_queue import FairQueue


@dataclass(eq=False, slots=True)
class _Waiter:
    event: anyio.Event = field(default_factory=anyio.Event)
    granted: bool = False


class Gate:
    """Permits for calls.

    Args:
        permits: calls at once.
        queue: most calls that wait.
        timeout_s: longest wait.
    """

    def __init__(self, permits: int, queue: int, timeout_s: float) -> None:
        self._free = permits
        self._waiters: FairQueue[_Waiter] = FairQueue(queue)
        self._timeout_s = timeout_s
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiters)

    async def acquire(self, caller: str) -> None:
        """Wait for a permit, in turn with the other callers.

        Raises:
            Unavailable: `busy`, with `retry_after_ms`; `shutting_down`.
        """
        if self._closed:
            raise shutting_down()
        if self._free and not self._waiters:
            self._free -= 1
            return
        waiter = _Waiter()
        if not self._waiters.push(caller, waiter):
            raise _busy(f"{len(self._waiters)} calls are waiting already")
        try:
            with anyio.move_on_after(self._timeout_s):
                await waiter.event.wait()
        except BaseException:  # cancelled while waiting
            self._leave(caller, waiter)
            raise
        if self._closed:
            raise shutting_down()
        if not waiter.granted:
            self._leave(caller, waiter)
            raise _busy(f"no worker became free within {self._timeout_s:g} s")

    def release(self) -> None:
        """Give a permit back, or on to the next in the queue."""
        waiter = self._waiters.pop()
        if waiter is None:
            self._free += 1
            return
        waiter.granted = True
        waiter.event.set()

    def close(self) -> None:
        """Turn away everyone who waits or comes later."""
        self._closed = True
        while (waiter := self._waiters.pop()) is not None:
            waiter.event.set()

    def _leave(self, caller: str, waiter: _Waiter) -> None:
        if waiter.granted:
            self.release()
        else:
            self._waiters.remove(caller, waiter)


def shutting_down() -> Unavailable:
    """The error of calls that come too late."""
    return Unavailable("shutting_down", "the server is shutting down: try again in a moment", {"retry_after_ms": 1_000})


def _busy(why: str) -> Unavailable:
    return Unavailable("busy", f"the server is busy: {why}. Try again in a second.", {"retry_after_ms": 1_000})
