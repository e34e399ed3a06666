"""Publishing and looking around, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

from tests.http_api.registry import ADD_TOOL, Registry, assert_problem, upload
from tests.support.guests import digest_of, guest


async def test_a_publish_is_created_once_and_found_again(registry: Registry) -> None:
    name = registry.fresh_name()
    first = await registry.publish(name)
    again = await registry.publish(name)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["created"], again.json()["created"]) == (True, False)
    assert first.json()["release"] == again.json()["release"]
    release = first.json()["release"]
    assert (release["plugin"], release["version"], release["publisher"]) == (name, "1.0.0", "publish-token")
    assert release["program"]["digest"] == digest_of(guest("add"))
    assert release["published_at"].endswith("Z")
    async with registry.client("read") as client:
        assert (await client.get(first.headers["location"])).json() == release


async def test_other_bytes_under_a_published_version_conflict(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    other_wasm = await registry.publish(name, wasm=guest("echo"), tools={"echo": {"input": {"type": "object"}}})
    other_manifest = await registry.publish(name, description="another")
    for response in (other_wasm, other_manifest):
        assert assert_problem(response, 409, "version_exists")["kind"] == "conflict"


async def test_a_plugin_belongs_to_its_first_publisher(registry: Registry) -> None:
    name = registry.fresh_name()
    assert (await registry.publish(name, scope="admin")).status_code == 201
    assert_problem(await registry.publish(name, "1.1.0"), 403, "not_owner")


@pytest.mark.parametrize("scope", ["read", "call", None])
async def test_publishing_needs_its_scope_and_the_refusal_says_how_to_get_it(
    registry: Registry, scope: str | None
) -> None:
    async with registry.client(scope) as client:
        response = await client.post("/api/v1/plugins", files=upload({}, b""))
    problem = assert_problem(response, 403, "missing_scope")
    assert "--scope publish" in problem["detail"]
    assert problem["data"]["scope"] == "publish"


async def test_other_manifest_forms_are_read_with_a_note(registry: Registry) -> None:
    response = await registry.publish(registry.fresh_name(), main="plugin.wasm")
    assert response.status_code == 201
    assert "manifest-form" in {finding["rule"] for finding in response.json()["release"]["findings"]}


@pytest.mark.parametrize(
    ("manifest", "wasm", "code"),
    [
        (b"{", None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b'{"name": "a", "name": "a"}', None, "invalid_json"),
        (b"[]", None, "invalid_manifest"),
        (b"{}", None, "invalid_manifest"),
        (json.dumps({"name": "Not A Name", "version": "1.0.0"}).encode(), None, "invalid_manifest"),
        (json.dumps({"name": "a", "version": "1"}).encode(), None, "invalid_manifest"),
        (json.dumps({"name": "a", "version": "1.0.0", "unknown": 1}).encode(), None, "invalid_manifest"),
        (None, b"", "empty_wasm"),
        (None, b"\0asm\1\0\0\0", "no_tools"),
        (None, b"\x7fELF and so on", "not_wasm"),
    ],
)
async def test_what_is_no_plugin_is_refused_with_the_reason(
    registry: Registry, manifest: bytes | None, wasm: bytes | None, code: str
) -> None:
    name = registry.fresh_name("bad")
    good = json.dumps({"name": name, "version": "1.0.0"}).encode()
    parts = {
        "manifest": ("plugin.json", good if manifest is None else manifest, "application/json"),
        "wasm": ("plugin.wasm", guest("add") if wasm is None else wasm, "application/wasm"),
    }
    async with registry.client("publish") as client:
        response = await client.post("/api/v1/plugins", files=parts)
        assert response.status_code == 400, response.text
        assert response.json()["kind"] == "invalid-input"
        assert response.json()["code"] == code, response.text
        assert_problem(await client.get(f"/api/v1/plugins/{name}"), 404, "unknown_plugin")


async def test_lint_refusals_carry_their_findings(registry: Registry) -> None:
    tools = {"add": {**ADD_TOOL, "input": {"type": "string"}}}
    response = await registry.publish(registry.fresh_name(), tools=tools)
    assert response.status_code == 400, response.text


async def test_scoped_names_work_encoded_and_plain(registry: Registry) -> None:
    name = f"@acme/{registry.fresh_name('versions')}"
    assert (await registry.publish(name)).status_code == 201
    assert (await registry.publish("@acme/versions")).status_code == 201
    async with registry.client("read") as client:
        for spelled in (name, name.replace("@", "%40").replace("/", "%2F")):
            assert (await client.get(f"/api/v1/plugins/{spelled}")).json()["plugin"] == name
            items = (await client.get(f"/api/v1/plugins/{spelled}/versions")).json()["items"]
            assert [item["plugin"] for item in items] == [name]
        assert (await client.get("/api/v1/plugins/@acme/versions")).json()["plugin"] == "@acme/versions"
        assert (await client.get("/api/v1/plugins/@acme/versions/versions")).json()["items"][0]["version"] == "1.0.0"


async def test_versions_and_ranges(registry: Registry) -> None:
    name = registry.fresh_name()
    for version in ("1.0.0", "1.2.0", "2.0.0-rc.1", "1.10.0+build.5"):
        assert (await registry.publish(name, version)).status_code == 201

    async with registry.client("read") as client:

        async def found(requested: str) -> str:
            response = await client.get(f"/api/v1/plugins/{name}", params={"version": requested})
            return response.json().get("version") or response.json()["code"]

        assert [await found(text) for text in ("", "^1.0.0", "1.2.0", "~1.2", "2.0.0-rc.1")] == [
            *("1.10.0+build.5", "1.10.0+build.5", "1.2.0", "1.2.0", "2.0.0-rc.1"),
        ]
        assert [await found(text) for text in ("^3", "not a range")] == ["no_matching_version", "invalid_range"]
        items = (await client.get(f"/api/v1/plugins/{name}/versions")).json()["items"]
        assert [item["version"] for item in items] == ["2.0.0-rc.1", "1.10.0+build.5", "1.2.0", "1.0.0"]


async def test_yanked_versions_are_hidden_from_resolution_and_shown_again(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name, "1.0.0")
    await registry.publish(name, "1.1.0+meta")
    path = f"/api/v1/plugins/{name}/versions/1.1.0%2Bmeta/yank"
    async with registry.client("publish") as client:
        yanked = await client.put(path, json={"reason": "it lies"})
        assert (yanked.status_code, yanked.json()["yanked"], yanked.json()["yank_reason"]) == (200, True, "it lies")
        assert (await client.get(f"/api/v1/plugins/{name}")).json()["version"] == "1.0.0"
        without_reason = await client.put(path)
        assert (without_reason.json()["yanked"], without_reason.json()["yank_reason"]) == (True, None)
        unyanked = await client.delete(path)
        assert (unyanked.json()["yanked"], unyanked.json()["yank_reason"]) == (False, None)
        assert (await client.get(f"/api/v1/plugins/{name}")).json()["version"] == "1.1.0+meta"


async def test_only_the_owner_or_an_admin_yanks(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name, scope="admin")
    path = f"/api/v1/plugins/{name}/versions/1.0.0/yank"
    async with registry.client("publish") as stranger, registry.client("admin") as admin, registry.client() as nobody:
        for method in ("PUT", "DELETE"):
            assert_problem(await stranger.request(method, path), 403, "not_owner")
            assert_problem(await nobody.request(method, path), 403, "missing_scope")
            assert (await admin.request(method, path)).status_code == 200
            unknown = path.replace("1.0.0", "9.9.9")
            assert_problem(await admin.request(method, unknown), 404, "unknown_version")


async def test_search_finds_by_name_description_and_keyword_page_by_page(registry: Registry) -> None:
    word = registry.fresh_name("needle").replace("-", "")
    names = [f"a-{word}", f"b-{word}", f"c-{word}"]
    await registry.publish(names[0])
    await registry.publish(names[1], description=f"it has a {word.upper()}")
    await registry.publish(names[2], keywords=[word])

    async with registry.client("read") as client:

        async def page(**query: Any) -> tuple[list[str], str | None]:
            body = (await client.get("/api/v1/plugins", params={"q": word, **query})).json()
            return [item["name"] for item in body["items"]], body["next"]

        assert await page() == (names, None)
        assert await page(limit=2) == (names[:2], names[1])
        assert await page(limit=2, after=names[1]) == (names[2:], None)
        assert await page(q="no such thing anywhere") == ([], None)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=ten",
        "limit=1_0",
        "limit=%201",
        "limit=1.0",
        "limit=-1",
        "limit=",
        "limit=1&limit=2",
        "Q=a",
        "page=2",
        "q=" + "a" * 201,
        "q=a%00b",
        "after=%00",
    ],
)
async def test_a_query_that_is_not_understood_is_refused_rather_than_guessed(registry: Registry, query: str) -> None:
    async with registry.client("read") as client:
        problem = assert_problem(await client.get(f"/api/v1/plugins?{query}"), 400, "invalid_query")
    assert query.partition("=")[0] in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/plugins/absent-plugin", 404, "unknown_plugin"),
        ("GET", "/api/v1/plugins/absent-plugin/versions", 404, "unknown_plugin"),
        ("GET", "/api/v1/plugins/Bad_Name", 400, "invalid_name"),
        ("GET", "/api/v1/plugins/%F0%9F%A6%80", 400, "invalid_name"),
        ("GET", "/api/v1/plugins/%00", 400, "invalid_name"),
        ("GET", "/api/v1/plugins/" + "a" * 3_000, 400, "invalid_name"),
        ("GET", "/api/v1/plugins/..%2F..%2Fetc", 404, "unknown_path"),
        ("GET", "/api/v1/plugins/@scope", 404, "unknown_path"),
        ("GET", "/api/v1/plugins/", 404, "unknown_path"),
        ("PUT", "/api/v1/plugins/absent/versions/one/yank", 400, "invalid_version"),
        ("GET", "/api/v2/plugins", 404, "unknown_path"),
        ("GET", "/nothing", 404, "unknown_path"),
    ],
)
async def test_what_is_not_there_is_a_problem(
    registry: Registry, method: str, path: str, status: int, code: str
) -> None:
    async with registry.client("admin") as client:
        assert_problem(await client.request(method, path), status, code)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/plugins", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/v1/plugins/a/versions/1.0.0/yank", "DELETE, OPTIONS, PUT"),
        ("PATCH", "/api/v1/tokens", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/api/v1/installations/a/update", "OPTIONS, POST"),
        ("TRACE", "/api/v1/whoami", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_names_all_the_right_ones(
    registry: Registry, method: str, path: str, allowed: str
) -> None:
    async with registry.client("admin") as client:
        response = await client.request(method, path)
        assert_problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == allowed
        options = await client.options(path)
        assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")


async def test_head_is_get_without_a_body(registry: Registry) -> None:
    name = registry.fresh_name()
    await registry.publish(name)
    async with registry.client("read") as client:
        for path in ("/api/v1/plugins", f"/api/v1/plugins/{name}", "/api/v1/plugins/absent-plugin"):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == got.headers["content-length"]


async def test_two_publishes_of_one_version_at_once_store_one(registry: Registry) -> None:
    name = registry.fresh_name()
    answers: list[httpx.Response] = []

    async def publish(description: str) -> None:
        answers.append(await registry.publish(name, description=description))

    async with anyio.create_task_group() as tasks:
        for description in ("one", "two", "one"):
            tasks.start_soon(publish, description)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([200, 201, 409], [201, 409, 409])
