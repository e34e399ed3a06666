"""Calls a second over stdio, one at a time, against a bare line loop around the same sandbox call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from tests.bench.http_calls import fill
from tests.bench.http_load import BODY
from tests.bench.report import Figure, ratio_figure

ROUNDS = 9
CALLS = 400
LINE = BODY.encode() + b"\n"


def measure() -> Figure:
    """Rounds of both in turn."""
    ours: list[float] = []
    floors: list[float] = []
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TOOL_SERVER_")}
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder, "data")
        anyio.run(fill, data_dir)
        command = [sys.executable, "-m", "tool_server", "stdio", "--no-bundled", "--data-dir", str(data_dir)]
        bare = [sys.executable, "-m", "tests.bench.pool_process", "lines"]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as server,
            subprocess.Popen(bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loop,
        ):
            for process in (server, loop):
                _rate(process)
            for _ in range(ROUNDS):
                floors.append(_rate(loop))
                ours.append(_rate(server))
            for process in (server, loop):
                process.communicate(timeout=30)
    median, ours_median = (round(sorted(rates)[len(rates) // 2]) for rates in (floors, ours))
    return ratio_figure(
        "stdio_calls_per_second",
        ours,
        floors,
        bar=0.7,
        at_most=False,
        floor=f"a bare line loop with the same sandbox call, {median} calls/s (ours {ours_median})",
    )


def _rate(process: subprocess.Popen[bytes]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    started = time.perf_counter()
    for _ in range(CALLS):
        process.stdin.write(LINE)
        process.stdin.flush()
        answer = process.stdout.readline()
        if b'"structuredContent"' not in answer:
            raise AssertionError(json.loads(answer))
    return CALLS / (time.perf_counter() - started)
