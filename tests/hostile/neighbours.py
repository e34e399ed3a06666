"""What others on this machine compute in the meantime: a measurement beside which they were at work decides nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.vitals import descendants

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SHARE = 0.1
"""Of one core, beside which nothing is measured."""


@dataclass(slots=True)
class Neighbours:
    """The others, while a block ran."""

    at_work: bool = False


@contextmanager
def neighbours() -> Generator[Neighbours]:
    """Compare what all cores did while the block runs with what this process and its children did."""
    others = Neighbours()
    started, busy, own = time.monotonic(), _busy(), _own()
    yield others
    elapsed = time.monotonic() - started
    # The kernel counts in ticks.
    others.at_work = (_busy() - busy) - (_own() - own) > _TICK_S + _SHARE * elapsed


def _busy() -> float:
    """Seconds that the cores have computed, for anybody; see proc_stat(5)."""
    with Path("/proc/stat").open(encoding="ascii") as file:
        user, nice, system, _idle, _waiting, *interrupts = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(interrupts)) * _TICK_S


def _own() -> float:
    """Seconds that this process has computed, and its children, dead or alive."""
    times = os.times()
    alive = sum(map(_computed, descendants(os.getpid())))
    return times.user + times.system + times.children_user + times.children_system + alive


def _computed(pid: int) -> float:
    """Seconds of one process; see proc_pid_stat(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) * _TICK_S
