"""Landlock: no file but those that are given, no TCP, no signals or abstract sockets to the outside.

https://docs.kernel.org/userspace-api/landlock.html. The numbers of its system calls are the same on every machine.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress

from tool_server.sandbox.confinement.capabilities import forbid_new_privileges
from tool_server.sandbox.confinement.libc import LibC, NotOfferedError

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in (1, 2, 3, 4, 5))
_MAKE_DIR, _MAKE_REG, _REFER, _TRUNCATE = (1 << bit for bit in (7, 8, 13, 14))
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE
"""Rights that a rule about a single file may name."""

_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights over files there are, by the version that brought the last of them."""
_TCP_SINCE, _ALL_TCP = 4, 0b11
_SCOPES_SINCE, _ALL_SCOPES = 6, 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def restrict(libc: LibC, read_folders: Sequence[str], write_folders: Sequence[str]) -> str:
    """Keep this thread, and those it starts later, from everything that is not given; says how far.

    Args:
        read_folders: folders and files to read.
        write_folders: folders to read and to write; neither links nor devices can be made there.

    Raises:
        NotOfferedError: the kernel has no Landlock, or it is switched off.
        OSError: one of the folders cannot be opened.
    """
    version = _version(libc)
    handled = _FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= version)]
    ruleset = _Ruleset(handled)
    size = 8
    if version >= _TCP_SINCE:
        ruleset.network, size = _ALL_TCP, 16
    if version >= _SCOPES_SINCE:
        ruleset.scopes, size = _ALL_SCOPES, 24
    descriptor = libc.system_call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    try:
        for folders, rights in ((read_folders, _READ), (write_folders, _WRITE)):
            for folder in folders:
                # One that is gone gives no right; who then wants to use it says so better than a worker without start.
                with suppress(FileNotFoundError, NotADirectoryError):
                    _allow(libc, descriptor, folder, rights & handled)
        forbid_new_privileges(libc)
        libc.system_call(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
    return f"version {version}{_missing(version)}"


def _version(libc: LibC) -> int:
    if sys.platform != "linux":
        raise NotOfferedError("Landlock is Linux's")
    try:
        return libc.system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise NotOfferedError(
                "Landlock is switched off: start the kernel with landlock in its lsm= list"
            ) from error
        raise NotOfferedError("the kernel has no Landlock, which came with Linux 5.13") from error


def _missing(version: int) -> str:
    missing = [
        what
        for since, what in ((3, "truncation"), (_TCP_SINCE, "TCP"), (5, "device control"), (_SCOPES_SINCE, "signals"))
        if version < since
    ]
    return f"; this kernel's does not cover {', '.join(missing)}" if missing else ""


def _allow(libc: LibC, ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_A_FILE
        rule = _PathBeneath(rights, descriptor)
        libc.system_call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
