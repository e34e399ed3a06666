"""What each caller, and each plugin, uses of the workers: calls at once, time, and a budget of CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass

PERIOD_S = 60.0
"""What a CPU budget is counted over."""

_LEARNING = 0.25
"""How much the newest call's time weighs in what the next is expected to take."""

_FEW = 256
"""Idle accounts that are not worth a search."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The bounds of one caller, or of one plugin; None leaves it to share the whole with the others.

    Args:
        calls: at once.
        queue: that wait.
        cpu_s: seconds of CPU within a minute.
    """

    calls: int | None = None
    queue: int | None = None
    cpu_s: float | None = None


NO_BOUNDS = Allowance()


class Account:
    """One caller's use, or one plugin's.

    The budget is a token bucket: it holds `cpu_s` at most and fills up within a minute. A call is paid for when it
    is over, so the last one may overdraw it; the debt is paid off before the next call is admitted.
    """

    __slots__ = (
        *("_filled_at", "_left", "allowance", "expected", "finish", "most_running", "most_waiting", "name"),
        *("running", "waiting"),
    )

    def __init__(self, name: str, allowance: Allowance, now: float) -> None:
        self.name = name
        self.allowance = allowance
        self.running = 0
        self.most_running = math.inf if allowance.calls is None else allowance.calls
        self.waiting = 0
        self.most_waiting = math.inf if allowance.queue is None else allowance.queue
        self.finish = 0.0
        """Up to where a caller has used its share, in the queue's virtual time."""
        self.expected = 0.0
        """Seconds that a plugin's next call will hold a worker, judged by its last ones."""
        self._left = allowance.cpu_s or 0.0
        self._filled_at = now

    def learn(self, held_s: float) -> None:
        """Take note of how long a call held its worker."""
        self.expected += (held_s - self.expected) * _LEARNING

    def spend(self, cpu_s: float, now: float) -> None:
        """Take from the budget, which may leave a debt."""
        if self.allowance.cpu_s is not None:
            self._fill(self.allowance.cpu_s, now)
            self._left -= cpu_s

    def seconds_until_funded(self, now: float) -> float:
        """How long until the budget pays for a call; 0 when it does now."""
        if self.allowance.cpu_s is None or self._left > 0:
            return 0.0
        self._fill(self.allowance.cpu_s, now)
        # A budget that is only just not empty pays for nothing worth waking up for.
        return 0.0 if self._left > 0 else (0.01 * self.allowance.cpu_s - self._left) / self.allowance.cpu_s * PERIOD_S

    def forgettable(self, now: float) -> bool:
        """Whether a new account would do as well: nothing is under way, and the budget is whole."""
        if self.running or self.waiting:
            return False
        if self.allowance.cpu_s is None:
            return True
        self._fill(self.allowance.cpu_s, now)
        return self._left >= self.allowance.cpu_s

    def _fill(self, cpu_s: float, now: float) -> None:
        self._left = min(cpu_s, self._left + (now - self._filled_at) / PERIOD_S * cpu_s)
        self._filled_at = now


class Accounts:
    """The accounts of all callers, or of all plugins. Idle ones are forgotten, so that memory stays bounded by the
    number of those in use within the last minutes."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._accounts: dict[str, Account] = {}
        self._tidy_at = _FEW

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, name: str, now: float) -> Account:
        """The account of this name, a new one where there is none."""
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= self._tidy_at:
                self._tidy(now)
            account = self._accounts[name] = Account(name, self._allowance, now)
        return account

    def _tidy(self, now: float) -> None:
        self._accounts = {name: account for name, account in self._accounts.items() if not account.forgettable(now)}
        # Looking through all of them is paid for by the accounts that were made since.
        self._tidy_at = max(_FEW, 2 * len(self._accounts))
