"""The C library's way into the kernel, for calls that Python does not offer. Linux only."""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 22, 24, 38, 47
"""Options of `prctl`. https://man7.org/linux/man-pages/man2/prctl.2.html"""


class NotOfferedError(Exception):
    """This kernel, machine or account does not offer a protection; the message says why."""


class LibC:
    """Functions of the C library; every failure is an `OSError` with its number."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            self._library.syscall.restype = ctypes.c_long

    def prctl(self, option: int, *arguments: int) -> None:
        """`prctl(2)` with up to four arguments."""
        filled = (*arguments, 0, 0, 0, 0)[:4]
        self._checked(self._library.prctl(option, *(ctypes.c_ulong(argument) for argument in filled)))

    def unshare(self, flags: int) -> None:
        """`unshare(2)`."""
        self._checked(self._library.unshare(flags))

    def system_call(self, number: int, *arguments: object) -> int:
        """`syscall(2)`; integers must come as ctypes values where they are wider than an int."""
        return self._checked(self._library.syscall(ctypes.c_long(number), *arguments))

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
