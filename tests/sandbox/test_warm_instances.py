"""Instances that idle workers make ready, and those that a tool may keep: fresh for everybody else."""

from __future__ import annotations

import dataclasses

import anyio
import pytest

from tests.sandbox.conftest import PATIENCE, MakePool, Modules, call_of
from tests.support.guests import extism_wat, wat
from tool_server.errors import CallFailed
from tool_server.model.call import Call, GuestOutput
from tool_server.model.release import HostImport
from tool_server.sandbox.host_calls import HostCall, HostFunctions, HostReply
from tool_server.sandbox.instances import KEPT
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.protocol import USER

_LOOKUP = '(import "extism:host/user" "lookup" (func $lookup (param i32) (result i32)))'
_ANSWER = """(func $answer (param $byte i32) (result i32) (local $at i64)
    (local.set $at (call $alloc (i64.const 1))) (call $store_u8 (local.get $at) (local.get $byte))
    (call $output_set (local.get $at) (i64.const 1)) (i32.const 0))"""

# Answers what its start was told by the server.
_ASKS_AT_START = extism_wat(
    f"""{_LOOKUP} {_ANSWER} (global $told (mut i32) (i32.const 0))
    (func (export "__wasm_call_ctors") (global.set $told (call $lookup (i32.const 7))))
    (func (export "run") (result i32)
      (call $answer (i32.add (i32.const 48) (global.get $told))))"""
)
# As before, but loops for ever when it is not told.
_HANGS_WHEN_NOBODY_CALLED = extism_wat(
    f"""{_LOOKUP} {_ANSWER}
    (func (export "__wasm_call_ctors")
      (if (i32.eqz (call $lookup (i32.const 7))) (then (loop $again (br $again)))))
    (func (export "run") (result i32) (call $answer (i32.const 49)))"""
)
_TRAPS_AT_START = wat(
    """(module (global $starts (mut i32) (i32.const 0)) (memory (export "memory") 1)
    (func (export "__wasm_call_ctors") unreachable) (func (export "run") (result i32) (i32.const 0)))"""
)


def _lookup(wasm: bytes) -> Call:
    call = call_of("run", wasm=wasm)
    imports = (HostImport(module=USER, name="lookup", params=("i32",), results=("i32",)),)
    return dataclasses.replace(call, program=call.program.model_copy(update={"imports": imports}))


def _lookups(calls: list[str]) -> HostFunctions:
    async def lookup(question: HostCall) -> HostReply:
        calls.append(question.call.id)
        return HostReply(value=1)

    return HostFunctions({(USER, "lookup"): lookup})


async def _warm(pool: WorkerPool, call: Call) -> GuestOutput:
    """The answer of a call that found its instance ready."""
    with anyio.fail_after(PATIENCE):
        while (output := await pool.run(call)).timings.instantiate_us > 0:  # noqa: ASYNC110 - a worker must idle
            await anyio.sleep(0.02)
    return output


async def test_an_idle_worker_makes_the_next_instance_ready_and_each_serves_one_call(
    make_pool: MakePool, modules: Modules
) -> None:
    modules.add_guests("counter")
    async with make_pool() as pool:
        assert [(await _warm(pool, call_of("counter"))).data for _ in range(10)] == [b"1"] * 10


async def test_a_first_call_makes_nothing_ready(make_pool: MakePool, modules: Modules) -> None:
    modules.add_guests("counter")
    async with make_pool() as pool:
        for _ in range(2):
            assert (await pool.run(call_of("counter"))).timings.instantiate_us > 0
            await anyio.sleep(0.05)  # time in which it would have been made


async def test_a_ready_instance_serves_only_calls_of_its_configuration(make_pool: MakePool, modules: Modules) -> None:
    modules.add_guests("config")
    async with make_pool() as pool:
        first, second = (call_of("config", b"key", config={"key": value}) for value in ("one", "two"))
        assert (await _warm(pool, first)).data == b"one"
        assert (await pool.run(second)).data == b"two"
        assert (await _warm(pool, second)).data == b"two"
        assert (await pool.run(call_of("config", b"key"))).data == b"none"


