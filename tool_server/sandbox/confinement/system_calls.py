"""Which system calls a confined worker makes: the interpreter's loop, cffi, and wasmtime with its threads.

Found by `strace -f` over the bundled plugins, every guest of the tests, WASI, and compiling; the numbers are those of
x86_64 (https://github.com/torvalds/linux/blob/master/arch/x86/entry/syscalls/syscall_64.tbl).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

_LOOP = {
    **{"read": 0, "write": 1, "close": 3, "poll": 7, "lseek": 8, "readv": 19, "writev": 20, "pread64": 17},
    **{"pwrite64": 18, "preadv": 295, "pwritev": 296, "sendto": 44, "recvfrom": 45, "getsockname": 51},
    **{"getsockopt": 55, "select": 23, "pselect6": 270, "ppoll": 271, "epoll_create1": 291, "epoll_ctl": 233},
    **{"epoll_wait": 232, "epoll_pwait": 281, "eventfd2": 290, "dup": 32},
}
_MEMORY = {
    **{"mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "mremap": 25, "madvise": 28, "membarrier": 324},
    # A module's initial memory is a file without a name; nothing can be executed from it without execve.
    **{"memfd_create": 319, "ftruncate": 77},
}
_THREADS = {
    **{"sched_yield": 24, "futex": 202, "sched_getaffinity": 204, "set_tid_address": 218, "exit": 60},
    **{"exit_group": 231, "set_robust_list": 273, "rseq": 334, "gettid": 186, "getpid": 39, "getppid": 110},
}
_SIGNALS = {
    **{"rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131, "restart_syscall": 219},
    **{"setitimer": 38},
}
_CLOCKS = {
    **{"nanosleep": 35, "gettimeofday": 96, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230},
    **{"getrusage": 98, "times": 100, "getrandom": 318},
}
_WHO = {"getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "uname": 63, "sysinfo": 99}
_LOOK_AT_FILES = {
    **{"fstat": 5, "stat": 4, "lstat": 6, "access": 21, "getcwd": 79, "readlink": 89, "getdents64": 217},
    **{"newfstatat": 262, "readlinkat": 267, "faccessat": 269, "statx": 332, "faccessat2": 439, "fadvise64": 221},
}
_MKDIR = 83
_WRITE_FILES = {
    **{"rename": 82, "mkdir": _MKDIR, "rmdir": 84, "unlink": 87, "mkdirat": 258, "unlinkat": 263, "renameat": 264},
    **{"renameat2": 316, "fsync": 74, "fdatasync": 75, "fallocate": 285, "utimensat": 280, "flock": 73},
    **{"copy_file_range": 326, "sendfile": 40},
}

_FCNTL, _IOCTL, _CLONE, _KILL, _TGKILL, _PRCTL, _OPENAT, _PRLIMIT64 = 72, 16, 56, 62, 234, 157, 257, 302
_CLONE3, _OPENAT2 = 435, 437

_ALL_BITS = 0xFFFFFFFF
_CLONE_THREAD = 0x00010000
_OPEN_TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC and the bit of O_TMPFILE."""
_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _ADD_SEALS = 0, 1, 2, 3, 4, 1030, 1033
_FIONREAD, _FIONBIO, _FIOCLEX = 0x541B, 0x5421, 0x5451
_SET_NAME, _SET_VMA = 15, 0x53564D41


@dataclass(frozen=True, slots=True)
class Check:
    """An argument's low 32 bits, under a mask, equal a value."""

    argument: int
    value: int
    mask: int = _ALL_BITS


@dataclass(frozen=True, slots=True)
class Rule:
    """A system call that is allowed when all checks hold; several rules for one number are alternatives."""

    number: int
    checks: tuple[Check, ...] = ()


def allowed(own_pid: int, *, writes: bool) -> list[Rule]:
    """The rules of a worker.

    Args:
        own_pid: the only process that it may signal.
        writes: whether it has folders to write into.
    """
    plain = {**_LOOP, **_MEMORY, **_THREADS, **_SIGNALS, **_CLOCKS, **_WHO, **_LOOK_AT_FILES}
    if writes:
        plain |= _WRITE_FILES
    opening = () if writes else (Check(2, 0, _OPEN_TO_WRITE),)
    commands = (_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _ADD_SEALS)
    return [
        *(Rule(number) for number in plain.values()),
        Rule(_OPENAT, opening),
        Rule(_CLONE, (Check(0, _CLONE_THREAD, _CLONE_THREAD),)),
        *(Rule(number, (Check(0, own_pid),)) for number in (_KILL, _TGKILL)),
        Rule(_PRLIMIT64, (Check(0, 0),)),
        *(Rule(_PRCTL, (Check(0, option),)) for option in (_SET_NAME, _SET_VMA)),
        *(Rule(_FCNTL, (Check(1, command),)) for command in commands),
        *(Rule(_IOCTL, (Check(1, request),)) for request in (_FIONREAD, _FIONBIO, _FIOCLEX)),
    ]


def answers(*, writes: bool) -> dict[int, int]:
    """Calls that are not made but answered, with the error number.

    Arguments of `clone3` and `openat2` lie in memory, where no filter looks: as if this kernel had none, the C library
    and the engine then use `clone` and `openat`. The engine makes sure of its cache's folder by making it: it is there.
    """
    there = {} if writes else {_MKDIR: errno.EEXIST}
    return {_CLONE3: errno.ENOSYS, _OPENAT2: errno.ENOSYS, **there}
