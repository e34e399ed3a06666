"""What a worker gives up before the first guest: memory, descriptors, core dumps, large files, new privileges.

RLIMIT_AS cannot be used (an instance reserves 17 GB of addresses) and RLIMIT_NPROC counts all processes of the
user, ours included, so it would bind the wrong ones.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38

_DESCRIPTORS = 128
_LARGEST_FILE = 2**30
"""Bytes: compiled code goes to the cache folder."""

_SLACK = 160 * 2**20
"""Bytes that the interpreter and the engine may take on top of what they use after loading."""


def confine(parent: int, memory_bytes: int) -> None:
    """Give up what can be given up, for good.

    Args:
        parent: process id of the server; when it is gone already this process ends.
        memory_bytes: the most private memory this process may ever have.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
            if libc.prctl(option, int(value), 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
    if os.getppid() != parent:
        os._exit(0)
    lower_limit(resource.RLIMIT_CORE, 0)
    lower_limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    lower_limit(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    lower_limit(resource.RLIMIT_DATA, memory_bytes)


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


def memory_with(guest_bytes: int) -> int:
    """What a call may take in all: what is in use now, what the guest may have, and some slack."""
    return memory_in_use() + guest_bytes + _SLACK


def memory_in_use() -> int:
    """Private memory of this process, bytes."""
    if sys.platform != "linux":
        return 256 * 2**20
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[5]) * resource.getpagesize()
