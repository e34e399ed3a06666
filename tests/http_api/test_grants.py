"""Grants over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http_api.registry import Registry, assert_problem

REQUESTED = {"network": ["*.example.com"], "secrets": ["KEY"]}
NONE: dict[str, list[str]] = {
    kind: [] for kind in ("network", "filesystem", "environment", "secrets", "tools", "functions")
}


async def test_grants_are_added_listed_and_removed(registry: Registry) -> None:
    name = await registry.installed(permissions=REQUESTED)
    path = f"/api/v1/installations/{name}/grants"
    async with registry.client("admin") as client:
        assert (await client.get(path)).json() == {
            **{"plugin": name, "version": "1.0.0", "requested": {**NONE, **REQUESTED}, "granted": NONE},
            **{"effective": NONE, "missing": {**NONE, **REQUESTED}, "notes": []},
        }
        body = {"permissions": {"network": ["GET API.example.com"], "tools": ["x"]}}
        added = (await client.post(path, json=body)).json()
        assert added["changed"] is True
        assert added["grants"]["effective"] == {**NONE, "network": ["GET api.example.com"]}
        assert added["grants"]["notes"] == [f"tools=x has no effect: {name} 1.0.0 does not request it"]
        assert (await client.post(path, json=body)).json() == {**added, "changed": False}
        assert added["grants"] in (await client.get("/api/v1/grants")).json()["items"]
        installed = (await client.get("/api/v1/installations")).json()["items"]
        (mine,) = [item["installation"] for item in installed if item["installation"]["plugin"] == name]
        assert mine["granted"] == added["grants"]["granted"]

        removed = await client.post(f"{path}/remove", json={"permissions": {"tools": ["x"]}})
        assert removed.json()["grants"]["granted"] == {**NONE, "network": ["GET api.example.com"]}
        cleared = await client.delete(path)
        assert (cleared.json()["changed"], cleared.json()["grants"]["granted"]) == (True, NONE)
        assert (await client.delete(path)).json()["changed"] is False


async def test_scoped_plugins_have_grants_under_their_whole_name(registry: Registry) -> None:
    name = await registry.installed(f"@acme/{registry.fresh_name('grants')}", permissions=REQUESTED)
    async with registry.client("admin") as client:
        for path in (name, name.replace("@", "%40").replace("/", "%2F")):
            shown = await client.get(f"/api/v1/installations/{path}/grants")
            assert (shown.status_code, shown.json()["plugin"]) == (200, name)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "absent-plugin/grants", None, 404, "not_installed"),
        ("GET", "Bad!/grants", None, 400, "invalid_name"),
        ("POST", "absent-plugin/grants", {"permissions": {}}, 404, "not_installed"),
        ("POST", "absent-plugin/grants/remove", {"permissions": {}}, 404, "not_installed"),
        ("DELETE", "absent-plugin/grants", None, 404, "not_installed"),
        ("POST", "NAME/grants", {}, 400, "invalid_body"),
        ("POST", "NAME/grants", {"permissions": {"net": []}}, 400, "invalid_body"),
        ("POST", "NAME/grants", {"permissions": {"network": "a.example"}}, 400, "invalid_body"),
        ("POST", "NAME/grants", {"permissions": {"network": [1]}}, 400, "invalid_body"),
        ("POST", "NAME/grants", {"permissions": {"network": ["http://x"]}}, 400, "invalid_permission"),
        ("POST", "NAME/grants", {"permissions": {"network": ["a.example"] * 101}}, 400, "too_many_permissions"),
        ("POST", "NAME/grants/remove", {"permissions": {"secrets": ["KEY"]}}, 404, "not_granted"),
    ],
)
async def test_what_cannot_be_granted_is_a_problem(
    registry: Registry, method: str, path: str, body: Any, status: int, code: str
) -> None:
    name = await registry.installed() if "NAME" in path else ""
    async with registry.client("admin") as client:
        response = await client.request(method, f"/api/v1/installations/{path.replace('NAME', name)}", json=body)
        assert_problem(response, status, code)


@pytest.mark.parametrize("scope", ["read", "call", "publish", None])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "grants"),
        ("GET", "installations/absent/grants"),
        ("POST", "installations/absent/grants"),
        ("DELETE", "installations/absent/grants"),
        ("POST", "installations/absent/grants/remove"),
    ],
)
async def test_only_an_admin_sees_and_changes_grants(
    registry: Registry, scope: str | None, method: str, path: str
) -> None:
    async with registry.client(scope) as client:
        response = await client.request(method, f"/api/v1/{path}")
    assert "--scope admin" in assert_problem(response, 403, "missing_scope")["detail"]
