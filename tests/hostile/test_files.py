"""Guests with folders that try to get out of them, to write where they may read, and to use up what the server needs.

Every attack ends in a typed error within its deadline, leaves what lies outside as it was, and the server as good as
new. Hard links cannot be told from files by their path: a guest cannot make one to anything outside its folders (the
engine resolves both ends inside them and demands write permission on both), and one that somebody else put into a
shared folder is the file itself; the kernel's `fs.protected_hardlinks` keeps users from planting those.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from tests.services.publishing import CALLER, offer, publish
from tests.support.guests import guest
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import CallFailed, ToolServerError, Unavailable
from tool_server.model.caller import LOCAL
from tool_server.model.permission import Permissions

pytestmark = pytest.mark.slow

DEADLINE = 30
"""Seconds: the calls' own limit is far below, but a process may have to start on a busy machine."""
BAD_DESCRIPTOR, TOO_BIG, INVALID_BYTES, INVALID, OTHER, LOOP, NAME_TOO_LONG = 8, 22, 25, 28, 29, 32, 37
NOT_THERE, NOT_PERMITTED, READ_ONLY, NOT_CAPABLE = 44, 63, 69, 76
"""WASI's error numbers; the engine has no number of its own for `EMFILE` and `ENXIO`, and says 29."""


@dataclasses.dataclass(frozen=True)
class Shared:
    """A server that shares `readable` as /in and `writable` as /out, and a plugin that may use both so."""

    services: Services
    tool: str
    readable: Path
    writable: Path
    outside: Path

    async def says(self, command: str, tool: str = "") -> str:
        """What the guest answers."""
        with anyio.fail_after(DEADLINE):
            result = await self.services.invoke.call(tool or self.tool, {"input": command}, CALLER)
        first, *words = str(result.content[0]["text"]).split(" ")
        # The engine opens folders in no order, and a file system lists them in none.
        return " ".join((first, *sorted(words)))

    async def error(self, command: str, tool: str = "") -> ToolServerError:
        """The error that a command ends in."""
        with pytest.raises(ToolServerError) as caught:
            await self.says(command, tool)
        return caught.value

    async def outcome(self, command: str, tool: str = "") -> str:
        """What the guest answers, or the message of the error where it failed."""
        try:
            return await self.says(command, tool)
        except ToolServerError as error:
            return error.message

    async def number(self, command: str, tool: str = "") -> int:
        """WASI's number of the error that the guest met."""
        error = await self.error(command, tool)
        assert (type(error), error.code) == (CallFailed, "guest_error"), error
        return int(error.message.removeprefix("errno "))

    async def assert_unavailable(self, command: str, tool: str) -> None:
        """The folder is not there, and no path of this machine is told."""
        error = await self.error(command, tool)
        assert (type(error), error.code) == (Unavailable, "folder_unavailable")
        assert "/out/inner" in error.message
        assert str(self.writable) not in error.message

    async def assert_as_good_as_new(self) -> None:
        """An honest call works, and nothing is left running or waiting."""
        (self.readable / "honest.txt").write_text("honest")
        assert await self.says("read /in honest.txt") == "ok honest"
        assert (self.services.pool.busy, self.services.pool.waiting) == (0, 0)
        assert (self.outside / "secret.txt").read_text() == "secret"


async def offer_files(services: Services, name: str, *granted: str, requested: tuple[str, ...] = ()) -> str:
    """Install the guest with these folders; the tool's name."""
    permissions = {"filesystem": list(requested or granted)}
    await offer(
        services,
        name,
        wasm=guest("files"),
        tools={},
        permissions=permissions,
        limits={"timeout": "2s"},
        granted=Permissions(filesystem=granted),
    )
    return f"{name}_files"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Shared]:
    home = tmp_path_factory.mktemp("files")
    readable, writable, outside = (home / name for name in ("readable", "writable", "outside"))
    for folder in (readable, writable, outside):
        folder.mkdir()
    roots = {"/in": f"{readable}:read", "/out": f"{writable}:write"}
    config = Config.model_validate(
        {"data_dir": home / "data", "workers": 1, "spare_workers": 0, "filesystem": {"roots": roots}}
    )
    async with build(config, environment={}) as services:
        tool = await offer_files(services, "guest", "/in:read", "/out:write")
        yield Shared(services, tool, readable, writable, outside)


