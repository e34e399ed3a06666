"""Admission of calls: so many at once, the rest in a bounded, fair queue."""

from __future__ import annotations

import time

import anyio

from tool_server.sandbox.admission import STALLED_S, Admission, Bounds, shutting_down
from tool_server.sandbox.fair_queue import Ticket

__all__ = ["Bounds", "Gate", "Ticket", "shutting_down"]


class Gate:
    """Where calls wait for their permits.

    Args:
        bounds: how much it lets through.
        timeout_s: longest wait.
    """

    def __init__(self, bounds: Bounds, timeout_s: float) -> None:
        self._admission = Admission(bounds, time.monotonic, _tell)
        self._timeout_s = timeout_s
        self._somebody_waits = anyio.Event()

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

    def release(self, ticket: Ticket) -> None:
        """Give a permit back, for the next in the queue."""
        self._admission.leave(ticket)

    def close(self) -> None:
        """Turn away everyone who waits or comes later."""
        self._admission.close()

    async def watch(self) -> None:
        """Look for permits that are stalled while somebody waits, for ever."""
        while True:
            await self._somebody_waits.wait()
            await anyio.sleep(STALLED_S)
            self._admission.overtake()
            if not self._admission.waiting:
                self._somebody_waits = anyio.Event()

    async def _wait(self, ticket: Ticket) -> None:
        ticket.changed = anyio.Event()
        self._somebody_waits.set()
        try:
            with anyio.move_on_after(self._timeout_s):
                await ticket.changed.wait()
        except BaseException:  # cancelled while waiting
            self._admission.leave(ticket)
            raise
        if ticket.refusal is not None:
            raise ticket.refusal
        if ticket.admitted_at is None:
            self._admission.leave(ticket)
            raise self._admission.busy(f"no worker became free within {self._timeout_s:g} s")


def _tell(ticket: Ticket) -> None:
    if ticket.changed is not None:
        ticket.changed.set()
