"""Grants: what an operator adds and takes back, and what a plugin gets for it."""

from __future__ import annotations

import anyio
import pytest

from tests.services.publishing import ANYTHING, CALLER, offer, publish, stored
from tests.support.guests import guest
from tool_server.bootstrap.services import Services
from tool_server.errors import Denied, InvalidInput, NotFound, ToolServerError
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.permission import MAX_FOLDERS, MAX_ITEMS, Permissions

REQUESTED = {
    "network": ["*.example.com", "other.example"],
    "environment": ["COLOUR", "ABSENT"],
    "secrets": ["KEY"],
    "filesystem": ["/data:read"],
}


@pytest.fixture
async def plugin(services: Services, name: str) -> str:
    """An installed plugin that says the setting named by its input, and requests a good deal."""
    await offer(services, name, wasm=guest("config"), tools={}, permissions=REQUESTED)
    return name


async def colour(services: Services, plugin: str) -> str:
    """What the plugin reads."""
    result = await services.invoke.call(f"{plugin}_config", {"input": "COLOUR"}, CALLER)
    return str(result.content[0]["text"])


async def test_a_grant_holds_from_the_next_call_until_it_is_taken_back(services: Services, plugin: str) -> None:
    assert await colour(services, plugin) == "none"
    wanted = Permissions(environment=("COLOUR",), network=("API.example.com",))
    revision = await services.plugins.revision()
    added = await services.grants.add(plugin, wanted, LOCAL)
    assert added.changed
    assert added.grants.effective == Permissions(environment=("COLOUR",), network=("api.example.com",))
    assert await services.plugins.revision() > revision
    assert await colour(services, plugin) == "blue"
    again = await services.grants.add(plugin, wanted, LOCAL)
    assert (again.changed, again.grants) == (False, added.grants)
    removed = await services.grants.remove(plugin, Permissions(environment=("COLOUR",)), LOCAL)
    assert removed.grants.granted == Permissions(network=("api.example.com",))
    assert await colour(services, plugin) == "none"
    cleared = await services.grants.clear(plugin, LOCAL)
    assert (cleared.changed, cleared.grants.granted.empty) == (True, True)
    assert (await services.grants.clear(plugin, LOCAL)).changed is False


async def test_a_listing_shows_what_is_requested_granted_effective_and_missing(services: Services, plugin: str) -> None:
    await services.grants.add(plugin, Permissions.parse(["network=api.example.com", "environment=*"]), LOCAL)
    shown = await services.grants.show(plugin, LOCAL)
    assert shown in await services.grants.list_grants(LOCAL)
    assert shown.requested == Permissions.model_validate(REQUESTED)
    assert shown.effective == Permissions(network=("api.example.com",), environment=("COLOUR", "ABSENT"))
    assert shown.missing == Permissions.parse(
        ["network=*.example.com", "network=other.example", "secrets=KEY", "filesystem=/data:read"]
    )
    complete = await services.grants.add(plugin, shown.missing, LOCAL)
    assert complete.grants.missing.empty
    assert complete.grants.effective.network == ("*.example.com", "other.example")


async def test_what_has_no_effect_is_accepted_and_said(services: Services, plugin: str) -> None:
    items = ["network=elsewhere.example", "tools=any_tool", "filesystem=/data:read"]
    change = await services.grants.add(plugin, Permissions.parse(items), LOCAL)
    assert change.changed
    assert change.grants.effective == Permissions()
    said = "\n".join(change.grants.notes)
    assert "network=elsewhere.example has no effect" in said
    assert "tools=any_tool has no effect" in said
    assert "does not import WASI" in said
    assert len(change.grants.notes) == 3


@pytest.mark.parametrize(
    ("grants", "note"),
    [(["/data:write"], "shares no folder /data: add it to filesystem.roots"), ([], None)],
)
async def test_a_folder_that_the_server_does_not_share_is_said(
    services: Services, name: str, grants: list[str], note: str | None
) -> None:
    folders = Permissions(filesystem=tuple(grants))
    await offer(services, name, wasm=guest("files"), tools={}, permissions={"filesystem": ["/data:write"]})
    notes = (await services.grants.add(name, folders, LOCAL)).grants.notes
    assert [note is not None and note in said for said in notes] == [True] * len(grants)


async def test_a_name_that_looks_like_another_one_is_shown_as_what_it_is(services: Services, name: str) -> None:
    look_alike = "\u0430pi.example.com"
    await offer(services, name, wasm=guest("config"), tools={}, permissions={"network": [look_alike]})
    await services.grants.add(name, Permissions(network=("api.example.com",)), LOCAL)
    shown = await services.grants.show(name, LOCAL)
    assert shown.requested.network == shown.missing.network == ("xn--pi-6kc.example.com",)
    assert shown.effective.empty


