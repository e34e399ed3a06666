"""Killed workers, a killed server, and many calls at once: nothing acknowledged is lost, nothing waits for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import anyio
import httpx
import pytest

from tests.mcp_api.wire import ERAS, MODERN, call, error_of
from tests.services.publishing import offer, offer_guest, until
from tests.support.guests import compile_c
from tests.support.kernel import children_of, is_running, processor_ticks
from tests.support.server import (
    RunningServer,
    extism_registry,
    running_server,
    server_environment,
    tool_server,
)
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.model.json_value import sha256_hex
from tool_server.model.versions import newest_first

pytestmark = pytest.mark.timeout(300)

BOTH = {"a": 1, "b": 2}
WORK = compile_c(
    """EXPORT(work) { read_input(); u32 n = number_of(value_of("n")); volatile u32 x = 1;
    for (u32 i = 0; i < n; i++) x = x * 1664525u + 1013904223u;
    add_text("{\\"n\\":"); add_number(n); add_text("}"); return done(); }"""
)
NUMBER: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WORK_TOOLS = {"work": {"description": "Counts.", "input": NUMBER, "output": NUMBER}}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plugins that add, that count, and that never end."""
    config = Config(data_dir=tmp_path_factory.mktemp("faults") / "data")

    async def offer_all() -> None:
        async with build(config) as services:
            await offer(services, "sums")
            await offer(services, "counting", wasm=WORK, tools=WORK_TOOLS)
            await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})

    anyio.run(offer_all)
    return config.data_dir


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[RunningServer]:
    with running_server(data_dir, args=["--no-bundled"], env={"TOOL_SERVER_WORKERS": "2"}) as running:
        yield running


def workers_of(pid: int) -> set[int]:
    """The live children of a process."""
    return {child for child in children_of(pid) if is_running(child)}


def computing(server: RunningServer, before: Mapping[int, int]) -> set[int]:
    """The workers that have computed for more than 0.1 s since `before`."""
    return {pid for pid in workers_of(server.pid) if processor_ticks(pid) > before.get(pid, 0) + 10}


