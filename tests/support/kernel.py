"""What the kernel says of processes that may end at any moment: of one that is gone, nothing, and never an error."""

from __future__ import annotations

import os
from pathlib import Path


def read(path: Path) -> str:
    """The text of a file of /proc."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def names(folder: Path) -> list[str]:
    """What a folder of /proc holds."""
    # pathlib's globbing raises where a folder goes away between two of its steps.
    try:
        return os.listdir(folder)
    except OSError:
        return []


def target(link: Path) -> str:
    """Where a link of /proc leads."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def threads_of(pid: int) -> list[Path]:
    """The folders of a process's threads."""
    folder = Path(f"/proc/{pid}/task")
    return [folder / name for name in names(folder)]


def children_of(pid: int) -> set[int]:
    """The processes that a process started and did not reap."""
    return {int(child) for thread in threads_of(pid) for child in read(thread / "children").split()}


def is_running(pid: int) -> bool:
    """Whether a process has any thread that is no zombie: its descriptors are open as long."""
    return any(_state(thread) not in ("gone", "Z", "X") for thread in threads_of(pid))


def state_of(pid: int) -> str:
    """The kernel's letter for a process's state, or `gone`."""
    return _state(Path(f"/proc/{pid}"))


def processor_ticks(pid: int) -> int:
    """Ticks that a process has computed, by itself and in the kernel."""
    fields = _after_the_name(Path(f"/proc/{pid}"))
    return int(fields[11]) + int(fields[12]) if fields else 0


def _state(process: Path) -> str:
    return next(iter(_after_the_name(process)), "gone")


def _after_the_name(process: Path) -> list[str]:
    return read(process / "stat").rpartition(")")[2].split()
