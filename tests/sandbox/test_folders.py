"""Roots made sure of when the server starts, folders opened without following links, workers of a profile."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import MakePool, Modules, call_of, is_reaped, until
from tests.support.guests import guest
from tests.support.kernel import is_running
from tool_server.errors import InvalidInput, Unavailable
from tool_server.model.call import Call
from tool_server.model.folder_permission import Folder, FolderPermission, FolderRoot, FolderRoots
from tool_server.sandbox.folders import FolderTable, open_folder
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.roots import open_roots


def roots_in(folder: Path, **shared: str) -> FolderRoots:
    """Roots named by their guest path's last part, for folders made on the way."""
    found: dict[str, str] = {}
    for guest_name, mode in shared.items():
        (folder / guest_name).mkdir()
        found[f"/{guest_name.replace('_', '/')}"] = f"{folder / guest_name}:{mode}"
    return open_roots(found, [folder / "private"])


def seen(roots: FolderRoots, *permissions: str) -> dict[str, tuple[str, bool]]:
    """Guest path to the host folder's path below its parent, and whether it may be written to."""
    folders = roots.folders([FolderPermission.parse(text) for text in permissions])
    return {folder.guest: (folder.host.rpartition("/base/")[2], folder.write) for folder in folders}


def test_folders_are_what_the_roots_share_and_inner_roots_cover_outer_ones(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    roots = roots_in(base, data="read", data_out="write", other="write")
    assert seen(roots) == {}
    assert seen(roots, "/data:write") == {"/data": ("data", False), "/data/out": ("data_out", True)}
    assert seen(roots, "/data/in:write") == {"/data/in": ("data/in", False)}
    assert seen(roots, "/data/out/deep:write") == {"/data/out/deep": ("data_out/deep", True)}
    assert seen(roots, "/data/out:read") == {"/data/out": ("data_out", False)}
    assert seen(roots, "/other:read", "/other/x:write") == {"/other": ("other", False), "/other/x": ("other/x", True)}
    assert seen(roots, "/:read").keys() == {"/data", "/data/out", "/other"}
    assert seen(roots, "/database:read", "/dat:read", "/elsewhere:write") == {}


paths = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
items = st.builds("{}:{}".format, paths, st.sampled_from(["read", "write"])).map(FolderPermission.parse)


@given(st.lists(items, max_size=4), st.dictionaries(paths, st.sampled_from(["read", "write"]), max_size=4))
def test_no_folder_goes_beyond_its_permission_or_its_root(
    permissions: list[FolderPermission], shared: dict[str, str]
) -> None:
    host = PurePosixPath("/srv")
    roots = FolderRoots({PurePosixPath(path): FolderRoot(host, mode == "write") for path, mode in shared.items()})
    for folder in roots.folders(permissions):
        got = FolderPermission.parse(f"{folder.guest}:{'write' if folder.write else 'read'}")
        assert any(got.intersect(permission) == got for permission in permissions)
        owners = [path for path in roots.roots if got.path.is_relative_to(path)]
        owner = max(owners, key=lambda path: len(path.parts))
        assert roots.roots[owner].write or not folder.write
        assert folder.host == str(roots.roots[owner].host / got.path.relative_to(owner))


def test_a_root_is_resolved_once_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    roots = open_roots({"/data/": f"{tmp_path}/link:write"}, [tmp_path / "private"])
    (folder,) = roots.folders([FolderPermission.parse("/data:write")])
    assert folder == Folder(str(tmp_path / "real"), "/data", True)


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ("absent:read", "is no folder on this machine"),
        ("file:read", "is no folder on this machine"),
        ("private:read", "the server's own"),
        ("sql:read", "the server's own"),
        ("private/inner:read", "the server's own"),
        (".:read", "the server's own"),
        ("link-to-private:read", "the server's own"),
    ],
)
def test_a_root_that_cannot_be_shared_is_refused_by_name(tmp_path: Path, shared: str, said: str) -> None:
    (tmp_path / "private" / "inner").mkdir(parents=True)
    (tmp_path / "link-to-private").symlink_to("private")
    (tmp_path / "file").touch()
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "database").touch()
    with pytest.raises(InvalidInput, match=r"filesystem\.roots: /data: ") as refused:
        open_roots({"/data": f"{tmp_path}/{shared}"}, [tmp_path / "sql" / "database", tmp_path / "private"])
    assert refused.value.code == "invalid_config"
    assert said in refused.value.message


@pytest.mark.parametrize("folder", ["/proc", "/proc/self", "/sys/kernel", "/dev"])
def test_what_is_the_kernels_is_never_shared(folder: str) -> None:
    with pytest.raises(InvalidInput, match="processes and devices"):
        open_roots({"/data": f"{folder}:read"}, [])


