"""Blanks around header values belong to no value, whichever way a request comes in."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from tests.http_api.registry import Registry
from tests.mcp_api.wire import MODERN, body_of, headers_of
from tool_server.http_api.header_values import with_bare_header_values

SECONDS = 20
blanks = st.text(" \t", max_size=3)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=8).filter(
    lambda text: text == text.strip(" \t")
)


def scope_of(*given_values: str) -> Scope:
    return {"type": "http", "headers": [(b"x-%d" % n, value.encode("latin-1")) for n, value in enumerate(given_values)]}


@given(st.lists(st.tuples(blanks, values, blanks), max_size=4))
def test_a_value_is_seen_without_the_blanks_around_it_and_otherwise_as_it_came(
    wrapped: list[tuple[str, str, str]],
) -> None:
    seen = with_bare_header_values(scope_of(*("".join(parts) for parts in wrapped)))
    assert seen == scope_of(*(value for _, value, _ in wrapped))


def test_a_request_without_such_blanks_is_handed_on_itself() -> None:
    scope = scope_of("a", "b c", "")
    assert with_bare_header_values(scope) is scope


async def exchange(
    url: str, path: str, headers: dict[str, str], body: bytes = b"", method: str = "POST"
) -> httpx.Response:
    """A request whose header values are sent as they are given, which no HTTP library does."""
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    fields = {"Host": where.netloc, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with await anyio.connect_tcp(where.hostname, where.port) as stream:
        await stream.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = b""
        with anyio.fail_after(SECONDS):
            try:
                while True:
                    answer += await stream.receive()
            except anyio.EndOfStream:
                pass
    top, _, content = answer.partition(b"\r\n\r\n")
    return httpx.Response(int(top.split()[1]), content=content)


@pytest.mark.parametrize("around", ["{}", "  {}  ", "\t{} \t"])
async def test_a_call_whose_headers_have_blanks_around_their_values_is_the_same_call(
    registry: Registry, around: str
) -> None:
    name = await registry.installed()
    tool = f"{name}_add"
    body = json.dumps(body_of(MODERN, "tools/call", {"name": tool, "arguments": {"a": 1, "b": 2}})).encode()
    headers = {key: around.format(value) for key, value in headers_of(MODERN, "tools/call", tool).items()}
    response = await exchange(registry.url, "/mcp", headers, body)
    assert (response.status_code, response.json()["result"]["structuredContent"]) == (200, {"sum": 3})


async def test_blanks_inside_of_a_value_are_part_of_it(registry: Registry) -> None:
    name = await registry.installed()
    tool = f"{name}_add"
    body = json.dumps(body_of(MODERN, "tools/call", {"name": tool, "arguments": {"a": 1, "b": 2}})).encode()
    headers = headers_of(MODERN, "tools/call", tool.replace("_", " _"))
    response = await exchange(registry.url, "/mcp", headers, body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize(("host", "status"), [("{} ", 200), ("evil.example.com ", 421)])
async def test_a_host_with_blanks_is_held_against_the_same_list(registry: Registry, host: str, status: int) -> None:
    headers = {"Host": host.format(urlsplit(registry.url).netloc)}
    token = {"Authorization": f"Bearer {registry.secrets['read']}\t "}
    response = await exchange(registry.url, "/api/v1/plugins", headers | token, method="GET")
    assert response.status_code == status
