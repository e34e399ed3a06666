"""What a sandboxed call costs over its floor: a hop over a socket, a fresh instance, a call."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from tests.bench.report import Figure, ratio_figure
from tests.support.guests import guest
from tests.support.programs import call_of, pool_for

ROUNDS = 15
CALLS = 200

# The floor's process: Extism through its own Python SDK, and nothing of ours.
FLOOR = """
import os, socket, sys
os.environ["RUST_BACKTRACE"] = "0"
from extism.extism import CompiledPlugin, Plugin
channel = socket.socket(fileno=int(sys.argv[1]))
compiled = CompiledPlugin(open(sys.argv[2], "rb").read(), functions=[])
while data := channel.recv(65536):
    plugin = Plugin(compiled)
    channel.sendall(bytes(plugin.call("echo", data)))
"""


def measure() -> Figure:
    """The ratio of medians, round by round."""
    return anyio.run(_measure, backend_options={"use_uvloop": True})


async def _measure() -> Figure:
    wasm = guest("echo")
    ours: list[float] = []
    floors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "echo.wasm")
        path.write_bytes(wasm)
        near, far = socket.socketpair()
        with (
            near,
            subprocess.Popen(
                [sys.executable, "-c", FLOOR, str(far.fileno()), str(path)], pass_fds=(far.fileno(),)
            ) as process,
        ):
            far.close()
            async with pool_for(Path(folder), {"echo": wasm}, workers=1) as pool:
                call = call_of(wasm, "echo", b"0123456789")
                await pool.run(call)
                _echo(near)
                for _ in range(ROUNDS):
                    floors.append(statistics.median([_echo(near) for _ in range(CALLS)]))
                    times: list[float] = []
                    for _ in range(CALLS):
                        started = time.perf_counter()
                        await pool.run(call)
                        times.append(time.perf_counter() - started)
                    ours.append(statistics.median(times))
            near.shutdown(socket.SHUT_RDWR)
            process.wait(timeout=10)
    median_us = round(statistics.median(floors) * 1e6)
    return ratio_figure(
        "sandbox_call",
        ours,
        floors,
        bar=1.5,
        at_most=True,
        floor=f"socket echo + Plugin(compiled) + call, median {median_us} us",
    )


def _echo(channel: socket.socket) -> float:
    started = time.perf_counter()
    channel.sendall(b"0123456789")
    channel.recv(65_536)
    return time.perf_counter() - started
