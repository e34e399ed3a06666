"""`python -m tests.bench.soak [CALLS]`: many calls, after which memory, descriptors and processes are as before."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.support.programs import publish_and_install
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.model.caller import LOCAL

CALLS = 200_000
CALLERS = 8
SAMPLES = 10
WARM_UP = 0.1
"""Share of the calls after which the first sample is taken: caches are full by then."""
GROWTH_BYTES = 24 * 2**20
"""How much the whole process tree may have grown in resident memory."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server and its workers hold."""

    calls: int
    resident: int
    """Bytes, all processes together."""
    descriptors: int
    """Of the server process."""
    processes: int


def main(arguments: list[str]) -> int:
    """Run, print a line for each sample, and say by the exit code whether everything stayed flat."""
    calls = int(arguments[0]) if arguments else CALLS
    samples = anyio.run(soak, calls, backend_options={"use_uvloop": True})
    first, last = samples[0], samples[-1]
    grown = last.resident - first.resident
    flat = grown <= GROWTH_BYTES and last.descriptors <= first.descriptors + 2 and last.processes <= first.processes
    sys.stdout.write(f"{calls} calls: {'flat' if flat else 'NOT FLAT'}, {grown / 2**20:+.1f} MiB\n")
    return 0 if flat else 1


async def soak(calls: int) -> list[Sample]:
    """The samples of a run, the first one after the warm-up."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder:
        async with build(Config(data_dir=Path(folder, "data"))) as services:
            await publish_and_install(services, "echo")
            await _call(services, int(calls * WARM_UP))
            done = int(calls * WARM_UP)
            samples.append(await _sample(services, done))
            step = (calls - done) // SAMPLES
            for _ in range(SAMPLES):
                await _call(services, step)
                done += step
                samples.append(await _sample(services, done))
            assert await services.call_log.count() == done
    return samples


async def _call(services: Services, count: int) -> None:
    async def caller() -> None:
        for _ in range(count // CALLERS):
            result = await services.invoke.call("echo_echo", {"text": "hello"}, LOCAL)
            assert result.structured == {"text": "hello"}

    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS - 1):
            tasks.start_soon(caller)
        for _ in range(count - count // CALLERS * (CALLERS - 1)):
            await services.invoke.call("echo_echo", {"text": "hello"}, LOCAL)


async def _sample(services: Services, calls: int) -> Sample:
    await services.recorder.flush()
    pids = [os.getpid(), *services.pool.pids]
    sample = Sample(
        calls,
        sum(_resident(pid) for pid in pids),
        len(list(Path("/proc/self/fd").iterdir())),
        len(pids),
    )
    sys.stderr.write(
        f"{sample.calls:>8} calls  {sample.resident / 2**20:7.1f} MiB  {sample.descriptors} descriptors  "
        f"{sample.processes} processes\n"
    )
    return sample


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
