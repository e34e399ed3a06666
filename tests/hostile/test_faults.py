"""Processes killed and suspended, disks full, databases locked: nothing acknowledged is lost, nothing hangs."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, cast

import anyio
import anyio.to_thread
import httpx
import pytest

from tests.hostile import faults
from tests.hostile.faults import Report, check, endure
from tests.hostile.vitals import descendants
from tests.mcp_api.wire import ERAS, MODERN, call, error_of
from tests.services.publishing import ANYTHING, offer, offer_guest, publish, until
from tests.storage.processes import ROOT, receive, running
from tests.support.guests import extism_wat, guest
from tests.support.kernel import processor_ticks, threads_of
from tests.support.server import RunningServer
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import CallFailed, ToolServerError, Unavailable
from tool_server.model.caller import LOCAL
from tool_server.model.json_value import canonical_json, sha256_hex

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]

MOUNT = ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"']
WORKERS = {"TOOL_SERVER_WORKERS": "2", "TOOL_SERVER_LIMITS__DEFAULT_TIMEOUT": "2s"}


async def test_random_faults_under_load_lose_nothing_that_was_acknowledged() -> None:
    report = await endure(12, seed=20_261_122)
    assert len(report.calls) > 10
    assert report.faults.total() >= 1


@pytest.fixture
def server(tmp_path: Path) -> Generator[RunningServer]:
    """A server of plugins that add and that never end, which need not end well itself."""
    config = Config(data_dir=tmp_path / "data")

    async def prepare() -> None:
        async with build(config) as services:
            await offer(services, "sums")
            await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})

    anyio.run(prepare)
    with tempfile.NamedTemporaryFile("w") as log:
        started = RunningServer(config.data_dir, ["--no-bundled"], WORKERS, cast(IO[str], log))
        try:
            started.wait_until_ready()
            yield started
        finally:
            started.kill()


def client_of(server: RunningServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60)


async def add(client: httpx.AsyncClient, number: int) -> bool:
    """One sum; whether it was answered well."""
    answer = await call(client, ERAS[number % 2], "sums_add", {"a": number, "b": 1})
    return bool(answer["result"].get("structuredContent") == {"sum": number + 1})


async def test_every_call_that_a_killed_server_had_answered_is_in_the_log_after_the_next_start(
    server: RunningServer,
) -> None:
    report = Report(seed=0)

    async def call_on(start: int) -> None:
        async with client_of(server) as client:
            for number in range(start, start + 1_000):
                try:
                    assert await add(client, number)
                except httpx.TransportError:
                    return
                report.calls[sha256_hex(canonical_json({"a": number, "b": 1}))] = 1

    for life in range(3):
        before = len(report.calls)
        async with anyio.create_task_group() as tasks:
            for caller in range(4):
                tasks.start_soon(call_on, 10_000 * life + 1_000 * caller)
            await until(lambda before=before: len(report.calls) >= before + 25)
            os.kill(server.pid, signal.SIGKILL)
        await anyio.to_thread.run_sync(server.crash)
    await anyio.to_thread.run_sync(server.stop)
    assert len(report.calls) >= 75
    check(server.data_dir, report)


async def test_a_worker_that_is_suspended_in_a_call_ends_that_call_in_time_and_no_other(server: RunningServer) -> None:
    async with client_of(server) as client:
        assert await add(client, 1)
        with anyio.fail_after(30):
            while not await at_rest(server.pid):
                pass
        for pid in descendants(server.pid):
            os.kill(pid, signal.SIGSTOP)
        with anyio.fail_after(30):
            answer = await call(client, MODERN, "sums_add", {"a": 1, "b": 1})
            codes = set[str]()
            while answer["result"]["isError"]:
                codes.add(error_of(answer)["code"])
                answer = await call(client, MODERN, "sums_add", {"a": 1, "b": 1})
        assert codes == {"timeout"}


async def test_a_worker_that_is_suspended_while_it_compiles_ends_the_publish_in_time(tmp_path: Path) -> None:
    settings = {"data_dir": tmp_path, "workers": 1, "spare_workers": 0, "limits": {"compile_timeout": "2s"}}
    async with in_process(settings) as services:
        outcome: list[ToolServerError] = []

        async def publish_slowly() -> None:
            with pytest.raises(ToolServerError) as refused:
                await publish(services, "slow", wasm=slow_to_compile(), tools={"go": ANYTHING})
            outcome.append(refused.value)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish_slowly)
                os.kill(await compiling(services), signal.SIGSTOP)
            await publish(services, "sums")
        assert outcome[0].code in ("compile_limit", "invalid_wasm")


async def test_a_publish_whose_process_is_killed_is_told_to_try_again_and_never_that_the_module_is_bad(
    tmp_path: Path,
) -> None:
    async with in_process({"data_dir": tmp_path, "workers": 1, "spare_workers": 0}) as services:
        for _ in range(5):
            async with anyio.create_task_group() as tasks:

                async def publish_slowly() -> None:
                    with pytest.raises(Unavailable) as refused:
                        await publish(services, "slow", wasm=slow_to_compile(), tools={"go": ANYTHING})
                    assert refused.value.code in ("worker_lost", "worker_start_failed")

                tasks.start_soon(publish_slowly)
                os.kill(await compiling(services), signal.SIGKILL)
        await publish(services, "sums")


async def at_rest(pid: int) -> bool:
    """Whether no worker of a server does anything for a while, such as starting."""
    before = {child: processor_ticks(child) for child in descendants(pid)}
    await anyio.sleep(0.3)
    return before == {child: processor_ticks(child) for child in descendants(pid)}


async def compiling(services: Services) -> int:
    """The process that compiles, once one does."""
    await until(lambda: any(len(threads_of(pid)) > 1 for pid in services.pool.pids))
    return next(pid for pid in services.pool.pids if len(threads_of(pid)) > 1)


def slow_to_compile() -> bytes:
    """A module of many functions."""
    steps = "".join(
        f"(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const {k})) (i32.const 77)))" for k in range(60)
    )
    body = "".join(f"(func (param i32) (result i32) {steps} (local.get 0))" for _ in range(4_000))
    return extism_wat(f'{body} (func (export "go") (result i32) (i32.const 0))')


@asynccontextmanager
async def in_process(settings: dict[str, Any]) -> AsyncGenerator[Services]:
    async with build(Config.model_validate(settings), environment={}) as services:
        yield services


async def test_a_server_out_of_descriptors_says_so_and_recovers_once_it_has_some(server: RunningServer) -> None:
    async with client_of(server) as client:
        assert await add(client, 1)
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{server.pid}/fd"))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used, hard))
        for pid in descendants(server.pid):
            os.kill(pid, signal.SIGKILL)
        codes = set[str]()
        with anyio.fail_after(60):
            for number in range(20):
                answer = await call(client, MODERN, "sums_add", {"a": number, "b": 1})
                if answer["result"]["isError"]:
                    codes.add(error_of(answer)["code"])
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
            async with client_of(server) as late:
                while not await add(late, 2):  # noqa: ASYNC110 - the pool's back-off
                    await anyio.sleep(0.05)
        assert codes <= {"worker_start_failed", "worker_lost"}
    server.stop()


async def test_a_database_that_another_process_locks_delays_no_call_and_loses_no_record(server: RunningServer) -> None:
    report = Report(seed=0)
    with running("locker", str(server.data_dir / "tool-server.db")) as locker:
        await anyio.to_thread.run_sync(receive, locker)
        async with client_of(server) as client:
            with anyio.fail_after(30):
                for number in range(100):
                    assert await add(client, number)
                    report.calls[sha256_hex(canonical_json({"a": number, "b": 1}))] = 1
        server.kill()
    server.crash()
    server.stop()
    check(server.data_dir, report)


async def test_a_compile_cache_that_is_deleted_costs_time_and_nothing_else(server: RunningServer) -> None:
    async with client_of(server) as client:
        assert await add(client, 1)
        for _ in range(3):
            shutil.rmtree(server.data_dir / "compiled")
            for pid in descendants(server.pid):
                os.kill(pid, signal.SIGKILL)
            with anyio.fail_after(60):
                while not await add(client, 2):
                    pass
    server.stop()


@pytest.mark.parametrize("harm", ["deleted", "altered", "emptied"])
async def test_an_artifact_that_is_lost_is_told_by_name_and_hurts_no_other_plugin(tmp_path: Path, harm: str) -> None:
    async with in_process({"data_dir": tmp_path, "workers": 1, "spare_workers": 0}) as services:
        await offer(services, "sums")
        await offer_guest(services, "looping", "spin")
        (path,) = (
            file
            for file in (tmp_path / "artifacts").rglob("*")
            if file.is_file() and file.read_bytes() == guest("spin")
        )
        if harm == "deleted":
            path.unlink()
        else:
            path.chmod(0o600)
            path.write_bytes(b"" if harm == "emptied" else guest("spin")[:-1] + b"\0")
        with pytest.raises(Unavailable) as refused:
            await services.invoke.call("looping_spin", {}, LOCAL)
        assert refused.value.code == ("missing_artifact" if harm == "deleted" else "corrupt_artifact")
        result = await services.invoke.call("sums_add", {"a": 1, "b": 1}, LOCAL)
        assert result.structured == {"sum": 2}


def test_calls_go_on_while_the_disk_is_full_and_all_of_them_are_recorded_once_there_is_room(tmp_path: Path) -> None:
    mounted = [*MOUNT, str(tmp_path)]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel lets nobody mount a file system in a namespace of their own")
    command = [*mounted, sys.executable, "-m", "tests.hostile.processes.full_disk", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "calls while full": 299,
        "publish while full": "disk_full",
        "recorded": 300,
        "publish with room": "published",
        "calls with room": 1,
        "journal": 0,
        "problems": [],
        "in the end": 301,
    }


def test_the_long_run_says_its_seed_and_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.main(["1", "3"]) == 0
    assert "seed 3" in capsys.readouterr().out


async def test_a_worker_killed_in_a_call_fails_that_call_alone(tmp_path: Path) -> None:
    async with in_process({"data_dir": tmp_path, "workers": 2, "spare_workers": 1}) as services:
        await offer(services, "sums")
        tool = await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})

        async def spin() -> None:
            with pytest.raises(CallFailed) as failed:
                await services.invoke.call(tool, {}, LOCAL)
            assert failed.value.code == "worker_lost"

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(spin)
                await until(lambda: services.pool.busy == 1)
                for pid in services.pool.pids:
                    os.kill(pid, signal.SIGKILL)
            result = await services.invoke.call("sums_add", {"a": 1, "b": 1}, LOCAL)
        assert result.structured == {"sum": 2}
