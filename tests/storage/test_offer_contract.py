"""What every `PluginStore` derives of installations, and what it tells of their changes."""

from __future__ import annotations

import anyio
import pytest
from sqlalchemy import Connection, delete, update

from tests.storage.examples import (
    NOON,
    PROMPT,
    RESOURCE,
    TEMPLATE,
    make_installation,
    make_release,
    put_installation,
    with_items,
)
from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.inspection.item_offering import item_listing
from tool_server.inspection.offering import listing
from tool_server.interfaces import PluginStore
from tool_server.model.catalog import OfferedTool
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.manifest import ManifestLimits
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, Release
from tool_server.storage.database import Database, open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.tables import installation_changes, offered_items, offered_tools, offers


async def install(plugins: PluginStore, *names: str) -> None:
    for name in names:
        await plugins.add_version(make_release(name))
        await put_installation(plugins, make_installation(name))


async def offered(plugins: PluginStore, plugin: str = "text-tools") -> OfferedTool:
    """The one tool of an installed plugin."""
    offer = (await plugins.offers_since(-1)).offers[plugin]
    assert offer is not None
    (tool,) = offer.tools
    return tool


async def test_an_offer_holds_what_a_listing_shows_of_each_tool(plugins: PluginStore) -> None:
    await install(plugins, "alpha", "@b/beta")
    changes = await plugins.offers_since(-1)
    assert (changes.revision, changes.complete, sorted(changes.offers)) == (2, True, ["@b/beta", "alpha"])
    offer = changes.offers["@b/beta"]
    assert offer is not None
    release = make_release("@b/beta")
    assert (offer.plugin, offer.version, offer.installed_at) == ("@b/beta", "1.0.0", NOON)
    assert offer.quarantined == release.quarantined
    wire = listing("@b/beta", "1.0.0", release.tools[0])
    assert offer.tools == (OfferedTool("b_beta_count", "@b/beta", "1.0.0", "count", 0, 2, False, wire),)


async def test_only_what_changed_since_is_told(plugins: PluginStore) -> None:
    await install(plugins, "alpha", "beta", "gamma")
    seen = (await plugins.offers_since(-1)).revision
    assert (await plugins.offers_since(seen)).offers == {}
    await plugins.add_version(make_release("beta", "2.0.0"))
    assert (await plugins.offers_since(seen)).revision == seen
    await put_installation(plugins, make_installation("beta", "2.0.0"))
    await plugins.remove_installation("alpha")
    changes = await plugins.offers_since(seen)
    assert (changes.revision, changes.complete, sorted(changes.offers)) == (5, False, ["alpha", "beta"])
    assert changes.offers["alpha"] is None
    moved = changes.offers["beta"]
    assert moved is not None
    assert [(tool.version, tool.revision) for tool in moved.tools] == [("2.0.0", 4)]
    assert sorted((await plugins.offers_since(4)).offers) == ["alpha"]
    await install(plugins, "alpha")
    assert (await plugins.offers_since(5)).offers["alpha"] is not None


@pytest.mark.parametrize("revision", [7, 10**9])
async def test_a_revision_that_never_was_here_is_answered_with_everything(plugins: PluginStore, revision: int) -> None:
    await install(plugins, "alpha")
    changes = await plugins.offers_since(revision)
    assert (changes.revision, changes.complete, sorted(changes.offers)) == (1, True, ["alpha"])


async def test_a_tool_is_read_with_all_that_a_call_needs(plugins: PluginStore) -> None:
    release = make_release()
    limits = ManifestLimits(memory="8MiB")
    wishes = {"permissions": Permissions(network=("a.example", "api.example.com")), "limits": limits}
    release = release.model_copy(update={"manifest": release.manifest.model_copy(update=wishes)})
    await plugins.add_version(release)
    await put_installation(plugins, make_installation())
    tool = await offered(plugins)
    (stored,) = await plugins.read_tools((tool,))
    assert stored is not None
    assert stored.definition == release.tools[0]
    assert [example.model_fields_set for example in stored.definition.examples] == [{"input"}, {"input", "output"}]
    assert (stored.program, stored.limits) == (release.program, limits)
    assert (stored.requested, stored.granted) == (wishes["permissions"], make_installation().granted)
    assert stored.size > len(tool.listing)