async def kill(pids: set[int]) -> None:
    """Kill processes and wait until they are gone."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not any(is_running(pid) for pid in pids))


def client_of(server: RunningServer, **headers: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=400)
    return httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=120, limits=limits)


def one(pids: set[int]) -> set[int]:
    """Some one of them."""
    return {min(pids)}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("all_workers", [False, True], ids=["the worker at work", "all workers"])
async def test_a_call_whose_worker_is_killed_fails_by_name_and_the_next_one_works(
    server: RunningServer, era: str, all_workers: bool
) -> None:
    answers: list[dict[str, Any]] = []
    with anyio.fail_after(60):
        async with client_of(server) as client, anyio.create_task_group() as tasks:

            async def spin() -> None:
                answers.append(await call(client, era, "endless_spin"))

            before = {pid: processor_ticks(pid) for pid in workers_of(server.pid)}
            tasks.start_soon(spin)
            await until(lambda: bool(computing(server, before)))
            await kill(workers_of(server.pid) if all_workers else computing(server, before))
        (answer,) = answers
        error = error_of(answer)
        assert (error["kind"], error["code"]) == ("call_failed", "worker_lost")
        assert "Try once more" in answer["result"]["content"][0]["text"]
        async with client_of(server) as client:
            assert (await call(client, era, "sums_add", BOTH))["result"]["structuredContent"] == {"sum": 3}


@pytest.mark.parametrize("victims", [one, set[int]], ids=["one", "all"])
async def test_idle_workers_that_are_killed_are_replaced_without_a_failed_call(
    server: RunningServer, victims: Callable[[set[int]], set[int]]
) -> None:
    async with client_of(server) as client:
        await call(client, MODERN, "sums_add", BOTH)
        for _ in range(3):
            await kill(victims(workers_of(server.pid)))
            answer = await call(client, MODERN, "sums_add", BOTH)
            assert answer["result"].get("structuredContent") == {"sum": 3}, answer


async def test_workers_that_are_killed_under_load_fail_only_the_calls_they_had(server: RunningServer) -> None:
    answers: list[dict[str, Any]] = []
    async with client_of(server) as client, anyio.create_task_group() as tasks:

        async def count(number: int) -> None:
            answers.append(await call(client, MODERN, "counting_work", {"n": 2_000_000 + number}))

        for number in range(60):
            tasks.start_soon(count, number)
        for goal in (10, 30):
            await until(lambda goal=goal: len(answers) >= goal)
            for pid in workers_of(server.pid):
                os.kill(pid, signal.SIGKILL)
    lost = [error_of(answer)["code"] for answer in answers if answer["result"]["isError"]]
    good = [answer["result"]["structuredContent"]["n"] for answer in answers if not answer["result"]["isError"]]
    assert len(answers) == 60
    assert len(lost) <= 2 * 3
    assert set(lost) <= {"worker_lost"}
    assert len(set(good)) == len(good)


async def count_at_once(client: httpx.AsyncClient, numbers: range) -> dict[int, object]:
    """Have a guest count to each number, all at the same time and in both eras; what each call answered."""
    answers: dict[int, object] = {}

    async def count(number: int) -> None:
        answer = await call(client, ERAS[number % 2], "counting_work", {"n": number})
        answers[number] = answer["result"].get("structuredContent", answer)

    async with anyio.create_task_group() as tasks:
        for number in numbers:
            tasks.start_soon(count, number)
    return answers


async def test_two_hundred_calls_at_once_are_answered_right_by_two_workers(server: RunningServer) -> None:
    numbers = range(3_000_000, 3_000_200)
    async with client_of(server) as client:
        await count_at_once(client, numbers[:10])
        # Those that are there by now: what a new process computes to get ready does not count.
        before = {pid: processor_ticks(pid) for pid in workers_of(server.pid)}
        answers = await count_at_once(client, numbers)
        used = computing(server, before) & before.keys()
    assert answers == {number: {"n": number} for number in numbers}
    assert len(used) == 2


async def test_an_endless_loop_among_two_hundred_calls_holds_up_none_of_them(server: RunningServer) -> None:
    sums: dict[int, object] = {}
    ended: list[object] = []
    async with client_of(server) as client, anyio.create_task_group() as outer:
        before = {pid: processor_ticks(pid) for pid in workers_of(server.pid)}

        async def endless() -> None:
            ended.append(await call(client, MODERN, "endless_spin"))

        async def add(number: int) -> None:
            answer = await call(client, MODERN, "sums_add", {"a": number, "b": 1})
            sums[number] = answer["result"]["structuredContent"]["sum"]

        outer.start_soon(endless)
        await until(lambda: bool(computing(server, before)))
        with anyio.fail_after(30):  # the loop goes on for a minute: who waits for it comes too late
            async with anyio.create_task_group() as tasks:
                for number in range(199):
                    tasks.start_soon(add, number)
        assert ended == []
        outer.cancel_scope.cancel()
    assert sums == {number: number + 1 for number in range(199)}


PUBLISHER = """
import sys, httpx
from tests.http_api.registry import upload
from tests.inspection.wasm.encoding import custom
from tests.services.publishing import ADD
from tests.support.guests import guest
url, token = sys.argv[1:]
client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60)
for number in range(10_000):
    manifest = {"name": "stream", "version": f"1.{number}.0", "tools": {"add": ADD}}
    wasm = guest("add") + custom("mark", str(number).encode() * 20_000)
    try:
        answer = client.post("/api/v1/plugins", files=upload(manifest, wasm)).json()
    except httpx.TransportError:
        break
    word = answer["release"]["program"]["digest"] if "release" in answer else answer["kind"] + "/" + answer["code"]
    print(manifest["version"], word, flush=True)
