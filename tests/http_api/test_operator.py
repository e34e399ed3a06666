"""Tokens over HTTP, and who may see what."""

from __future__ import annotations

import json

import pytest

from tests.http_api.registry import Registry, assert_problem


async def test_a_token_is_made_used_listed_and_revoked(registry: Registry) -> None:
    name = registry.fresh_name("token")
    async with registry.client("admin") as admin:
        made = await admin.post("/api/v1/tokens", json={"name": name, "scopes": ["call", "publish"]})
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        token, secret = made.json()["token"], made.json()["secret"]
        assert token.keys() == {"id", "name", "scopes", "created_at", "expires_at", "revoked_at", "view"}
        assert secret.startswith(f"ts_{token['id']}_")

        listed = await admin.get("/api/v1/tokens")
        assert token in listed.json()["items"]
        assert "secret" not in listed.text

        headers = {"Authorization": f"Bearer {secret}"}
        whoami = await admin.get("/api/v1/whoami", headers=headers)
        assert whoami.json()["name"] == name
        assert (whoami.json()["scopes"], whoami.json()["anonymous"]) == (["call", "publish"], False)

        again = await admin.post("/api/v1/tokens", json={"name": name, "scopes": ["read"]})
        assert_problem(again, 409, "token_exists")

        revoked = await admin.delete(f"/api/v1/tokens/{name}")
        assert revoked.status_code == 200
        assert revoked.json()["revoked_at"] is not None
        assert_problem(await admin.get("/api/v1/whoami", headers=headers), 401, "unauthenticated")


async def test_a_token_is_made_with_a_view_and_shown_with_it(registry: Registry) -> None:
    view = {"mode": "search", "plugins": ["text"], "tools": ["hash_digest"]}
    async with registry.client("admin") as admin:
        body = {"name": registry.fresh_name("token"), "scopes": ["call"], "view": view}
        made = (await admin.post("/api/v1/tokens", json=body)).json()["token"]
        assert made["view"] == view
        assert made in (await admin.get("/api/v1/tokens")).json()["items"]
        plain = await admin.post("/api/v1/tokens", json={"name": registry.fresh_name("token"), "scopes": ["call"]})
        assert plain.json()["token"]["view"] == {"mode": "all", "plugins": [], "tools": []}


@pytest.mark.parametrize(
    ("view", "code"),
    [
        ({"mode": "none"}, "invalid_body"),
        ({"plugins": ["Not A Name"]}, "invalid_body"),
        ({"tools": ["x" * 49]}, "invalid_body"),
        ({"tools": "hash_digest"}, "invalid_body"),
        ({"only": []}, "invalid_body"),
        ({"tools": [f"t{number}" for number in range(201)]}, "invalid_body"),
        (None, "invalid_body"),
    ],
)
async def test_a_view_that_is_none_makes_no_token(registry: Registry, view: object, code: str) -> None:
    name = registry.fresh_name("token")
    async with registry.client("admin") as admin:
        refused = await admin.post("/api/v1/tokens", json={"name": name, "scopes": ["call"], "view": view})
        assert_problem(refused, 400, code)
        assert name not in (await admin.get("/api/v1/tokens")).text


