"""Whether two workers use both cores: guests that only compute, against two processes that only spin."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from tests.bench.report import Figure, ratio_figure
from tests.support.guests import guest
from tests.support.programs import call_of, pool_for

ROUNDS = 7
SECONDS = 1.0

SPIN = """
import sys, time
end, turns = time.perf_counter() + float(sys.argv[1]), 0
while time.perf_counter() < end:
    for _ in range(10_000):
        turns += 1
print(turns)
"""


def measure() -> Figure:
    """Scaling of two workers over one, divided by the scaling of two spinning processes over one."""
    return anyio.run(_measure, backend_options={"use_uvloop": True})


async def _measure() -> Figure:
    wasm = guest("work")
    scalings: list[float] = []
    spinning: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            pool_for(Path(folder, "one"), {"work": wasm}, workers=1) as one,
            pool_for(Path(folder, "two"), {"work": wasm}, workers=2) as two,
        ):
            call = call_of(wasm, "work", b"3000000")
            for pool in (one, two, two):
                await pool.run(call)
            for _ in range(ROUNDS):
                scalings.append(await _throughput(two, call, 2) / await _throughput(one, call, 1))
                spinning.append(_spin(2) / _spin(1))
    return ratio_figure(
        "two_workers",
        scalings,
        spinning,
        bar=0.9,
        at_most=False,
        floor="two spinning processes over one, measured in the same windows",
    )


async def _throughput(pool: object, call: object, workers: int) -> float:
    from tool_server.model.call import Call
    from tool_server.sandbox.pool import WorkerPool

    assert isinstance(pool, WorkerPool)
    assert isinstance(call, Call)
    finished = 0
    end = time.perf_counter() + SECONDS

    async def work() -> None:
        nonlocal finished
        while time.perf_counter() < end:
            await pool.run(call)
            finished += 1

    started = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(workers * 2):
            tasks.start_soon(work)
    return finished / (time.perf_counter() - started)


def _spin(processes: int) -> float:
    running = [
        subprocess.Popen([sys.executable, "-c", SPIN, str(SECONDS)], stdout=subprocess.PIPE) for _ in range(processes)
    ]
    return float(sum(int(process.communicate(timeout=60)[0]) for process in running))
