"""What our figures are measured against: processes that hold Extism through its own Python SDK, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_ECHO = """
import os, socket, struct, sys
os.environ["RUST_BACKTRACE"] = "0"
from extism.extism import CompiledPlugin, Plugin
channel = socket.socket(fileno=int(sys.argv[1]))
wasm, export, fresh = open(sys.argv[2], "rb").read(), sys.argv[3], sys.argv[4] == "fresh"
compiled = CompiledPlugin(wasm, functions=[])
plugin = Plugin(compiled)
while size := channel.recv(4, socket.MSG_WAITALL):
    data = channel.recv(struct.unpack("<I", size)[0], socket.MSG_WAITALL)
    if fresh:
        plugin = Plugin(compiled)
    answer = bytes(plugin.call(export, data))
    channel.sendall(struct.pack("<I", len(answer)) + answer)
"""

_FIRST_CALL = """
import os, sys, time
os.environ["RUST_BACKTRACE"] = "0"
from extism.extism import Plugin
wasm = open(sys.argv[1], "rb").read()
started = time.perf_counter()
Plugin(wasm, functions=[]).call(sys.argv[2], b"")
print(time.perf_counter() - started)
"""


class EchoProcess:
    """A socket, and a process at its other end that calls one export with what it gets."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def call(self, data: bytes) -> float:
        """Seconds from sending `data` until the answer is there as a whole."""
        channel = self._channel
        started = time.perf_counter()
        channel.sendall(len(data).to_bytes(4, "little") + data)
        size = int.from_bytes(channel.recv(4, socket.MSG_WAITALL), "little")
        channel.recv(size, socket.MSG_WAITALL)
        return time.perf_counter() - started


@contextmanager
def echo_process(wasm: Path, export: str, *, fresh: bool) -> Generator[EchoProcess]:
    """A bare socket echo around `Plugin.call`; with `fresh`, around `Plugin(compiled)` and the call."""
    near, far = socket.socketpair()
    arguments = (str(far.fileno()), str(wasm), export, "fresh" if fresh else "reused")
    with near, subprocess.Popen([sys.executable, "-c", _ECHO, *arguments], pass_fds=(far.fileno(),)) as process:
        far.close()
        yield EchoProcess(near)
        near.shutdown(socket.SHUT_RDWR)
        process.wait(timeout=10)


def first_call(wasm: Path, export: str, cache: Path) -> float:
    """Seconds for `Plugin(wasm)` and a call in a new process, its imports done, over the wasmtime cache in `cache`."""
    settings = cache.with_suffix(".toml")
    settings.write_text(f'[cache]\ndirectory = "{cache}"\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_CALL, str(wasm), export],
        env={**os.environ, "EXTISM_CACHE_CONFIG": str(settings)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return float(done.stdout)
