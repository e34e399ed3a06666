"""What keeps a worker process harmless, by name, and how far the kernel lets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Protection(StrEnum):
    """One protection of a worker process."""

    LIMITS = "limits"
    """Bounds on memory, descriptors, files, queues and core dumps."""
    USER = "user"
    """An own user namespace, in which the worker is nobody."""
    NETWORK = "network"
    """Own, empty network, IPC and UTS namespaces."""
    PROCESSES = "processes"
    """A bound on threads and processes that counts this worker's alone."""
    PRIVILEGES = "privileges"
    """No capabilities, no supplementary groups where they can be left, and none to be gained."""
    LANDLOCK = "landlock"
    """No files but those given, no TCP, no signals to others."""
    SECCOMP = "seccomp"
    """No system calls but those that running a guest takes."""


@dataclass(frozen=True, slots=True)
class ProtectionState:
    """Whether a protection is in force; `detail` says how far, or why not."""

    in_force: bool
    detail: str


ProtectionReport = Mapping[Protection, ProtectionState]
"""One state for each protection."""
