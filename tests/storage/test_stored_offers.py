"""What the standard library reads of a SQLite file is what the store tells, or nothing at all."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.storage.examples import NOON, make_installation, make_release, put_installation, with_items
from tests.storage.processes import ROOT, receive, running
from tool_server.model.permission import Permissions
from tool_server.storage import revisions
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.stored_offers import read_offers


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data folder" / "tool-server.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


async def install(plugins: SqlPluginStore, *names: str) -> None:
    for name in names:
        await plugins.add_version(make_release(name))
        await put_installation(plugins, make_installation(name))


async def nothing(plugins: SqlPluginStore) -> None:
    """Leave it empty."""


async def uninstalled(plugins: SqlPluginStore) -> None:
    """All that there was is gone."""
    await install(plugins, "alpha")
    await plugins.remove_installation("alpha")


async def everything(plugins: SqlPluginStore) -> None:
    """Installed, updated, granted other things, uninstalled, with and without tools and quarantine."""
    await install(plugins, "alpha", "@b/beta", "gamma", "delta")
    await plugins.add_version(make_release("@b/beta", "2.0.0"))
    await put_installation(plugins, make_installation("@b/beta", "2.0.0"))
    await put_installation(plugins, make_installation("delta").model_copy(update={"granted": Permissions()}))
    await plugins.remove_installation("gamma")
    tool = make_release().tools[0]
    headers = {**tool.input_schema, "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}}
    tools = tuple(tool.model_copy(update={"name": name, "input_schema": headers}) for name in ("z", "a"))
    for name, offered in (("bare", ()), ("several", tools)):
        release = with_items(make_release(name)).model_copy(update={"tools": offered, "quarantined": ()})
        await plugins.add_version(release)
        whole_second = NOON.replace(microsecond=0) - timedelta(days=1)
        await put_installation(plugins, make_installation(name).model_copy(update={"installed_at": whole_second}))


@pytest.mark.parametrize("fill", [nothing, uninstalled, everything])
async def test_both_readers_say_the_same_of_one_database(
    url: str, fill: Callable[[SqlPluginStore], Awaitable[None]]
) -> None:
    async with open_database(url) as database:
        plugins = SqlPluginStore(database)
        await fill(plugins)
        told = await plugins.offers_since(-1)
        assert told.complete
        assert read_offers(url) == told
    assert read_offers(url.replace("sqlite:", "sqlite+pysqlite:")) == told


async def test_the_example_holds_what_can_differ(url: str) -> None:
    async with open_database(url) as database:
        await everything(SqlPluginStore(database))
    told = read_offers(url)
    assert told is not None
    assert told.offers["gamma"] is None
    offers = [offer for offer in told.offers.values() if offer is not None]
    assert {bool(offer.quarantined) for offer in offers} == {True, False}
    assert {tool.needs_headers for offer in offers for tool in offer.tools} == {True, False}
    assert {len(offer.tools) for offer in offers} == {0, 1, 2}


async def test_a_writer_holds_nobody_up_and_what_it_has_not_committed_is_not_read(url: str, file: Path) -> None:
    async with open_database(url) as database:
        await install(SqlPluginStore(database), "alpha")
        before = read_offers(url)
        with running("locker", str(file)) as locker:
            assert receive(locker) == "locked"
            assert read_offers(url) == before
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM offered_tools")
            assert read_offers(url) == before
            writer.execute("COMMIT")
        assert read_offers(url) != before


async def test_what_a_killed_process_left_in_the_log_is_read(url: str, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / file.name
    async with open_database(url) as database:
        await install(SqlPluginStore(database), "alpha")
        copy.parent.mkdir()
        for side in file.parent.iterdir():
            if not side.name.endswith("-shm"):
                (copy.parent / side.name).write_bytes(side.read_bytes())
        assert (copy.parent / f"{file.name}-wal").stat().st_size > 0
        assert read_offers(f"sqlite:///{copy}") == read_offers(url) is not None


def damage(file: Path) -> None:
    """Overwrite the file's first page."""
    for side in file.parent.iterdir():
        side.unlink()
    file.write_bytes(b"this is no database" * 1_000)


def newer(file: Path) -> None:
    """What a later version of the product leaves."""
    execute(file, "UPDATE alembic_version SET version_num = '0999'")


def without_counter(file: Path) -> None:
    """A row that every migration makes is gone."""
    execute(file, "DELETE FROM counters")


def no_moment(file: Path) -> None:
    """A moment that is none."""
    execute(file, "UPDATE installations SET installed_at = 'noon'")


def no_quarantine(file: Path) -> None:
    """Text that is no list of quarantined tools."""
    execute(file, "UPDATE offers SET quarantined = '[1]'")


def execute(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("spoil", [damage, newer, without_counter, no_moment, no_quarantine])
async def test_whatever_is_out_of_the_ordinary_is_left_to_the_store(
    url: str, file: Path, spoil: Callable[[Path], None]
) -> None:
    async with open_database(url) as database:
        await install(SqlPluginStore(database), "alpha")
    assert read_offers(url) is not None
    spoil(file)
    assert read_offers(url) is None


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_an_older_schema_is_left_to_the_store(url: str, revision: str) -> None:
    async with open_database(url) as database:
        await database.write(revisions.migrate, revision)
        assert read_offers(url) is None


async def test_a_file_that_another_connection_keeps_to_itself_is_left_to_the_store(url: str, file: Path) -> None:
    async with open_database(url):
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        assert read_offers(url) is None


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://db.example/tools",
        "sqlite://",
        "sqlite:///",
        "sqlite:///{file}?mode=rwc",
        "mysql:///{file}",
        "{file}",
    ],
)
async def test_no_other_address_is_read(url: str, file: Path, address: str) -> None:
    async with open_database(url):
        pass
    assert read_offers(address.format(file=file)) is None


def test_nothing_is_made_where_there_is_no_database(url: str, file: Path) -> None:
    assert read_offers(url) is None
    file.parent.mkdir()
    assert read_offers(url) is None
    assert list(file.parent.iterdir()) == []


def test_reading_loads_no_sqlalchemy(url: str) -> None:
    program = (
        "import sys\n"
        "from tool_server.storage.stored_offers import read_offers\n"
        f"read_offers({url!r})\n"
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
