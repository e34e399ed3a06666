"""Several attacks at once, one after another for long, and through every surface of a running server."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.hostile.attacks import ANSWERS, ATTACKS, CATEGORIES, LOOPS, Attack
from tests.hostile.support import (
    SETTINGS,
    Arena,
    attacking_call,
    call_attack,
    code_of,
    memory_of,
    publish_attack,
)
from tests.hostile.vitals import vitals
from tests.http_api.registry import upload
from tests.mcp_api.test_stdio import Conversation
from tests.mcp_api.wire import ERAS, MODERN, call, error_of
from tests.services.publishing import ANYTHING, offer, until
from tests.support.server import RunningServer, running_server, server_environment, stdio_command
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.errors import Unavailable
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.limits import Limits

# Real processes by the hundred.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

CALLED = {name: [attack for attack in attacks if attack.call] for name, attacks in CATEGORIES.items()}
PAIRS = list(itertools.combinations([name for name, attacks in CALLED.items() if attacks], 2))
MEMORY = memory_of(Limits())


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda name: name)
async def test_two_attacks_of_different_kinds_end_by_name_each(arena: Arena, first: str, second: str) -> None:
    chosen = random.Random(f"{first} {second}")  # noqa: S311 - the same at every run
    for _ in range(2):
        attacks = [chosen.choice(CALLED[first]), chosen.choice(CALLED[second])]

        async def work(attacks: list[Attack] = attacks) -> None:
            # One after the other in one worker, as the fair queue gives them: the honest caller keeps the other.
            for attack in attacks:
                await call_attack(arena.services, attack)

        await arena.withstands(work, memory=MEMORY)


async def test_more_attackers_than_workers_all_end_by_name_and_the_honest_caller_is_served(arena: Arena) -> None:
    chosen = random.Random(1).sample([attack for attack in ATTACKS if attack.call], 16)  # noqa: S311

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            for number, attack in enumerate(chosen):
                tasks.start_soon(call_attack, arena.services, attack, f"mallory-{number}")

    # Every worker is taken for up to a time limit again and again: the honest caller's turn comes, no more is claimed.
    await arena.withstands(work, memory=2 * MEMORY, floor=5.0)


async def test_publishing_and_calling_attacks_at_once_end_by_name(arena: Arena) -> None:
    called, published = LOOPS[0], [CATEGORIES["memories"][3], CATEGORIES["loops"][2], CATEGORIES["imports"][0]]
    numbers = itertools.count()

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call_attack, arena.services, called)
            for attack in published:
                tasks.start_soon(publish_attack, arena.services, attack, f"together-{next(numbers)}")

    await arena.withstands(work, memory=MEMORY + 1_024 * 2**20, workers=4, floor=0.05)


async def test_a_caller_who_gives_up_leaves_no_guest_behind(arena: Arena) -> None:
    async def work() -> None:
        await arena.services.artifacts.put(LOOPS[0].wasm)
        for _ in range(3):
            with anyio.move_on_after(0.05) as scope:
                await arena.services.pool.run(attacking_call(LOOPS[0], timeout_ms=60_000))
            assert scope.cancelled_caught

    await arena.withstands(work, memory=MEMORY)


async def test_a_full_queue_answers_at_once_and_drains(tmp_path: Path) -> None:
    limits = {**SETTINGS["limits"], "queue": 5}
    settings = {**SETTINGS, "data_dir": tmp_path, "workers": 1, "limits": limits}
    codes: list[str] = []
    async with build(Config.model_validate(settings), environment={}) as services:
        await offer(services, "honest")
        await services.artifacts.put(LOOPS[0].wasm)

        async def attack() -> None:
            codes.append(await code_of(services.pool.run(attacking_call(LOOPS[0]))))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for _ in range(30):
                    tasks.start_soon(attack)
                await until(lambda: len(codes) >= 20)
                assert set(codes) == {"busy"}
        assert codes.count("busy") >= 20
        assert set(codes) == {"busy", "timeout"}
        assert services.pool.waiting == 0
        assert (await services.invoke.call("honest_add", {"a": 1, "b": 2}, LOCAL)).structured == {"sum": 3}


SAMPLE = [
    next(attack for attack in ATTACKS if attack.name == name)
    for name in (
        "endless loop",
        "sleep of an hour by WASI",
        "recursion without end",
        "memory.grow without end",
        "table.grow without end",
        "forged block header, then error_set",
        "the word at 64 of the kernel's memory overwritten with -1",
        "an error that is not UTF-8",
        "log lines without end",
        "call of an unknown host function without end",
        "end by proc_exit(3)",
    )
]
REFUSED = [attack for attack in ATTACKS if ANSWERS not in attack.publish and len(attack.wasm) < 2**20][::4]


@dataclass(frozen=True, slots=True)
class Site:
    """A running server with the sampled attacks and the honest plugin installed."""

    server: RunningServer
    secret: str

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client of an administrator."""
        headers["Authorization"] = f"Bearer {self.secret}"
        return httpx.AsyncClient(base_url=self.server.url, headers=headers, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    data_dir = tmp_path_factory.mktemp("site") / "data"
    async with build(Config.model_validate({"data_dir": data_dir, **SETTINGS})) as services:
        await offer(services, "honest")
        # A module that imports what nobody offers is published only where it requests that.
        requested = {"functions": ["extism:host/user.x"]}
        for number, attack in enumerate(SAMPLE):
            await offer(services, f"attack-{number}", wasm=attack.wasm, tools={"go": ANYTHING}, permissions=requested)
        secret = (await services.tokens.create("tester", [Scope.ADMIN], LOCAL)).secret
    limits = {f"TOOL_SERVER_LIMITS__{name.upper()}": str(value) for name, value in SETTINGS["limits"].items()}
    environment = {"TOOL_SERVER_WORKERS": "2", **limits}
    with running_server(data_dir, args=["--no-bundled"], env=environment) as server:
        yield Site(server, secret)


def tool_of(attack: Attack) -> str:
    """The MCP name of a sampled attack."""
    return f"attack-{SAMPLE.index(attack)}_go"


async def assert_good_as_new(site: Site) -> None:
    """An honest call works, and the server's children are its live workers."""
    async with site.client() as client:
        answer = await call(client, MODERN, "honest_add", {"a": 40, "b": 2})
        assert answer["result"]["structuredContent"] == {"sum": 42}
    await until(lambda: not vitals(site.server.pid).zombies and len(vitals(site.server.pid).children) <= 3)


@pytest.mark.parametrize("attack", SAMPLE, ids=lambda attack: attack.name)
@pytest.mark.parametrize("era", ERAS)
async def test_an_attack_over_mcp_is_a_result_that_a_model_can_read(site: Site, era: str, attack: Attack) -> None:
    async with site.client() as client:
        with anyio.fail_after(30):
            answer = await call(client, era, tool_of(attack))
    if answer["result"]["isError"]:
        assert error_of(answer)["code"] in attack.call
        assert answer["result"]["content"][0]["text"]
    else:
        assert ANSWERS in attack.call
    await assert_good_as_new(site)


@pytest.mark.parametrize("attack", SAMPLE, ids=lambda attack: attack.name)
async def test_an_attack_over_rest_is_a_problem_with_its_code(site: Site, attack: Attack) -> None:
    async with site.client() as client:
        with anyio.fail_after(30):
            response = await client.post(f"/api/v1/tools/{tool_of(attack)}/call", json={})
    if not response.is_success:
        assert response.json()["code"] in attack.call
        assert response.headers["content-type"] == "application/problem+json"
    else:
        assert ANSWERS in attack.call
    await assert_good_as_new(site)


@pytest.mark.parametrize("attack", REFUSED, ids=lambda attack: attack.name)
async def test_a_hostile_module_uploaded_over_rest_is_refused_by_name(site: Site, attack: Attack) -> None:
    manifest = {"name": "uploaded", "version": "1.0.0", "tools": {"go": ANYTHING}}
    async with site.client() as client:
        with anyio.fail_after(30):
            response = await client.post("/api/v1/plugins", files=upload(manifest, attack.wasm))
        assert response.status_code in (400, 413, 422)
        assert response.json()["code"] in attack.publish
        assert (await client.get("/api/v1/plugins/uploaded")).status_code == 404
    await assert_good_as_new(site)


async def test_attacks_over_stdio_and_by_the_command_end_by_name_as_well(site: Site) -> None:
    data_dir = site.server.data_dir
    settings = {"TOOL_SERVER_LIMITS__DEFAULT_TIMEOUT": "400ms", "TOOL_SERVER_WORKERS": "1"}
    command, arguments = stdio_command(data_dir, "--no-bundled")
    async with await anyio.open_process(
        [command, *arguments], env=server_environment(settings), stderr=None, cwd=data_dir.parent
    ) as process:
        conversation = Conversation(process)
        with anyio.fail_after(60):
            for number, attack in enumerate(SAMPLE):
                answer: dict[str, Any] = await conversation.call(number + 1, MODERN, tool_of(attack), {})
                if answer["result"]["isError"]:
                    assert error_of(answer)["code"] in attack.call
                else:
                    assert ANSWERS in attack.call
            answer = await conversation.call(99, MODERN, "honest_add", {"a": 40, "b": 2})
            assert answer["result"]["structuredContent"] == {"sum": 42}
        process.terminate()
        await process.wait()
    script = "from tool_server.cli.operate import main; main()"
    for attack in SAMPLE[:4]:
        options = ["call", tool_of(attack), "--json", "--data-dir", str(data_dir)]
        done = await anyio.run_process(
            [sys.executable, "-c", script, *options], env=server_environment(settings), check=False
        )
        assert done.returncode == 7
        assert json.loads(done.stdout)["error"]["code"] in attack.call


async def test_many_attacks_leave_a_server_s_memory_descriptors_and_processes_as_they_were(site: Site) -> None:
    async with site.client() as client:

        async def round_of_attacks() -> None:
            async with anyio.create_task_group() as tasks:
                for attack in SAMPLE:
                    tasks.start_soon(call, client, MODERN, tool_of(attack))

        await round_of_attacks()
        await assert_good_as_new(site)
        before = vitals(site.server.pid)
        for _ in range(5):
            with anyio.fail_after(60):
                await round_of_attacks()
        await assert_good_as_new(site)
    await until(lambda: vitals(site.server.pid).descriptors <= before.descriptors + 4)
    after = vitals(site.server.pid)
    assert after.server_private <= before.server_private + 24 * 2**20
    assert os.path.exists(f"/proc/{site.server.pid}")  # noqa: ASYNC240


async def test_a_server_that_shuts_down_under_attack_ends_in_time(tmp_path: Path) -> None:
    settings = {**SETTINGS, "data_dir": tmp_path}
    codes: list[str] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            async with build(Config.model_validate(settings), environment={}) as services:
                await services.artifacts.put(LOOPS[0].wasm)

                async def attack() -> None:
                    codes.append(await code_of(services.pool.run(attacking_call(LOOPS[0], timeout_ms=60_000))))

                for _ in range(4):
                    tasks.start_soon(attack)
                await until(lambda: services.pool.busy == 2)
                await services.pool.end_calls()
    assert codes == [Unavailable("shutting_down", "").code] * 4
