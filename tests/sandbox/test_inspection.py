"""Trying modules out in a disposable worker, before anything is stored."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import anyio
import pytest

from tests.sandbox.conftest import PATIENCE, MakePool, Modules, call_of, program_of, until
from tests.support.guests import extism_wat, guest, wat
from tool_server.errors import CallFailed, InvalidInput, Unavailable
from tool_server.interfaces import Probe
from tool_server.model.limits import Limits

_SHORT = Limits(timeout_ms=200)


@functools.cache
def _slow_to_compile(functions: int) -> bytes:
    steps = "".join(
        f"(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const {k})) (i32.const 77)))" for k in range(60)
    )
    body = "".join(f"(func (param i32) (result i32) {steps} (local.get 0))" for _ in range(functions))
    return extism_wat(f'{body} (func (export "go") (result i32) (i32.const 0))')


async def test_probes_give_outputs_and_errors_in_their_order(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        outcomes = await pool.inspect(
            program_of("servlet"),
            guest("servlet"),
            [
                Probe("describe"),
                Probe("missing"),
                Probe("call", b'{"params":{"name":"sum","arguments":{"a":1,"b":2}}}'),
                Probe("call", b'{"params":{"name":"?"}}'),
            ],
        )
        described, missing, called, failed = outcomes
        assert isinstance(described, bytes)
        assert [tool["name"] for tool in json.loads(described)["tools"]] == ["shout", "sum", "refuse"]
        assert isinstance(missing, CallFailed)
        assert missing.code == "missing_export"
        assert isinstance(called, bytes)
        assert json.loads(called)["structuredContent"] == {"sum": 3}
        assert isinstance(failed, CallFailed)
        assert (failed.code, failed.message) == ("guest_error", "unknown tool")


async def test_each_probe_has_its_own_instance_and_survives_a_hanging_one(make_pool: MakePool) -> None:
    wasm = guest("counter")
    async with make_pool() as pool:
        assert await pool.inspect(program_of("counter"), wasm, [Probe("counter")] * 3) == (b"1",) * 3
        hanging = await pool.inspect(program_of("sleep"), guest("sleep"), [Probe("sleep"), Probe("no")], _SHORT)
    assert [outcome.code for outcome in hanging if isinstance(outcome, CallFailed)] == ["timeout", "missing_export"]


async def test_no_process_stays_after_an_inspection(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        await pool.inspect(program_of("echo"), guest("echo"))
        assert pool.pids == frozenset()


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (b"", "not a WebAssembly module"),
        (bytes(100), "not a WebAssembly module"),
        (b'{"wasm":[{"path":"/etc/hostname"}],"allowed_paths":{"/":"/"}}', "not a WebAssembly module"),
        (b"\0asm\x0d\0\x01\0", "not a WebAssembly module"),
        (guest("echo")[:200], "the engine refuses the module"),
        (b"\0asm\x01\0\0\0" + bytes(100), "the engine refuses the module"),
        (wat('(module (import "nowhere" "nothing" (func)) (func (export "go")))'), "nowhere"),
        (wat('(module (import "extism:host/env" "a\\00b" (func)) (func (export "go")))'), "the module"),
        (guest("start_loop"), "start function did not finish within 200 ms"),
        (guest("start_log"), "crashes the engine"),
    ],
    ids=[
        "empty",
        "zeros",
        "manifest",
        "component",
        "cut",
        "no-sections",
        "import",
        "nul",
        "start-loop",
        "start-log",
    ],
)
async def test_a_module_the_engine_cannot_use_is_refused_with_its_reason(
    make_pool: MakePool, wasm: bytes, reason: str
) -> None:
    async with make_pool() as pool:
        with anyio.fail_after(PATIENCE), pytest.raises(InvalidInput, match=reason) as caught:
            await pool.inspect(program_of("x", wasm), wasm, [Probe("go")], _SHORT)
        assert caught.value.code == "invalid_wasm"
        assert re.search(r"(?<!\w)/\w+/\w", caught.value.message) is None
        assert "\n" not in caught.value.message
        assert await pool.inspect(program_of("echo"), guest("echo"), [Probe("echo", b"x")]) == (b"x",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"compile_timeout_ms": 100}, "longer than 0.1 s"), ({"compile_memory": 40 * 2**20}, "more memory")],
    ids=["time", "memory"],
)
async def test_a_module_that_costs_too_much_to_compile_is_refused(
    make_pool: MakePool, tmp_path: Path, settings: dict[str, int], words: str
) -> None:
    wasm = _slow_to_compile(2_000)
    async with make_pool(compile_cache=tmp_path, **settings) as pool:
        with pytest.raises(InvalidInput, match=words) as caught:
            await pool.inspect(program_of("slow", wasm), wasm)
    assert caught.value.code == "compile_limit"


@pytest.mark.parametrize("fuel", [None, 10**9])
async def test_calls_find_the_code_that_the_inspection_compiled(
    make_pool: MakePool, modules: Modules, tmp_path: Path, fuel: int | None
) -> None:
    wasm = _slow_to_compile(50)
    modules.add(wasm)

    def compiled() -> set[str]:
        return {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".stats"}

    async with make_pool(compile_cache=tmp_path) as pool:
        await pool.inspect(program_of("slow", wasm), wasm, (), Limits(fuel=fuel))
        before = compiled()
        assert before
        await pool.run(call_of("slow", export="go", wasm=wasm, fuel=fuel, memory_bytes=2**20, timeout_ms=1_000))
    assert compiled() == before


async def test_a_missing_cache_is_filled_by_the_call_itself(
    make_pool: MakePool, modules: Modules, tmp_path: Path
) -> None:
    modules.add_guests("echo")
    async with make_pool(compile_cache=tmp_path / "new" / "folder") as pool:
        assert (await pool.run(call_of("echo", b"x"))).data == b"x"
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700
    assert any(path.is_file() for path in (tmp_path / "new" / "folder").rglob("*"))


async def test_a_cache_folder_that_cannot_be_made_is_reported(make_pool: MakePool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="compile cache") as caught:
        async with make_pool(compile_cache=tmp_path / "file" / "cache"):
            pass
    assert caught.value.code == "storage_error"


async def test_cancelling_an_inspection_ends_its_process(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.inspect, program_of("start_loop"), guest("start_loop"))
            await until(lambda: pool.busy == 1)
            tasks.cancel_scope.cancel()
        assert pool.pids == frozenset()
