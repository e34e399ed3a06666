"""What a guest that has broken out of the engine would try next, each a function that raises OSError when refused.

They run in forked children of `intruder`, whose parent plays the server.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ABSTRACT_NAME = "\0tool-server-test-intruder"
"""Abstract socket that the server listens at, with its process id appended."""
SECRET = b"server-secret"

_AT_FDCWD = -100
_X32_BIT = 0x40000000
_LISTEN_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to be reached.

    Args:
        folder: the intruder's own, owned by its account. `data/secret` is a file of the server; `cache` is readable to
            a confined process, and of that `cache/mine` writable when it compiles; `cache/other` belongs to another
            module.
        server: process id of the parent.
        port: of a TCP listener on loopback.
        secret_at: address of `SECRET` in the server's memory (and, after a fork, in one's own).
    """

    folder: Path
    server: int
    port: int
    secret_at: int


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _system_call(number: int, *arguments: int) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), "system call")
    return result


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read()


def _connect(address: tuple[str, int] | str, family: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(address)


def _send_datagram(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", scene.port))


def _bind(_scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)


def _fork(_scene: Scene) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _thread_bomb(_scene: Scene) -> None:
    release, threads = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(300):
            thread = threading.Thread(target=release.wait)
            try:
                thread.start()
            except RuntimeError as error:
                raise OSError(errno.EAGAIN, "threads") from error
            threads.append(thread)
    finally:
        release.set()
        for thread in threads:
            thread.join()


def _read_server_memory(scene: Scene) -> None:
    with Path(f"/proc/{scene.server}/mem").open("rb", buffering=0) as memory:
        memory.seek(scene.secret_at)
        assert memory.read(len(SECRET)) == SECRET


def _process_vm_readv(scene: Scene) -> None:
    target = ctypes.create_string_buffer(len(SECRET))
    local = ctypes.create_string_buffer(struct.pack("@PN", ctypes.addressof(target), len(SECRET)))
    remote = ctypes.create_string_buffer(struct.pack("@PN", scene.secret_at, len(SECRET)))
    _system_call(310, scene.server, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0)
    assert target.raw == SECRET


def _ptrace_seize(scene: Scene) -> None:
    _system_call(101, 0x4206, scene.server, 0, 0)


def _raise_descriptor_limit(_scene: Scene) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, 1_000))
    except ValueError as error:  # how Python words EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def _open_many(_scene: Scene) -> None:
    descriptors = list[int]()
    try:
        for _ in range(300):
            descriptors.append(os.dup(1))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _map_much(_scene: Scene) -> None:
    mmap.mmap(-1, 2**31 + 2**28, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()


def _write_much(scene: Scene) -> None:
    with (scene.folder / "cache" / "mine" / "large").open("wb") as file:
        file.truncate(2**30 + 1)


def _make_core(_scene: Scene) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise OSError(errno.EPERM, "no core dumps")


def _call_as_32_bit(_scene: Scene) -> None:
    # getpid of the 32-bit kind has the number that writev has here.
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if result < 0:
        raise OSError(-result, "32-bit system call")


def _write(relative: str) -> Callable[[Scene], None]:
    def write(scene: Scene) -> None:
        with (scene.folder / relative).open("wb") as file:
            file.write(b"native code")

    return write


def _raw(number: int, *arguments: int) -> Callable[[Scene], None]:
    def call(_scene: Scene) -> None:
        _system_call(number, *arguments)

    return call


ATTEMPTS: dict[str, Callable[[Scene], object]] = {
    "read the cache": lambda scene: _read(scene.folder / "cache" / "other" / "code"),
    "list the cache": lambda scene: os.listdir(scene.folder / "cache"),
    "write own code": _write("cache/mine/code"),
    "rename own code": lambda scene: (scene.folder / "cache/mine/a").rename(scene.folder / "cache/mine/b"),
    "write another's code": _write("cache/other/code"),
    "add to the cache": _write("cache/new"),
    "link to own code": lambda scene: os.link(scene.folder / "cache/other/code", scene.folder / "cache/mine/c"),
    "symlink in own code": lambda scene: os.symlink("/", scene.folder / "cache/mine/d"),
    "truncate the cache": lambda scene: os.truncate(scene.folder / "cache" / "other" / "code", 0),
    "remove from the cache": lambda scene: os.unlink(scene.folder / "cache" / "other" / "code"),
    "read /etc/passwd": lambda _: _read(Path("/etc/passwd")),
    "read the data folder": lambda scene: _read(scene.folder / "data" / "secret"),
    "list /": lambda _: os.listdir("/"),
    "write a file": _write("data/new"),
    "make a folder": lambda scene: os.mkdir(scene.folder / "data" / "sub"),
    "make a socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
    "connect over TCP": lambda scene: _connect(("127.0.0.1", scene.port), socket.AF_INET),
    "send over UDP": _send_datagram,
    "listen on TCP": _bind,
    "connect to an abstract socket": lambda scene: _connect(f"{ABSTRACT_NAME}{scene.server}", socket.AF_UNIX),
    "connect to a socket file": lambda scene: _connect(str(scene.folder / "socket"), socket.AF_UNIX),
    "run a program": lambda _: os.execv("/bin/true", ["true"]),  # noqa: S606
    "fork": _fork,
    "start very many threads": _thread_bomb,
    "trace the server": _ptrace_seize,
    "read the server's memory": _read_server_memory,
    "copy the server's memory": _process_vm_readv,
    "read the server's environment": lambda scene: _read(Path(f"/proc/{scene.server}/environ")),
    "signal the server": lambda scene: os.kill(scene.server, 0),
    "signal everybody": lambda _: os.kill(-1, 0),
    "raise a limit": _raise_descriptor_limit,
    "open very many descriptors": _open_many,
    "take very much memory": _map_much,
    "write a very large file": _write_much,
    "dump core": _make_core,
    "own mounts": _raw(272, 0x20000),
    "own users": _raw(272, 0x10000000),
    "change the root": lambda scene: os.chroot(scene.folder),
    "become another user": lambda _: os.setresuid(12_345, 12_345, 12_345),
    "mount": _raw(165, 0, 0, 0, 0, 0),
    "load a BPF program": _raw(321, 5, 0, 0),
    "set up io_uring": _raw(425, 1, 0),
    "handle page faults": _raw(323, 0),
    "watch performance": _raw(298, 0, 0, 0, 0, 0),
    "ask for keys": _raw(250, 0, -3 & 0xFFFFFFFF, 1),
    "clone with arguments in memory": _raw(435, 0, 0),
    "open with arguments in memory": _raw(437, _AT_FDCWD, 0, 0, 0),
    "call by an x32 number": _raw(_X32_BIT | 39),
    "call as a 32-bit program": _call_as_32_bit,
}
"""By name; the numbers are x86_64's."""


def listen(folder: Path) -> tuple[list[socket.socket], int]:
    """What the server listens at, and the TCP port."""
    tcp = socket.create_server(("127.0.0.1", 0), backlog=_LISTEN_BACKLOG)
    sockets = [tcp]
    for address in (f"{ABSTRACT_NAME}{os.getpid()}", str(folder / "socket")):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen(_LISTEN_BACKLOG)
        sockets.append(listener)
    return sockets, int(tcp.getsockname()[1])
