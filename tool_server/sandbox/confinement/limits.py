"""Resource limits of a worker.

RLIMIT_AS cannot be used: an instance reserves 17 GB of addresses. https://man7.org/linux/man-pages/man2/getrlimit.2.html
"""

from __future__ import annotations

import os
import resource
import sys

_DESCRIPTORS = 128
_LARGEST_FILE = 2**30
"""Bytes: compiled code goes to the cache folder."""
_LARGEST_STACK = 8 * 2**20
_THREADS = 64
"""Beyond those that the engine starts for each processor while it compiles."""

_SLACK = 160 * 2**20
"""Bytes that the interpreter and the engine may take on top of what they use after loading."""

_PORTABLE = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": _DESCRIPTORS, "RLIMIT_FSIZE": _LARGEST_FILE, "RLIMIT_MEMLOCK": 0}
_LINUX = {
    **{"RLIMIT_STACK": _LARGEST_STACK, "RLIMIT_MSGQUEUE": 0, "RLIMIT_SIGPENDING": 64},
    **{"RLIMIT_NICE": 0, "RLIMIT_RTPRIO": 0},
}


def lower_limits(memory_bytes: int) -> str:
    """Set all limits for good; says what they are.

    Args:
        memory_bytes: the most private memory this process may ever have.
    """
    wanted = {**_PORTABLE, **(_LINUX if sys.platform == "linux" else {})}
    for name, value in wanted.items():
        lower_limit(getattr(resource, name), value)
    lower_limit(resource.RLIMIT_DATA, memory_bytes)
    return f"{memory_bytes >> 20} MiB of memory, {_DESCRIPTORS} descriptors, no core dumps"


def lower_threads() -> str:
    """Bound the threads and processes of this user in this user namespace; says to how many."""
    threads = _THREADS + 4 * (os.cpu_count() or 1)
    lower_limit(resource.RLIMIT_NPROC, threads)
    return f"{threads} threads"


def lower_limit(which: int, value: int) -> None:
    """Set both limits to `value`, or leave a hard limit that is lower already."""
    _, hard = resource.getrlimit(which)
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (ceiling, ceiling))


def set_memory(total: int) -> None:
    """Bound private memory from now on, bytes, as far as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = total if hard == resource.RLIM_INFINITY else min(total, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


class MemoryMeter:
    """Tells how much private memory this process has. Open it before the file system is given up."""

    def __init__(self) -> None:
        flags = os.O_RDONLY | os.O_CLOEXEC
        self._descriptor = os.open("/proc/self/statm", flags) if sys.platform == "linux" else -1

    @property
    def descriptor(self) -> int:
        """To be kept open; -1 for none."""
        return self._descriptor

    def with_guest(self, guest_bytes: int) -> int:
        """What a call may take in all: what is in use now, what the guest may have, and some slack. Bytes."""
        return self.in_use() + guest_bytes + _SLACK

    def in_use(self) -> int:
        """Private memory of this process, bytes."""
        if self._descriptor < 0:
            return 256 * 2**20
        return int(os.pread(self._descriptor, 256, 0).split()[5]) * resource.getpagesize()