"""
"""Publishes version after version until the server is gone; prints each with its digest, or with the error."""


@contextmanager
def doomed_server(data_dir: Path) -> Generator[RunningServer]:
    """A server that need not end well."""
    with tempfile.NamedTemporaryFile("w") as log:
        server = RunningServer(data_dir, ["--no-bundled"], {"TOOL_SERVER_WORKERS": "2"}, cast(IO[str], log))
        try:
            server.wait_until_ready()
            yield server
        finally:
            server.kill()


@contextmanager
def publishing(server: RunningServer) -> Generator[Iterator[tuple[str, str]]]:
    """Publish without end, from another process; gives versions with their digests or errors."""
    options = ("--scope", "publish", "--json")
    made = json.loads(tool_server("token", "create", uuid4().hex, *options, data_dir=server.data_dir).stdout)
    command = [sys.executable, "-c", PUBLISHER, server.url, made["secret"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=server_environment()) as process:
        assert process.stdout is not None
        try:
            yield ((line.split()[0], line.split()[1]) for line in process.stdout)
        finally:
            process.kill()


def check_storage(data_dir: Path, acknowledged: Mapping[str, str]) -> None:
    """Assert that `db check` is clean, every acknowledged version is there, and at most one other, whole."""
    report = json.loads(tool_server("db", "check", "--json", data_dir=data_dir).stdout)
    assert (report["clean"], report["problems"]) == (True, [])
    with ExitStack() as stack:
        server = stack.enter_context(running_server(data_dir, args=["--no-bundled"]))
        client = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=60))
        found = client.get("/api/v1/plugins/stream/versions").json()["items"]
        stored = {item["version"]: item["digest"] for item in found}
        assert acknowledged.items() <= stored.items()
        assert len(stored) <= len(acknowledged) + 1
        for version, digest in stored.items():
            wasm = client.get(f"/api/v1/artifacts/{digest}").content
            assert sha256_hex(wasm) == digest
            assert client.get("/api/v1/plugins/stream", params={"version": version}).json()["version"] == version
    installed = extism_registry("install", "stream", "--json", data_dir=data_dir)
    assert json.loads(installed.stdout)["installation"]["version"] == newest_first(stored)[0]
    called = tool_server("call", "stream_add", json.dumps(BOTH), "--json", data_dir=data_dir)
    assert json.loads(called.stdout)["structuredContent"] == {"sum": 3}


def test_a_server_killed_while_it_publishes_keeps_what_it_acknowledged_and_shows_no_half_version(
    tmp_path: Path,
) -> None:
    acknowledged: dict[str, str] = {}
    data = tmp_path / "data"
    data.mkdir()
    with doomed_server(data) as server, publishing(server) as lines:
        orphans: set[int] = set()
        for version, digest in lines:
            assert len(digest) == 64, digest
            acknowledged[version] = digest
            if len(acknowledged) == 3:
                orphans = workers_of(server.pid)
                os.kill(server.pid, signal.SIGKILL)
    anyio.run(until, lambda: not any(is_running(pid) for pid in orphans))
    check_storage(data, acknowledged)


def test_workers_killed_while_a_plugin_is_inspected_fail_the_publish_by_name_and_the_next_one_works(
    tmp_path: Path,
) -> None:
    acknowledged: dict[str, str] = {}
    refused: list[str] = []
    data = tmp_path / "data"
    data.mkdir()
    with doomed_server(data) as server, publishing(server) as lines:
        stop = threading.Event()

        def kill_workers() -> None:
            while not stop.is_set():
                for pid in workers_of(server.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_workers)
        killer.start()
        for version, word in lines:
            if "/" in word:
                refused.append(word)
                if len(refused) == 3:
                    stop.set()
                    killer.join()
            else:
                acknowledged[version] = word
                assert stop.is_set() or killer.is_alive()
                if stop.is_set():
                    break
        stop.set()
        killer.join()
        os.kill(server.pid, signal.SIGKILL)
    assert refused
    assert {word.partition("/")[0] for word in refused} <= {"unavailable", "call-failed"}
    assert acknowledged
    check_storage(data, acknowledged)
