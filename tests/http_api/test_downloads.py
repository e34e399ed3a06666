"""The sparse index and artifacts: what they hold, and how caches keep them right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http_api.registry import Registry, assert_problem
from tests.support.guests import digest_of, guest


async def index_lines(registry: Registry, name: str) -> list[dict[str, Any]]:
    async with registry.client("read") as client:
        response = await client.get(f"/api/v1/index/{name}")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


async def test_the_index_has_one_line_a_version_oldest_first(registry: Registry) -> None:
    name = f"@acme/{registry.fresh_name()}"
    await registry.publish(
        name, "1.10.0", dependencies={"dictionary": "^1.0.0"}, permissions={"network": ["a.example"]}
    )
    await registry.publish(name, "1.9.0")
    await registry.publish(name, "2.0.0-rc.1")
    lines = await index_lines(registry, name)
    assert [line["vers"] for line in lines] == ["1.9.0", "1.10.0", "2.0.0-rc.1"]
    line = lines[1]
    assert line.pop("published_at").endswith("Z")
    assert line == {
        **{"name": name, "vers": "1.10.0", "digest": digest_of(guest("add")), "size": len(guest("add"))},
        **{"yanked": False, "dependencies": {"dictionary": "^1.0.0"}},
        "permissions": {
            **{kind: list[str]() for kind in ("filesystem", "environment", "secrets", "tools", "functions")},
            "network": ["a.example"],
        },
    }


async def test_an_index_is_sent_again_only_after_it_changed(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    path = f"/api/v1/index/{name}"
    async with registry.client("publish") as client:

        async def validator() -> str:
            response = await client.get(path)
            assert response.status_code == 200
            return response.headers["etag"]

        async def status(etag: str) -> int:
            return (await client.get(path, headers={"If-None-Match": etag})).status_code

        first = await validator()
        assert first.startswith('"')
        assert [await status(text) for text in (first, f"W/{first}", f'"x", {first}', "*")] == [304] * 4
        assert [await status(text) for text in ('"x"', first.strip('"'), "")] == [200] * 3
        unchanged = await client.get(path, headers={"If-None-Match": first})
        assert (unchanged.content, unchanged.headers["etag"]) == (b"", first)
        assert "cache-control" in unchanged.headers

        await client.put(f"/api/v1/plugins/{name}/versions/1.0.0/yank")
        assert await status(first) == 200
        yanked = await validator()
        assert (await index_lines(registry, name))[0]["yanked"] is True
        await registry.publish(name, "1.1.0")
        assert await status(yanked) == 200


async def test_an_artifact_is_its_bytes_for_ever(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    digest = digest_of(guest("add"))
    path = f"/api/v1/artifacts/{digest}"
    async with registry.client("read") as client:
        response = await client.get(path)
        assert (response.content, response.headers["content-type"]) == (guest("add"), "application/wasm")
        assert response.headers["etag"] == f'"{digest}"'
        assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
        unchanged = await client.get(path, headers={"If-None-Match": f'"{digest}"'})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert (await client.head(path)).headers["content-length"] == str(len(guest("add")))


@pytest.mark.parametrize("path", ["index", "artifacts"])
async def test_shared_caches_keep_only_what_anybody_may_read(registry: Registry, path: str) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    target = f"/api/v1/{path}/{name if path == 'index' else digest_of(guest('add'))}"
    for scope, audience in ((None, "public"), ("read", "private")):
        async with registry.client(scope) as client:
            response = await client.get(target)
            assert response.headers["cache-control"].startswith(f"{audience}, max-age=")
            assert response.headers["vary"] == "Authorization"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("index/absent-plugin", 404, "unknown_plugin"),
        ("index/Bad!", 400, "invalid_name"),
        ("artifacts/" + "0" * 64, 404, "unknown_artifact"),
        ("artifacts/" + "A" * 64, 400, "invalid_digest"),
        ("artifacts/" + "0" * 63, 400, "invalid_digest"),
        ("artifacts/..%2f..%2ftool-server.db", 404, "unknown_path"),
        ("artifacts/%2e%2e", 400, "invalid_digest"),
        ("artifacts/" + "0" * 64 + "%0a", 400, "invalid_digest"),
    ],
)
async def test_what_is_not_there_cannot_be_downloaded(registry: Registry, path: str, status: int, code: str) -> None:
    async with registry.client("read", **{"If-None-Match": "*"}) as client:
        assert_problem(await client.get(f"/api/v1/{path}"), status, code)
