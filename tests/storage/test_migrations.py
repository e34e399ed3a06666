"""The schema's revisions: made, upgraded, compared with the tables, and refused when they are newer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tests.storage.examples import make_installation, make_release, make_token, put_installation
from tool_server.errors import Conflict, Unavailable
from tool_server.model.view import View
from tool_server.storage import revisions
from tool_server.storage.database import Database, open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.schema_revisions import HEAD, REVISIONS
from tool_server.storage.tables import metadata
from tool_server.storage.tokens import SqlTokenStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tool-server.db"


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


async def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.read(differences) == []


def test_the_list_of_revisions_is_that_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(revisions.MIGRATIONS))
    walked = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in walked)[::-1] == REVISIONS


async def test_every_downgrade_undoes_its_upgrade(database: Database, file: Path) -> None:
    for target in (*REVISIONS[-2::-1], "base"):
        await database.write(revisions.migrate, target)
    assert await database.read(revisions.stored_revision) is None
    await database.write(revisions.migrate)
    assert await database.read(revisions.stored_revision) == HEAD
    assert await SqlPluginStore(database).add_version(make_release())


async def test_what_older_installations_offer_is_derived_by_the_upgrade(file: Path) -> None:
    async with open_database(f"sqlite:///{file}") as database:
        plugins = SqlPluginStore(database)
        for name in ("alpha", "broken", "gone"):
            await plugins.add_version(make_release(name))
            await put_installation(plugins, make_installation(name))
        await plugins.remove_installation("gone")
        offers = (await plugins.offers_since(-1)).offers
        await database.write(revisions.migrate, "0001")
    assert {"offers", "offered_tools", "installation_changes"}.isdisjoint(tables(file))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE versions SET release = '{}' WHERE plugin = 'broken'")
    async with open_database(f"sqlite:///{file}") as database:
        plugins = SqlPluginStore(database)
        changes = await plugins.offers_since(-1)
        assert (changes.revision, changes.complete, sorted(changes.offers)) == (4, True, ["alpha", "broken"])
        before, after, broken = offers["alpha"], changes.offers["alpha"], changes.offers["broken"]
        assert before is not None
        assert after is not None
        assert broken is not None
        assert [tool._replace(revision=1) for tool in after.tools] == list(before.tools)
        assert after.keywords == ("text",)
        assert (after.quarantined, broken.tools) == (before.quarantined, ())
        (stored,) = await plugins.read_tools(after.tools)
        assert stored is not None
        assert stored.definition == make_release("alpha").tools[0]
        (problem,) = await plugins.check()
        assert "broken 1.0.0 cannot be read" in problem


async def test_a_token_that_saw_a_part_does_not_see_everything_in_an_older_schema(file: Path) -> None:
    async with open_database(f"sqlite:///{file}") as database:
        tokens = SqlTokenStore(database)
        await tokens.add(make_token("t1", "all"))
        await tokens.add(make_token("t2", "part").model_copy(update={"view": View(plugins=("text",))}))
        await database.write(revisions.migrate, "0003")
    async with open_database(f"sqlite:///{file}") as database:
        found = {token.name: token for token in await SqlTokenStore(database).list_tokens()}
    assert found["all"].revoked_at is None
    assert found["part"].revoked_at is not None


async def test_downgrading_leaves_no_table_behind(file: Path) -> None:
    async with open_database(f"sqlite:///{file}") as database:
        await database.write(revisions.migrate, "base")
    assert tables(file) == {"alembic_version"}
    async with open_database(f"sqlite:///{file}") as database:
        assert await database.read(revisions.stored_revision) == HEAD


async def test_a_database_of_a_newer_version_is_refused_naming_both_revisions(file: Path) -> None:
    async with open_database(f"sqlite:///{file}"):
        pass
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(Conflict, match=f"'0999'.*'{HEAD}'") as caught:
        async with open_database(f"sqlite:///{file}"):
            pass
    assert caught.value.code == "newer_database"
    assert caught.value.data == {"found": "0999", "supported": HEAD}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0999",)]


async def test_a_migration_that_fails_leaves_the_database_as_it_was(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE calls (someone TEXT)")  # the last table that the first migration makes
    with pytest.raises(Unavailable) as caught:
        async with open_database(f"sqlite:///{file}"):
            pass
    assert caught.value.code == "database_error"
    assert tables(file) == {"calls"}
