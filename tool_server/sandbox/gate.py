"""Admission of calls: so many at once, the rest in a bounded, fair queue."""

from __future__ import annotations

import asyncio
import time

import anyio

from tool_server.sandbox.admission import STALLED_S, Admission, Bounds, shutting_down
from tool_server.sandbox.fair_queue import Ticket

__all__ = ["Bounds", "Gate", "Ticket", "shutting_down"]


class Gate:
    """Where calls wait for their permits; whoever has one runs its `watch` beside them.

    Args:
        bounds: how much it lets through.
        timeout_s: longest wait.
    """

    def __init__(self, bounds: Bounds, timeout_s: float) -> None:
        self._admission = Admission(bounds, time.monotonic, _tell)
        self._timeout_s = timeout_s
        self._somebody_waits = anyio.Event()
        self._watched = False

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return self._admission.waiting

    async def acquire(self, caller: str, plugin: str) -> Ticket:
        """Wait for a permit, in turn with other callers and plugins; give the ticket to `release` afterwards.

        Raises:
            Unavailable: `busy`, with `retry_after_ms`; `shutting_down`.
        """
        ticket = self._admission.enter(caller, plugin)
        if ticket.admitted_at is None:
            await self._wait(ticket)
        return ticket

    def release(self, ticket: Ticket) -> bool:
        """Give a permit back, for the next in the queue; whether there was one."""
        return self._admission.leave(ticket)

    def close(self) -> None:
        """Turn away everyone who waits or comes later."""
        self._admission.close()

    async def watch(self) -> None:
        """Look for permits that are stalled and calls that wait too long, for ever.

        One clock for all who wait: an event and a timer for each would cost a third of a short call.
        """
        while True:
            await self._somebody_waits.wait()
            await anyio.sleep(STALLED_S)
            self._admission.overtake()
            self._admission.give_up(self._timeout_s)
            if not self._admission.waiting:
                self._somebody_waits = anyio.Event()
                self._watched = False

    async def _wait(self, ticket: Ticket) -> None:
        ticket.changed = asyncio.get_running_loop().create_future()
        if not self._watched:
            self._watched = True
            self._somebody_waits.set()
        try:
            await ticket.changed
        except BaseException:  # cancelled while waiting
            self._admission.leave(ticket)
            raise
        if ticket.refusal is not None:
            raise ticket.refusal


def _tell(ticket: Ticket) -> None:
    if ticket.changed is not None and not ticket.changed.done():
        ticket.changed.set_result(None)
