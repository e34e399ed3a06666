"""What is malformed on the wire, and doors that stay shut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http_api.registry import Registry
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN, body_of, call, headers_of, post


async def still_works(registry: Registry) -> bool:
    async with registry.client() as client:
        answer = await call(client, MODERN, "trial_add", {"a": 1, "b": 2})
    return answer["result"]["structuredContent"] == {"sum": 3}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"tools/list"',
        b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":5}',
        b"[" * 100_000,
    ],
    ids=range(9),
)
async def test_a_body_that_is_no_request_is_a_protocol_error(registry: Registry, era: str, content: bytes) -> None:
    async with registry.client() as client:
        response = await post(client, era, "tools/list", content=content)
    assert response.status_code == 400
    assert response.json()["error"]["code"] in {-32700, -32600, -32602}
    assert "Traceback" not in response.text
    assert await still_works(registry)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {}, -32602),
        ("tools/call", {"name": 5}, -32602),
        ("tools/call", {"name": "trial_add", "arguments": 5}, -32602),
        ("tools/list", {"cursor": 5}, -32602),
        ("tools/delete", {}, -32601),
        ("resources/list", {"cursor": 5}, -32602),
        ("resources/read", {}, -32602),
        ("prompts/get", {"name": "none", "arguments": {"a": 1}}, -32602),
        ("resources/delete", {}, -32601),
        ("__class__", {}, -32601),
    ],
)
async def test_methods_and_parameters_that_do_not_exist_are_protocol_errors(
    registry: Registry, era: str, method: str, params: dict[str, object], code: int
) -> None:
    async with registry.client() as client:
        response = await post(client, era, method, params)
    error = response.json()["error"]
    # The modern era looks at its headers first.
    assert error["code"] in ({code, -32020} if era == MODERN and method == "tools/call" else {code})
    assert response.json()["id"] == 1


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Accept": "text/html"}, 406),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
    ],
    ids=str,
)
async def test_pages_of_other_sites_and_wrong_media_types_are_kept_out(
    registry: Registry, era: str, headers: dict[str, str], status: int
) -> None:
    async with registry.client() as client:
        response = await post(client, era, "tools/list", headers=headers)
    assert response.status_code == status
    assert ("trial_add" in response.text) == (status == 200)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Mcp-Method": "tools/call"}, -32020),
        ({"MCP-Protocol-Version": "2099-01-01"}, -32020),
        ({"Mcp-Method": ""}, -32020),
    ],
)
async def test_modern_headers_must_agree_with_the_body(registry: Registry, headers: dict[str, str], code: int) -> None:
    async with registry.client() as client:
        response = await post(client, MODERN, "tools/list", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


async def test_a_modern_tool_header_must_name_the_tool_that_is_called(registry: Registry) -> None:
    async with registry.client() as client:
        params: dict[str, Any] = {"name": "trial_error", "arguments": {}}
        response = await post(client, MODERN, "tools/call", params, headers={"Mcp-Name": "trial_add"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)


async def test_a_version_that_nobody_speaks_is_refused_with_those_that_are(registry: Registry) -> None:
    body = body_of(MODERN, "tools/list")
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"
    async with registry.client() as client:
        headers = {**headers_of(MODERN, "tools/list"), "MCP-Protocol-Version": "2099-01-01"}
        response = await client.post("/mcp", json=body, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32022)
    assert MODERN in response.text


async def test_discovery_and_handshake_tell_what_the_server_can(registry: Registry) -> None:
    hello: dict[str, Any] = {
        "protocolVersion": HANDSHAKE,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    async with registry.client() as client:
        discovered = (await post(client, MODERN, "server/discover")).json()["result"]
        response = await post(client, HANDSHAKE, "initialize", hello)
    # Before it comes the empty event that begins the stream.
    *_, data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    greeted: dict[str, Any] = json.loads(data)["result"]
    assert MODERN in discovered["supportedVersions"]
    assert greeted["protocolVersion"] == HANDSHAKE
    for result in (discovered, greeted):
        assert "tools" in result["capabilities"]
        assert "sandbox" in result["instructions"]
        assert result["capabilities"]["tools"]["listChanged"] is True
    assert greeted["serverInfo"]["name"] == "tool-server"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
async def test_in_the_modern_era_there_is_no_session_and_no_stream_to_get(registry: Registry, method: str) -> None:
    async with registry.client() as client:
        response = await client.request(method, "/mcp", headers={**headers_of(MODERN, "tools/list")})
    assert response.status_code == 405
    assert await still_works(registry)
