"""SQLite files: locks, damage, durability, and addresses that cannot be used."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from sqlalchemy import Connection

from tests.storage.examples import make_installation, make_release, make_token, put_installation
from tests.storage.processes import receive, running
from tool_server.errors import InvalidInput, Unavailable
from tool_server.storage import revisions
from tool_server.storage.calls import SqlCallLog
from tool_server.storage.database import Database, open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.schema_revisions import HEAD
from tool_server.storage.tokens import SqlTokenStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tool-server.db"


def overwrite(file: Path, offset: int, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.touch()
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(content)


def read(file: Path) -> bytes:
    return file.read_bytes()


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite:///{file}", busy_timeout_ms=50) as opened:
        await SqlPluginStore(opened).add_version(make_release())
        yield opened


async def test_a_writer_in_another_process_makes_writes_unavailable_and_leaves_reads_alone(
    database: Database, file: Path
) -> None:
    plugins = SqlPluginStore(database)
    with running("locker", str(file)) as locker:
        assert receive(locker) == "locked"
        with anyio.fail_after(30):
            for attempt in (
                plugins.add_version(make_release(version="1.1.0")),
                plugins.set_yanked("text-tools", "1.0.0", True),
                put_installation(plugins, make_installation()),
                SqlTokenStore(database).add(make_token()),
            ):
                with pytest.raises(Unavailable, match="another process") as caught:
                    await attempt
                assert (caught.value.code, caught.value.data) == ("database_locked", {"sqlite": "SQLITE_BUSY"})
            assert await plugins.get_version("text-tools", "1.0.0") == make_release()
            async with open_database(f"sqlite:///{file}", busy_timeout_ms=50) as second:
                assert await SqlPluginStore(second).revision() == 0
    assert [found.version for found in await plugins.list_versions("text-tools")] == ["1.0.0"]
    assert await plugins.add_version(make_release(version="1.1.0"))


async def test_a_writer_waits_for_the_one_before_it(file: Path, database: Database) -> None:
    async with open_database(f"sqlite:///{file}", busy_timeout_ms=60_000) as patient:
        with running("locker", str(file)) as locker:
            assert receive(locker) == "locked"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(SqlPluginStore(patient).add_version, make_release(version="1.1.0"))
                await anyio.wait_all_tasks_blocked()
                locker.kill()
        assert await SqlPluginStore(database).get_version("text-tools", "1.1.0") == make_release(version="1.1.0")


async def test_a_transaction_waits_a_bounded_time_for_its_turn_and_a_running_one_may_take_longer(file: Path) -> None:
    began, release = threading.Event(), threading.Event()

    def hold(connection: Connection) -> str:
        began.set()
        assert release.wait(30)
        return "finished"

    finished: list[str] = []

    async def keep_result(database: Database) -> None:
        finished.append(await database.write(hold))

    async with open_database(f"sqlite:///{file}", queue_seconds=0.02) as database:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_result, database)
            await anyio.to_thread.run_sync(began.wait, 30)
            with pytest.raises(Unavailable, match="other transactions") as caught:
                await SqlPluginStore(database).add_version(make_release())
            assert caught.value.code == "database_locked"
            assert await SqlPluginStore(database).list_plugins() == ()
            release.set()
        assert finished == ["finished"]
        assert await SqlPluginStore(database).add_version(make_release())


async def test_closing_waits_for_transactions_that_run(file: Path) -> None:
    began, release = threading.Event(), threading.Event()
    order: list[str] = []

    def hold(connection: Connection) -> None:
        began.set()
        assert release.wait(30)
        order.append("finished")

    async def close(database: Database) -> None:
        await database.close()
        order.append("closed")

    async with open_database(f"sqlite:///{file}") as database, anyio.create_task_group() as tasks:
        tasks.start_soon(database.read, hold)
        await anyio.to_thread.run_sync(began.wait, 30)
        tasks.start_soon(close, database)
        await let_threads_run()
        release.set()
    assert order == ["finished", "closed"]


async def test_opening_a_new_file_waits_for_another_process_that_writes_it(file: Path) -> None:
    file.parent.mkdir()
    url = f"sqlite:///{file}"
    with running("locker", str(file)) as locker:
        assert receive(locker) == "locked"
        with pytest.raises(Unavailable) as caught:
            async with open_database(url, busy_timeout_ms=50):
                pass
        assert caught.value.code == "database_locked"

        async def open_patiently() -> None:
            async with open_database(url, busy_timeout_ms=60_000) as database:
                assert await SqlPluginStore(database).check() == ()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_patiently)
            await let_threads_run()
            locker.kill()


async def let_threads_run() -> None:
    """Give other tasks and their threads many turns; nothing is wrong when they have not come far."""
    for _ in range(50):
        await anyio.to_thread.run_sync(int)


async def test_the_settings_that_durability_rests_on_are_in_force(database: Database) -> None:
    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    full = 2
    assert await database.read(settings) == ["wal", full, 1]
    assert await database.write(settings) == ["wal", full, 1]


async def test_a_reader_keeps_its_snapshot_while_others_write(database: Database, file: Path) -> None:
    def count_twice(connection: Connection) -> tuple[object, object]:
        counting = "SELECT count(*) FROM versions"
        before = connection.exec_driver_sql(counting).scalar()
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("INSERT INTO versions SELECT plugin, '9.9.9', digest, size, manifest_digest, publisher, "
                          "published_at, yanked, yank_reason, release FROM versions")  # fmt: skip
        return before, connection.exec_driver_sql(counting).scalar()

    assert await database.read(count_twice) == (1, 1)
    assert len(await SqlPluginStore(database).list_versions("text-tools")) == 2


async def test_a_transaction_that_raises_is_undone(database: Database) -> None:
    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM versions")
        raise InvalidInput("on_purpose", "undo this")

    with pytest.raises(InvalidInput, match="undo this"):
        await database.write(fail)
    assert len(await SqlPluginStore(database).list_versions("text-tools")) == 1


async def test_the_file_and_its_folder_are_private(database: Database, file: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (file.parent, *file.parent.iterdir())}
    assert modes.pop("data") == 0o700
    assert modes == dict.fromkeys(["tool-server.db", "tool-server.db-wal", "tool-server.db-shm"], 0o600)


async def test_a_closed_database_refuses_to_answer(file: Path) -> None:
    async with open_database(f"sqlite:///{file}") as database:
        pass
    await database.close()
    for attempt in (SqlCallLog(database).count(), SqlPluginStore(database).remove_installation("a")):
        with pytest.raises(Unavailable) as caught:
            await attempt
        assert caught.value.code == "shutting_down"
    assert [path.name for path in file.parent.iterdir()] == ["tool-server.db"]


async def test_check_names_installations_without_their_version_and_versions_that_cannot_be_read(
    database: Database, file: Path
) -> None:
    plugins = SqlPluginStore(database)
    for version in ("1.1.0", "1.2.0"):
        await plugins.add_version(make_release(version=version))
    await put_installation(plugins, make_installation())
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM versions WHERE version = '1.0.0'")
        connection.execute("UPDATE versions SET release = '{' WHERE version = '1.1.0'")
        connection.execute("UPDATE versions SET digest = 'ab' WHERE version = '1.2.0'")
    problems = await plugins.check()
    expected = [
        "a row of 'installations' refers to a row of 'versions'",
        "text-tools is installed at version 1.0.0, which is not stored",
        "the stored form of text-tools 1.1.0 cannot be read",
        "the stored form of text-tools 1.2.0 contradicts its row",
    ]
    assert len(problems) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(problems, expected, strict=True))
    with pytest.raises(Unavailable, match="db check") as caught:
        await plugins.get_version("text-tools", "1.1.0")
    assert caught.value.code == "database_error"


async def test_check_names_a_schema_that_is_not_the_newest(database: Database) -> None:
    await database.write(revisions.migrate, "base")
    revision, early_end = await SqlPluginStore(database).check()
    assert revision == f"the schema has revision None, expected {HEAD!r}: run 'tool-server db upgrade'"
    assert early_end.startswith("the search ended early: the database failed")


async def test_an_installation_that_cannot_be_read_is_a_database_error(database: Database, file: Path) -> None:
    plugins = SqlPluginStore(database)
    await put_installation(plugins, make_installation())
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE installations SET granted = '[]'")
    for attempt in (plugins.get_installation("text-tools"), plugins.list_installed()):
        with pytest.raises(Unavailable, match="'text-tools' cannot be read") as caught:
            await attempt
        assert caught.value.code == "database_error"


@pytest.mark.parametrize("table", ["ix_versions_digest", "versions"])
async def test_check_reports_a_damaged_page(file: Path, table: str) -> None:
    url = f"sqlite:///{file}"
    async with open_database(url) as database:
        await SqlPluginStore(database).add_version(make_release())
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    overwrite(file, (page - 1) * size, b"\xaa" * size)
    async with open_database(url) as database:
        assert await SqlPluginStore(database).check() != ()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 500])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(file: Path, content: bytes) -> None:
    overwrite(file, 0, content)
    with pytest.raises(Unavailable, match="no database") as caught:
        async with open_database(f"sqlite:///{file}"):
            pass
    assert caught.value.code == "database_error"
    assert read(file) == content


async def test_a_file_that_cannot_be_made_is_a_database_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot open the database file") as caught:
        async with open_database(f"sqlite:///{tmp_path / 'file' / 'tool-server.db'}"):
            pass
    assert caught.value.code == "database_error"


@pytest.mark.parametrize(
    "url",
    ["", "tool-server.db", "sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "sqlite://host/a.db",
     "sqlite+aiosqlite:///a.db", "mysql://localhost/a", "nonsense://"],
)  # fmt: skip
async def test_an_address_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///PATH") as caught:
        async with open_database(url):
            pass
    assert caught.value.code == "invalid_database_url"
