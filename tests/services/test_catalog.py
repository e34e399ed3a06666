"""The catalogue: what is offered, what is held back, and who hears of changes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.services.publishing import ADD, ANYTHING, offer, offer_guest, until
from tests.support.guests import compile_c, guest
from tool_server.background import background
from tool_server.bootstrap.services import Services, build, watching
from tool_server.config import Config
from tool_server.errors import NotFound, Unavailable
from tool_server.model.caller import LOCAL
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.services.catalog import CatalogService
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore

CLASHING = compile_c('EXPORT(tools_add) { return answer("mine"); }')


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)


@pytest.fixture
async def fresh(config: Config) -> AsyncGenerator[Services]:
    async with build(config) as services:
        yield services


async def test_of_two_plugins_with_one_tool_name_the_earlier_keeps_it(fresh: Services) -> None:
    await offer(fresh, "b-tools", tools={"add": ADD})
    await offer(fresh, "@b/tools", wasm=guest("add"), tools={"add": ADD})
    assert list(fresh.catalog.current.names) == ["b-tools_add", "b_tools_add"]
    await offer(fresh, "b", wasm=CLASHING, tools={"tools_add": ANYTHING})
    entry = await fresh.catalog.find("b_tools_add")
    assert entry is not None
    assert entry.plugin == "@b/tools"
    ((plugin, held),) = fresh.catalog.current.quarantined
    assert (plugin, held.name, held.rule) == ("b", "tools_add", "name-collision")
    assert "@b/tools 1.0.0" in held.reason
    assert (await fresh.invoke.call("b_tools_add", {"a": 1, "b": 2}, LOCAL)).structured == {"sum": 3}
    await fresh.install.uninstall("@b/tools", LOCAL)
    freed = await fresh.catalog.find("b_tools_add")
    assert freed is not None
    assert (freed.plugin, fresh.catalog.current.quarantined) == ("b", ())


async def test_tools_are_listed_by_name_and_a_snapshot_never_changes(fresh: Services) -> None:
    await offer(fresh, "zebra")
    before = fresh.catalog.current
    await offer(fresh, "ant")
    assert list(before.names) == ["zebra_add"]
    assert list(fresh.catalog.current.names) == ["ant_add", "zebra_add"]


async def test_wishes_of_a_manifest_are_capped_by_the_ceiling_of_today(config: Config) -> None:
    wishes = {"memory": "256MiB", "timeout": "60s", "output": "2MiB", "input": "1MiB"}
    async with build(config) as generous:
        await offer(generous, "greedy", limits=wishes)
    strict = {"memory": "8MiB", "timeout": "2s", "output": "1KiB", "input": "2KiB", "fuel": 5_000_000}
    lowered = Config.model_validate({**config.model_dump(), "limits": strict})
    async with build(lowered) as services:
        entry = await services.catalog.find("greedy_add")
        assert entry is not None
        assert entry.limits == Limits(
            memory_bytes=8 * 2**20, timeout_ms=2_000, fuel=5_000_000, input_bytes=2_048, output_bytes=1_024
        )
        assert (await services.invoke.call("greedy_add", {"a": 1, "b": 2}, LOCAL)).structured == {"sum": 3}


async def test_permissions_are_what_is_requested_and_granted(fresh: Services) -> None:
    wanted = {"network": ["a.example", "b.example"], "environment": ["LANG"]}
    granted = Permissions(network=("b.example", "c.example"), secrets=("KEY",))
    await offer(fresh, "asking", permissions=wanted, granted=granted)
    entry = await fresh.catalog.find("asking_add")
    assert entry is not None
    assert entry.permissions == Permissions(network=("b.example",))


async def test_listeners_hear_of_each_change_once_and_of_nothing_else(fresh: Services) -> None:
    heard: list[tuple[str, ...]] = []

    async def listen() -> None:
        heard.append(fresh.catalog.current.names)

    fresh.catalog.subscribe(listen)
    await offer(fresh, "one")
    assert heard == [("one_add",)]
    await fresh.install.install("one", "1.0.0", LOCAL)
    assert not await fresh.catalog.refresh()
    assert len(heard) == 1
    await offer(fresh, "two")
    await fresh.install.uninstall("one", LOCAL)
    assert heard[1:] == [("one_add", "two_add"), ("two_add",)]


async def test_watch_offers_what_another_process_installs_and_takes_away(config: Config, fresh: Services) -> None:
    changed = [anyio.Event(), anyio.Event()]
    waiting = iter(changed)

    async def listen() -> None:
        next(waiting).set()

    fresh.catalog.subscribe(listen)
    async with watching(fresh), build(config) as other:
        with anyio.fail_after(20):
            tool = await offer_guest(other, "distant", "echo")
            await changed[0].wait()
            assert await fresh.catalog.find(tool) is not None
            assert (await fresh.invoke.call(tool, {"a": 1}, LOCAL)).content[0]["text"] == '{"a":1}'
            await other.install.uninstall("distant", LOCAL)
            await changed[1].wait()
            assert await fresh.catalog.find(tool) is None


async def run_sql(config: Config, *statements: str) -> None:
    """Change the database behind the product's back."""
    with closing(sqlite3.connect(config.data_dir / "tool-server.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_tool_is_read_at_its_first_call_and_never_again(config: Config, fresh: Services) -> None:
    called, uncalled = await offer_guest(fresh, "called", "echo"), await offer_guest(fresh, "uncalled", "echo")
    await fresh.invoke.call(called, {"a": 1}, LOCAL)
    entry = await fresh.catalog.find(called)
    await run_sql(config, "ALTER TABLE offered_tools RENAME TO hidden")
    assert (await fresh.invoke.call(called, {"a": 2}, LOCAL)).content[0]["text"] == '{"a":2}'
    assert await fresh.catalog.find(called) is entry
    with pytest.raises(Unavailable):
        await fresh.invoke.call(uncalled, {}, LOCAL)
    assert uncalled in fresh.catalog.current.names
    await run_sql(config, "ALTER TABLE hidden RENAME TO offered_tools")
    assert (await fresh.invoke.call(uncalled, {"a": 3}, LOCAL)).content[0]["text"] == '{"a":3}'


async def test_nothing_of_a_tool_but_its_listing_is_read_at_a_start(config: Config) -> None:
    async with build(config) as services:
        good, bad = await offer_guest(services, "good", "echo"), await offer_guest(services, "bad", "echo")
    await run_sql(
        config,
        "UPDATE versions SET release = 'unreadable'",
        "UPDATE offers SET program = 'unreadable' WHERE plugin = 'bad'",
        "UPDATE offered_tools SET remainder = 'unreadable' WHERE plugin = 'bad'",
    )
    async with build(config) as services:
        assert services.catalog.current.names == (bad, good)
        assert (await services.invoke.call(good, {"a": 1}, LOCAL)).content[0]["text"] == '{"a":1}'
        with pytest.raises(Unavailable, match="db check"):
            await services.invoke.call(bad, {"a": 1}, LOCAL)


async def test_a_change_reads_its_own_plugin_and_no_other(config: Config, fresh: Services) -> None:
    await offer(fresh, "resting")
    resting = fresh.catalog.current.find("resting_add")
    await run_sql(config, "UPDATE offered_tools SET listing = 'changed behind our back'")
    await offer(fresh, "coming")
    async with build(config) as other:
        await offer(other, "distant")
    assert await fresh.catalog.refresh()
    assert fresh.catalog.current.names == ("coming_add", "distant_add", "resting_add")
    assert fresh.catalog.current.find("resting_add") is resting


async def test_a_grant_that_another_process_takes_back_holds_from_the_next_refresh(
    config: Config, fresh: Services
) -> None:
    allowed = Permissions(network=("a.example",))
    await offer(fresh, "asking", permissions={"network": ["a.example"]}, granted=allowed)
    before = await fresh.catalog.find("asking_add")
    assert before is not None
    assert before.permissions == allowed
    async with build(config) as other:
        await other.install.install("asking", "1.0.0", LOCAL, Permissions())
    await fresh.catalog.refresh()
    after = await fresh.catalog.find("asking_add")
    assert after is not None
    assert (after.permissions, before.permissions) == (Permissions(), allowed)


async def test_a_first_call_just_after_another_process_moved_the_plugin_gets_the_new_version(
    config: Config, fresh: Services
) -> None:
    heard: list[int] = []

    async def listen() -> None:
        heard.append(fresh.catalog.current.revision)

    tool = await offer_guest(fresh, "moving", "echo")
    fresh.catalog.subscribe(listen)
    async with build(config) as other:
        await offer_guest(other, "moving", "echo", version="2.0.0")
        entry = await fresh.catalog.find(tool)
        assert entry is not None
        assert (entry.version, len(heard)) == ("2.0.0", 1)
        await other.install.rollback("moving", LOCAL)
        await other.install.uninstall("moving", LOCAL)
    assert await fresh.catalog.find(tool) is entry
    await fresh.catalog.refresh()
    assert await fresh.catalog.find(tool) is None


async def test_a_first_call_of_what_another_process_uninstalled_is_of_an_unknown_tool(
    config: Config, fresh: Services
) -> None:
    tool = await offer_guest(fresh, "leaving", "echo")
    async with build(config) as other:
        await other.install.uninstall("leaving", LOCAL)
    assert tool in fresh.catalog.current.names
    with pytest.raises(NotFound):
        await fresh.invoke.call(tool, {}, LOCAL)
    assert tool not in fresh.catalog.current.names


async def test_concurrent_first_calls_share_one_entry(fresh: Services) -> None:
    tool = await offer_guest(fresh, "wanted", "echo")
    found: list[object] = []

    async def find() -> None:
        found.append(await fresh.catalog.find(tool))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(find)
    assert len({id(entry) for entry in found}) == 1
    assert found[0] is not None


async def test_a_database_put_back_from_a_backup_is_read_as_a_whole(config: Config, fresh: Services) -> None:
    await offer(fresh, "kept")
    await run_sql(config, "VACUUM INTO '" + str(config.data_dir / "backup.db") + "'")
    await offer(fresh, "lost")
    assert fresh.catalog.current.names == ("kept_add", "lost_add")
    with (
        closing(sqlite3.connect(config.data_dir / "backup.db")) as backup,
        closing(sqlite3.connect(config.data_dir / "tool-server.db")) as database,
    ):
        backup.backup(database)
    assert await fresh.catalog.refresh()
    assert fresh.catalog.current.names == ("kept_add",)
    assert fresh.catalog.current.revision == 1


async def test_while_the_database_refuses_the_old_snapshot_serves_and_watch_goes_on(
    config: Config, fresh: Services, caplog: pytest.LogCaptureFixture
) -> None:
    await offer(fresh, "steady")
    async with open_database(config.effective_database_url) as database:
        catalog = CatalogService(SqlPluginStore(database), Limits(), Limits())
        await catalog.refresh()
        with closing(sqlite3.connect(config.data_dir / "tool-server.db", isolation_level=None)) as other:
            other.execute("ALTER TABLE counters RENAME TO hidden")
            with pytest.raises(Unavailable):
                await catalog.refresh()
            assert catalog.current.find("steady_add") is not None
            async with background(catalog.watch):
                await until(lambda: "could not be refreshed" in caplog.text)
                other.execute("ALTER TABLE hidden RENAME TO counters")
                await offer(fresh, "later")
                await until(lambda: catalog.current.find("later_add") is not None)


async def test_a_catalogue_goes_on_from_a_snapshot_that_was_read_before(config: Config) -> None:
    async with build(config) as services:
        await offer(services, "ant")
        await offer(services, "bee")
        before = services.catalog.current
        async with build(config, known=before) as later:
            assert later.catalog.current is before
            assert later.catalog.loaded
            told: list[tuple[str, ...]] = []

            async def note() -> None:
                told.append(later.catalog.current.names)

            later.catalog.subscribe(note)
            await services.install.uninstall("ant", LOCAL)
            assert await later.catalog.refresh()
            assert told == [("bee_add",)]
            assert (await later.invoke.call("bee_add", {"a": 1, "b": 2}, LOCAL)).structured == {"sum": 3}