async def test_an_update_keeps_the_grants_and_a_new_request_needs_a_new_one(services: Services, plugin: str) -> None:
    await services.grants.add(plugin, Permissions(environment=("COLOUR",)), LOCAL)
    wider = {**REQUESTED, "environment": ["COLOUR", "SHAPE"]}
    await publish(services, plugin, "1.1.0", wasm=guest("config"), tools={}, permissions=wider)
    await services.install.install(plugin, "^1", LOCAL)
    shown = await services.grants.show(plugin, LOCAL)
    assert (shown.version, shown.effective.environment) == ("1.1.0", ("COLOUR",))
    assert shown.missing.environment == ("SHAPE",)
    assert await colour(services, plugin) == "blue"


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        ("network=api.example.com", "granted are: 'network=*.example.com'"),
        ("network=*.example.org", "no grant of"),
        ("secrets=KEY", "no grant of"),
    ],
)
async def test_only_what_was_granted_can_be_taken_back(services: Services, plugin: str, grant: str, said: str) -> None:
    await services.grants.add(plugin, Permissions(network=("*.example.com",)), LOCAL)
    before = await stored(services)
    with pytest.raises(NotFound) as refused:
        await services.grants.remove(plugin, Permissions.parse(["network=*.example.com", grant]), LOCAL)
    assert refused.value.code == "not_granted"
    assert said in refused.value.message
    assert await stored(services) == before


@pytest.mark.parametrize(
    ("permissions", "code"),
    [
        (Permissions(network=("http://a.example",)), "invalid_permission"),
        (Permissions(secrets=("no name",)), "invalid_permission"),
        (Permissions(network=tuple(f"h{n}.example" for n in range(MAX_ITEMS + 1))), "too_many_permissions"),
    ],
)
async def test_what_is_no_permission_is_never_granted(
    services: Services, plugin: str, permissions: Permissions, code: str
) -> None:
    before = await stored(services)
    with pytest.raises(InvalidInput) as refused:
        await services.grants.add(plugin, permissions, LOCAL)
    assert refused.value.code == code
    assert await stored(services) == before


async def test_of_changes_at_the_same_time_none_is_lost(services: Services, plugin: str) -> None:
    hosts = [f"h{number}.example.com" for number in range(12)]
    async with anyio.create_task_group() as tasks:
        for host in hosts:
            tasks.start_soon(services.grants.add, plugin, Permissions(network=(host,)), LOCAL)
    assert set((await services.grants.show(plugin, LOCAL)).effective.network) == set(hosts)


async def test_grants_do_not_grow_without_end(services: Services, plugin: str) -> None:
    many = Permissions(network=tuple(f"h{n}.example" for n in range(MAX_ITEMS)))
    await services.grants.add(plugin, many, LOCAL)
    with pytest.raises(InvalidInput) as refused:
        await services.grants.add(plugin, Permissions(network=("one.more",)), LOCAL)
    assert refused.value.code == "too_many_permissions"


@pytest.mark.parametrize(
    ("target", "error", "code"),
    [("absent", NotFound, "not_installed"), ("No Name", InvalidInput, "invalid_name")],
)
async def test_grants_are_for_installed_plugins(
    services: Services, target: str, error: type[ToolServerError], code: str
) -> None:
    nothing = Permissions()
    for work in (
        lambda: services.grants.add(target, nothing, LOCAL),
        lambda: services.grants.remove(target, nothing, LOCAL),
        lambda: services.grants.clear(target, LOCAL),
    ):
        with pytest.raises(error) as refused:
            await work()
        assert refused.value.code == code
    with pytest.raises(error):
        await services.grants.show(target, LOCAL)


@pytest.mark.parametrize("caller", [CALLER, Caller("author", frozenset({Scope.PUBLISH, Scope.READ}))])
async def test_only_an_admin_sees_and_changes_grants(services: Services, plugin: str, caller: Caller) -> None:
    before = await stored(services)
    with pytest.raises(Denied):
        await services.grants.add(plugin, Permissions(secrets=("KEY",)), caller)
    with pytest.raises(Denied):
        await services.grants.remove(plugin, Permissions(), caller)
    with pytest.raises(Denied):
        await services.grants.clear(plugin, caller)
    with pytest.raises(Denied):
        await services.grants.show(plugin, caller)
    with pytest.raises(Denied):
        await services.grants.list_grants(caller)
    assert await stored(services) == before


@pytest.mark.parametrize(
    ("permissions", "place"),
    [
        ({"network": ["fine.example", "http://a.example/x"]}, "$.permissions.network[1]"),
        ({"filesystem": ["/data"]}, "$.permissions.filesystem[0]"),
        ({"secrets": ["*"]}, "$.permissions.secrets[0]"),
        ({"environment": ["TOOL_SERVER_URL"]}, "$.permissions.environment[0]"),
        ({"network": ["a.example"] * (MAX_ITEMS + 1)}, "$.permissions.network"),
        ({"filesystem": ["/data:read"] * (MAX_FOLDERS + 1)}, "$.permissions.filesystem"),
    ],
)
async def test_a_manifest_that_requests_what_is_no_permission_is_not_published(
    services: Services, name: str, permissions: dict[str, list[str]], place: str
) -> None:
    before = await stored(services)
    with pytest.raises(InvalidInput) as refused:
        await publish(services, name, wasm=guest("echo"), tools={"echo": ANYTHING}, permissions=permissions)
    assert (refused.value.code, refused.value.data["path"]) == ("invalid_manifest", place)
    assert f"plugin.json: {place}: " in refused.value.message
    assert await stored(services) == before


async def test_files_without_wasi_are_noted_at_publish(services: Services, name: str) -> None:
    folders = {"filesystem": ["/data:read"]}
    without = await publish(services, name, wasm=guest("echo"), tools={"echo": ANYTHING}, permissions=folders)
    assert "files-without-wasi" in [finding.rule for finding in without.release.findings]
    with_wasi = await publish(services, f"{name}-w", wasm=guest("files"), tools={}, permissions=folders)
    assert "files-without-wasi" not in [finding.rule for finding in with_wasi.release.findings]