async def test_a_guest_that_asks_the_server_while_it_starts_is_started_by_its_calls(
    make_pool: MakePool, modules: Modules
) -> None:
    modules.add(_ASKS_AT_START)
    asked: list[str] = []
    async with make_pool(_lookups(asked)) as pool:
        for count in range(1, 6):
            output = await pool.run(_lookup(_ASKS_AT_START))
            assert (output.data, len(asked)) == (b"1", count)
            assert output.timings.instantiate_us > 0
            await anyio.sleep(0.02)  # time in which it would have been made ready


async def test_a_guest_that_hangs_when_nobody_called_harms_no_other_call(make_pool: MakePool, modules: Modules) -> None:
    modules.add(_HANGS_WHEN_NOBODY_CALLED)
    modules.add_guests("echo")
    async with make_pool(_lookups([])) as pool:
        lost = 0
        for _ in range(4):
            before = pool.pids
            for _ in range(2):
                assert (await pool.run(_lookup(_HANGS_WHEN_NOBODY_CALLED))).data == b"1"
            await anyio.sleep(0.05)
            # Its worker hangs by now, as a rule: the call goes to that one all the same.
            assert (await pool.run(call_of("echo", b"here"))).data == b"here"
            lost += not before & pool.pids
    assert lost <= 1, "a program that has ended a worker so is not started early again"


async def test_a_guest_that_traps_while_it_starts_fails_its_own_calls(make_pool: MakePool, modules: Modules) -> None:
    modules.add(_TRAPS_AT_START)
    modules.add_guests("echo")
    async with make_pool() as pool:
        await pool.run(call_of("echo", b"x"))
        before = pool.pids
        for _ in range(4):
            with pytest.raises(CallFailed) as caught:
                await pool.run(call_of("run", wasm=_TRAPS_AT_START))
            assert caught.value.code == "trap"
            await anyio.sleep(0.01)
        assert (await pool.run(call_of("echo", b"here"))).data == b"here"
        assert pool.pids == before


async def test_a_worker_holds_so_many_ready_instances_and_no_more(make_pool: MakePool, modules: Modules) -> None:
    programs = [
        wat(
            f'(module (memory (export "memory") 1) (global i32 (i32.const {n})) '
            '(func (export "run") (result i32) (i32.const 0)))'
        )
        for n in range(KEPT + 1)
    ]
    modules.add(*programs)
    async with make_pool() as pool:
        calls = [call_of("run", wasm=wasm) for wasm in programs]
        for call in calls:
            await _warm(pool, call)
            await anyio.sleep(0.02)
        assert (await pool.run(calls[0])).timings.instantiate_us > 0
        assert (await _warm(pool, calls[-1])).timings.instantiate_us == 0


async def test_a_tool_that_may_keep_its_instance_keeps_one_for_each_caller(
    make_pool: MakePool, modules: Modules
) -> None:
    modules.add_guests("counter")
    async with make_pool() as pool:

        async def count(caller: str, *, reuse: bool = True) -> bytes:
            call = dataclasses.replace(call_of("counter", caller=caller), reuse=reuse)
            return (await pool.run(call)).data

        assert [await count("ann") for _ in range(3)] == [b"1", b"2", b"3"]
        assert [await count("bob") for _ in range(2)] == [b"1", b"2"]
        assert [await count("ann", reuse=False) for _ in range(2)] == [b"1", b"1"]
        assert await count("ann") == b"4"


async def test_a_kept_instance_is_dropped_at_any_error(make_pool: MakePool, modules: Modules) -> None:
    modules.add_guests("counter")
    async with make_pool() as pool:
        call = dataclasses.replace(call_of("counter"), reuse=True)
        assert [(await pool.run(call)).data for _ in range(2)] == [b"1", b"2"]
        with pytest.raises(CallFailed):
            await pool.run(dataclasses.replace(call, export="no_such_export"))
        assert (await pool.run(call)).data == b"1"
