"""tools/list: shape, order, pages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import httpx
import pytest
from mcp import Client, MCPError
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server

from tests.http_api.registry import Registry
from tests.mcp_api.wire import CLIENT_MODES, ERAS, MODERN, post
from tests.support.plugins import TRIAL_TOOLS
from tool_server.mcp_api.calls import ToolCalls
from tool_server.mcp_api.client_channels import Clients, Waiting
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.sessions import ClientSessions
from tool_server.mcp_api.tools import ToolHandlers
from tool_server.model.catalog import Catalog, Offer, OfferedTool
from tool_server.version import VERSION


async def listed(client: httpx.AsyncClient, era: str) -> dict[str, dict[str, object]]:
    response = await post(client, era, "tools/list")
    return {tool["name"]: tool for tool in response.json()["result"]["tools"]}


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_is_listed_as_its_author_described_it(registry: Registry, era: str) -> None:
    async with registry.client() as client:
        tools = await listed(client, era)
    assert list(tools) == sorted(tools)
    for name, declared in TRIAL_TOOLS.items():
        tool = tools[f"trial_{name}"]
        assert tool["description"] == declared["description"]
        assert tool["inputSchema"] == declared["input"]
        assert tool.get("outputSchema") == declared.get("output")
        assert tool.get("title") == declared.get("title")
        assert tool.get("annotations") == declared.get("annotations")
        assert tool["_meta"] == {"tool-server/plugin": "trial", "tool-server/version": "1.0.0"}
        assert "format" not in tool
    described = tools["servlet_shout"]
    assert (described["description"], "outputSchema" in described) == ("Upper case", False)


async def test_a_modern_list_can_be_cached_and_names_its_server(registry: Registry) -> None:
    async with registry.client() as client:
        first, second = [(await post(client, MODERN, "tools/list")).json()["result"] for _ in range(2)]
    assert first == second
    assert (first["ttlMs"], first["cacheScope"]) == (0, "private")
    assert first["_meta"]["io.modelcontextprotocol/serverInfo"] == {
        "name": "tool-server",
        "title": "tool-server",
        "version": VERSION,
    }


class Pages:
    """A server of two tools a page, whose tools can be changed."""

    def __init__(self, registry: Registry) -> None:
        self._catalog = Catalog()
        listing = Listing(lambda: self._catalog, page_size=2)
        calls = ToolCalls(registry.services.invoke.call, registry.services.suspended)
        handlers = ToolHandlers(listing, calls, Clients(calls, ClientSessions(1), Waiting(1, 1)))
        self.server = Server(
            "pages",
            cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
            on_list_tools=handlers.list_tools,
            on_call_tool=handlers.call_tool,
        )

    def offer(self, names: Iterable[str]) -> None:
        """Have tools of these names from now on."""
        self._catalog = catalog_of(names)


def catalog_of(names: Iterable[str]) -> Catalog:
    """A catalogue with tools of these names."""
    tools = tuple(
        OfferedTool(name, "plugin", "1.0.0", name, position, 1, False, tool_bytes(name))
        for position, name in enumerate(dict.fromkeys(names))
    )
    return Catalog(1, [Offer("plugin", "1.0.0", datetime(2026, 1, 1, tzinfo=UTC), tools)])


def tool_bytes(name: str) -> bytes:
    return json.dumps({"name": name, "inputSchema": {"type": "object"}}).encode()


@pytest.fixture
def pages(registry: Registry) -> Pages:
    return Pages(registry)


async def names_on_pages(client: Client) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = await client.list_tools(cursor=cursor)
        found.append("".join(tool.name for tool in page.tools))
        cursor = page.next_cursor
    return found


@pytest.mark.parametrize("mode", CLIENT_MODES.values())
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("ba", ["ab"]),
        ("cab", ["ab", "c"]),
        ("abcd", ["ab", "cd"]),
    ],
)
async def test_every_tool_is_on_exactly_one_page(pages: Pages, mode: str, names: str, expected: list[str]) -> None:
    pages.offer(names)
    async with Client(pages.server, mode=mode) as client:
        assert await names_on_pages(client) == expected


@pytest.mark.parametrize(
    ("later", "rest"),
    [("abcde", ["c", "d"]), ("acde", ["c", "d"]), ("abccde", ["c", "d"]), ("ab", []), ("", []), ("aabbc", ["c"])],
)
async def test_a_cursor_stays_right_when_tools_come_and_go(pages: Pages, later: str, rest: list[str]) -> None:
    pages.offer("abcd")
    async with Client(pages.server, mode=MODERN) as client:
        first = await client.list_tools()
        pages.offer(later)
        second = await client.list_tools(cursor=first.next_cursor)
    assert [tool.name for tool in second.tools] == rest


@pytest.mark.parametrize("mode", CLIENT_MODES.values())
@pytest.mark.parametrize("cursor", ["%%%", "YQ", "ä", "/w==", "\ud83d\ude00", "2"])
async def test_a_cursor_of_somebody_else_is_refused(pages: Pages, mode: str, cursor: str) -> None:
    pages.offer("abc")
    async with Client(pages.server, mode=mode) as client:
        with pytest.raises(MCPError) as refused:
            await client.list_tools(cursor=cursor)
    assert refused.value.code == -32602
    assert "list from the start" in str(refused.value)