async def test_a_tool_whose_plugin_has_changed_meanwhile_is_not_read(plugins: PluginStore) -> None:
    await install(plugins, "text-tools", "other")
    tool, other = await offered(plugins), await offered(plugins, "other")
    regranted = make_installation().model_copy(update={"granted": Permissions()})
    await put_installation(plugins, regranted)
    assert [found is None for found in await plugins.read_tools((tool, other))] == [True, False]
    await plugins.remove_installation("other")
    assert await plugins.read_tools((other, tool)) == (None, None)
    assert await plugins.read_tools((other._replace(position=9),)) == (None,)


async def test_a_change_is_made_from_the_installation_as_it_is_then(plugins: PluginStore) -> None:
    """Twenty changes at once, each counting up: none is lost."""
    for number in range(21):
        await plugins.add_version(make_release(version=f"1.{number}.0"))
    await put_installation(plugins, make_installation())

    def next_minor(present: Installation | None) -> Installation:
        assert present is not None
        minor = int(present.version.split(".")[1])
        return present.model_copy(update={"version": f"1.{minor + 1}.0", "previous": present.version})

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(plugins.change_installation, "text-tools", next_minor)
    installed = await plugins.get_installation("text-tools")
    assert installed is not None
    assert (installed.version, installed.previous) == ("1.20.0", "1.19.0")
    assert await plugins.revision() == 21


@pytest.mark.parametrize("error", [InvalidInput("no", "no"), NotFound("no", "no")])
async def test_what_a_change_raises_comes_out_and_nothing_has_changed(
    plugins: PluginStore, error: ToolServerError
) -> None:
    await install(plugins, "text-tools")

    def refuse(present: Installation | None) -> Installation:
        assert present == make_installation()
        raise error

    with pytest.raises(type(error)):
        await plugins.change_installation("text-tools", refuse)
    assert await plugins.get_installation("text-tools") == make_installation()
    assert await plugins.revision() == 1


async def test_asking_what_is_published_tells_the_same_bytes_from_others_and_owners_apart(plugins: PluginStore) -> None:
    release = make_release()
    same = (release.program.digest, release.manifest_digest)

    async def ask(version: str, publisher: str, digests: tuple[str, str] = same) -> Release | None:
        return await plugins.find_published(
            "text-tools", version, publisher=publisher, digest=digests[0], manifest_digest=lambda: digests[1]
        )

    assert await ask("1.0.0", "ada") is None
    await plugins.add_version(release)
    assert await ask("1.0.0", "ada") == release
    assert await ask("1.1.0", "ada") is None
    for other in ((same[0], "0" * 64), ("0" * 64, same[1])):
        with pytest.raises(Conflict, match="other bytes"):
            await ask("1.0.0", "ada", other)
    for version in ("1.0.0", "1.1.0"):
        with pytest.raises(Denied, match="'ada'"):
            await ask(version, "eve")


@pytest.mark.parametrize(
    ("column", "value", "readable"),
    [("remainder", "{}", False), ("remainder", "no JSON", False), ("listing", b"{}", True), ("name", "x", True)],
)
async def test_derived_rows_that_contradict_the_version_are_found(
    database: Database, plugins: PluginStore, column: str, value: object, readable: bool
) -> None:
    await install(plugins, "alpha", "text-tools")
    assert await plugins.check() == ()
    tool = await offered(plugins)

    def damage(connection: Connection) -> None:
        connection.execute(update(offered_tools).where(offered_tools.c.plugin == "text-tools").values({column: value}))

    await database.write(damage)
    (problem,) = await plugins.check()
    assert problem == "what text-tools offers is not what its version says: uninstall it and install it again"
    if not readable:
        with pytest.raises(Unavailable, match="'text-tools_count' cannot be read"):
            await plugins.read_tools((tool,))
        return
    await plugins.remove_installation("text-tools")
    await put_installation(plugins, make_installation())
    assert await plugins.check() == ()


