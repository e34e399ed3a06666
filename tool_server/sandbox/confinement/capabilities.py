"""Leaving every privilege behind. https://man7.org/linux/man-pages/man7/capabilities.7.html"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from tool_server.sandbox.confinement.libc import (
    PR_CAP_AMBIENT,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    LibC,
    NotOfferedError,
)

_AMBIENT_CLEAR_ALL = 4
_MOST_CAPABILITIES = 64
_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def forbid_new_privileges(libc: LibC) -> None:
    """From now on no program gives this process or its children more than it has."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1)


def leave_groups() -> None:
    """Leave the supplementary groups, where this account may; a user namespace must not have been made before."""
    try:
        os.setgroups([])
    except PermissionError:
        return


def drop_capabilities(libc: LibC) -> str:
    """Empty the bounding, ambient, permitted, effective and inheritable sets; says what is left of authority.

    Raises:
        NotOfferedError: not on Linux.
    """
    if sys.platform != "linux":
        raise NotOfferedError("capabilities are Linux's")
    forbid_new_privileges(libc)
    for capability in range(_MOST_CAPABILITIES):
        try:
            libc.prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # the last one was the kernel's last
                break
            if error.errno != errno.EPERM:
                raise
    libc.prctl(PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    if ctypes.CDLL(None, use_errno=True).capset(ctypes.byref(_Header(_VERSION_3, 0)), (_Sets * 2)()) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
    groups = len(os.getgroups())
    kept = f"; {groups} supplementary groups of the server's account stay" if groups else ""
    return f"no capabilities, no new ones{kept}"
