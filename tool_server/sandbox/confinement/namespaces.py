"""Own namespaces: a user that is nobody, a network without interfaces.

https://man7.org/linux/man-pages/man7/user_namespaces.7.html, network_namespaces.7
"""

from __future__ import annotations

import errno
import os
import platform
import re
import sys
from contextlib import suppress

from tool_server.sandbox.confinement.libc import LibC, NotOfferedError

_CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x04000000, 0x08000000, 0x10000000, 0x40000000
_NOBODY = 65_534
_COUNTED_BY_NAMESPACE = (5, 14)
"""Since this kernel a process limit counts those of its own user namespace alone."""
_NOT_OFFERED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS, errno.EINVAL, errno.ENOSYS})


def enter_user_namespace(libc: LibC) -> str:
    """Become nobody in an own user namespace, from which no process outside can be traced.

    Files are still those of the server's account. This process must have one thread, and holds all capabilities in
    the namespace afterwards.

    Raises:
        NotOfferedError: the kernel or a container around us refuses.
    """
    user, group = os.geteuid(), os.getegid()
    _unshare(libc, _CLONE_NEWUSER, "a user namespace")
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{_NOBODY} {user} 1")
        _write("/proc/self/gid_map", f"{_NOBODY} {group} 1")
    except OSError as error:
        raise NotOfferedError(f"the user namespace cannot be mapped: {error.strerror}") from error
    with suppress(OSError):  # where /proc/sys is mounted read-only; seccomp refuses it as well
        _write("/proc/sys/user/max_user_namespaces", "0")
    return f"user {_NOBODY} in an own user namespace"


def enter_network_namespace(libc: LibC) -> str:
    """Leave the network: what is left is a loopback interface that is down.

    Raises:
        NotOfferedError: neither privileged nor in an own user namespace, or no such namespaces.
    """
    _unshare(libc, _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS, "a network namespace")
    return "own network, IPC and UTS namespaces"


def require_counting(outer_user: int, *, own_namespace: bool) -> None:
    """Do nothing where a process limit binds this worker and no other process.

    Raises:
        NotOfferedError: it would count all processes of the account, or does not bind.
    """
    if not own_namespace:
        raise NotOfferedError("without an own user namespace it would count every process of the server's account")
    if outer_user == 0:
        raise NotOfferedError("the kernel does not bind processes of root: run the server as another user")
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if release is None or (int(release[1]), int(release[2])) < _COUNTED_BY_NAMESPACE:
        raise NotOfferedError("before Linux 5.14 it would count every process of the server's account")


def _unshare(libc: LibC, flags: int, what: str) -> None:
    if sys.platform != "linux":
        raise NotOfferedError("namespaces are Linux's")
    try:
        libc.unshare(flags)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        raise NotOfferedError(f"the kernel refuses {what}: {error.strerror}") from error


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
