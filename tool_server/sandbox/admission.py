"""Who runs, who waits, who is turned away: the gate's decisions, without any waiting of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tool_server.errors import Unavailable
from tool_server.sandbox.accounts import NO_BOUNDS, Account, Accounts, Allowance
from tool_server.sandbox.fair_queue import FairQueue, Ticket

STALLED_S = 0.01
"""The permits are stalled when none has changed hands for so long."""

_SHORTEST_RETRY_MS, _LONGEST_RETRY_MS = 1_000, 30_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a gate lets through.

    Args:
        permits: calls at once.
        queue: calls that wait.
        reserve: further calls at once, for those of whom nothing runs while long calls of others hold the permits:
            callers, and but for the last place also plugins.
        caller: bounds of each caller.
        plugin: bounds of each plugin.
    """

    permits: int
    queue: int
    reserve: int = 0
    caller: Allowance = NO_BOUNDS
    plugin: Allowance = NO_BOUNDS


class Admission:
    """Decides on calls. A permit never lies idle while somebody waits who may have it.

    Args:
        bounds: see there.
        clock: monotonic seconds.
        notify: told of every ticket that was admitted or refused while it waited.
    """

    def __init__(self, bounds: Bounds, clock: Callable[[], float], notify: Callable[[Ticket], None]) -> None:
        self._bounds = bounds
        self._permits = bounds.permits
        self._clock = clock
        self._notify = notify
        self._callers = Accounts(bounds.caller)
        self._plugins = Accounts(bounds.plugin)
        self._queue = FairQueue(bounds.queue)
        self._running = 0
        self._in_reserve = 0
        self._turned_at = -math.inf
        self._usual_s = 0.0
        self._closed = False
        self._counts_cpu = bounds.caller.cpu_s is not None or bounds.plugin.cpu_s is not None

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Calls that were let through and are not over, those in the reserve included."""
        return self._running + self._in_reserve

    @property
    def accounts(self) -> int:
        """Callers and plugins that are remembered."""
        return len(self._callers) + len(self._plugins)

    def enter(self, caller: str, plugin: str) -> Ticket:
        """A ticket that is admitted already, or waits.

        Raises:
            Unavailable: `busy`, with `retry_after_ms`; `shutting_down`.
        """
        if self._closed:
            raise shutting_down()
        now = self._clock()
        ticket = Ticket(self._callers.get(caller, now), self._plugins.get(plugin, now), now)
        if self._counts_cpu:
            for account, kind in ((ticket.caller, "caller"), (ticket.plugin, "plugin")):
                if wait_s := account.seconds_until_funded(now):
                    raise _out_of_cpu(account, kind, wait_s)
        if self._running < self._permits and _may_run(ticket):
            # Whoever waits all the same is held back by bounds of its own.
            self._queue.charge(ticket)
            self._admit(ticket, now)
        elif self._has_stalled(now) and self._may_use_reserve(ticket):
            self._queue.charge(ticket)
            self._admit(ticket, now, in_reserve=True)
        else:
            self._line_up(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> bool:
        """The call is over, or does not wait any longer; whether others were let in for it.

        The CPU that it says to have used is not believed beyond the time it took; where it says nothing, it is
        charged that.
        """
        if ticket.admitted_at is None:
            self._queue.remove(ticket)
            return False
        now = self._clock()
        held = now - ticket.admitted_at
        if ticket.in_reserve:
            self._in_reserve -= 1
        else:
            self._running -= 1
        self._usual_s += (held - self._usual_s) / 8
        cpu = held if ticket.cpu_s is None else min(ticket.cpu_s, held)
        self._queue.settle(ticket, held)
        ticket.caller.running -= 1
        ticket.plugin.running -= 1
        if self._counts_cpu:
            for account, kind in ((ticket.caller, "caller"), (ticket.plugin, "plugin")):
                account.spend(cpu, now)
                self._refuse_unfunded(account, kind, now)
        if self._queue:
            before = len(self._queue)
            self._let_in(now)
            if ticket.in_reserve:
                self.overtake()
            return len(self._queue) < before
        if not (self._running or self._in_reserve):
            self._queue.rest(ticket.caller)
        return False

    def overtake(self) -> None:
        """Let those into the reserve for whom it is, if the permits are stalled; to be called every now and then."""
        now = self._clock()
        while self._has_stalled(now) and (ticket := self._queue.pop(self._may_use_reserve)) is not None:
            self._admit(ticket, now, in_reserve=True)
            self._notify(ticket)

    def give_up(self, timeout_s: float) -> None:
        """Turn away those who have waited for so long; to be called every now and then."""
        now = self._clock()
        late = [ticket for ticket in self._queue.longest_waiting() if now - ticket.entered_at >= timeout_s]
        while late:
            for ticket in late:
                self._queue.remove(ticket)
                self._refuse(ticket, self.busy(f"no worker became free within {timeout_s:g} s"))
            late = [ticket for ticket in self._queue.longest_waiting() if now - ticket.entered_at >= timeout_s]

    def close(self) -> None:
        """Turn away everyone who waits or comes later."""
        self._closed = True
        while (ticket := self._queue.pop(lambda _: True)) is not None:
            self._refuse(ticket, shutting_down())

    def busy(self, why: str) -> Unavailable:
        """The error for a call that was not served in time."""
        wait_s = len(self._queue) * self._usual_s / self._bounds.permits
        return _busy(why, min(max(int(wait_s * 1000), _SHORTEST_RETRY_MS), _LONGEST_RETRY_MS))

    def _line_up(self, ticket: Ticket) -> None:
        taken, gone = self._queue.push(ticket)
        if not taken:
            raise self._full(ticket)
        if gone is not None:
            self._refuse(gone, self._full(gone))

    def _let_in(self, now: float) -> None:
        while self._running < self._permits and (ticket := self._queue.pop(_may_run)) is not None:
            self._admit(ticket, now)
            self._notify(ticket)

    def _admit(self, ticket: Ticket, now: float, *, in_reserve: bool = False) -> None:
        ticket.admitted_at = now
        ticket.in_reserve = in_reserve
        ticket.caller.running += 1
        ticket.plugin.running += 1
        if in_reserve:
            self._in_reserve += 1
        else:
            self._running += 1
            self._turned_at = now

    def _has_stalled(self, now: float) -> bool:
        return self._in_reserve < self._bounds.reserve and now - self._turned_at >= STALLED_S

    def _may_use_reserve(self, ticket: Ticket) -> bool:
        free = self._bounds.reserve - self._in_reserve
        idle_party = (not ticket.caller.running and free > 0) or (not ticket.plugin.running and free > 1)
        return idle_party and _may_run(ticket)

    def _refuse_unfunded(self, account: Account, kind: str, now: float) -> None:
        if account.waiting and (wait_s := account.seconds_until_funded(now)):
            for ticket in self._queue.tickets_of(account):
                self._queue.remove(ticket)
                self._refuse(ticket, _out_of_cpu(account, kind, wait_s))

    def _refuse(self, ticket: Ticket, refusal: Unavailable) -> None:
        ticket.refusal = refusal
        self._notify(ticket)

    def _full(self, ticket: Ticket) -> Unavailable:
        if ticket.caller.waiting >= ticket.caller.most_waiting:
            return self.busy(f"{ticket.caller.waiting} calls of this caller are waiting already")
        if ticket.plugin.waiting >= ticket.plugin.most_waiting:
            return self.busy(f"{ticket.plugin.waiting} calls of this plugin are waiting already")
        return self.busy(f"{len(self._queue)} calls are waiting already")


def _may_run(ticket: Ticket) -> bool:
    caller, plugin = ticket.caller, ticket.plugin
    return caller.running < caller.most_running and plugin.running < plugin.most_running


def shutting_down() -> Unavailable:
    """The error of calls that come too late."""
    return Unavailable("shutting_down", "the server is shutting down: try again in a moment", {"retry_after_ms": 1_000})


def _out_of_cpu(account: Account, kind: str, wait_s: float) -> Unavailable:
    used = f"this {kind} has used up its {account.allowance.cpu_s:g} CPU seconds a minute"
    return _busy(used, math.ceil(wait_s * 1000))


def _busy(why: str, retry_after_ms: int) -> Unavailable:
    seconds = math.ceil(retry_after_ms / 1000)
    when = "a second" if seconds == 1 else f"{seconds} seconds"
    return Unavailable("busy", f"the server is busy: {why}. Try again in {when}.", {"retry_after_ms": retry_after_ms})