def test_no_part_of_a_folders_path_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("b")
    (tmp_path / "way").symlink_to("a")
    os.mkfifo(tmp_path / "a" / "fifo")
    opened = open_folder(str(tmp_path / "a" / "b"))
    assert os.path.samestat(os.fstat(opened), os.stat(tmp_path / "a" / "b"))
    assert stat.S_ISDIR(os.fstat(opened).st_mode)
    os.close(opened)
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/link", "way/b", "a/fifo", "a/absent", "a/b/../../a/link"):
        with pytest.raises(OSError, match=r"."):
            open_folder(str(tmp_path / path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_open_folder_is_noticed_when_it_is_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    table, rows = FolderTable(), [[str(folder), "/data", False]]
    (path,) = table.allowed_paths(rows)
    assert path.startswith("ro:")
    assert table.allowed_paths(rows) == {path: "/data"}
    table.check(rows)
    folder.rename(tmp_path / "moved")
    with pytest.raises(Unavailable, match="/data"):
        table.check(rows)
    folder.mkdir()
    with pytest.raises(Unavailable, match="replaced"):
        table.check(rows)


@pytest.fixture
def folders(tmp_path: Path, modules: Modules) -> dict[str, Folder]:
    modules.add(guest("files"))
    modules.add_guests("echo", "spin")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return {name: Folder(str(tmp_path / name), "/data", False) for name in ("a", "b")}


def files_call(*folders: Folder) -> Call:
    """A call that names its folders."""
    call = call_of("files", b"roots", wasm=guest("files"))
    return dataclasses.replace(call, program=call.program.model_copy(update={"wasi": True}), folders=folders)


async def one_pid(pool: WorkerPool, call: Call) -> int:
    """The worker that ran a call in a pool of one."""
    await pool.run(call)
    (pid,) = pool.pids
    return pid


async def test_a_worker_serves_calls_of_one_set_of_folders_alone(
    make_pool: MakePool, folders: dict[str, Folder]
) -> None:
    with_a, with_b, without = files_call(folders["a"]), files_call(folders["b"]), call_of("echo", b"x")
    async with make_pool() as pool:
        first = await one_pid(pool, with_a)
        assert await one_pid(pool, with_a) == first
        second = await one_pid(pool, with_b)
        third = await one_pid(pool, without)
        writing = await one_pid(pool, files_call(dataclasses.replace(folders["a"], write=True)))
        assert len({first, second, third, writing}) == 4
        await until(lambda: all(is_reaped(pid) for pid in (first, second, third)))


async def test_workers_of_several_profiles_live_side_by_side_up_to_the_crews_size(
    make_pool: MakePool, folders: dict[str, Folder]
) -> None:
    calls = [files_call(folders["a"]), files_call(folders["b"]), call_of("echo", b"x")]
    async with make_pool(workers=3) as pool:
        for call in calls:
            await pool.run(call)
        pids = pool.pids
        for _ in range(3):
            for call in calls:
                await pool.run(call)
        assert pool.pids == pids
        assert len(pids) == 3
        await pool.run(files_call(folders["a"], dataclasses.replace(folders["b"], guest="/b")))
        assert len(pool.pids) == 3
        assert len(pool.pids - pids) == 1


async def test_a_worker_of_another_profile_that_died_idle_makes_room(
    make_pool: MakePool, folders: dict[str, Folder]
) -> None:
    async with make_pool() as pool:
        first = await one_pid(pool, files_call(folders["a"]))
        os.kill(first, signal.SIGKILL)
        await until(lambda: not is_running(first))
        assert await one_pid(pool, files_call(folders["b"])) != first
        await until(lambda: is_reaped(first))


async def test_spares_have_no_folders(make_pool: MakePool, folders: dict[str, Folder]) -> None:
    async with make_pool(workers=1, spares=1) as pool:
        await pool.warm()
        spares = pool.pids
        assert len(spares) == 2
        assert (await pool.run(files_call(folders["a"]))).data == b"ok /data"
        assert len(pool.pids - spares) == 1
        assert len(pool.pids) == 2
        assert (await pool.run(call_of("echo", b"x"))).data == b"x"
        assert len(pool.pids) == 2


async def test_two_guest_paths_of_one_folder_are_both_there(make_pool: MakePool, folders: dict[str, Folder]) -> None:
    async with make_pool() as pool:
        call = files_call(folders["a"], dataclasses.replace(folders["a"], guest="/again"))
        assert sorted((await pool.run(call)).data.split()) == [b"/again", b"/data", b"ok"]


async def test_a_folder_that_is_missing_costs_its_own_calls_alone(
    make_pool: MakePool, folders: dict[str, Folder], tmp_path: Path
) -> None:
    missing = files_call(Folder(str(tmp_path / "missing"), "/data", False))
    async with make_pool() as pool:
        for _ in range(5):
            with pytest.raises(Unavailable) as caught:
                await pool.run(missing)
            assert caught.value.code == "folder_unavailable"
            assert str(tmp_path) not in caught.value.message
        assert (await pool.run(call_of("echo", b"x"))).data == b"x"
        pool.require_ready()
