"""What a server and its children hold at one moment, as the kernel counts it."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.kernel import children_of, names, read, state_of, target

_RECORDS = frozenset({".db", ".db-wal", ".db-shm", ".calls"})


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a server and its children hold at one moment."""

    children: frozenset[int]
    zombies: int
    descriptors: int
    """Of the server process, without `stored` and the three that each child takes: socket, standard error, memory."""
    stored: int
    """Of the server process, on the files of the database and the journal."""
    most_descriptors: int
    """Of any child."""
    private: int
    """Bytes of memory that all the processes share with no file."""
    server_private: int


def vitals(pid: int, strangers: frozenset[int] = frozenset()) -> Vitals:
    """A look at a process and all that descend from it, but for the children `strangers` and theirs."""
    children = descendants(pid, strangers)
    states = [state_of(child) for child in children]
    descriptors = [_descriptors(child) for child in children]
    own = _private(pid)
    opened = names(Path(f"/proc/{pid}/fd"))
    stored = sum(Path(target(Path(f"/proc/{pid}/fd/{name}"))).suffix in _RECORDS for name in opened)
    return Vitals(
        frozenset(children),
        states.count("Z"),
        len(opened) - stored - 3 * len(children),
        stored,
        max(descriptors, default=0),
        own + sum(_private(child) for child in children),
        own,
    )


def descendants(pid: int, strangers: frozenset[int] = frozenset()) -> set[int]:
    """Children of a process that are no `strangers`, and theirs."""
    found = children_of(pid) - strangers
    return found.union(*(descendants(child) for child in found)) if found else found


def _descriptors(pid: int) -> int:
    return len(names(Path(f"/proc/{pid}/fd")))


def _private(pid: int) -> int:
    fields = read(Path(f"/proc/{pid}/statm")).split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGESIZE") if fields else 0


@dataclass(slots=True)
class Peak:
    """The most of everything while it was watched."""

    private: int = 0
    descriptors: int = 0
    stored: int = 0
    worker_descriptors: int = 0
    children: int = 0

    def take(self, seen: Vitals) -> None:
        """Note one look."""
        self.private = max(self.private, seen.private)
        self.descriptors = max(self.descriptors, seen.descriptors)
        self.stored = max(self.stored, seen.stored)
        self.worker_descriptors = max(self.worker_descriptors, seen.most_descriptors)
        self.children = max(self.children, len(seen.children))


@contextmanager
def peak_of(pid: int, strangers: frozenset[int] = frozenset()) -> Generator[Peak]:
    """Sample a process tree from a thread while the block runs."""
    peak = Peak()
    stop = threading.Event()

    def sample() -> None:
        while True:
            peak.take(vitals(pid, strangers))
            if stop.wait(0.01):
                return

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