async def test_an_installation_without_offer_or_change_is_found(database: Database, plugins: PluginStore) -> None:
    await install(plugins, "text-tools")

    def lose(connection: Connection) -> None:
        for table in (offered_tools, offers, installation_changes):
            connection.execute(delete(table))

    await database.write(lose)
    offer, change = await plugins.check()
    assert "what text-tools offers" in offer
    assert "no change is noted for text-tools" in change


async def test_another_connection_learns_of_a_change_and_of_its_plugin_alone(
    plugins: PluginStore, database_url: str
) -> None:
    await install(plugins, "alpha", "beta")
    async with open_database(database_url) as second:
        other = SqlPluginStore(second)
        seen = (await other.offers_since(-1)).revision
        await plugins.remove_installation("beta")
        assert await other.offers_since(seen) == (3, {"beta": None}, False)


async def install_with_items(plugins: PluginStore, name: str = "text-tools") -> None:
    await plugins.add_version(with_items(make_release(name)))
    await put_installation(plugins, make_installation(name))


async def items_of(plugins: PluginStore, plugin: str = "text-tools") -> tuple[OfferedItem, ...]:
    offer = (await plugins.offers_since(-1)).offers[plugin]
    assert offer is not None
    return offer.items


async def test_an_offer_holds_prompts_resources_and_templates_beside_tools(plugins: PluginStore) -> None:
    await install_with_items(plugins)
    wire = item_listing("text-tools", "1.0.0", "text-tools_review", PROMPT)
    items = await items_of(plugins)
    assert items[0] == OfferedItem("text-tools_review", ItemKind.PROMPT, "text-tools", "1.0.0", 0, 1, wire)
    assert [(item.kind, item.name, item.position) for item in items[1:]] == [
        (ItemKind.RESOURCE, "notes://u", 0),
        (ItemKind.RESOURCE, "notes://v", 1),
        (ItemKind.TEMPLATE, "notes://{name}", 0),
    ]


async def test_what_is_read_of_an_item_is_what_was_published(plugins: PluginStore) -> None:
    await install_with_items(plugins)
    prompt, resource, _, template = await items_of(plugins)
    found = await plugins.read_items((prompt, resource, template))
    assert [item.definition for item in found if item is not None] == [PROMPT, RESOURCE, TEMPLATE]
    assert found[0] is not None
    assert found[0].program == make_release().program
    assert found[0].size > 0


async def test_an_item_of_a_plugin_that_changed_since_is_not_read(plugins: PluginStore) -> None:
    await install_with_items(plugins)
    items = await items_of(plugins)
    await plugins.remove_installation("text-tools")
    assert await plugins.read_items(items) == (None,) * 4


async def test_items_are_told_with_the_changes_of_their_plugin_alone(plugins: PluginStore) -> None:
    await install_with_items(plugins)
    seen = (await plugins.offers_since(-1)).revision
    await install_with_items(plugins, "other")
    changes = await plugins.offers_since(seen)
    assert list(changes.offers) == ["other"]
    assert changes.offers["other"] is not None
    assert len(changes.offers["other"].items) == 4


async def test_a_contradiction_among_items_is_found(database: Database) -> None:
    plugins = SqlPluginStore(database)
    await install_with_items(plugins)
    assert await plugins.check() == ()

    def spoil(connection: Connection) -> None:
        connection.execute(delete(offered_items).where(offered_items.c.kind == ItemKind.TEMPLATE.value))

    await database.write(spoil)
    (problem,) = await plugins.check()
    assert "what text-tools offers" in problem


async def test_an_item_that_cannot_be_read_is_an_error_that_names_it(database: Database) -> None:
    plugins = SqlPluginStore(database)
    await install_with_items(plugins)

    def spoil(connection: Connection) -> None:
        connection.execute(update(offered_items).values(definition="{}"))

    await database.write(spoil)
    with pytest.raises(Unavailable, match="the prompt 'text-tools_review'"):
        await plugins.read_items((await items_of(plugins))[:1])
