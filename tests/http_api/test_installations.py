"""Installing, moving pins and taking tools away, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.http_api.registry import Registry, assert_problem


async def offered_by(client: httpx.AsyncClient, plugin: str) -> tuple[str, list[str]] | None:
    """The pinned version and the tools of an installation, or None."""
    items = (await client.get("/api/v1/installations")).json()["items"]
    mine = [item for item in items if item["installation"]["plugin"] == plugin]
    return (mine[0]["installation"]["version"], mine[0]["tools"]) if mine else None


async def test_an_installation_lives_from_install_to_uninstall(registry: Registry) -> None:
    name = registry.fresh_name()
    tool = f"{name}_add"
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        await registry.publish(name, version)
    path = f"/api/v1/installations/{name}"
    async with registry.client("admin") as client:
        assert await offered_by(client, name) is None

        first = await client.put(path, json={"version": "1.0.0"})
        assert (first.status_code, first.json()["changed"]) == (201, True)
        assert first.json()["installation"]["version"] == "1.0.0"
        assert await offered_by(client, name) == ("1.0.0", [tool])

        same = await client.put(path, json={"version": "1.0.0"})
        assert (same.status_code, same.json()["changed"]) == (200, False)
        assert same.json()["installation"] == first.json()["installation"]

        ranged = await client.put(path, json={"version": "^1"})
        assert (ranged.status_code, ranged.json()["installation"]["version"]) == (200, "1.1.0")

        await registry.publish(name, "1.2.0")
        updated = await client.post(f"{path}/update")
        assert (updated.status_code, updated.json()["installation"]["version"]) == (200, "1.2.0")
        assert (await client.post(f"{path}/update")).json()["changed"] is False

        back = await client.post(f"{path}/rollback")
        assert (back.status_code, back.json()["installation"]["version"]) == (200, "1.1.0")
        assert await offered_by(client, name) == ("1.1.0", [tool])

        gone = await client.delete(path)
        assert (gone.status_code, gone.content) == (204, b"")
        assert await offered_by(client, name) is None
        assert_problem(await client.delete(path), 404, "not_installed")


async def test_a_prefix_is_set_with_an_installation_and_stays_until_another_is(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    path = f"/api/v1/installations/{name}"
    bodies: list[tuple[dict[str, object], str]] = [
        ({"tool_prefix": "mine"}, "mine_add"),
        ({}, "mine_add"),
        ({"settings": {}, "tool_prefix": f"of-{name}"}, f"of-{name}_add"),
        ({"settings": {}}, f"of-{name}_add"),
        ({"settings": {"tool_prefix": "mine"}}, "mine_add"),
    ]
    async with registry.client("admin") as client:
        for body, tool in bodies:
            assert (await client.put(path, json=body)).status_code in (200, 201)
            assert await offered_by(client, name) == ("1.0.0", [tool])
        await client.delete(path)


@pytest.mark.parametrize("body", [None, b"", b"{}", b'{"version": ""}', b'{"version": "latest"}'])
async def test_no_version_means_the_newest_release(registry: Registry, body: bytes | None) -> None:
    name = registry.fresh_name()
    for version in ("1.0.0", "1.1.0", "2.0.0-rc.1"):
        await registry.publish(name, version)
    async with registry.client("admin") as client:
        headers = {"Content-Type": "application/json"} if body else {}
        response = await client.put(f"/api/v1/installations/{name}", content=body, headers=headers)
        assert (response.status_code, response.json()["installation"]["version"]) == (201, "1.1.0")


async def test_scoped_plugins_install_under_their_whole_name(registry: Registry) -> None:
    name = f"@acme/{registry.fresh_name('update')}"
    await registry.publish(name)
    async with registry.client("admin") as client:
        encoded = name.replace("@", "%40").replace("/", "%2F")
        assert (await client.put(f"/api/v1/installations/{encoded}")).status_code == 201
        assert await offered_by(client, name) == ("1.0.0", [f"{name[1:].replace('/', '_')}_add"])
        assert (await client.post(f"/api/v1/installations/{name}/update")).json()["changed"] is False
        assert (await client.delete(f"/api/v1/installations/{name}")).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "absent-plugin", {}, 404, "unknown_plugin"),
        ("PUT", "Bad!", {}, 400, "invalid_name"),
        ("PUT", "absent-plugin", {"version": "%%%"}, 400, "invalid_range"),
        ("PUT", "absent-plugin", {"version": 1}, 400, "invalid_body"),
        ("PUT", "absent-plugin", {"range": "1"}, 400, "invalid_body"),
        ("PUT", "absent-plugin", {"tool_prefix": "a.b"}, 400, "invalid_body"),
        ("PUT", "absent-plugin", {"tool_prefix": "a" * 33}, 400, "invalid_body"),
        ("PUT", "absent-plugin", {"settings": {"tool_prefix": "a\n"}}, 400, "invalid_body"),
        ("POST", "absent-plugin/update", None, 404, "not_installed"),
        ("POST", "absent-plugin/rollback", None, 404, "not_installed"),
        ("DELETE", "absent-plugin", None, 404, "not_installed"),
        ("DELETE", "Bad!", None, 400, "invalid_name"),
    ],
)
async def test_what_cannot_be_installed_is_a_problem(
    registry: Registry, method: str, path: str, body: object, status: int, code: str
) -> None:
    async with registry.client("admin") as client:
        assert_problem(await client.request(method, f"/api/v1/installations/{path}", json=body), status, code)


async def test_a_range_without_a_match_lists_what_there_is(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    async with registry.client("admin") as client:
        response = await client.put(f"/api/v1/installations/{name}", json={"version": "^9"})
    assert assert_problem(response, 404, "no_matching_version")["data"]["versions"] == ["1.0.0"]


async def test_a_first_pin_cannot_be_rolled_back(registry: Registry) -> None:
    name = await registry.installed()
    async with registry.client("admin") as client:
        assert_problem(await client.post(f"/api/v1/installations/{name}/rollback"), 409, "no_previous_version")


@pytest.mark.parametrize("scope", ["read", "call", "publish", None])
@pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("DELETE", ""), ("POST", "/update"), ("POST", "/rollback")])
async def test_only_an_admin_moves_pins(registry: Registry, scope: str | None, method: str, path: str) -> None:
    async with registry.client(scope) as client:
        response = await client.request(method, f"/api/v1/installations/absent{path}")
    assert "--scope admin" in assert_problem(response, 403, "missing_scope")["detail"]


async def test_the_listing_comes_in_pages(registry: Registry) -> None:
    names = {await registry.installed() for _ in range(3)}
    async with registry.client("read") as client:
        whole = (await client.get("/api/v1/installations")).json()
        assert whole["next"] is None
        found: list[object] = []
        after = ""
        while after is not None:
            page = (await client.get("/api/v1/installations", params={"limit": 2, "after": after})).json()
            assert len(page["items"]) <= 2
            found += page["items"]
            after = page["next"]
        assert found == whole["items"]
        assert names <= {item["installation"]["plugin"] for item in whole["items"]}
        for query in ("limit=0", "limit=501", "q=x"):
            assert_problem(await client.get(f"/api/v1/installations?{query}"), 400, "invalid_query")


async def test_an_installation_takes_grants_and_settings_and_shows_no_value_of_them(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    path = f"/api/v1/installations/{name}"
    granted = {"network": ["api.example.com"]}
    settings = {"config": {"MODE": "not-for-everybody"}, "skip_tools": ["^add$"]}
    async with registry.client("admin") as client:
        made = await client.put(path, json={"version": "", "granted": granted, "settings": settings})
        assert made.status_code == 201
        assert made.json()["installation"]["granted"]["network"] == ["api.example.com"]
        assert await offered_by(client, name) == ("1.0.0", [])
        listed = await client.get("/api/v1/installations")
        assert "not-for-everybody" not in made.text + listed.text
        kept = await client.put(path, json={"version": ""})
        assert kept.json()["changed"] is False
        again = await client.put(path, json={"settings": {}})
        assert again.json()["changed"] is True
        assert await offered_by(client, name) == ("1.0.0", [f"{name}_add"])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"skip_tools": ["("]}, "invalid_pattern"),
        ({"config": {"A": "x" * 40_000}}, "too_many_settings"),
        ({"skip_tools": "a"}, "invalid_body"),
        ({"config": {"A": 5}}, "invalid_body"),
        ({"skip_prompts": ["("]}, "invalid_pattern"),
        ({"skip_everything": []}, "invalid_body"),
    ],
)
async def test_settings_that_are_none_change_nothing(registry: Registry, settings: object, code: str) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    async with registry.client("admin") as client:
        refused = await client.put(f"/api/v1/installations/{name}", json={"settings": settings})
        assert refused.json()["code"] == code, refused.text
        assert refused.is_client_error
        assert await offered_by(client, name) is None
