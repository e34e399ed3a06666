"""One call after another in real workers: outputs, every error code, bounds, config, logs, host functions."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.sandbox.conftest import PATIENCE, MakePool, Modules, call_of
from tests.support.guests import extism_wat, guest, guest_names
from tool_server.errors import CallFailed, Denied, InvalidInput, NotFound
from tool_server.sandbox.host_calls import HostCall, HostFunctions, HostReply
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.protocol import ENV, USER
from tool_server.sandbox.settings import PoolSettings


@pytest.fixture(scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerPool]:
    modules = Modules()
    modules.add_guests(*guest_names())
    settings = PoolSettings(workers=1, spares=1, compile_cache=tmp_path_factory.mktemp("compiled"), loaded=100)
    async with WorkerPool(settings, modules.read) as ready:
        yield ready


@pytest.mark.parametrize(
    ("name", "data", "output"),
    [
        ("echo", b"any bytes \x00\xff", b"any bytes \x00\xff"),
        ("echo", b"", b""),
        ("greet", b'{"name":"Ann"}', b'{"greeting":"Hello, Ann!"}'),
        ("add", b'{"a":2,"b":-44}', b'{"sum":-42}'),
        ("void", b"", b""),
        ("not_utf8", b"", b"\xff\xfe\x80"),
        ("divide", b"one byte", b""),
    ],
)
async def test_a_guest_s_output_comes_back_byte_for_byte(
    pool: WorkerPool, name: str, data: bytes, output: bytes
) -> None:
    assert (await pool.run(call_of(name, data))).data == output


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("trap", "trap", "wasm trap: wasm `unreachable` instruction executed"),
        ("divide", "trap", "integer divide by zero"),
        ("out_of_bounds", "trap", "out of bounds memory access"),
        ("stack_overflow", "trap", "call stack exhausted (in deep)"),
        ("var_bomb", "trap", "Variable store is full"),
        ("memory_bomb", "out_of_memory", "more memory than its limit allows"),
        ("table_bomb", "out_of_memory", "more memory than its limit allows"),
        ("big_memory", "out_of_memory", "more memory than its limit allows"),
        ("error", "guest_error", "the thing is broken: bring a new one"),
        ("error_with_success_code", "guest_error", "said no"),
        ("error_not_utf8", "guest_error", "bad \ufffd\ufffd bytes"),
        ("code7", "guest_error", "code7 returned code 7"),
        ("wasi_exit", "guest_error", "exit code 3"),
        ("start_log", "worker_lost", "ended unexpectedly"),
    ],
)
async def test_every_way_to_fail_has_its_code_and_the_next_call_works(
    pool: WorkerPool, name: str, code: str, words: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await pool.run(call_of(name))
    assert (caught.value.code, "/" in caught.value.message) == (code, False)
    assert words in caught.value.message
    assert (await pool.run(call_of("echo", b"next"))).data == b"next"


@pytest.mark.parametrize("name", ["spin", "sleep", "start_loop", "initialize_loop"])
async def test_a_guest_without_end_is_stopped_wherever_it_hangs(pool: WorkerPool, name: str) -> None:
    with anyio.fail_after(PATIENCE), pytest.raises(CallFailed, match="200 ms") as caught:
        await pool.run(call_of(name, timeout_ms=200))
    assert caught.value.code == "timeout"
    assert (await pool.run(call_of("echo", b"next"))).data == b"next"


@pytest.mark.parametrize("name", ["spin", "start_loop", "initialize_loop"])
async def test_fuel_stops_a_guest_before_its_time_is_up(pool: WorkerPool, name: str) -> None:
    with anyio.fail_after(PATIENCE), pytest.raises(CallFailed) as caught:
        await pool.run(call_of(name, fuel=1_000_000, timeout_ms=3_600_000))
    assert caught.value.code == "out_of_fuel"


async def test_enough_fuel_changes_nothing(pool: WorkerPool) -> None:
    assert (await pool.run(call_of("echo", b"x", fuel=10_000_000))).data == b"x"


async def test_a_missing_export_is_named(pool: WorkerPool) -> None:
    with pytest.raises(CallFailed, match="no function named 'nope'") as caught:
        await pool.run(call_of("echo", export="nope"))
    assert caught.value.code == "missing_export"


async def test_a_long_error_message_is_cut(pool: WorkerPool) -> None:
    with pytest.raises(CallFailed) as caught:
        await pool.run(call_of("error_long"))
    assert caught.value.message == "e" * 8_192 + "…"


async def test_each_call_gets_a_fresh_instance(pool: WorkerPool) -> None:
    assert [(await pool.run(call_of("counter"))).data for _ in range(5)] == [b"1"] * 5


async def test_output_is_accepted_up_to_its_bound_and_refused_above(pool: WorkerPool) -> None:
    assert len((await pool.run(call_of("big_output", b"100000", output_bytes=100_000))).data) == 100_000
    with pytest.raises(CallFailed, match="100001 bytes; at most 100000") as caught:
        await pool.run(call_of("big_output", b"100001", output_bytes=100_000))
    assert caught.value.code == "output_too_large"
    assert len((await pool.run(call_of("big_output", b"4000000"))).data) == 4_000_000


async def test_input_is_accepted_up_to_its_bound_and_refused_above(pool: WorkerPool) -> None:
    assert (await pool.run(call_of("echo", b"12345678", input_bytes=8))).data == b"12345678"
    with pytest.raises(InvalidInput, match="9 bytes; at most 8") as caught:
        await pool.run(call_of("echo", b"123456789", input_bytes=8))
    assert caught.value.code == "input_too_large"


async def test_each_program_has_its_own_memory_limit_whatever_ran_before(make_pool: MakePool, modules: Modules) -> None:
    large = extism_wat('(memory (export "memory") 4096) (func (export "large") (result i32) (i32.const 0))')
    modules.add(large)
    modules.add_guests("echo")
    async with make_pool() as pool:
        for _ in range(2):
            assert (await pool.run(call_of("large", wasm=large, memory_bytes=257 * 2**20))).data == b""
            assert (await pool.run(call_of("echo", b"x", memory_bytes=2**22))).data == b"x"
        with pytest.raises(CallFailed) as caught:
            await pool.run(call_of("large", wasm=large, memory_bytes=2**20))
        assert caught.value.code == "out_of_memory"


async def test_timings_say_where_the_time_went(pool: WorkerPool) -> None:
    first = (await pool.run(call_of("work", b"200000", timeout_ms=29_999))).timings
    second = (await pool.run(call_of("work", b"200000", timeout_ms=29_999))).timings
    assert first.instantiate_us > second.instantiate_us > 0
    assert second.run_us > 0
    assert second.queue_us >= 0


async def test_config_reaches_only_the_call_it_belongs_to(pool: WorkerPool) -> None:
    asked = [
        (await pool.run(call_of(name, b"LANG", config=config))).data
        for name in ("config", "user_config")
        for config in ({"LANG": "de"}, {}, {"OTHER": "x"}, {"LANG": "ünï"})
    ]
    assert asked == [b"de", b"none", b"none", "ünï".encode()] * 2


async def test_log_lines_carry_level_plugin_and_call(pool: WorkerPool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tool_server.guest"):
        await pool.run(call_of("logs"))
    seen = [(r.levelname, r.getMessage(), r.__dict__["plugin"], r.__dict__["call_id"]) for r in caplog.records]
    assert seen == [
        (level, text, "plugin-logs", "call-logs")
        for level, text in (
            ("DEBUG", "a debug line"),
            ("INFO", "an info line"),
            ("WARNING", "a warning"),
            ("ERROR", "an error line"),
        )
    ]


async def test_a_flood_of_log_lines_is_bounded_and_counted(pool: WorkerPool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tool_server.guest"):
        assert (await pool.run(call_of("log_flood", b"50000"))).data == b"flooded"
    assert len(caplog.records) == 1_001
    assert caplog.records[-1].getMessage() == "49000 further log lines were dropped"


async def test_a_pool_without_a_handler_for_http_makes_no_request(pool: WorkerPool) -> None:
    with pytest.raises(CallFailed, match="host function http_request is not available") as caught:
        await pool.run(call_of("http", b"https://user:secret@api.example.com:8443/path?q=1"))
    assert caught.value.code == "host_function"
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", ["host_function", "host_function_then_spin"])
async def test_an_unknown_host_function_ends_the_call_at_once(pool: WorkerPool, name: str) -> None:
    with anyio.fail_after(PATIENCE), pytest.raises(CallFailed, match="host function lookup is not") as caught:
        await pool.run(call_of(name, timeout_ms=3_600_000))
    assert caught.value.code == "host_function"
    assert (await pool.run(call_of("echo", b"next"))).data == b"next"


async def test_a_module_that_is_a_manifest_in_disguise_is_never_given_to_the_engine(
    make_pool: MakePool, modules: Modules
) -> None:
    manifest = json.dumps({"wasm": [{"data": list(guest("echo"))}], "allowed_paths": {"/": "/"}}).encode()
    modules.add(manifest)
    async with make_pool() as pool:
        with pytest.raises(CallFailed, match="not a WebAssembly module") as caught:
            await pool.run(call_of("echo", wasm=manifest))
        assert caught.value.code == "trap"
        modules.add_guests("echo")
        assert (await pool.run(call_of("echo", b"next"))).data == b"next"


async def test_an_artifact_that_is_not_there_is_the_reader_s_error(make_pool: MakePool) -> None:
    async with make_pool() as pool:
        with pytest.raises(NotFound, match="there is no artifact"):
            await pool.run(call_of("echo"))


async def test_an_artifact_store_that_hangs_does_not_hold_the_call(compile_cache: Path) -> None:
    async def read(digest: str) -> bytes:
        await anyio.sleep_forever()
        return digest.encode()

    settings = PoolSettings(workers=1, spares=0, compile_cache=compile_cache, compile_timeout_ms=50)
    async with WorkerPool(settings, read) as pool:
        with (
            anyio.fail_after(PATIENCE),
            pytest.raises(CallFailed, match=r"loading the plugin took longer than 0\.05 s"),
        ):
            await pool.run(call_of("echo"))


async def test_a_loaded_program_is_read_once_and_an_evicted_one_again(make_pool: MakePool, modules: Modules) -> None:
    modules.add_guests("echo", "void", "counter")
    async with make_pool(loaded=2) as pool:
        for name in ("echo", "void", "echo", "echo"):
            await pool.run(call_of(name))
        assert modules.reads == 2
        await pool.run(call_of("counter"))
        await pool.run(call_of("echo"))
        assert modules.reads == 3
        await pool.run(call_of("void"))
        assert modules.reads == 4


async def test_handlers_give_guests_bytes_status_and_headers(make_pool: MakePool, modules: Modules) -> None:
    seen: list[HostCall] = []

    async def http(question: HostCall) -> HostReply:
        seen.append(question)
        return HostReply(b"the body", status=201, headers={"x": "y"})

    async def lookup(question: HostCall) -> HostReply:
        return HostReply(question.blocks[0][::-1])

    headers = extism_wat(
        """(memory 1) (func (export "headers") (result i32) (local $at i64)
        (drop (call $http_request (call $alloc (i64.const 2)) (i64.const 0)))
        (local.set $at (call $http_headers))
        (call $output_set (local.get $at) (call $length (local.get $at))) (i32.const 0))"""
    )
    modules.add(headers)
    modules.add_guests("http", "host_function")
    functions = HostFunctions({(ENV, "http_request"): http, (USER, "lookup"): lookup})
    async with make_pool(functions) as pool:
        assert (await pool.run(call_of("http", b"http://x.example/"))).data == b"201 the body"
        assert (await pool.run(call_of("host_function", b"abc"))).data == b"cba"
        assert (await pool.run(call_of("headers", wasm=headers))).data == b'{"x":"y"}'
    assert json.loads(seen[0].blocks[0])["url"] == "http://x.example/"
    assert (seen[0].blocks[1], seen[0].call.plugin) == (b"", "plugin-http")


async def test_a_handler_that_takes_longer_than_the_call_may_is_cancelled(
    make_pool: MakePool, modules: Modules
) -> None:
    cancelled = anyio.Event()

    async def lookup(question: HostCall) -> HostReply:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise Denied("unreachable", question.name)

    modules.add_guests("host_function")
    async with make_pool(HostFunctions({(USER, "lookup"): lookup})) as pool:
        with anyio.fail_after(PATIENCE), pytest.raises(CallFailed) as caught:
            await pool.run(call_of("host_function", timeout_ms=50))
    assert caught.value.code == "timeout"
    assert cancelled.is_set()


async def test_a_long_input_survives_the_loading_of_a_large_module(make_pool: MakePool, modules: Modules) -> None:
    code = "".join(f"(func (result i64) (i64.const {n}) (i64.const {n * 7_919}) (i64.mul))" for n in range(9_000))
    copy = extism_wat(
        f"""{code} (func (export "run") (result i32) (local $at i64) (local $i i64)
          (local.set $at (call $alloc (call $input_length)))
          (loop $next
            (call $store_u8 (i64.add (local.get $at) (local.get $i)) (call $input_load_u8 (local.get $i)))
            (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (call $input_length))))
          (call $output_set (local.get $at) (call $input_length)) (i32.const 0))"""
    )
    modules.add(copy)
    sent = bytes(range(256)) * 1_024
    assert min(len(copy), len(sent)) > 2**16
    async with make_pool() as pool:
        assert (await pool.run(call_of("run", sent, wasm=copy))).data == sent