@pytest.fixture
async def shared(server: Shared) -> AsyncGenerator[Shared]:
    for folder in (server.readable, server.writable, server.outside):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (server.outside / "secret.txt").write_text("secret")
    (server.readable / "plain.txt").write_text("plain")
    yield server
    await server.assert_as_good_as_new()


@pytest.fixture
def name() -> str:
    """A plugin name that no other test uses."""
    return f"plugin-{uuid4().hex}"[:20]


async def test_a_plugin_sees_its_folders_and_nothing_else(shared: Shared) -> None:
    assert await shared.says("roots") == "ok /in /out"
    assert await shared.says("read /in plain.txt") == "ok plain"
    assert await shared.says("write /out new.txt 0") == "ok"
    assert (shared.writable / "new.txt").read_text() == "written"
    assert await shared.says("items /out .") == "ok . .. new.txt"
    assert await shared.number("read /in absent.txt") == NOT_THERE


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret.txt",
        "sub/../../outside/secret.txt",
        "./../outside/secret.txt",
        "ABSOLUTE",
        "/etc/passwd",
        "//etc/passwd",
        "..",
        "../readable/../outside/secret.txt",
        "planted-link",
        "planted-absolute-link",
        "planted-folder/secret.txt",
        "planted-proc/root/etc/passwd",
    ],
)
async def test_no_path_leads_out_of_a_folder(shared: Shared, path: str) -> None:
    (shared.readable / "sub").mkdir()
    (shared.readable / "planted-link").symlink_to("../outside/secret.txt")
    (shared.readable / "planted-absolute-link").symlink_to(shared.outside / "secret.txt")
    (shared.readable / "planted-folder").symlink_to(shared.outside)
    (shared.readable / "planted-proc").symlink_to("/proc/self")
    given = path.replace("ABSOLUTE", str(shared.outside / "secret.txt"))
    assert await shared.number(f"read /in {given}") in (NOT_PERMITTED, NOT_CAPABLE)


@pytest.mark.parametrize("target", ["../outside", "/etc", "../outside/secret.txt", "..", "loop"])
async def test_a_link_that_a_guest_makes_leads_nowhere_outside(shared: Shared, target: str) -> None:
    assert await shared.outcome(f"Symlink /out loop {target}") in ("ok", f"errno {NOT_PERMITTED}")
    for command in ("read /out loop", "read /out loop/secret.txt", "items /out loop", "write /out loop/new.txt 0"):
        assert await shared.number(command) in (NOT_PERMITTED, NOT_CAPABLE, LOOP, NOT_THERE)
    assert sorted(path.name for path in shared.outside.iterdir()) == ["secret.txt"]


@pytest.mark.parametrize(
    "command",
    [
        "write /in plain.txt 0",
        "write /in new.txt 0",
        "trunc /in plain.txt",
        "size /in plain.txt 0",
        "allocate /in plain.txt 9",
        "dir /in new",
        "DeleteFolder /in sub",
        "unlink /in plain.txt",
        "Times /in plain.txt",
        "Symlink /in link plain.txt",
        "move /in plain.txt /in moved.txt",
        "move /in plain.txt /out moved.txt",
        "move /out own.txt /in plain.txt",
        "link /in plain.txt /in link.txt",
        "link /in plain.txt /out link.txt",
        "link /out own.txt /in link.txt",
    ],
)
async def test_a_folder_to_read_cannot_be_changed_by_any_operation(shared: Shared, command: str) -> None:
    (shared.readable / "sub").mkdir()
    (shared.writable / "own.txt").write_text("own")
    os.utime(shared.readable / "plain.txt", (1_000, 1_000))
    before = listing(shared.readable)
    assert await shared.number(command) in (NOT_PERMITTED, READ_ONLY, NOT_CAPABLE, BAD_DESCRIPTOR)
    assert listing(shared.readable) == before
    assert listing(shared.writable) == {"own.txt": b"own"}
    assert (shared.readable / "plain.txt").stat().st_mtime == 1_000


