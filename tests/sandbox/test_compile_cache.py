"""Compiled code on disk: who writes it, who finds it, what happens when it is gone or damaged."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.sandbox.conftest import MakePool, Modules, call_of, program_of
from tests.support.guests import digest_of, extism_wat, guest
from tool_server.background import background
from tool_server.errors import CallFailed, InvalidInput, Unavailable
from tool_server.model.call import Probe
from tool_server.model.limits import Limits
from tool_server.sandbox.compile_cache import CacheEntry, CompileCache, engine_identity
from tool_server.sandbox.host_calls import HostFunctions
from tool_server.sandbox.process import WorkerProcess
from tool_server.sandbox.programs import LoadingTable
from tool_server.sandbox.session import Services, Session
from tool_server.sandbox.settings import PoolSettings, WorkerSetup


def _answering(code: int) -> bytes:
    """A module whose `go` fails with a return code of its own, so that it can be told from others of its length."""
    return extism_wat(f'(func (export "go") (result i32) (i32.const {code}))')


def _entry(cache: Path, wasm: bytes, *, with_fuel: bool = False) -> CacheEntry:
    return CompileCache(cache, 2**30).entry(digest_of(wasm), with_fuel=with_fuel)


def _code_files(entry: CacheEntry) -> list[Path]:
    """The module's own file first: it is smaller than the runtime's kernel."""
    files = (path for path in entry.code.glob("modules/*/*") if not path.suffix)
    return sorted(files, key=lambda path: path.stat().st_size)


async def test_a_call_runs_the_code_in_the_cache_and_compiles_nothing(
    make_pool: MakePool, modules: Modules, tmp_path: Path
) -> None:
    seven, nine = _answering(7), _answering(9)
    modules.add(seven, nine)
    async with make_pool(compile_cache=tmp_path) as pool:
        for wasm in (seven, nine):
            await pool.inspect(program_of("go", wasm), wasm)
    entry = _entry(tmp_path, seven)
    _code_files(entry)[0].write_bytes(_code_files(_entry(tmp_path, nine))[0].read_bytes())
    entry.mark_ready()
    async with make_pool(compile_cache=tmp_path) as pool:
        with pytest.raises(Exception, match="code 9"):  # what was put there is what runs
            await pool.run(call_of("go", wasm=seven))


def _drop_folder(entry: CacheEntry) -> None:
    shutil.rmtree(entry.folder)


def _drop_code(entry: CacheEntry) -> None:
    shutil.rmtree(entry.code)


def _drop_file(entry: CacheEntry) -> None:
    _code_files(entry)[0].unlink()


def _cut_file(entry: CacheEntry) -> None:
    file = _code_files(entry)[0]
    file.write_bytes(file.read_bytes()[:-1])


def _link_file(entry: CacheEntry) -> None:
    file = _code_files(entry)[0]
    moved = file.rename(entry.folder / "elsewhere")
    file.symlink_to(moved)


def _drop_settings(entry: CacheEntry) -> None:
    entry.settings.unlink()


def _marker(text: str) -> Callable[[CacheEntry], None]:
    def write(entry: CacheEntry) -> None:
        (entry.folder / "ready.json").write_text(text)

    return write


@pytest.mark.parametrize(
    "damage",
    [_drop_folder, _drop_code, _drop_file, _cut_file, _link_file, _drop_settings]
    + [_marker(text) for text in ("", "7", "[]", '{"modules": 5}', '{"../../x": 1}', "{}", "\N{SNOWMAN}")],
)
async def test_what_is_gone_or_damaged_is_compiled_again_before_the_call(
    make_pool: MakePool, modules: Modules, tmp_path: Path, damage: Callable[[CacheEntry], None]
) -> None:
    modules.add_guests("echo")
    entry = _entry(tmp_path, guest("echo"))
    async with make_pool(compile_cache=tmp_path) as pool:
        await pool.run(call_of("echo"))
        assert entry.is_ready()
        damage(entry)
        assert not entry.is_ready()
    async with make_pool(compile_cache=tmp_path) as pool:
        assert (await pool.run(call_of("echo", b"x"))).data == b"x"
        assert entry.is_ready()
        assert len(pool.pids) == 1


async def test_many_calls_of_a_program_without_code_compile_it_once(
    make_pool: MakePool, modules: Modules, tmp_path: Path
) -> None:
    modules.add_guests("echo")
    async with make_pool(compile_cache=tmp_path, workers=3) as pool:
        seen = set[int]()

        async def watch() -> None:
            while True:
                seen.update(pool.pids)
                await anyio.sleep(0.001)

        async with background(watch), anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(pool.run, call_of("echo"))
    assert len(seen) == 3 + 1


async def test_fuel_makes_code_of_its_own(make_pool: MakePool, modules: Modules, tmp_path: Path) -> None:
    modules.add_guests("echo")
    plain, fuelled = (_entry(tmp_path, guest("echo"), with_fuel=fuel) for fuel in (False, True))
    async with make_pool(compile_cache=tmp_path) as pool:
        await pool.inspect(program_of("echo"), guest("echo"))
        assert (plain.is_ready(), fuelled.is_ready()) == (True, False)
        await pool.run(call_of("echo", fuel=10**6))
        assert (plain.is_ready(), fuelled.is_ready()) == (True, True)
    assert len(_code_files(plain)) == 4


async def test_the_process_that_compiles_runs_nothing_of_the_module(make_pool: MakePool, tmp_path: Path) -> None:
    wasm = guest("start_loop")
    async with make_pool(compile_cache=tmp_path) as pool:
        with pytest.raises(InvalidInput, match="start function did not finish"):
            await pool.inspect(program_of("x", wasm), wasm, [Probe("go")], Limits(timeout_ms=200))
        assert pool.pids == frozenset()
    # A process that had run it would have been killed before it was done.
    assert _entry(tmp_path, wasm).is_ready()


async def test_a_module_that_is_none_leaves_no_code(make_pool: MakePool, tmp_path: Path) -> None:
    async with make_pool(compile_cache=tmp_path) as pool:
        with pytest.raises(InvalidInput):
            await pool.inspect(program_of("x", b"\0asm\1\0\0\0\xff"), b"\0asm\1\0\0\0\xff")
    assert not _entry(tmp_path, b"\0asm\1\0\0\0\xff").is_ready()


async def test_a_cache_that_cannot_be_written_is_the_server_s_trouble(
    make_pool: MakePool, modules: Modules, tmp_path: Path
) -> None:
    modules.add_guests("echo")
    (tmp_path / engine_identity()).write_text("in the way")
    async with make_pool(compile_cache=tmp_path) as pool:
        with pytest.raises(Unavailable, match="compile cache") as caught:
            await pool.run(call_of("echo"))
    assert caught.value.code == "storage_error"


def test_a_folder_with_any_name_reaches_the_engine(tmp_path: Path) -> None:
    for name in ('quo"te', "back\\slash", "ümlaut", "new\nline", "smile\N{GRINNING FACE}"):
        entry = CompileCache(tmp_path / name, 1).entry("d" * 64, with_fuel=False)
        entry.prepare()
        assert tomllib.loads(entry.settings.read_text("utf-8"))["cache"] == {"directory": str(entry.code)}


def _filled(cache: CompileCache, digest: str, size: int, used: float) -> CacheEntry:
    entry = cache.entry(digest, with_fuel=False)
    entry.prepare()
    (entry.code / "modules" / "x").mkdir(parents=True)
    (entry.code / "modules" / "x" / "code").write_bytes(bytes(size))
    entry.mark_ready()
    os.utime(entry.folder, (used, used))
    return entry


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = CompileCache(tmp_path, 25_000)
    old, used, new = (_filled(cache, name * 64, 10_000, at) for name, at in (("a", 1), ("b", 2), ("c", 3)))
    other_engine = tmp_path / "modules" / "wasmtime-1"
    other_engine.mkdir(parents=True)
    (other_engine / "code").write_bytes(bytes(10_000))
    os.utime(other_engine, (0, 0))
    assert used.is_ready()  # which counts as a use
    assert cache.trim() < 25_000
    assert [entry.folder.exists() for entry in (old, used, new)] == [False, True, True]
    assert not other_engine.exists()
    assert CompileCache(tmp_path, 0).trim() == 0
    assert CompileCache(tmp_path / "nowhere", 0).trim() == 0


def test_an_entry_is_not_marked_without_code(tmp_path: Path) -> None:
    entry = CompileCache(tmp_path, 1).entry("d" * 64, with_fuel=False)
    entry.prepare()
    (entry.code / "modules" / "x").mkdir(parents=True)
    (entry.code / "modules" / "x" / "link").symlink_to("/etc/passwd")
    with pytest.raises(Unavailable, match="could not write compiled code"):
        entry.mark_ready()
    assert not entry.is_ready()
    assert json.dumps({}) not in {path.read_text() for path in entry.folder.glob("ready*")}


def test_the_engine_s_identity_is_the_same_for_everybody_on_this_machine() -> None:
    assert engine_identity() == engine_identity()
    assert len(engine_identity()) == 16


async def test_a_cache_that_is_gone_when_the_engine_looks_for_it_is_no_fault_of_the_module(tmp_path: Path) -> None:
    wasm = _answering(7)
    settings = PoolSettings(workers=1, spares=0, compile_cache=tmp_path / "cache")
    loading = LoadingTable(CompileCache(settings.compile_cache, 2**30)).get(program_of("go", wasm), Limits())

    async def nothing(*_: object) -> bytes:
        raise AssertionError("no artifact is read, and nothing else compiled")

    async def ensured(*_: object) -> None:
        await nothing()

    services = Services(nothing, HostFunctions(), 30.0, ensured, lambda _: None)
    worker = WorkerProcess.spawn(WorkerSetup.prepare(settings, tmp_path))
    try:
        await Session(worker, services).start()
        with anyio.fail_after(30), pytest.raises(Unavailable, match="os error") as caught:
            await Session(worker, services).compile(loading, wasm)
        assert caught.value.code == "storage_error"
        assert str(tmp_path) not in caught.value.message
    finally:
        await worker.reap()


async def test_a_cache_that_is_emptied_while_something_compiles_is_made_again(
    make_pool: MakePool, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    async with make_pool(compile_cache=cache) as pool, anyio.create_task_group() as tasks:
        done = anyio.Event()

        async def empty() -> None:
            # Each time that the folder is there: at the latest the second compile is left alone.
            while not any(cache.glob("*/*/cache.toml")):
                await anyio.lowlevel.checkpoint()
            shutil.rmtree(cache)
            done.set()

        tasks.start_soon(empty)
        with anyio.fail_after(60):
            assert await pool.inspect(program_of("echo"), guest("echo"), [Probe("echo", b"x")]) == (b"x",)
            await done.wait()


async def test_workers_that_were_started_before_the_cache_was_deleted_are_replaced(
    make_pool: MakePool, modules: Modules, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    modules.add_guests("echo")
    async with make_pool(compile_cache=cache, workers=2, spares=1) as pool:
        assert (await pool.run(call_of("echo", b"x"))).data == b"x"
        await pool.warm()
        before = pool.pids
        shutil.rmtree(cache)
        for code in (7, 9):
            wasm = _answering(code)
            modules.add(wasm)
            with pytest.raises(CallFailed, match=f"code {code}"):
                await pool.run(call_of("go", wasm=wasm))
        assert not pool.pids & before
