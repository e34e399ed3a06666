"""JSON-RPC over plain HTTP, in both protocol eras: what a client library would not let a test send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
ERAS = [MODERN, HANDSHAKE]
CLIENT_MODES = {MODERN: MODERN, HANDSHAKE: "legacy"}

_META = "io.modelcontextprotocol"


def headers_of(era: str, method: str, name: str | None = None) -> dict[str, str]:
    """The headers that a correct request of that era carries."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": era,
    }
    if era == MODERN:
        headers["Mcp-Method"] = method
        if name is not None:
            headers["Mcp-Name"] = name
    return headers


def body_of(era: str, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A correct request of that era."""
    given = dict(params or {})
    if era == MODERN:
        given["_meta"] = {f"{_META}/protocolVersion": era, f"{_META}/clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}


def call_body(era: str, tool: str, arguments: str) -> bytes:
    """A `tools/call` whose arguments stand there exactly as written."""
    marker = "arguments-as-written"
    text = json.dumps(body_of(era, "tools/call", {"name": tool, "arguments": marker}))
    return text.replace(f'"{marker}"', arguments).encode("utf-8", "surrogateescape")


async def post(
    client: httpx.AsyncClient,
    era: str,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    """Send one request; `content` replaces the body, `headers` are added."""
    name = (params or {}).get("name")
    return await client.post(
        "/mcp",
        content=json.dumps(body_of(era, method, params)).encode() if content is None else content,
        headers={**headers_of(era, method, name if isinstance(name, str) else None), **(headers or {})},
    )


async def call(
    client: httpx.AsyncClient, era: str, tool: str, arguments: Mapping[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    """The JSON-RPC answer to a `tools/call`."""
    response = await post(client, era, "tools/call", {"name": tool, "arguments": arguments or {}}, **options)
    return response.json()


def text_of(answer: Mapping[str, Any]) -> str:
    """The one text block of a call's result."""
    (block,) = answer["result"]["content"]
    return block["text"]


def error_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a failed result tells programs."""
    assert answer["result"]["isError"] is True, answer
    return answer["result"]["_meta"]["tool-server/error"]