def listing(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize(
    "command",
    [
        "link /out ../outside/secret.txt /out mine.txt",
        "link /out planted/secret.txt /out mine.txt",
        "link /in planted/secret.txt /out mine.txt",
        "move /out planted/secret.txt /out mine.txt",
        "move /out own.txt /out planted/own.txt",
        "move /out own.txt /out ../outside/own.txt",
        "unlink /out planted/secret.txt",
        "dir /out planted/new",
    ],
)
async def test_no_hard_link_and_no_move_crosses_the_border(shared: Shared, command: str) -> None:
    for folder in (shared.readable, shared.writable):
        (folder / "planted").symlink_to(shared.outside)
    (shared.writable / "own.txt").write_text("own")
    assert await shared.number(command) in (NOT_PERMITTED, NOT_CAPABLE)
    assert listing(shared.outside) == {"secret.txt": b"secret"}
    assert (shared.outside / "secret.txt").stat().st_nlink == 1
    assert not (shared.writable / "mine.txt").exists()


async def test_a_hard_link_that_was_planted_is_the_file_but_stays_read_only(shared: Shared) -> None:
    os.link(shared.outside / "secret.txt", shared.readable / "planted.txt")
    assert await shared.says("read /in planted.txt") == "ok secret"
    assert await shared.number("write /in planted.txt 0") in (NOT_PERMITTED, READ_ONLY)


@pytest.mark.parametrize("command", ["read /in fifo", "Read /in fifo"])
async def test_opening_a_fifo_ends_at_the_deadline(shared: Shared, command: str) -> None:
    os.mkfifo(shared.readable / "fifo")
    (pid,) = shared.services.pool.pids or {0}
    error = await shared.error(command)
    assert (type(error), error.code) == (CallFailed, "timeout")
    assert pid not in shared.services.pool.pids


async def test_a_socket_cannot_be_opened(shared: Shared) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(shared.readable, os.O_DIRECTORY)
        try:
            server.bind(f"/proc/self/fd/{here}/socket")
        finally:
            os.close(here)
        server.listen()
        assert await shared.number("read /in socket") == OTHER


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
async def test_an_endless_device_is_read_until_the_deadline_and_no_longer(shared: Shared) -> None:
    os.mknod(shared.readable / "zero", 0o666 | 0o020000, os.makedev(1, 5))
    error = await shared.error("zwallow /in zero")
    assert (type(error), error.code) == (CallFailed, "timeout")
    assert await shared.number("write /in zero 0") in (NOT_PERMITTED, READ_ONLY)


async def test_a_flood_of_descriptors_ends_at_the_workers_own_limit(shared: Shared) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert await shared.number("flood /in plain.txt") == OTHER
    assert await shared.number("flood /in plain.txt") == OTHER
    assert len(os.listdir("/proc/self/fd")) <= before + 4


@pytest.mark.parametrize(
    "command",
    ["write /out huge 1099511627776", "write /out huge 1073741824", "size /out huge 1099511627776"],
)
async def test_a_huge_file_is_an_error_that_the_guest_sees_and_no_lost_worker(shared: Shared, command: str) -> None:
    assert await shared.says("write /out small 0") == "ok"
    pids = shared.services.pool.pids
    assert await shared.number(command) == TOO_BIG
    assert shared.services.pool.pids == pids
    assert (shared.writable / "huge").stat().st_size == 0


async def test_filling_a_folder_stops_with_the_call(shared: Shared) -> None:
    assert await shared.says("Fill /out . 10") == "ok"
    assert len(list(shared.writable.iterdir())) == 10
    error = await shared.error("Fill /out . 99999999")
    assert error.code in ("timeout", "guest_error")
    made = len(list(shared.writable.iterdir()))
    await shared.assert_as_good_as_new()
    assert len(list(shared.writable.iterdir())) == made


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("a%00b", {INVALID, INVALID_BYTES}),
        ("%00", {INVALID, INVALID_BYTES}),
        ("plain.txt%00", {INVALID, INVALID_BYTES}),
        ("%ff%fe", {INVALID_BYTES}),
        ("%c3", {INVALID_BYTES}),
        ("a" * 256, {NAME_TOO_LONG}),
        ("a/" * 2_100, {NAME_TOO_LONG, NOT_THERE}),
        ("%0a%1b[31m", {NOT_THERE}),
        ("", {NOT_THERE}),
    ],
)
async def test_a_name_that_is_none_is_an_error_of_the_guests(shared: Shared, path: str, numbers: set[int]) -> None:
    assert await shared.number(f"read /in {path}") in numbers


