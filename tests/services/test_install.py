"""Pins: which version a range takes, and moving back and forth."""

from __future__ import annotations

import anyio
import pytest

from tests.services.publishing import CALLER, publish, stored
from tool_server.bootstrap.services import Services, build
from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, ToolServerError
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.permission import Permissions

VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0", "3.0.0-rc.1")
YANKED = "1.2.0"


@pytest.fixture
async def plugin(services: Services, name: str) -> str:
    """A plugin of several versions, one of them yanked."""
    release = (await publish(services, name, VERSIONS[0])).release
    for version in VERSIONS[1:]:
        manifest = release.manifest.model_copy(update={"version": version})
        await services.plugins.add_version(release.model_copy(update={"manifest": manifest}))
    await services.browse.set_yanked(name, YANKED, True, LOCAL, "wrong sums")
    return name


def offered(services: Services, plugin: str) -> list[str]:
    """The version that each offered tool of the plugin comes from."""
    return [tool.version for tool in services.catalog.current if tool.plugin == plugin]


@pytest.mark.parametrize(
    ("requested", "version"),
    [
        ("", "2.0.0"),
        ("latest", "2.0.0"),
        ("*", "2.0.0"),
        ("^1", "1.1.0"),
        ("~1.0", "1.0.0"),
        (">=1.1 <2", "1.1.0"),
        ("1.2.0", "1.2.0"),
        ("3.0.0-rc.1", "3.0.0-rc.1"),
        (">=3.0.0-rc.0", "3.0.0-rc.1"),
    ],
)
async def test_a_range_takes_the_newest_version_that_is_not_yanked(
    services: Services, plugin: str, requested: str, version: str
) -> None:
    installed = await services.install.install(plugin, requested, LOCAL)
    assert (installed.installation.version, installed.installation.requested) == (version, requested)
    assert installed.changed
    assert offered(services, plugin) == [version]
    again = await services.install.install(plugin, requested, LOCAL)
    assert (again.changed, again.installation) == (False, installed.installation)


@pytest.mark.parametrize(
    ("requested", "error", "code", "said"),
    [
        ("^4", NotFound, "no_matching_version", "2.0.0, 1.1.0"),
        ("~1.2", NotFound, "no_matching_version", "1.1.0"),
        ("one", InvalidInput, "invalid_range", "^1.2.0"),
        ("1" * 300, InvalidInput, "invalid_range", "range"),
    ],
)
async def test_a_range_that_takes_nothing_names_what_there_is_and_changes_nothing(
    services: Services, plugin: str, requested: str, error: type[ToolServerError], code: str, said: str
) -> None:
    await services.install.install(plugin, "1.0.0", LOCAL)
    before = await stored(services)
    with pytest.raises(error) as refused:
        await services.install.install(plugin, requested, LOCAL)
    assert refused.value.code == code
    assert said in refused.value.message
    assert await stored(services) == before
    assert offered(services, plugin) == ["1.0.0"]


async def test_names_that_are_none_and_plugins_that_are_not_there_are_told_apart(services: Services) -> None:
    for name, error, code in (("No Name", InvalidInput, "invalid_name"), ("absent", NotFound, "unknown_plugin")):
        with pytest.raises(error) as refused:
            await services.install.install(name, "", LOCAL)
        assert refused.value.code == code


async def test_update_moves_the_pin_within_its_range(services: Services, plugin: str) -> None:
    await services.install.install(plugin, "^1", LOCAL)
    unchanged = await services.install.update(plugin, LOCAL)
    assert (unchanged.changed, unchanged.installation.version) == (False, "1.1.0")
    await publish(services, plugin, "1.3.0")
    moved = await services.install.update(plugin, LOCAL)
    assert (moved.changed, moved.installation.version, moved.installation.previous) == (True, "1.3.0", "1.1.0")
    assert offered(services, plugin) == ["1.3.0"]


async def test_a_yank_leaves_the_pin_and_an_update_moves_off_it(services: Services, plugin: str) -> None:
    await services.install.install(plugin, "^1", LOCAL)
    await services.browse.set_yanked(plugin, "1.1.0", True, LOCAL)
    assert offered(services, plugin) == ["1.1.0"]
    assert (await services.install.update(plugin, LOCAL)).installation.version == "1.0.0"


async def test_a_second_rollback_undoes_the_first(services: Services, plugin: str) -> None:
    await services.install.install(plugin, "1.0.0", LOCAL)
    with pytest.raises(Conflict) as refused:
        await services.install.rollback(plugin, LOCAL)
    assert refused.value.code == "no_previous_version"
    await services.install.install(plugin, "^2", LOCAL)
    for version, previous in (("1.0.0", "2.0.0"), ("2.0.0", "1.0.0"), ("1.0.0", "2.0.0")):
        result = (await services.install.rollback(plugin, LOCAL)).installation
        assert (result.version, result.previous, result.requested) == (version, previous, "^2")
        assert offered(services, plugin) == [version]


