"""What a worker gives up before the first guest, and how much of it this machine allows."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from tool_server.model.protection import Protection, ProtectionReport, ProtectionState
from tool_server.sandbox.confinement import capabilities, landlock, limits, namespaces, seccomp
from tool_server.sandbox.confinement.libc import PR_SET_PDEATHSIG, LibC, NotOfferedError

_STANDARD_DESCRIPTORS = (0, 1, 2)


def confine(
    parent: int,
    memory_bytes: int,
    *,
    protections: Collection[Protection] = tuple(Protection),
    read_folders: Sequence[str] = (),
    write_folders: Sequence[str] = (),
) -> ProtectionReport:
    """Give up what can be given up, for good. This process must have one thread, and all that it imports in place.

    Args:
        parent: process id of the server; when it is gone already this process ends.
        memory_bytes: the most private memory this process may ever have.
        protections: which are tried.
        read_folders: folders and files that stay readable.
        write_folders: folders that stay readable and writable.

    Returns:
        For every protection whether it is in force, and if not, why.

    Raises:
        OSError: a folder cannot be opened, or the kernel fails in a way that is no refusal.
    """
    libc, own_pid, outer_user = LibC(), os.getpid(), os.geteuid()
    if Protection.PRIVILEGES in protections:
        capabilities.leave_groups()
    report: dict[Protection, ProtectionState] = {}

    def bound_threads() -> str:
        namespaces.require_counting(outer_user, own_namespace=report[Protection.USER].in_force)
        return limits.lower_threads()

    steps: dict[Protection, Callable[[], str]] = {
        Protection.LIMITS: lambda: limits.lower_limits(memory_bytes),
        Protection.USER: lambda: namespaces.enter_user_namespace(libc),
        Protection.NETWORK: lambda: namespaces.enter_network_namespace(libc),
        Protection.PROCESSES: bound_threads,
        Protection.LANDLOCK: lambda: landlock.restrict(libc, read_folders, write_folders),
        Protection.PRIVILEGES: lambda: capabilities.drop_capabilities(libc),
    }
    for protection, step in steps.items():
        report[protection] = _attempt(protection, protections, step)
    _end_with(libc, parent)
    report[Protection.SECCOMP] = _attempt(
        Protection.SECCOMP, protections, lambda: seccomp.restrict(libc, own_pid, writes=bool(write_folders))
    )
    return report


def close_descriptors(*kept: int) -> None:
    """Close every descriptor but the standard ones and these."""
    ends = sorted({*_STANDARD_DESCRIPTORS, *kept, os.sysconf("SC_OPEN_MAX")} - {-1})
    for low, high in pairwise(ends):
        if low + 1 < high:  # of an empty range, CPython closes everything from its start
            os.closerange(low + 1, high)


def _attempt(protection: Protection, wanted: Collection[Protection], step: Callable[[], str]) -> ProtectionState:
    if protection not in wanted:
        return ProtectionState(False, "left out by the setting sandbox.protections")
    try:
        return ProtectionState(True, step())
    except NotOfferedError as reason:
        return ProtectionState(False, str(reason))


def _end_with(libc: LibC, parent: int) -> None:
    """Die with the server. Changes of credentials forget this, so that it comes after them."""
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
