"""The pool under load and loss: parallel calls, fairness, bounds, cancellation, killed workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from tests.sandbox.conftest import PATIENCE, MakePool, Modules, call_of, is_reaped, until
from tests.support.guests import guest
from tests.support.kernel import is_running
from tool_server.config import Config
from tool_server.errors import CallFailed, Unavailable
from tool_server.sandbox.accounts import Allowance
from tool_server.sandbox.admission import Bounds
from tool_server.sandbox.host_calls import HostCall, HostFunctions, HostReply
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.protocol import USER
from tool_server.sandbox.settings import PoolSettings

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def served(modules: Modules) -> None:
    modules.add_guests("echo", "add", "spin", "sleep", "host_function", "host_function_then_spin", "trap")


class Hold:
    """A host function `lookup` that keeps its callers until `release`, so that tests decide when calls end."""

    def __init__(self) -> None:
        self.entered = 0
        self.most = 0
        self.release = anyio.Event()
        self.functions = HostFunctions({(USER, "lookup"): self._lookup})

    async def _lookup(self, question: HostCall) -> HostReply:
        self.entered += 1
        self.most = max(self.most, self.entered)
        await self.release.wait()
        self.entered -= 1
        return HostReply(b"held")


async def test_no_process_is_started_before_the_first_call(make_pool: MakePool) -> None:
    async with make_pool(workers=2, spares=1) as pool:
        assert pool.pids == frozenset()
        await pool.run(call_of("echo", b"x"))
        await until(lambda: len(pool.pids) == 2)


async def test_warming_starts_workers_and_spares(make_pool: MakePool) -> None:
    async with make_pool(workers=2, spares=1) as pool:
        await pool.warm()
        assert len(pool.pids) == 3


async def test_two_hundred_parallel_calls_are_all_right_with_an_endless_loop_among_them(make_pool: MakePool) -> None:
    answers: dict[int, bytes] = {}
    failures: list[str] = []

    async with make_pool(workers=2, spares=1) as pool:

        async def add(number: int) -> None:
            call = call_of("add", b'{"a":%d,"b":1}' % number, caller=f"caller-{number % 7}")
            answers[number] = (await pool.run(call)).data

        async def spin() -> None:
            with pytest.raises(CallFailed) as caught:
                await pool.run(call_of("spin", timeout_ms=300))
            failures.append(caught.value.code)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    tasks.start_soon(add, number)
                    if number == 20:
                        tasks.start_soon(spin)
        assert (pool.busy, pool.waiting) == (0, 0)
    assert answers == {number: b'{"sum":%d}' % (number + 1) for number in range(200)}
    assert failures == ["timeout"]


async def test_as_many_calls_run_at_once_as_there_are_workers_and_no_more(make_pool: MakePool) -> None:
    hold = Hold()
    async with make_pool(hold.functions, workers=2) as pool, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(pool.run, call_of("host_function"))
        await until(lambda: hold.entered == 2 and pool.waiting == 3)
        assert len(pool.pids) == pool.busy == 2
        hold.release.set()
    assert hold.most == 2


async def test_a_flood_of_one_caller_does_not_starve_another(make_pool: MakePool) -> None:
    hold, finished = Hold(), list[str]()
    async with make_pool(hold.functions) as pool, anyio.create_task_group() as tasks:

        async def run(caller: str) -> None:
            await pool.run(call_of("echo", b"x", caller=caller))
            finished.append(caller)

        tasks.start_soon(pool.run, call_of("host_function"))
        await until(lambda: hold.entered == 1)
        for _ in range(50):
            tasks.start_soon(run, "flood")
        await until(lambda: pool.waiting == 50)
        for _ in range(3):
            tasks.start_soon(run, "quiet")
        await until(lambda: pool.waiting == 53)
        hold.release.set()
    assert len(finished) == 53
    # In turn would be 1, 3, 5; what each call took shifts that by a place or two.
    assert all(position < 12 for position, caller in enumerate(finished) if caller == "quiet")


async def test_a_full_queue_refuses_with_a_hint_and_serves_those_it_took(make_pool: MakePool) -> None:
    hold = Hold()
    async with make_pool(hold.functions, queue=2) as pool, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(pool.run, call_of("host_function"))
        await until(lambda: hold.entered == 1 and pool.waiting == 2)
        with pytest.raises(Unavailable) as caught:
            await pool.run(call_of("host_function"))
        assert (caught.value.code, caught.value.data) == ("busy", {"retry_after_ms": 1_000})
        hold.release.set()
    assert hold.most == 1


async def test_a_call_that_waits_too_long_is_refused_and_leaves_the_queue(make_pool: MakePool) -> None:
    hold = Hold()
    async with make_pool(hold.functions, queue_timeout_ms=20) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(pool.run, call_of("host_function"))
        await until(lambda: hold.entered == 1)
        with pytest.raises(Unavailable, match=r"within 0\.02 s"):
            await pool.run(call_of("echo"))
        assert pool.waiting == 0
        hold.release.set()


async def test_cancelling_a_waiting_call_frees_its_place(make_pool: MakePool) -> None:
    hold = Hold()
    async with make_pool(hold.functions, queue=1) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(pool.run, call_of("host_function"))
        await until(lambda: hold.entered == 1)
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(pool.run, call_of("echo"))
            await until(lambda: pool.waiting == 1)
            waiting.cancel_scope.cancel()
        assert pool.waiting == 0
        hold.release.set()
    assert hold.most == 1


async def test_cancelling_a_call_kills_its_guest_and_the_next_call_works(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        await pool.run(call_of("echo"))
        (pid,) = pool.pids
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.run, call_of("spin"))
            await until(lambda: pool.busy == 1)
            tasks.cancel_scope.cancel()
        await until(lambda: is_reaped(pid))
        assert (await pool.run(call_of("echo", b"next"))).data == b"next"
        assert pid not in pool.pids


async def test_cancelling_a_call_while_its_worker_starts_leaves_nothing_behind(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        pid = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.run, call_of("spin"))
            await until(lambda: len(pool.pids) == 1)
            (pid,) = pool.pids
            tasks.cancel_scope.cancel()
        await until(lambda: is_reaped(pid))
        assert (await pool.run(call_of("echo", b"next"))).data == b"next"


@pytest.mark.parametrize("calls", [1, 3])
async def test_killed_workers_fail_their_calls_and_nothing_else(make_pool: MakePool, calls: int) -> None:
    hold, codes, pids = Hold(), list[str](), frozenset[int]()
    async with make_pool(hold.functions, workers=3) as pool:

        async def run() -> None:
            with pytest.raises(CallFailed) as caught:
                await pool.run(call_of("host_function_then_spin"))
            codes.append(caught.value.code)

        async with anyio.create_task_group() as tasks:
            for _ in range(calls):
                tasks.start_soon(run)
            await until(lambda: hold.entered == calls)
            pids = pool.pids
            hold.release.set()
            await until(lambda: hold.entered == 0)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        assert codes == ["worker_lost"] * calls
        assert (await pool.run(call_of("echo", b"next"))).data == b"next"
        await until(lambda: all(is_reaped(pid) for pid in pids))


async def test_a_worker_that_died_idle_costs_no_call(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        for _ in range(3):
            await pool.run(call_of("echo"))
            (pid,) = pool.pids
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: not is_running(pid))
            assert (await pool.run(call_of("echo", b"next"))).data == b"next"


async def test_a_call_goes_to_the_worker_that_holds_its_program(make_pool: MakePool, modules: Modules) -> None:
    hold = Hold()
    async with make_pool(hold.functions, workers=2) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(pool.run, call_of("host_function"))
            await until(lambda: hold.entered == 2)
            hold.release.set()
        await pool.run(call_of("echo"))
        reads = modules.reads
        for _ in range(6):
            await pool.run(call_of("echo"))
            await pool.run(call_of("host_function"))
        assert modules.reads == reads


async def test_workers_that_cannot_start_are_reported_and_not_tried_in_a_loop(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho first line >&2\necho no library at /usr/lib/x.so >&2\nexit 3\n")
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    async with make_pool() as pool:
        with anyio.fail_after(PATIENCE), pytest.raises(Unavailable) as caught:
            await pool.run(call_of("echo"))
        assert caught.value.code == "worker_start_failed"
        assert caught.value.data["retry_after_ms"] > 0
        assert "do not start: no library at <path>." in caught.value.message
        starts = sum("did not start" in record.message for record in caplog.records)
        assert starts == 3
        with pytest.raises(Unavailable):
            await pool.run(call_of("echo"))
        assert sum("did not start" in record.message for record in caplog.records) <= starts + 1
        assert pool.pids == frozenset()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    async with make_pool() as pool:
        with pytest.raises(Unavailable, match="cannot be started: No such file"):
            await pool.run(call_of("echo"))


async def test_leaving_the_pool_ends_calls_waiters_and_processes(make_pool: MakePool) -> None:
    hold, errors = Hold(), list[str]()

    async def run(pool: WorkerPool, name: str) -> None:
        with pytest.raises(Unavailable) as caught:
            await pool.run(call_of(name))
        errors.append(caught.value.code)

    pool, pids = make_pool(hold.functions), frozenset[int]()
    async with anyio.create_task_group() as tasks:
        async with pool:
            tasks.start_soon(run, pool, "host_function_then_spin")
            await until(lambda: hold.entered == 1)
            hold.release.set()
            await until(lambda: hold.entered == 0)
            tasks.start_soon(run, pool, "echo")
            await until(lambda: pool.waiting == 1)
            pids = pool.pids
    assert errors == ["shutting_down"] * 2
    assert pids
    assert all(is_reaped(pid) for pid in pids)
    with pytest.raises(Unavailable, match="shutting down"):
        await pool.run(call_of("echo"))


async def test_an_error_in_the_body_leaves_the_pool_as_it_is(make_pool: MakePool) -> None:
    with pytest.raises(CallFailed, match="unreachable"):
        async with make_pool() as pool:
            await pool.run(call_of("trap"))


def test_the_pool_runs_on_uvloop_too(make_pool: MakePool) -> None:
    pytest.importorskip("uvloop")

    async def main() -> bytes:
        async with make_pool(workers=2) as pool:
            with pytest.raises(CallFailed, match="unreachable"):
                await pool.run(call_of("trap"))
            with anyio.move_on_after(0.05):
                await pool.run(call_of("spin"))
            return (await pool.run(call_of("echo", b"x"))).data

    assert anyio.run(main, backend_options={"use_uvloop": True}) == b"x"


async def test_ended_workers_are_counted_by_cause(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        # What compiles is discarded, too: not below.
        for name in ("sleep", "spin", "echo"):
            await pool.inspect(call_of(name).program, guest(name))
    async with make_pool() as pool:
        with pytest.raises(CallFailed, match="did not finish"):
            # Blocks outside of the guest, where only the server's deadline ends it.
            await pool.run(call_of("sleep", timeout_ms=50))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.run, call_of("spin"))
            await until(lambda: pool.busy == 1)
            tasks.cancel_scope.cancel()
        await pool.run(call_of("echo"))
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_running(pid))
        await pool.run(call_of("echo"))
        assert pool.deaths == {"deadline": 1, "discarded": 1, "crashed": 1}
        misses = pool.cache_misses
        assert misses >= 3
        assert pool.cache_hits == 0
        await pool.run(call_of("echo"))
        assert (pool.cache_misses, pool.cache_hits) == (misses, 1)


def test_the_pool_takes_its_bounds_from_the_configuration(tmp_path: Path) -> None:
    limits = {"queue": 7, "reserve": 1, "caller_calls": 2, "caller_queue": 3, "plugin_calls": 4, "plugin_cpu": "30s"}
    config = Config.model_validate({"data_dir": tmp_path, "workers": 5, "limits": limits})
    assert PoolSettings.from_config(config).bounds == Bounds(
        5, 7, 1, Allowance(calls=2, queue=3), Allowance(calls=4, cpu_s=30.0)
    )
