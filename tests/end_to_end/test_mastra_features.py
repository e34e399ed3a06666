"""What Mastra makes of more than a plain call: approvals, images, structure, toolsets for each request, and search."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mastra import MastraClient, http_server, stdio_server
from tests.support.node import NodeConversation
from tests.support.plugins import TRIAL_TOOLS
from tests.support.server import RunningServer, tool_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Json = dict[str, Any]

WAYS = [("2", "http"), ("2", "stdio"), ("1", "http"), ("1", "stdio")]
SEARCH_TOOLS = {"search_tools", "describe_tool", "call_tool"}


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A version of @mastra/mcp and a transport."""
    return request.param


@pytest.fixture(scope="module")
def mastra(node: NodeConversation, server: RunningServer, way: tuple[str, str]) -> Generator[MastraClient]:
    """An application that lets a person approve what is not read-only."""
    version, transport = way
    definition = http_server(server.mcp_url) if transport == "http" else stdio_server(server.data_dir)
    client = MastraClient(node, version, definition, features={"approve": True})
    yield client
    client.close()


@pytest.fixture(scope="module")
def searching(node: NodeConversation, server: RunningServer, way: tuple[str, str]) -> Generator[MastraClient]:
    """An application that sees the search view."""
    version, transport = way
    definition = (
        http_server(f"{server.mcp_url}?view=search")
        if transport == "http"
        else stdio_server(server.data_dir, "--view", "search")
    )
    client = MastraClient(node, version, definition)
    yield client
    client.close()


@pytest.mark.parametrize("approved", [True, False], ids=["approved", "declined"])
def test_annotations_decide_which_calls_of_an_agent_wait_for_a_person(mastra: MastraClient, approved: bool) -> None:
    mastra.heard()
    answer = mastra.ask_agent([("trial_greet", {"name": "Ada"}), ("trial_add", {"a": 19, "b": 23})], approve=approved)
    assert answer["suspended"] == [mastra.tool("trial_add")]
    seen = {told["toolName"]: told for told in mastra.heard()["approvals"]}
    assert seen["trial_greet"]["annotations"] == TRIAL_TOOLS["greet"]["annotations"]
    assert "annotations" not in seen["trial_add"]
    assert seen["trial_add"]["args"] == {"a": 19, "b": 23}
    assert "Hello, Ada!" in answer["text"]
    assert ("42" in answer["text"]) is approved
    assert ("not approved" in answer["text"]) is not approved


def test_an_agents_model_is_shown_an_image_as_an_image(mastra: MastraClient) -> None:
    answer = mastra.ask_agent([("trial_image", {})], approve=True)
    (used,) = answer["toolResults"]
    (block,) = used["result"]["content"]
    assert "structuredContent" not in used["result"]
    (shown,) = answer["shown"]
    assert shown["type"] == "content"
    (part,) = shown["value"]
    assert (part["type"], part["mediaType"], part["data"]) == ("image-data", "image/png", block["data"])


def test_an_agents_model_reads_the_text_of_a_structured_result_and_code_gets_the_object(mastra: MastraClient) -> None:
    answer = mastra.ask_agent([("trial_greet", {"name": "Ada"})], approve=True)
    (used,) = answer["toolResults"]
    assert used["result"] == {"greeting": "Hello, Ada!"}
    (shown,) = answer["shown"]
    assert (shown["type"], json.loads(shown["value"])) == ("text", {"greeting": "Hello, Ada!"})


@pytest.mark.parametrize("version", ["2", "1"], ids=["mastra-mcp-2", "mastra-mcp-1"])
def test_agents_of_two_callers_are_offered_and_can_call_the_tools_of_their_own_tokens_alone(
    node: NodeConversation, server: RunningServer, data_dir: Path, version: str
) -> None:
    views = {"adder": ("--only", "tool:trial_add"), "greeter": ("--only", "tool:trial_greet")}
    calls = {"adder": ("trial_add", {"a": 19, "b": 23}), "greeter": ("trial_greet", {"name": "Ada"})}
    said = {"adder": "42", "greeter": "Hello, Ada!"}
    clients: dict[str, MastraClient] = {}
    for name, view in views.items():
        made = tool_server(
            "token", "create", f"{name}-{version}", "--scope", "call", *view, "--json", data_dir=data_dir
        )
        clients[name] = MastraClient(node, version, http_server(server.mcp_url, json.loads(made.stdout)["secret"]))
    for name, client in clients.items():
        answer = client.ask_agent([calls[name]], toolsets=True)
        assert [tool["name"] for tool in answer["offered"]] == [calls[name][0]]
        assert said[name] in answer["text"]
    # A listing that somebody else made does not help.
    clients["greeter"].hydrate(clients["adder"].definitions())
    refused = clients["greeter"].execute_many([calls["adder"]])[0]
    assert "there is no tool 'trial_add' here" in refused["error"]["message"]
    for client in clients.values():
        client.close()


def test_an_agent_in_the_search_view_finds_a_tool_reads_its_schema_and_calls_it(searching: MastraClient) -> None:
    assert searching.definitions().keys() == SEARCH_TOOLS
    answer = searching.ask_agent(
        [("search_tools", {"query": "add two integers"})],
        [("describe_tool", {"name": "trial_add"})],
        [("call_tool", {"name": "trial_add", "arguments": {"a": 19, "b": 23}})],
    )
    found, described, called = [used["result"] for used in answer["toolResults"]]
    assert found["tools"][0]["name"] == "trial_add"
    assert described["inputSchema"] == TRIAL_TOOLS["add"]["input"]
    assert called == {"output": {"sum": 42}}
    assert "trial_add(a, b)" in answer["shown"][0]["value"]
    assert answer["shown"][2]["value"] == {"output": {"sum": 42}}


def test_an_agent_in_the_search_view_is_told_which_argument_is_wrong_and_which_tool_is_near(
    searching: MastraClient,
) -> None:
    answer = searching.ask_agent(
        [
            ("call_tool", {"name": "trial_add", "arguments": {"a": "two", "b": 3}}),
            ("call_tool", {"name": "trial_ad", "arguments": {}}),
        ]
    )
    assert "$.a: expected an integer" in answer["text"]
    assert "the nearest are trial_add" in answer["text"]


def test_an_agents_model_is_shown_an_image_in_the_search_view_too(searching: MastraClient) -> None:
    answer = searching.ask_agent([("call_tool", {"name": "trial_image", "arguments": {}})])
    (shown,) = answer["shown"]
    assert [part["type"] for part in shown["value"]] == ["image-data"]
