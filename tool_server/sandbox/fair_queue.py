"""A bounded queue that serves callers by what they have used, and the plugins of one caller likewise.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996) on two levels: whoever used
least is served next, counted from when it last had something to wait for. When the queue is full, the longest line
gives way (Suter et al., "Design considerations for supporting TCP with per-flow queueing", INFOCOM 1998).
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from tool_server.errors import Unavailable
from tool_server.sandbox.accounts import Account

LONGEST_DEBT_S = 10.0
"""How far a caller may fall behind by its own long calls, seconds: once others have used that much, it is its turn."""

QUANTUM_S = 0.001
"""What every call costs beyond its time, so that calls that take no time to speak of take turns too."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One call on its way through the gate."""

    caller: Account
    plugin: Account
    entered_at: float
    """Monotonic seconds."""
    admitted_at: float | None = None
    """Monotonic seconds; None while it waits."""
    in_reserve: bool = False
    charged_s: float = 0.0
    """What its caller was charged on admission, until its time is known."""
    cpu_s: float | None = None
    """What the call says to have used, seconds; None where nobody can say."""
    refusal: Unavailable | None = None
    changed: Future[None] | None = None
    """Done on admission or refusal, where somebody waits."""


class VirtualTime:
    """A clock that moves with the use of those who are served, in seconds of a worker's time."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0

    def start(self, finish: float) -> float:
        """When the next call of somebody starts who has used its share up to `finish`."""
        # This and what follows is done for every call: comparing is quicker than asking `min` and `max`.
        now = self.now
        if finish <= now:
            return now
        return finish if finish - now <= LONGEST_DEBT_S else now + LONGEST_DEBT_S

    def advance(self, start: float) -> None:
        """Somebody is served whose call starts here."""
        if start > self.now:
            self.now = start


@dataclass(eq=False, slots=True)
class _Line:
    """A caller's calls of one plugin."""

    start: float
    tickets: deque[Ticket] = field(default_factory=deque[Ticket])


@dataclass(eq=False, slots=True)
class _Caller:
    account: Account
    start: float
    time: VirtualTime = field(default_factory=VirtualTime)
    lines: dict[str, _Line] = field(default_factory=dict[str, _Line])

    def next_line(self, eligible: Callable[[Ticket], bool]) -> _Line | None:
        """The line whose turn it is, of those whose first call may go."""
        best: _Line | None = None
        for line in self.lines.values():
            if (best is None or line.start < best.start) and eligible(line.tickets[0]):
                best = line
        return best