async def test_a_name_of_a_megabyte_is_an_error_of_the_guests(shared: Shared) -> None:
    assert await shared.number("Long /in") == NAME_TOO_LONG


async def test_two_plugins_never_see_each_others_folders(shared: Shared, name: str) -> None:
    reader = await offer_files(shared.services, f"{name}-r", "/in:read")
    writer = await offer_files(shared.services, f"{name}-w", "/out:write")
    (shared.writable / "own.txt").write_text("own")
    for _ in range(2):
        assert await shared.says("roots", reader) == "ok /in"
        assert await shared.says("roots", writer) == "ok /out"
        assert await shared.number("read /out own.txt", reader) == BAD_DESCRIPTOR
        assert await shared.number("read /in ../writable/own.txt", reader) in (NOT_PERMITTED, NOT_CAPABLE)
        assert await shared.number("read /in plain.txt", writer) == BAD_DESCRIPTOR
        assert await shared.says("read /out own.txt", writer) == "ok own"


@pytest.mark.parametrize(
    ("requested", "granted", "seen"),
    [
        (["/in:read"], [], "ok"),
        ([], ["/in:read"], "ok"),
        (["/out:write"], ["/out:read"], "ok /out"),
        (["/in/sub:read"], ["/in:read"], "ok /in/sub"),
        (["/:write"], ["/:write"], "ok /in /out"),
        (["/elsewhere:read"], ["/elsewhere:read"], "ok"),
        (["/in/absent/..:read"], [], None),
    ],
)
async def test_a_folder_is_what_is_requested_and_granted_and_shared(
    shared: Shared, name: str, requested: list[str], granted: list[str], seen: str | None
) -> None:
    (shared.readable / "sub").mkdir()
    fields: dict[str, Any] = {"wasm": guest("files"), "tools": {}, "permissions": {"filesystem": requested}}
    if seen is None:
        with pytest.raises(ToolServerError, match=r"\$.permissions.filesystem\[0\].*'\.\.'"):
            await publish(shared.services, name, **fields)
        return
    await offer(shared.services, name, **fields, granted=Permissions(filesystem=tuple(granted)))
    assert await shared.says("roots", f"{name}_files") == seen
    if "/out" in seen and "/out:write" not in granted and "/:write" not in granted:
        assert await shared.number("write /out new.txt 0", f"{name}_files") in (NOT_PERMITTED, READ_ONLY)