async def test_a_grant_stays_with_the_installation_until_it_is_replaced(services: Services, plugin: str) -> None:
    grant = Permissions(network=("example.com",))
    await services.install.install(plugin, "^1", LOCAL, grant)
    assert (await services.install.install(plugin, "^2", LOCAL)).installation.granted == grant
    replaced = await services.install.install(plugin, "^2", LOCAL, Permissions())
    assert (replaced.changed, replaced.installation.granted) == (True, Permissions())


async def test_what_is_no_permission_is_never_granted_with_an_installation(services: Services, plugin: str) -> None:
    before = await stored(services)
    with pytest.raises(InvalidInput) as refused:
        await services.install.install(plugin, "^1", LOCAL, Permissions(network=("http://example.com",)))
    assert refused.value.code == "invalid_permission"
    assert await stored(services) == before


async def test_uninstalling_takes_the_tools_away_and_keeps_the_versions(services: Services, plugin: str) -> None:
    await services.install.install(plugin, "", LOCAL)
    await services.install.uninstall(plugin, LOCAL)
    assert offered(services, plugin) == []
    assert len(await services.plugins.list_versions(plugin)) == len(VERSIONS)
    for command in (services.install.uninstall, services.install.update, services.install.rollback):
        with pytest.raises(NotFound) as refused:
            await command(plugin, LOCAL)
        assert refused.value.code == "not_installed"


@pytest.mark.parametrize("caller", [CALLER, Caller("author", frozenset({Scope.PUBLISH, Scope.READ}))])
async def test_only_an_admin_moves_pins(services: Services, plugin: str, caller: Caller) -> None:
    await services.install.install(plugin, "1.0.0", LOCAL)
    before = await stored(services)
    with pytest.raises(Denied) as refused:
        await services.install.install(plugin, "", caller)
    assert "--scope admin" in refused.value.message
    for command in (services.install.uninstall, services.install.update, services.install.rollback):
        with pytest.raises(Denied):
            await command(plugin, caller)
    assert await stored(services) == before


async def test_of_installs_at_the_same_time_each_knows_the_one_before_it(services: Services, name: str) -> None:
    release = (await publish(services, name, "1.0.0")).release
    for minor in range(1, 13):
        manifest = release.manifest.model_copy(update={"version": f"1.{minor}.0"})
        await services.plugins.add_version(release.model_copy(update={"manifest": manifest}))
    await services.install.install(name, "1.0.0", LOCAL)
    previous: list[str | None] = []

    async with build(services.config) as other, anyio.create_task_group() as tasks:

        async def install(where: Services, version: str) -> None:
            previous.append((await where.install.install(name, version, LOCAL)).installation.previous)

        for minor in range(1, 13):
            tasks.start_soon(install, (services, other)[minor % 2], f"1.{minor}.0")
    last = await services.plugins.get_installation(name)
    assert last is not None
    # Every version was moved off exactly once, but for the one that is pinned in the end.
    assert sorted([*map(str, previous), last.version]) == sorted(f"1.{minor}.0" for minor in range(13))


async def test_rollbacks_at_the_same_time_are_made_one_after_the_other(services: Services, plugin: str) -> None:
    await services.install.install(plugin, "1.0.0", LOCAL)
    await services.install.install(plugin, "2.0.0", LOCAL)
    versions: list[str] = []

    async def rollback() -> None:
        versions.append((await services.install.rollback(plugin, LOCAL)).installation.version)

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(rollback)
    assert (versions.count("1.0.0"), versions.count("2.0.0")) == (5, 5)
    assert offered(services, plugin) == ["2.0.0"]


async def test_an_install_says_whether_the_plugin_was_there(services: Services, plugin: str) -> None:
    first, again, moved = [await services.install.install(plugin, wanted, LOCAL) for wanted in ("^1", "^1", "^2")]
    assert [(one.changed, one.created) for one in (first, again, moved)] == [
        (True, True),
        (False, False),
        (True, False),
    ]


async def test_a_process_that_never_listed_the_catalogue_does_not_read_it_to_install(
    services: Services, plugin: str
) -> None:
    async with build(services.config, load_catalog=False) as other:
        await other.install.install(plugin, "", LOCAL)
        assert not other.catalog.loaded
        assert len(other.catalog.current) == 0
        await other.catalog.refresh()
        assert other.catalog.current.tools_of(plugin)
