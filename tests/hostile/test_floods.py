"""Floods against a real pool: whoever floods, with whatever guests, others are served as if nobody did."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.http_api.registry import Registry, assert_problem, running_registry
from tests.mcp_api.wire import MODERN, call, error_of, text_of
from tests.sandbox.conftest import until
from tests.services.publishing import offer, offer_guest
from tests.support.guests import guest
from tests.support.programs import call_of, program_of
from tool_server.errors import CallFailed, Unavailable
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.json_value import sha256_hex
from tool_server.model.limits import Limits
from tool_server.sandbox.accounts import Allowance
from tool_server.sandbox.host_calls import HostCall, HostFunctions, HostReply
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.protocol import USER
from tool_server.sandbox.settings import PoolSettings

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow, pytest.mark.alone]

FLOOD = 2_000
ENDLESS = Limits(timeout_ms=500)
ROUNDS, CALLS = 3, 25


@pytest.fixture(scope="module")
def compile_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@asynccontextmanager
async def pool_of(
    compile_cache: Path, functions: HostFunctions | None = None, **settings: Any
) -> AsyncGenerator[WorkerPool]:
    """A warm pool that serves a few guests, compiled already."""
    modules = {sha256_hex(guest(name)): guest(name) for name in ("echo", "spin", "sleep", "work", "host_function")}

    async def read(digest: str) -> bytes:
        return modules[digest]

    usual: dict[str, Any] = {"workers": 2, "spares": 1, "reserve": 2, "compile_cache": compile_cache}
    async with WorkerPool(PoolSettings(**{**usual, **settings}), read, functions) as pool:
        await pool.warm()
        for wasm in modules.values():
            await pool.inspect(program_of(wasm), wasm)
        yield pool


class Flood:
    """Calls of one caller that never end by themselves, and what became of them."""

    def __init__(self, pool: WorkerPool, caller: str = "flood", guest_name: str = "spin") -> None:
        self._pool = pool
        self._caller = caller
        self._guest = guest_name
        self.endings = Counter[str]()

    async def run(self, calls: int = FLOOD) -> None:
        """Send them all at once, and wait for all endings."""
        async with anyio.create_task_group() as tasks:
            for _ in range(calls):
                tasks.start_soon(self._call)

    async def _call(self) -> None:
        try:
            await self._pool.run(call_of(guest(self._guest), self._guest, b"", caller=self._caller, limits=ENDLESS))
        except (CallFailed, Unavailable) as error:
            self.endings[error.code] += 1


async def honest_calls(pool: WorkerPool, count: int = CALLS, caller: str = "honest") -> list[float]:
    """Sequential calls with right answers; seconds that each took."""
    seconds: list[float] = []
    for number in range(count):
        started = time.perf_counter()
        output = await pool.run(call_of(guest("echo"), "echo", b"%d" % number, caller=caller))
        seconds.append(time.perf_counter() - started)
        assert output.data == b"%d" % number
    return seconds


async def test_a_flood_of_endless_guests_costs_another_caller_nothing_but_the_cores_they_burn(
    compile_cache: Path,
) -> None:
    calm: list[float] = []
    flooded: list[float] = []
    async with pool_of(compile_cache) as pool:
        await honest_calls(pool)
        for _ in range(ROUNDS):
            calm += await honest_calls(pool, 200)
            flood = Flood(pool)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flood.run)
                await until(lambda: pool.waiting >= 900)
                # Long enough for endless guests to be killed and followed by others meanwhile.
                while flood.endings["timeout"] < 4:
                    flooded += await honest_calls(pool, 50)
                tasks.cancel_scope.cancel()
            assert flood.endings["busy"] >= FLOOD - 1_000 - 2
            await until(lambda: (pool.waiting, pool.busy) == (0, 0))
    ratio = statistics.median(flooded) / statistics.median(calm)
    worst = sorted(flooded)[-10]
    print(f"median {ratio:.1f} times undisturbed, tenth worst {worst * 1_000:.0f} ms")  # noqa: T201 - what is measured
    assert ratio < 3
    # Without the reserve each call would wait for a permit, half of an endless guest's time and more.
    assert worst < ENDLESS.timeout_ms / 1000


async def test_every_call_of_a_flood_has_an_end_and_the_pool_is_as_good_as_new(compile_cache: Path) -> None:
    async with pool_of(compile_cache, queue=20) as pool:
        flood = Flood(pool)
        with anyio.fail_after(120):
            await flood.run()
        assert flood.endings.total() == FLOOD
        assert flood.endings.keys() == {"busy", "timeout"}
        assert flood.endings["timeout"] == 22
        assert (pool.busy, pool.waiting) == (0, 0)
        assert len(await honest_calls(pool)) == CALLS
        assert len(pool.pids) <= 2 + 2 + 1


async def test_floods_of_many_callers_leave_room_for_one_more(compile_cache: Path) -> None:
    async with pool_of(compile_cache, queue=100) as pool:
        floods = [Flood(pool, f"flood-{number}") for number in range(8)]
        async with anyio.create_task_group() as tasks:
            for flood in floods:
                tasks.start_soon(flood.run, 200)
            await until(lambda: pool.waiting == 100)
            with anyio.fail_after(60):
                await honest_calls(pool, 3)
            tasks.cancel_scope.cancel()
        assert all(flood.endings["busy"] for flood in floods)


async def test_one_caller_cannot_have_more_at_once_than_its_bound(compile_cache: Path) -> None:
    async with pool_of(compile_cache, workers=3, caller=Allowance(calls=1, queue=5)) as pool:
        flood, most = Flood(pool), 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood.run, 50)
            await until(lambda: flood.endings["busy"] == 44)
            while flood.endings["timeout"] < 3:
                most = max(most, pool.busy)
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert most == 1
        assert len(await honest_calls(pool)) == CALLS


async def test_killed_calls_are_charged_their_time_and_a_spent_budget_says_when_to_come_back(
    compile_cache: Path,
) -> None:
    async with pool_of(compile_cache, caller=Allowance(cpu_s=0.8)) as pool:
        # Nothing but a kill ends this guest, and then its worker cannot say that it used next to no CPU.
        flood = Flood(pool, guest_name="sleep")
        await flood.run(40)
        # Two at once, half a second and more each: the budget is spent after a round, or two.
        assert 2 <= flood.endings["timeout"] <= 4
        assert flood.endings["busy"] == 40 - flood.endings["timeout"]
        with pytest.raises(Unavailable, match="CPU seconds a minute") as refused:
            await pool.run(call_of(guest("echo"), "echo", b"", caller="flood"))
        assert refused.value.data["retry_after_ms"] > 1_000
        assert len(await honest_calls(pool, 5)) == 5


async def test_what_a_call_computes_is_charged_and_what_it_waits_for_is_not(compile_cache: Path) -> None:
    async def slow_lookup(question: HostCall) -> HostReply:
        await anyio.sleep(1)
        return HostReply(b"found")

    functions = HostFunctions({(USER, "lookup"): slow_lookup})
    async with pool_of(compile_cache, functions, plugin=Allowance(cpu_s=0.5)) as pool:
        for _ in range(2):
            waiting = await pool.run(call_of(guest("host_function"), "host_function", b"x"))
            assert waiting.timings.run_us > 900_000

        async def compute() -> None:
            for _ in range(50):
                await pool.run(call_of(guest("work"), "work", b"200000000"))

        with pytest.raises(Unavailable, match="this plugin has used up"):
            await compute()
        await pool.run(call_of(guest("host_function"), "host_function", b"x"))


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncGenerator[Registry]:
    limits = {"queue": 4, "reserve": 1}
    async with running_registry(tmp_path / "data", limits=limits) as running:
        await offer_guest(running.services, "endless", "spin", limits={"timeout": "60s"})
        await offer(running.services, "sums")
        yield running


async def test_over_http_a_full_queue_says_429_and_when_and_a_token_holder_is_served_all_the_same(
    registry: Registry,
) -> None:
    pool = registry.services.pool
    limits = httpx.Limits(max_connections=100)
    async with (
        httpx.AsyncClient(base_url=registry.url, timeout=60, trust_env=False, limits=limits) as flooding,
        registry.client("call") as client,
        registry.client() as anonymous,
    ):
        answers: list[httpx.Response] = []

        async def flood() -> None:
            answers.append(await flooding.post("/api/v1/tools/endless_spin/call", json={}))

        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(flood)
            await until(lambda: pool.waiting == 4 and len(answers) == 25)
            for response in answers:
                assert_problem(response, 429, "busy")
                assert int(response.headers["retry-after"]) >= 1
            refused = await call(anonymous, MODERN, "endless_spin", {})
            assert refused["result"]["isError"] is True
            assert "Try again in " in text_of(refused)
            assert error_of(refused)["code"] == "busy"
            assert error_of(refused)["data"]["retry_after_ms"] >= 1_000
            with anyio.fail_after(30):
                for number in range(10):
                    answer = await client.post("/api/v1/tools/sums_add/call", json={"a": number, "b": 1})
                    assert answer.json()["structuredContent"] == {"sum": number + 1}
            tasks.cancel_scope.cancel()
    await until(lambda: (pool.busy, pool.waiting) == (0, 0))


async def test_tokens_are_callers_of_their_own(registry: Registry) -> None:
    made = await registry.services.tokens.create("second", [Scope.CALL], LOCAL)
    pool = registry.services.pool
    headers = {"Authorization": f"Bearer {made.secret}"}
    async with registry.client("call") as first, registry.client(**headers) as second:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(lambda: first.post("/api/v1/tools/endless_spin/call", json={}))
            await until(lambda: pool.waiting == 4)
            answer = await second.post("/api/v1/tools/sums_add/call", json={"a": 1, "b": 1})
            assert answer.json()["structuredContent"] == {"sum": 2}
            tasks.cancel_scope.cancel()
    await until(lambda: (pool.busy, pool.waiting) == (0, 0))