async def test_a_token_is_revoked_by_its_id_too(registry: Registry) -> None:
    async with registry.client("admin") as admin:
        body = {"name": registry.fresh_name("token"), "scopes": ["read"], "lifetime_seconds": 60}
        token = (await admin.post("/api/v1/tokens", json=body)).json()["token"]
        assert token["expires_at"] > token["created_at"]
        assert (await admin.delete(f"/api/v1/tokens/{token['id']}")).status_code == 200
        assert_problem(await admin.delete("/api/v1/tokens/nobody"), 404, "unknown_token")


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({}, "invalid_body", "$.name"),
        ({"name": "a"}, "invalid_body", "$.scopes"),
        ({"name": "a", "scopes": []}, "invalid_body", "$.scopes"),
        ({"name": "a", "scopes": "read"}, "invalid_body", "$.scopes"),
        ({"name": "a", "scopes": ["root"]}, "invalid_body", "$.scopes[0]"),
        ({"name": 1, "scopes": ["read"]}, "invalid_body", "$.name"),
        ({"name": "a b", "scopes": ["read"]}, "invalid_token_name", "a b"),
        ({"name": "\ud800", "scopes": ["read"]}, "invalid_json", "surrogate"),
        ({"name": "a", "scopes": ["read"], "lifetime_seconds": 0}, "invalid_body", "$.lifetime_seconds"),
        ({"name": "a", "scopes": ["read"], "lifetime_seconds": "60"}, "invalid_body", "$.lifetime_seconds"),
        ({"name": "a", "scopes": ["read"], "lifetime_seconds": 1.5}, "invalid_body", "$.lifetime_seconds"),
        ({"name": "a", "scopes": ["read"], "lifetime_seconds": 10**30}, "invalid_body", "$.lifetime_seconds"),
        ({"name": "a", "scopes": ["read"], "scope": "admin"}, "invalid_body", "there are: name, scopes"),
        ([], "invalid_body", "object"),
    ],
)
async def test_a_token_that_cannot_be_made_says_where_the_body_is_wrong(
    registry: Registry, body: object, code: str, said: str
) -> None:
    async with registry.client("admin") as admin:
        # httpx cannot send a lone surrogate, JSON can.
        headers = {"Content-Type": "application/json"}
        response = await admin.post("/api/v1/tokens", content=json.dumps(body), headers=headers)
        problem = assert_problem(response, 400, code)
    assert said in problem["detail"]


@pytest.mark.parametrize("name", ["local", "anonymous"])
async def test_the_names_of_the_house_cannot_be_taken(registry: Registry, name: str) -> None:
    async with registry.client("admin") as admin:
        assert_problem(await admin.post("/api/v1/tokens", json={"name": name, "scopes": ["read"]}), 409, "token_exists")


@pytest.mark.parametrize("scope", ["read", "call", "publish", None])
@pytest.mark.parametrize(("method", "path"), [("GET", "tokens"), ("POST", "tokens"), ("DELETE", "tokens/admin-token")])
async def test_tokens_are_for_admins_alone(registry: Registry, scope: str | None, method: str, path: str) -> None:
    async with registry.client(scope) as client:
        response = await client.request(method, f"/api/v1/{path}")
    assert "--scope admin" in assert_problem(response, 403, "missing_scope")["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/plugins"),
        ("POST", "/api/v1/plugins"),
        ("GET", "/api/v1/tools"),
        ("POST", "/api/v1/tools/x/call"),
        ("GET", "/api/v1/whoami"),
        ("GET", "/api/v1/index/x"),
        ("GET", "/api/openapi.json"),
        ("GET", "/no/such/path"),
        ("POST", "/mcp"),
    ],
)
@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer ts_wrong"}, {"X-Forwarded-For": "127.0.0.1"}], ids=["bad-token", "proxied"]
)
async def test_everything_but_health_needs_a_caller(
    registry: Registry, method: str, path: str, headers: dict[str, str]
) -> None:
    async with registry.client(**headers) as client:
        response = await client.request(method, path, json={})
    assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith('Bearer realm="tool-server"')


@pytest.mark.parametrize(
    ("header", "value", "status", "code"),
    [("Host", "evil.example.com", 421, "misdirected_host"), ("Origin", "https://evil.example.com", 403, None)],
)
async def test_another_sites_page_reaches_nothing(
    registry: Registry, header: str, value: str, status: int, code: str | None
) -> None:
    async with registry.client(**{header: value}) as client:
        for path in ("/api/v1/tools", "/api/v1/tools/x/call", "/api/openapi.json"):
            assert_problem(await client.post(path, json={}), status, code or "origin_not_allowed")
        assert (await client.post("/mcp", json={}, headers={"Accept": "application/json"})).status_code == status


async def test_the_servers_own_page_is_let_in(registry: Registry) -> None:
    async with registry.client(Origin=registry.url) as client:
        assert (await client.get("/api/v1/tools")).status_code == 200


async def test_an_anonymous_caller_is_told_what_it_may(registry: Registry) -> None:
    async with registry.client() as client:
        whoami = (await client.get("/api/v1/whoami")).json()
    assert (whoami["name"], whoami["scopes"], whoami["anonymous"]) == ("anonymous", ["call"], True)
    assert whoami["server"]["version"]