def swap_for_a_link(folder: Path, outside: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(outside)


def swap_for_a_folder(folder: Path, _outside: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.mkdir()


def remove(folder: Path, _outside: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("called_before", [True, False])
@pytest.mark.parametrize("change", [swap_for_a_link, swap_for_a_folder, remove])
async def test_a_folder_below_a_root_that_was_replaced_is_never_followed_elsewhere(
    shared: Shared, name: str, change: Callable[[Path, Path], None], called_before: bool
) -> None:
    inner = shared.writable / "inner"
    inner.mkdir()
    (inner / "mine.txt").write_text("mine")
    tool = await offer_files(shared.services, name, "/out/inner:write")
    if called_before:
        assert await shared.says("read /out/inner mine.txt", tool) == "ok mine"
    change(inner, shared.outside)
    if called_before or change is not swap_for_a_folder:
        await shared.assert_unavailable("items /out/inner .", tool)
    if change is swap_for_a_folder:
        assert await shared.says("items /out/inner .", tool) == "ok . .."
    else:
        await shared.assert_unavailable("items /out/inner .", tool)


@pytest.mark.parametrize("called_before", [True, False])
async def test_a_link_on_the_way_to_a_folder_is_never_followed(shared: Shared, name: str, called_before: bool) -> None:
    for place in (shared.writable / "inner", shared.outside):
        (place / "deep").mkdir(parents=True)
    (shared.outside / "deep" / "secret.txt").write_text("secret")
    tool = await offer_files(shared.services, name, "/out/inner/deep:write")
    if called_before:
        assert await shared.says("items /out/inner/deep .", tool) == "ok . .."
    swap_for_a_link(shared.writable / "inner", shared.outside)
    for _ in range(2):
        await shared.assert_unavailable("read /out/inner/deep secret.txt", tool)


async def test_a_folder_that_comes_back_is_used_again(shared: Shared, name: str) -> None:
    tool = await offer_files(shared.services, name, "/out/inner:write")
    await shared.assert_unavailable("items /out/inner .", tool)
    (shared.writable / "inner").mkdir()
    assert await shared.says("items /out/inner .", tool) == "ok . .."


async def test_a_move_between_two_folders_to_write_in_is_no_way_for_others(shared: Shared, name: str) -> None:
    for part in ("one", "two"):
        (shared.writable / part).mkdir()
    both = await offer_files(shared.services, f"{name}-both", "/out/one:write", "/out/two:write")
    single = await offer_files(shared.services, f"{name}-one", "/out/one:write")
    assert await shared.says("write /out/one file 0", both) == "ok"
    assert await shared.says("move /out/one file /out/two file", both) == "ok"
    assert await shared.number("read /out/one file", single) == NOT_THERE
    assert await shared.number("move /out/one ../two/file /out/one file", single) in (NOT_PERMITTED, NOT_CAPABLE)
    assert listing(shared.writable / "two") == {"file": b"written"}


async def test_a_revoked_grant_holds_from_the_next_call_on(shared: Shared, name: str) -> None:
    tool = await offer_files(shared.services, name, "/in:read", "/out:write")
    assert await shared.says("roots", tool) == "ok /in /out"
    removed = await shared.services.grants.remove(name, Permissions(filesystem=("/out:write",)), LOCAL)
    assert removed.grants.effective.filesystem == ("/in:read",)
    assert await shared.says("roots", tool) == "ok /in"
    assert await shared.number("write /out new.txt 0", tool) == BAD_DESCRIPTOR


async def test_attacks_at_the_same_time_leave_an_honest_plugin_alone(shared: Shared, name: str) -> None:
    os.mkfifo(shared.readable / "fifo")
    commands = ["read /in fifo", "flood /in plain.txt", "Fill /out . 99999999", "write /out huge 1099511627776"]
    errors: list[ToolServerError] = []
    honest = await offer_files(shared.services, name, "/in:read")

    async def attack(command: str) -> None:
        errors.append(await shared.error(command))

    with anyio.fail_after(2 * DEADLINE):
        async with anyio.create_task_group() as tasks:
            for command in commands:
                tasks.start_soon(attack, command)
            for _ in range(3):
                assert await shared.says("read /in plain.txt", honest) == "ok plain"
    assert {error.code for error in errors} <= {"timeout", "guest_error"}
    assert len(errors) == len(commands)
