"""Secrets over REST: written, listed, removed, and never read back."""

from __future__ import annotations

import json

import pytest

from tests.http_api.registry import Registry, assert_problem

VALUE = "a value that nobody sees, ü"


async def test_a_secret_is_set_listed_and_removed_without_its_value(registry: Registry) -> None:
    async with registry.client("admin") as admin:
        body = {"value": VALUE, "hosts": ["API.example.com", "api.example.com", "*.example.org:8443"]}
        made = await admin.put("/api/v1/secrets/KEY_1", json=body)
        assert made.status_code == 200
        record = made.json()
        assert record.keys() == {"name", "hosts", "plain_http", "created_at", "updated_at"}
        assert (record["name"], record["hosts"]) == ("KEY_1", ["api.example.com", "*.example.org:8443"])
        again = await admin.put("/api/v1/secrets/KEY_1", json={"value": "other", "plain_http": True})
        assert (again.json()["hosts"], again.json()["plain_http"]) == ([], True)
        assert again.json()["created_at"] == record["created_at"]
        listed = await admin.get("/api/v1/secrets")
        assert again.json() in listed.json()["items"]
        assert (await admin.delete("/api/v1/secrets/KEY_1")).status_code == 204
        assert_problem(await admin.delete("/api/v1/secrets/KEY_1"), 404, "unknown_secret")
    found = await registry.services.secrets.reveal("KEY_1")
    assert found is None
    for response in (made, again, listed):
        assert VALUE not in response.text
        assert "sealed" not in response.text
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("size", [1, 65_536])
async def test_a_value_has_up_to_64_kib_whatever_it_is_made_of(registry: Registry, size: int) -> None:
    value = "\x01" * size
    async with registry.client("admin") as admin:
        assert (await admin.put("/api/v1/secrets/LONG", json={"value": value})).status_code == 200
    found = await registry.services.secrets.reveal("LONG")
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("KEY", {}, "invalid_body"),
        ("KEY", {"value": ""}, "invalid_body"),
        ("KEY", {"value": 7}, "invalid_body"),
        ("KEY", {"value": VALUE, "hosts": "a.example"}, "invalid_body"),
        ("KEY", {"value": VALUE, "plain_http": 1}, "invalid_body"),
        ("KEY", {"value": VALUE, "extra": 1}, "invalid_body"),
        ("KEY", {"value": VALUE + "x" * 65_536}, "invalid_body"),
        ("KEY", {"value": VALUE + "ü" * 40_000}, "invalid_secret_value"),
        ("KEY", {"value": VALUE + "\ud800"}, "invalid_json"),
        ("KEY", {"value": VALUE, "hosts": ["*"]}, "invalid_host"),
        ("KEY", {"value": VALUE, "hosts": ["https://a.example"]}, "invalid_host"),
        ("KEY", {"value": VALUE, "hosts": ["a.example/x"]}, "invalid_host"),
        ("KEY", {"value": VALUE, "hosts": ["a.*.example"]}, "invalid_host"),
        ("KEY", {"value": VALUE, "hosts": ["GET a.example"]}, "invalid_host"),
        ("KEY", {"value": VALUE, "hosts": [f"h{number}.example" for number in range(33)]}, "invalid_body"),
        ("1KEY", {"value": VALUE}, "invalid_secret_name"),
        ("KEY}", {"value": VALUE}, "invalid_secret_name"),
        ("K" * 65, {"value": VALUE}, "invalid_secret_name"),
    ],
)
async def test_what_is_not_valid_is_refused_without_quoting_the_value(
    registry: Registry, name: str, body: object, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with registry.client("admin") as admin:
        refused = await admin.put(f"/api/v1/secrets/{name}", content=json.dumps(body).encode(), headers=headers)
    assert_problem(refused, 400, code)
    assert VALUE[:20] not in refused.text
    assert "xxxx" not in refused.text


@pytest.mark.parametrize("scope", ["read", "call", "publish", None])
async def test_an_admin_alone_has_to_do_with_secrets(registry: Registry, scope: str | None) -> None:
    async with registry.client(scope) as client:
        for response in (
            await client.get("/api/v1/secrets"),
            await client.put("/api/v1/secrets/KEY", json={"value": VALUE}),
            await client.delete("/api/v1/secrets/KEY"),
        ):
            assert response.status_code in (401, 403)
            assert VALUE not in response.text
