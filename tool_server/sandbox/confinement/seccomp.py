"""A seccomp filter: the system calls that a confined worker makes, and EPERM for the rest.

https://docs.kernel.org/userspace-api/seccomp_filter.html; the program is classic BPF over `struct seccomp_data`.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Iterable, Mapping

from tool_server.sandbox.confinement.capabilities import forbid_new_privileges
from tool_server.sandbox.confinement.libc import PR_SET_SECCOMP, LibC, NotOfferedError
from tool_server.sandbox.confinement.system_calls import Rule, allowed, answers

_MODE_FILTER = 2
_ARCHITECTURE_X86_64 = 0xC000003E
_X32_BIT = 0x40000000

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_RETURN_ALLOW, _RETURN_ERROR = 0x7FFF0000, 0x00050000

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""

_REFUSE: Instruction = (_RETURN, 0, 0, _RETURN_ERROR | errno.EPERM)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict(libc: LibC, own_pid: int, *, writes: bool) -> str:
    """Filter the system calls of this thread and those it starts later; says how many are left.

    Args:
        own_pid: the only process that may be signalled.
        writes: whether files are opened for writing, made, renamed and removed.

    Raises:
        NotOfferedError: another architecture, or a kernel without seccomp.
    """
    if sys.platform != "linux":
        raise NotOfferedError("seccomp is Linux's")
    if platform.machine() != "x86_64" or sys.maxsize < 2**32:
        raise NotOfferedError(f"there is no list of system calls for {platform.machine()} yet")
    rules = allowed(own_pid, writes=writes)
    program = b"".join(struct.pack("<HBBI", *line) for line in assemble(rules, answers(writes=writes)))
    description = _Program(len(program) // 8, program)
    forbid_new_privileges(libc)
    try:
        libc.prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(description))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise NotOfferedError("the kernel has no seccomp filters") from error
    return f"{len({rule.number for rule in rules})} system calls allowed"


def assemble(rules: Iterable[Rule], answered: Mapping[int, int]) -> list[Instruction]:
    """The program: some calls are answered with an error of their own, each rule allows, the rest is refused.

    Calls of the x32 kind and of other architectures are refused whatever their number means there.
    """
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 1, 0, _ARCHITECTURE_X86_64),
        _REFUSE,
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_AT_LEAST, 0, 1, _X32_BIT),
        _REFUSE,
    ]
    for number, error in answered.items():
        program += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _RETURN_ERROR | error)]
    for rule in rules:
        body = _body(rule)
        program += [(_JUMP_IF_EQUAL, 0, len(body), rule.number), *body]
    return [*program, _REFUSE]


def _body(rule: Rule) -> list[Instruction]:
    if not rule.checks:
        return [(_RETURN, 0, 0, _RETURN_ALLOW)]
    body: list[Instruction] = []
    for index, check in enumerate(rule.checks):
        # Past the checks that follow and the return, to the line that loads the number again.
        to_end = 3 * (len(rule.checks) - index - 1) + 1
        body += [
            # The low half on this little-endian machine: all the arguments checked are ints to the kernel.
            (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * check.argument),
            (_AND, 0, 0, check.mask),
            (_JUMP_IF_EQUAL, 0, to_end, check.value),
        ]
    return [*body, (_RETURN, 0, 0, _RETURN_ALLOW), (_LOAD, 0, 0, _NUMBER_AT)]