class FairQueue:
    """The calls that wait.

    Args:
        bound: most of them.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._callers: dict[str, _Caller] = {}
        self._size = 0
        self._time = VirtualTime()

    def __len__(self) -> int:
        return self._size

    def push(self, ticket: Ticket) -> tuple[bool, Ticket | None]:
        """Add at the end of the line of its caller and plugin.

        Returns whether it was taken, and the ticket that had to leave for it, if any.
        """
        gone: Ticket | None = None
        if self._size >= self._bound or not (_may_wait(ticket.caller) and _may_wait(ticket.plugin)):
            gone = self._superfluous(ticket)
            if gone is None:
                return False, None
            self.remove(gone)
        self._append(ticket)
        return True, gone

    def pop(self, eligible: Callable[[Ticket], bool]) -> Ticket | None:
        """The next ticket that may go, its caller charged; None when there is none."""
        best: tuple[_Caller, _Line] | None = None
        for caller in self._callers.values():
            if best is None or caller.start < best[0].start:
                line = caller.next_line(eligible)
                if line is not None:
                    best = caller, line
        if best is None:
            return None
        caller, line = best
        ticket = line.tickets.popleft()
        caller.time.advance(line.start)
        line.start = caller.time.start(line.start + ticket.plugin.expected + QUANTUM_S)
        self._left(ticket, caller, line)
        _to_the_end(caller.lines, ticket.plugin.name)
        _to_the_end(self._callers, ticket.caller.name)
        self._charge(ticket, caller.start)
        return ticket

    def remove(self, ticket: Ticket) -> bool:
        """Take a ticket out of its line; False when it is not there (any more)."""
        caller = self._callers.get(ticket.caller.name)
        line = caller.lines.get(ticket.plugin.name) if caller else None
        if caller is None or line is None or ticket not in line.tickets:
            return False
        line.tickets.remove(ticket)
        self._left(ticket, caller, line)
        return True

    def charge(self, ticket: Ticket) -> None:
        """Charge a caller for a call that need not wait."""
        self._charge(ticket, self._time.start(ticket.caller.finish))

    def settle(self, ticket: Ticket, held_s: float) -> None:
        """Correct what a caller was charged, now that its call is over."""
        caller = ticket.caller
        caller.finish += held_s + QUANTUM_S - ticket.charged_s
        ticket.plugin.learn(held_s)
        if caller.waiting:
            self._place(caller)

    def rest(self, account: Account) -> None:
        """Nobody runs and nobody waits any more: what the last caller used was nobody else's."""
        self._time.advance(account.finish)

    def longest_waiting(self) -> list[Ticket]:
        """The first ticket of every line."""
        return [line.tickets[0] for caller in self._callers.values() for line in caller.lines.values()]

    def tickets_of(self, account: Account) -> list[Ticket]:
        """All that wait of a caller, or of a plugin."""
        lines = (line for caller in self._callers.values() for line in caller.lines.values())
        return [ticket for line in lines for ticket in line.tickets if account in (ticket.caller, ticket.plugin)]

    def _left(self, ticket: Ticket, caller: _Caller, line: _Line) -> None:
        self._size -= 1
        ticket.caller.waiting -= 1
        ticket.plugin.waiting -= 1
        if not line.tickets:
            del caller.lines[ticket.plugin.name]
            if not caller.lines:
                del self._callers[ticket.caller.name]

    def _charge(self, ticket: Ticket, start: float) -> None:
        caller = ticket.caller
        self._time.advance(start)
        ticket.charged_s = ticket.plugin.expected + QUANTUM_S
        caller.finish = start + ticket.charged_s
        if caller.waiting:
            self._place(caller)

    def _place(self, account: Account) -> None:
        self._callers[account.name].start = self._time.start(account.finish)

    def _append(self, ticket: Ticket) -> None:
        caller = self._callers.get(ticket.caller.name)
        if caller is None:
            start = self._time.start(ticket.caller.finish)
            caller = self._callers[ticket.caller.name] = _Caller(ticket.caller, start)
        line = caller.lines.get(ticket.plugin.name)
        if line is None:
            line = caller.lines[ticket.plugin.name] = _Line(caller.time.now)
        line.tickets.append(ticket)
        self._size += 1
        ticket.caller.waiting += 1
        ticket.plugin.waiting += 1

    def _superfluous(self, ticket: Ticket) -> Ticket | None:
        """The ticket that makes room for this one: the last of a line that stays the longer of the two."""
        own = self._callers.get(ticket.caller.name)
        lines: Iterable[_Line] = own.lines.values() if own else ()
        if not _may_wait(ticket.plugin):
            name = ticket.plugin.name
            others = self._callers.values() if _may_wait(ticket.caller) else ()
            lines = [caller.lines[name] for caller in others if name in caller.lines]
        elif _may_wait(ticket.caller):
            longest = max(self._callers.values(), key=lambda caller: caller.account.waiting)
            if longest.account.waiting > ticket.caller.waiting + 1:
                return max(longest.lines.values(), key=_length).tickets[-1]
        victim = max(lines, key=_length, default=None)
        line = own.lines.get(ticket.plugin.name) if own else None
        is_longer = victim is not None and _length(victim) > (_length(line) if line else 0) + 1
        return victim.tickets[-1] if victim is not None and is_longer else None


def _may_wait(account: Account) -> bool:
    return account.waiting < account.most_waiting


def _length(line: _Line) -> int:
    return len(line.tickets)


Value = TypeVar("Value")


def _to_the_end(turns: dict[str, Value], name: str) -> None:
    """Behind those that start at the same time."""
    if len(turns) > 1 and name in turns:
        turns[name] = turns.pop(name)
