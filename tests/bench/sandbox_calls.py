"""What a call through the pool costs: fresh, with an instance ready, with much data, and the first of all."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import anyio

from tests.bench.floors import echo_process, first_call
from tests.bench.report import Figure, ratio_figure
from tests.support.guests import extism_wat, guest
from tests.support.programs import call_of, pool_for
from tool_server.model.call import Call
from tool_server.model.limits import Limits
from tool_server.sandbox.pool import WorkerPool

_TEXT = b"0123456789"
_IDLE_S = 0.005
"""Long enough for a worker to make the next instance ready."""
_MEGABYTE = bytes(range(256)) * 4_096

# Copies its input eight bytes at a time, as every plugin kit does on the way in and out.
_COPY = """(func (export "copy") (result i32) (local $n i64) (local $at i64) (local $i i64)
  (local.set $n (call $input_length)) (local.set $at (call $alloc (local.get $n)))
  (loop $next
    (call $store_u64 (i64.add (local.get $at) (local.get $i)) (call $input_load_u64 (local.get $i)))
    (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 8))) (local.get $n))))
  (call $output_set (local.get $at) (local.get $n)) (i32.const 0))"""

_FUNCTIONS = 9_000


def measure_fresh() -> Figure:
    """A call in a fresh instance."""
    return anyio.run(_fresh, backend_options={"use_uvloop": True})


def measure_warm() -> Figure:
    """A call that finds its instance ready."""
    return anyio.run(_warm, backend_options={"use_uvloop": True})


def measure_megabyte() -> Figure:
    """A call with a megabyte in and out."""
    return anyio.run(_megabyte, backend_options={"use_uvloop": True})


def measure_first_call() -> Figure:
    """The first call of a compiled plugin after the pool's start."""
    return anyio.run(_first_call, backend_options={"use_uvloop": True})


async def _fresh() -> Figure:
    wasm, ours, floors = guest("echo"), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), wasm)
        with echo_process(path, "echo", fresh=True) as floor:
            async with pool_for(Path(folder), {"echo": wasm}, workers=1) as pool:
                call = call_of(wasm, "echo", _TEXT)
                await pool.run(call)
                for _ in range(15):
                    floors.append(statistics.median([floor.call(_TEXT) for _ in range(200)]))
                    ours.append(statistics.median([await _timed(pool, call) for _ in range(200)]))
    return _figure("sandbox_call", ours, floors, 1.2, "socket echo + Plugin(compiled) + call")


async def _warm() -> Figure:
    wasm, ours, floors = guest("echo"), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), wasm)
        with echo_process(path, "echo", fresh=False) as floor:
            async with pool_for(Path(folder), {"echo": wasm}, workers=1) as pool:
                call = call_of(wasm, "echo", _TEXT)
                for _ in range(15):
                    low, mine = list[float](), list[float]()
                    while len(mine) < 60:
                        await anyio.sleep(_IDLE_S)
                        low.append(floor.call(_TEXT))
                        await anyio.sleep(_IDLE_S)
                        started = time.perf_counter()
                        output = await pool.run(call)
                        if output.timings.instantiate_us == 0:
                            mine.append(time.perf_counter() - started)
                    floors.append(statistics.median(low))
                    ours.append(statistics.median(mine))
    return _figure("warm_call", ours, floors, 1.5, "socket echo + reused Plugin.call, both after an idle moment")


async def _megabyte() -> Figure:
    wasm, ours, floors = extism_wat(_COPY), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), wasm)
        with echo_process(path, "copy", fresh=False) as floor:
            async with pool_for(Path(folder), {"copy": wasm}, workers=1) as pool:
                call = call_of(wasm, "copy", _MEGABYTE)
                assert (await pool.run(call)).data == _MEGABYTE
                for _ in range(15):
                    floors.append(statistics.median([floor.call(_MEGABYTE) for _ in range(20)]))
                    ours.append(statistics.median([await _timed(pool, call) for _ in range(20)]))
    return _figure("megabyte_call", ours, floors, 1.5, "1 MiB through a bare socket and a reused Plugin.call")


async def _first_call() -> Figure:
    wasm, ours, floors = _large_module(), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        path, cache = _written(Path(folder), wasm), Path(folder, "floor")
        call = dataclasses.replace(call_of(wasm, "run", b""), limits=Limits(timeout_ms=60_000))
        async with pool_for(Path(folder), {"large": wasm}, workers=1) as pool:
            await pool.inspect(call.program, wasm)
        first_call(path, "run", cache)
        for _ in range(9):
            floors.append(first_call(path, "run", cache))
            async with pool_for(Path(folder), {"large": wasm}, workers=1) as pool:
                await pool.warm()
                ours.append(await _timed(pool, call))
    floor = f"Plugin() and a call, warm wasmtime cache, {len(wasm) / 2**20:.2f} MiB"
    return _figure("first_call", ours, floors, 2.0, floor)


async def _timed(pool: WorkerPool, call: Call) -> float:
    started = time.perf_counter()
    await pool.run(call)
    return time.perf_counter() - started


def _written(folder: Path, wasm: bytes) -> Path:
    path = folder / "guest.wasm"
    path.write_bytes(wasm)
    return path


def _large_module() -> bytes:
    """About a megabyte of functions that differ, one of which is called."""
    body = "".join(
        f"(func $f{n} (param i64) (result i64) "
        + "(local.get 0)"
        + "".join(f"(i64.const {n * 7_919 + k * 104_729}) (i64.xor) (local.get 0) (i64.mul)" for k in range(9))
        + ")"
        for n in range(_FUNCTIONS)
    )
    return extism_wat(f'{body} (func (export "run") (result i32) (drop (call $f1 (i64.const 5))) (i32.const 0))')


def _figure(name: str, ours: list[float], floors: list[float], bar: float, floor: str) -> Figure:
    median_us = round(statistics.median(floors) * 1e6)
    return ratio_figure(name, ours, floors, bar=bar, at_most=True, floor=f"{floor}: median {median_us} us")
