"""What every `PluginStore` does with installations."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, update

from tests.storage.examples import make_installation, make_release, put_installation
from tool_server.errors import NotFound, Unavailable
from tool_server.interfaces import PluginStore
from tool_server.model.settings import InstallationSettings
from tool_server.storage.database import Database, open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.tables import installations


async def test_an_installation_comes_back_as_it_was_stored(plugins: PluginStore) -> None:
    for name in ("beta", "alpha", "not-installed"):
        await plugins.add_version(make_release(name))
    for name in ("beta", "alpha"):
        await put_installation(plugins, make_installation(name))
    assert await plugins.get_installation("alpha") == make_installation("alpha")
    assert await plugins.list_installed() == tuple(make_installation(name) for name in ("alpha", "beta"))


async def test_installing_again_pins_the_plugin_to_the_other_version(plugins: PluginStore) -> None:
    for version in ("1.0.0", "1.1.0"):
        await plugins.add_version(make_release(version=version))
    await put_installation(plugins, make_installation(version="1.0.0"))
    moved = make_installation(version="1.1.0", previous="1.0.0")
    await put_installation(plugins, moved)
    assert await plugins.list_installed() == (moved,)


@pytest.mark.parametrize(("plugin", "version"), [("text-tools", "2.0.0"), ("nothing", "1.0.0")])
async def test_a_version_that_is_not_stored_cannot_be_installed(
    plugins: PluginStore, plugin: str, version: str
) -> None:
    await plugins.add_version(make_release())
    await put_installation(plugins, make_installation())
    before = await plugins.revision()
    with pytest.raises(NotFound) as caught:
        await put_installation(plugins, make_installation(plugin, version))
    assert caught.value.code == "unknown_version"
    assert await plugins.get_installation("text-tools") == make_installation()
    assert await plugins.revision() == before


async def test_uninstalling_removes_the_pin_alone(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    await put_installation(plugins, make_installation())
    await plugins.remove_installation("text-tools")
    assert await plugins.get_installation("text-tools") is None
    assert await plugins.list_installed() == ()
    assert await plugins.get_version("text-tools", "1.0.0") == make_release()


async def test_what_is_not_installed_cannot_be_removed(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    before = await plugins.revision()
    with pytest.raises(NotFound) as caught:
        await plugins.remove_installation("text-tools")
    assert caught.value.code == "not_installed"
    assert await plugins.revision() == before


async def test_every_change_of_an_installation_and_nothing_else_advances_the_revision(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    await plugins.set_yanked("text-tools", "1.0.0", True)
    seen = [await plugins.revision()]
    for previous in ("0.9.0", None, None):
        await put_installation(plugins, make_installation(previous=previous))
        seen.append(await plugins.revision())
    await plugins.remove_installation("text-tools")
    seen.append(await plugins.revision())
    assert seen == [0, 1, 2, 2, 3]


async def test_another_connection_sees_the_installation_and_its_revision(
    plugins: PluginStore, database_url: str
) -> None:
    async with open_database(database_url) as second:
        other = SqlPluginStore(second)
        assert await other.revision() == 0
        await plugins.add_version(make_release())
        await put_installation(plugins, make_installation())
        assert await other.revision() == 1
        assert await other.list_installed() == (make_installation(),)


async def test_settings_stay_with_the_installation_and_decide_what_is_offered(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    settings = InstallationSettings(config={"MODE": "fast"}, skip_tools=("^other$",))
    installation = make_installation().model_copy(update={"settings": settings})
    await put_installation(plugins, installation)
    assert await plugins.get_installation("text-tools") == installation
    assert await plugins.list_installed() == (installation,)
    (offer,) = (await plugins.offers_since(-1)).offers.values()
    assert offer is not None
    (stored,) = await plugins.read_tools(offer.tools)
    assert stored is not None
    assert stored.config == {"MODE": "fast"}
    before = await plugins.revision()
    without = settings.model_copy(update={"skip_tools": ("^c.*t$",)})
    await put_installation(plugins, installation.model_copy(update={"settings": without}))
    (offer,) = (await plugins.offers_since(before)).offers.values()
    assert offer is not None
    assert offer.tools == ()
    assert await plugins.check() == ()


async def test_the_prefix_of_an_installation_is_in_the_names_of_what_it_offers(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    for prefix, name in (("", "count"), ("mine", "mine_count"), (None, "text-tools_count")):
        settings = InstallationSettings(tool_prefix=prefix)
        await put_installation(plugins, make_installation().model_copy(update={"settings": settings}))
        (offer,) = (await plugins.offers_since(-1)).offers.values()
        assert offer is not None
        assert [tool.name for tool in offer.tools] == [name]
        (stored,) = await plugins.read_tools(offer.tools)
        assert stored is not None
        assert stored.definition.name == "count"
    assert await plugins.check() == ()


async def test_values_of_settings_are_never_part_of_what_is_shown_of_an_installation() -> None:
    settings = InstallationSettings(config={"MODE": "not-for-everybody"})
    installation = make_installation().model_copy(update={"settings": settings})
    for shown in (installation.model_dump_json(), str(installation.model_dump()), repr(installation)):
        assert "not-for-everybody" not in shown


@pytest.mark.parametrize("stored", ["{", '{"config": 5}', '{"unknown": 1}'])
async def test_settings_that_cannot_be_read_are_an_error_and_not_no_settings(
    plugins: PluginStore, database: Database, stored: str
) -> None:
    await plugins.add_version(make_release())
    await put_installation(plugins, make_installation())

    def damage(connection: Connection) -> None:
        connection.execute(update(installations).values(settings=stored))

    await database.write(damage)
    with pytest.raises(Unavailable) as caught:
        await plugins.get_installation("text-tools")
    assert caught.value.code == "database_error"
