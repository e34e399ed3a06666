"""Calls a second over HTTP at 32 connections, against the sandbox pool alone with as many calls at once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import anyio

from tests.bench.http_calls import CONNECTIONS, fill
from tests.bench.http_load import Load, Server, tool_server
from tests.bench.report import Figure, ratio_figure

ROUNDS = 9
CALLS = 1_600


def measure() -> Figure:
    """Rounds of both in turn, each with the machine to itself."""
    ours: list[float] = []
    floors: list[float] = []
    command = [sys.executable, "-m", "tests.bench.pool_process", "batch"]
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder, "data")
        anyio.run(fill, data_dir)
        with (
            tool_server(data_dir) as server,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pool,
        ):
            _over_http(server)
            _pool_alone(pool)
            for _ in range(ROUNDS):
                floors.append(_pool_alone(pool))
                ours.append(_over_http(server))
            pool.communicate(timeout=30)
    median, ours_median = (round(sorted(rates)[len(rates) // 2]) for rates in (floors, ours))
    return ratio_figure(
        "http_calls_per_second",
        ours,
        floors,
        bar=0.75,
        at_most=False,
        floor=f"the sandbox pool alone, {median} calls/s (ours {ours_median})",
    )


def _over_http(server: Server) -> float:
    with closing(Load(server.port, CONNECTIONS)) as load:
        return CALLS / load.run(CALLS)


def _pool_alone(pool: subprocess.Popen[bytes]) -> float:
    assert pool.stdin is not None
    assert pool.stdout is not None
    pool.stdin.write(b"%d\n" % CALLS)
    pool.stdin.flush()
    return CALLS / float(pool.stdout.readline())
