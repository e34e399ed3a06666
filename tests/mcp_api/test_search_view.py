"""The search view and restricted views over real HTTP: by URL and by token, in both eras, in lane and SDK alike."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import mcp_types as types
import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from tests.http_api.registry import Registry, assert_problem, running_registry
from tests.mcp_api.wire import CLIENT_MODES, ERAS, MODERN, body_of, error_of, headers_of, text_of
from tests.services.publishing import SUM, offer
from tests.support.guests import compile_c, guest
from tests.support.http_server import serving
from tests.support.plugins import TRIAL_SOURCE, TRIAL_TOOLS
from tool_server.bootstrap.http import HttpApplication, http_application
from tool_server.mcp_api.search_tools import LISTINGS
from tool_server.model.call import Outcome
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.view import View, ViewMode

THREE = ["call_tool", "describe_tool", "search_tools"]
SEARCH = "/mcp?view=search"
ADD = {"a": 2, "b": 40}
HEADED: dict[str, Any] = {
    "description": "Adds, one number also in a header.",
    "input": {
        "type": "object",
        "properties": {"a": {"type": "integer", "x-mcp-header": "a"}, "b": {"type": "integer"}},
    },
    "output": SUM,
}
VIEWS = {
    "search": View(mode=ViewMode.SEARCH),
    "adding": View(tools=("trial_add",)),
    "numbers": View(plugins=("numbers",)),
    "search-numbers": View(mode=ViewMode.SEARCH, plugins=("numbers",)),
}

pytestmark = pytest.mark.parametrize("way", ["lane", "sdk"])


@dataclass
class Servers:
    """One server with its lane and without it, and tokens by what they see."""

    registry: Registry
    lane: HttpApplication
    urls: Mapping[str, str]
    tokens: Mapping[str, str]

    def client(self, way: str, token: str | None = None) -> httpx.AsyncClient:
        """A client of the lane or of the SDK alone."""
        headers = {} if token is None else {"Authorization": f"Bearer {self.tokens[token]}"}
        return httpx.AsyncClient(base_url=self.urls[way], headers=headers, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Servers]:
    async with running_registry(tmp_path_factory.mktemp("search") / "data") as registry:
        services = registry.services
        trial = compile_c(f"{TRIAL_SOURCE}\nEXPORT(trap) {{ __builtin_trap(); }}")
        await offer(services, "trial", wasm=trial, tools=TRIAL_TOOLS, keywords=["Trial runs"])
        await offer(services, "numbers", keywords=["maths"])
        await offer(services, "headed", wasm=guest("add"), tools={"add": HEADED})
        # Its MCP name is that of a tool which the search view has of its own.
        mine = compile_c('EXPORT(tools) { return answer("mine"); }')
        await offer(
            services, "search", wasm=mine, tools={"tools": {"description": "Says mine.", "input": {"type": "object"}}}
        )
        made = {
            name: await services.tokens.create(name, [Scope.CALL], LOCAL, view=view) for name, view in VIEWS.items()
        }
        lane, sdk = (http_application(services, port=0, lane=lane) for lane in (True, False))
        async with serving(lane.app) as lane_url, serving(sdk.app) as sdk_url:
            urls = {"lane": lane_url, "sdk": sdk_url}
            yield Servers(registry, lane, urls, {name: token.secret for name, token in made.items()})


async def send(
    client: httpx.AsyncClient, era: str, method: str, params: Mapping[str, Any] | None = None, url: str = "/mcp"
) -> httpx.Response:
    """One request to a URL of the MCP endpoint."""
    headers = headers_of(era, method, (params or {}).get("name"))
    return await client.post(url, json=body_of(era, method, params), headers=headers)


async def called(
    client: httpx.AsyncClient, era: str, tool: str, arguments: Mapping[str, Any], url: str = SEARCH
) -> dict[str, Any]:
    """The answer to a `tools/call`."""
    return (await send(client, era, "tools/call", {"name": tool, "arguments": arguments}, url)).json()


async def listed(client: httpx.AsyncClient, era: str, url: str = "/mcp") -> list[str]:
    """The names that `tools/list` shows."""
    return [tool["name"] for tool in (await send(client, era, "tools/list", None, url)).json()["result"]["tools"]]


@pytest.mark.parametrize("era", ERAS)
async def test_the_url_or_the_token_chooses_three_tools_and_the_url_has_the_last_word(
    servers: Servers, way: str, era: str
) -> None:
    async with servers.client(way) as anonymous, servers.client(way, "search") as searching:
        assert await listed(anonymous, era, SEARCH) == THREE
        assert await listed(searching, era) == THREE
        assert await listed(searching, era, "/mcp?view=all&x=1") == list(
            servers.registry.services.catalog.current.names
        )
        assert await listed(anonymous, era, "/mcp/?other=1&view=search") == THREE
        everything = await listed(anonymous, era)
    assert "trial_add" in everything
    assert "describe_tool" not in everything


@pytest.mark.parametrize("url", ["/mcp?view=none", "/mcp?view=", "/mcp?view=search&view=search", "/mcp?" + "a=1&" * 50])
async def test_a_view_that_there_is_not_is_refused_with_those_there_are(servers: Servers, way: str, url: str) -> None:
    async with servers.client(way) as client:
        response = await send(client, MODERN, "tools/list", None, url)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32600
    assert "all, search" in response.json()["error"]["message"] or "parameters" in response.json()["error"]["message"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_is_searched_described_and_called(servers: Servers, way: str, era: str) -> None:
    async with servers.client(way) as client:
        found = (await called(client, era, "search_tools", {"query": "add two integers", "limit": 2}))["result"]
        described = (await called(client, era, "describe_tool", {"name": "trial_add"}))["result"]
        answer = (await called(client, era, "call_tool", {"name": "trial_add", "arguments": ADD}))["result"]
    assert found["structuredContent"]["tools"][0] == {
        "name": "numbers_add", "description": "Adds two integers.", "plugin": "numbers", "parameters": ["a", "b"],
    }  # fmt: skip
    assert found["structuredContent"]["more"] is True
    assert text_of({"result": found}).splitlines()[0] == "numbers_add(a, b): Adds two integers."
    assert described["structuredContent"]["inputSchema"] == TRIAL_TOOLS["add"]["input"]
    assert described["structuredContent"]["outputSchema"] == TRIAL_TOOLS["add"]["output"]
    assert json.loads(text_of({"result": described})) == described["structuredContent"]
    assert (answer["structuredContent"], answer["isError"]) == ({"output": {"sum": 42}}, False)
    assert text_of({"result": answer}) == '{"sum":42}'


async def test_the_three_are_typed_and_their_results_fit_their_output_schemas(servers: Servers, way: str) -> None:
    tools = {name: json.loads(wire) for name, wire in LISTINGS}
    for tool in tools.values():
        Draft202012Validator.check_schema(tool["inputSchema"])
        Draft202012Validator.check_schema(tool.get("outputSchema", {}))
    assert "outputSchema" not in tools["call_tool"]
    assert [tools[name]["annotations"]["readOnlyHint"] for name in THREE] == [False, True, True]
    arguments: list[tuple[str, dict[str, Any]]] = [
        ("search_tools", {"query": "add"}),
        ("search_tools", {"query": "nothing like this"}),
        ("describe_tool", {"name": "trial_words"}),
    ]
    async with servers.client(way) as client:
        for name, given in arguments:
            result = (await called(client, MODERN, name, given))["result"]
            assert result["isError"] is False
            validator: Any = Draft202012Validator(tools[name]["outputSchema"])
            assert validator.is_valid(result["structuredContent"])


async def test_texts_and_images_stay_whole_and_alone(servers: Servers, way: str) -> None:
    async with servers.client(way) as client:
        words = (await called(client, MODERN, "call_tool", {"name": "trial_words", "arguments": {"text": "a b"}}))[
            "result"
        ]
        image = (await called(client, MODERN, "call_tool", {"name": "trial_image"}))["result"]
    assert words["content"] == [{"type": "text", "text": "2 words"}]
    assert "structuredContent" not in words | image
    assert image["content"][0]["data"]


async def test_filters_narrow_the_search(servers: Servers, way: str) -> None:
    async with servers.client(way) as client:

        async def names(**given: Any) -> list[str]:
            answer = await called(client, MODERN, "search_tools", {"query": "", "limit": 50, **given})
            return [tool["name"] for tool in answer["result"]["structuredContent"]["tools"]]

        assert await names(plugin="numbers") == ["numbers_add"]
        assert await names(keyword="MATHS") == ["numbers_add"]
        assert await names(annotations={"readOnlyHint": True}) == ["trial_greet"]
        assert await names(annotations={"readOnlyHint": True}, plugin="numbers") == []
        assert len(await names(keyword="trial runs")) == len(TRIAL_TOOLS)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("search_tools", {}, ("$.query", "required")),
        ("search_tools", {"query": 1}, ("$.query", "a string")),
        ("search_tools", {"query": "x", "limit": 51}, ("$.limit", "50")),
        ("search_tools", {"query": "x", "limit": "5"}, ("$.limit",)),
        ("search_tools", {"query": "x", "annotations": {"readonly": True}}, ("$.annotations", "readonly")),
        ("search_tools", {"query": "x", "tags": []}, ("tags",)),
        ("search_tools", {"query": "x" * 1_001}, ("$.query",)),
        ("describe_tool", {"name": ""}, ("$.name",)),
        ("describe_tool", {"name": "trial_ad"}, ("no tool 'trial_ad'", "trial_add")),
        ("describe_tool", {"name": "unheardof"}, ("no tool 'unheardof'", "search_tools")),
        ("call_tool", {"arguments": {}}, ("$.name", "required")),
        ("call_tool", {"name": "trial_add", "arguments": [1]}, ("$.arguments", "an object")),
        ("call_tool", {"name": "trial_ad", "arguments": {}}, ("no tool 'trial_ad'", "trial_add")),
        ("call_tool", {"name": "call_tool", "arguments": {"name": "trial_add"}}, ("no tool 'call_tool'",)),
        ("call_tool", {"name": "trial_add", "arguments": {"a": "x", "b": 1}}, ("$.a", "an integer", '"x"')),
        ("call_tool", {"name": "trial_error", "arguments": {}}, ("bring a new one",)),
    ],
)
async def test_what_is_wrong_is_a_result_that_says_what_to_do(
    servers: Servers, way: str, era: str, tool: str, given: dict[str, Any], said: tuple[str, ...]
) -> None:
    async with servers.client(way) as client:
        answer = await called(client, era, tool, given)
    assert error_of(answer)["kind"] in ("invalid_input", "call_failed")
    assert all(part in text_of(answer) for part in said), text_of(answer)


@pytest.mark.parametrize("era", ERAS)
async def test_in_the_search_view_no_other_name_is_a_tool_and_its_own_come_before_those_of_plugins(
    servers: Servers, way: str, era: str
) -> None:
    async with servers.client(way) as client:
        direct = await called(client, era, "trial_add", ADD)
        headed = await called(client, era, "headed_add", ADD)
        own = await called(client, era, "search_tools", {"query": "mine"})
        of_plugin = await called(client, era, "call_tool", {"name": "search_tools", "arguments": {}})
        everywhere_else = await called(client, era, "search_tools", {}, "/mcp")
        through = await called(client, era, "call_tool", {"name": "headed_add", "arguments": ADD})
    assert (direct["error"]["code"], headed["error"]["code"]) == (-32602, -32602)
    assert "call_tool" in direct["error"]["message"]
    assert own["result"]["structuredContent"]["tools"][0]["name"] == "search_tools"
    assert text_of(of_plugin) == text_of(everywhere_else) == "mine"
    assert through["result"]["structuredContent"] == {"output": {"sum": 42}}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("token", "sees"), [("adding", "trial_add"), ("numbers", "numbers_add")])
async def test_for_a_restricted_token_there_are_no_other_tools(
    servers: Servers, way: str, era: str, token: str, sees: str
) -> None:
    async with servers.client(way, token) as client:
        assert await listed(client, era) == [sees]
        assert await listed(client, era, "/mcp?view=all") == [sees]
        assert (await called(client, era, sees, ADD, "/mcp"))["result"]["structuredContent"] == {"sum": 42}
        for hidden in ("trial_words", "headed_add", "search_tools"):
            answer = await send(client, era, "tools/call", {"name": hidden, "arguments": ADD})
            unknown = await send(client, era, "tools/call", {"name": "no_such", "arguments": ADD})
            assert answer.status_code == unknown.status_code
            assert answer.json()["error"]["code"] == -32602
            assert answer.json()["error"]["message"] == unknown.json()["error"]["message"].replace("no_such", hidden)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("token", ["search-numbers", "numbers"])
async def test_a_restriction_holds_in_search_too(servers: Servers, way: str, era: str, token: str) -> None:
    async with servers.client(way, token) as client:
        assert await listed(client, era, SEARCH) == THREE
        found = await called(client, era, "search_tools", {"query": "trial_add"})
        described = await called(client, era, "describe_tool", {"name": "trial_add"})
        refused = await called(client, era, "call_tool", {"name": "trial_add", "arguments": ADD})
        answer = await called(client, era, "call_tool", {"name": "numbers_add", "arguments": ADD})
    assert [tool["name"] for tool in found["result"]["structuredContent"]["tools"]] == ["numbers_add"]
    assert error_of(described)["code"] == error_of(refused)["code"] == "unknown_tool"
    assert "trial_words" not in text_of(refused)
    assert answer["result"]["structuredContent"] == {"output": {"sum": 42}}


async def test_rest_and_the_page_show_and_call_what_the_token_sees(servers: Servers, way: str) -> None:
    async with servers.client(way, "adding") as client:
        tools = (await client.get("/api/v1/tools")).json()
        assert ([tool["name"] for tool in tools["items"]], tools["quarantined"], tools["next"]) == (
            ["trial_add"],
            [],
            None,
        )
        made = await client.post("/api/v1/tools/trial_add/call", json=ADD)
        assert made.json()["structuredContent"] == {"sum": 42}
        assert_problem(await client.post("/api/v1/tools/numbers_add/call", json=ADD), 404, "unknown_tool")
        installed = (await client.get("/api/v1/installations")).json()["items"]
        assert [tool for item in installed for tool in item["tools"]] == ["trial_add"]
        page = (await client.get("/")).text
        assert "trial_add" in page
        assert "numbers_add" not in page
    async with servers.client(way, "search") as client:
        names = [tool["name"] for tool in (await client.get("/api/v1/tools")).json()["items"]]
        assert "numbers_add" in names


async def test_a_call_through_call_tool_is_recorded_as_that_of_the_tool(servers: Servers, way: str) -> None:
    services = servers.registry.services
    async with servers.client(way, "search") as client:
        await called(client, MODERN, "call_tool", {"name": "numbers_add", "arguments": ADD}, "/mcp")
        await called(client, MODERN, "call_tool", {"name": "numbers_add", "arguments": {"a": "x"}}, "/mcp")
    await services.recorder.flush()
    bad, good = await services.call_log.recent(2)
    assert (good.tool, good.caller, good.outcome) == ("numbers_add", "search", Outcome.OK)
    assert (bad.tool, bad.outcome) == ("numbers_add", Outcome.INVALID_ARGUMENTS)


async def test_a_token_without_the_scope_searches_and_cannot_call(servers: Servers, way: str) -> None:
    headers = {"Authorization": f"Bearer {servers.registry.secrets['read']}"}
    async with servers.client(way) as client:
        client.headers.update(headers)
        found = await called(client, MODERN, "search_tools", {"query": "add"})
        refused = await called(client, MODERN, "call_tool", {"name": "trial_add", "arguments": ADD})
    assert found["result"]["structuredContent"]["tools"]
    assert error_of(refused)["code"] == "missing_scope"


async def test_plain_requests_in_a_view_are_answered_by_the_lane(servers: Servers, way: str) -> None:
    lane = servers.lane.mcp.lane
    assert lane is not None
    before = lane.answered
    async with servers.client(way, "search-numbers") as client:
        await listed(client, MODERN)
        await called(client, MODERN, "search_tools", {"query": "add"}, "/mcp")
        await called(client, MODERN, "call_tool", {"name": "numbers_add", "arguments": ADD}, "/mcp")
    assert lane.answered - before == (3 if way == "lane" else 0)


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_library_finds_a_tool_and_runs_it(servers: Servers, way: str, era: str) -> None:
    async with Client(f"{servers.urls[way]}{SEARCH}", mode=CLIENT_MODES[era]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == THREE
        found = (await client.call_tool("search_tools", {"query": "greet somebody"})).structured_content
        assert found is not None
        name = found["tools"][0]["name"]
        result = await client.call_tool("call_tool", {"name": name, "arguments": {"name": "Ada"}})
        assert result.structured_content == {"output": {"greeting": "Hello, Ada!"}}
        text = await client.call_tool("call_tool", {"name": "trial_words", "arguments": {"text": "a"}})
        assert (text.structured_content, text.content) == (None, [types.TextContent(text="1 words")])
