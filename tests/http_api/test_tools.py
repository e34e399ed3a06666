"""Listing and calling tools over HTTP, and every way in which a call fails."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.http_api.registry import ADD_TOOL, Registry, assert_problem
from tool_server.model.call import CallRecord, Outcome


async def test_the_listing_shows_types_as_the_author_gave_them(registry: Registry) -> None:
    name = await registry.installed()
    async with registry.client() as client:
        body = (await client.get("/api/v1/tools")).json()
    (tool,) = [item for item in body["items"] if item["plugin"] == name]
    assert tool == {
        **{"name": f"{name}_add", "plugin": name, "version": "1.0.0", "title": "Add"},
        **{"description": "Adds two integers.", "annotations": {"readOnlyHint": True}},
        **{"inputSchema": ADD_TOOL["input"], "outputSchema": ADD_TOOL["output"]},
    }
    names = [item["name"] for item in body["items"]]
    assert names == sorted(names)


@pytest.mark.parametrize("scope", ["call", "admin", None])
async def test_a_call_answers_with_structured_content(registry: Registry, scope: str | None) -> None:
    name = await registry.installed()
    async with registry.client(scope) as client:
        response = await client.post(f"/api/v1/tools/{name}_add/call", json={"a": 20, "b": 22})
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["structuredContent"], body["isError"]) == ({"sum": 42}, False)
    assert json.loads(body["content"][0]["text"]) == {"sum": 42}


@pytest.mark.parametrize("scope", ["read", "publish"])
async def test_a_call_needs_its_scope(registry: Registry, scope: str) -> None:
    async with registry.client(scope) as client:
        response = await client.post("/api/v1/tools/whatever/call", json={})
    assert "--scope call" in assert_problem(response, 403, "missing_scope")["detail"]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"a": 1}, 400, "invalid_arguments"),
        ({"a": 1, "b": "two"}, 400, "invalid_arguments"),
        ({"a": 1, "b": 2, "c": 3}, 400, "invalid_arguments"),
        ({"a": 1, "b": "\ud800"}, 400, "invalid_json"),
        ([1, 2], 400, "invalid_body"),
        ("text", 400, "invalid_body"),
        (None, 400, "invalid_body"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_before_the_guest_runs(
    registry: Registry, arguments: object, status: int, code: str
) -> None:
    name = await registry.installed()
    async with registry.client("call") as client:
        response = await client.post(
            f"/api/v1/tools/{name}_add/call",
            content=json.dumps(arguments),
            headers={"Content-Type": "application/json"},
        )
    assert_problem(response, status, code)


async def test_an_unknown_tool_is_not_found(registry: Registry) -> None:
    async with registry.client("call") as client:
        problem = assert_problem(await client.post("/api/v1/tools/no-such-tool/call", json={}), 404, "unknown_tool")
    assert problem["data"]["tool"] == "no-such-tool"


@pytest.mark.parametrize(
    ("guest_name", "status", "code"),
    [("error", 422, "guest_error"), ("trap", 422, "trap"), ("spin", 504, "timeout")],
)
async def test_a_failed_call_is_a_problem_of_its_own_kind(
    registry: Registry, guest_name: str, status: int, code: str
) -> None:
    name = await registry.installed(guest_name=guest_name, limits={"timeout": "300ms"})
    async with registry.client("call") as client:
        problem = assert_problem(await client.post(f"/api/v1/tools/{name}_{guest_name}/call", json={}), status, code)
    assert problem["kind"] == "call-failed"


async def test_hanging_up_ends_the_call(registry: Registry) -> None:
    name = await registry.installed(guest_name="spin", limits={"timeout": "60s"})
    tool = f"{name}_spin"
    host, port = registry.url.removeprefix("http://").split(":")
    with anyio.fail_after(30):
        stream = await anyio.connect_tcp(host, int(port))
        head = f"POST /api/v1/tools/{tool}/call HTTP/1.1\r\nHost: {host}:{port}\r\n"
        await stream.send(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await stream.aclose()
        record = await recorded(registry, tool)
    assert record.outcome is Outcome.CANCELLED
    assert record.total_us < 30_000_000


async def recorded(registry: Registry, tool: str) -> CallRecord:
    """The first record of a tool's calls, once it is written."""
    while True:
        records = await registry.services.call_log.recent(1, tool=tool)
        if records:
            return records[0]
        await anyio.sleep(0.02)


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b'{"a": 1, "b": 2}', 415, "unsupported_media_type"),
        ({"Content-Type": "text/plain"}, b'{"a": 1, "b": 2}', 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=1&b=2", 415, "unsupported_media_type"),
        ({"Content-Type": "application/jsonp"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, b"", 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b'{\n  "a": nope}', 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b'{"a": 1, "a": 2}', 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b'{"a": NaN}', 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b'{"a": "\xff"}', 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b'{"a":' + b"[" * 100_000, 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b'{"a": ' + b"9" * 10_000 + b"}", 400, "invalid_json"),
    ],
)
async def test_a_body_that_is_no_json_is_refused(
    registry: Registry, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    async with registry.client("call", **headers) as client:
        assert_problem(await client.post("/api/v1/tools/x/call", content=body), status, code)


async def test_malformed_json_is_told_by_line_and_column(registry: Registry) -> None:
    async with registry.client("call", **{"Content-Type": "application/json; charset=utf-8"}) as client:
        problem = assert_problem(
            await client.post("/api/v1/tools/x/call", content=b'{\n  "a": nope}'), 400, "invalid_json"
        )
    assert problem["data"] == {"line": 2, "column": 8}
    assert "line 2, column 8" in problem["detail"]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_beyond_the_limit_is_refused_without_being_kept(registry: Registry, chunked: bool) -> None:
    limit = registry.services.config.limits.input
    body = b'"' + b"x" * limit + b'"'

    async def chunks():
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async with registry.client("call", **{"Content-Type": "application/json"}) as client:
        response = await client.post("/api/v1/tools/x/call", content=chunks() if chunked else body)
        assert assert_problem(response, 413, "body_too_large")["data"] == {"limit": limit}
        assert (await client.get("/api/v1/whoami")).status_code == 200


async def test_a_tool_in_quarantine_is_listed_with_the_reason(registry: Registry) -> None:
    name = await registry.installed("a" + "-a" * 30, guest_name="servlet", tools=None)
    async with registry.client("read") as client:
        listed = (await client.get("/api/v1/tools")).json()["quarantined"]
        installed = (await client.get("/api/v1/installations")).json()["items"]
    held = [item for item in listed if item["plugin"] == name]
    (mine,) = [item for item in installed if item["installation"]["plugin"] == name]
    assert held
    assert [item["name"] for item in mine["quarantined"]] == [item["name"] for item in held]
    assert all(item["rule"] and item["reason"] for item in held)


async def test_the_listing_comes_in_pages_and_the_first_one_holds_the_quarantine(registry: Registry) -> None:
    for _ in range(3):
        await registry.installed()
    await registry.installed("q" + "-q" * 30, guest_name="servlet", tools=None)
    async with registry.client("read") as client:
        whole = (await client.get("/api/v1/tools")).json()
        assert whole["next"] is None
        found: list[object] = []
        after, held = "", [bool(whole["quarantined"])]
        while after is not None:
            page = (await client.get("/api/v1/tools", params={"limit": 2, "after": after})).json()
            assert len(page["items"]) <= 2
            found += page["items"]
            after, held = page["next"], [*held, bool(page["quarantined"])]
        assert found == whole["items"]
        assert held[:3] == [True, True, False]
        assert (await client.get("/api/v1/tools?after=~")).json() == {"items": [], "quarantined": [], "next": None}
        for query in ("limit=0", "limit=1001", "limit=x", "page=2"):
            assert_problem(await client.get(f"/api/v1/tools?{query}"), 400, "invalid_query")


async def test_the_call_log_is_for_admins_and_shows_no_values(registry: Registry) -> None:
    name = await registry.installed()
    tool = f"{name}_add"
    async with registry.client("call") as client:
        await client.post(f"/api/v1/tools/{tool}/call", json={"a": 1, "b": 2})
        await client.post(f"/api/v1/tools/{tool}/call", json={"a": 1})
    async with registry.client("admin") as admin:
        with anyio.fail_after(20):
            items: list[dict[str, object]] = []
            while len(items) < 2:
                response = await admin.get("/api/v1/calls", params={"tool": tool, "limit": 5})
                items = response.json()["items"]
                await anyio.sleep(0.02)
        assert [item["outcome"] for item in items] == ["invalid_arguments", "ok"]
        assert {item["caller"] for item in items} == {"call-token"}
        assert "arguments" not in items[0]
        assert len((await admin.get("/api/v1/calls", params={"tool": tool, "limit": 1})).json()["items"]) == 1
        assert_problem(await admin.get("/api/v1/calls?limit=1001"), 400, "invalid_query")
    for scope in ("read", "call", "publish", None):
        async with registry.client(scope) as client:
            assert_problem(await client.get("/api/v1/calls"), 403, "missing_scope")
