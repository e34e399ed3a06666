"""Plugins of hyper-mcp v1 and v2 and an mcp.run servlet, unchanged, by way of Mastra: asked, told, and with errors."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.support.foreign_plugins import (
    BLOCKS,
    DATED,
    FORM,
    GENERATIONS,
    NO_MESSAGE,
    PAGE,
    SAMPLE,
    SECRET,
    SETTING,
    TOOLS,
    answer_of,
    use,
)
from tests.support.mastra import MastraClient, MastraError, http_server, stdio_server
from tests.support.node import NodeConversation
from tests.support.server import RunningServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WAYS = [("2", "http"), ("2", "legacy"), ("2", "stdio"), ("1", "http"), ("1", "stdio")]
ROOTS = [{"uri": "file:///work", "name": "Work"}]
HANDLERS: dict[str, Any] = {
    "answers": {
        "Name?": {"action": "accept", "content": {"text": "Ada"}},
        "When?": {"action": "cancel"},
        "Sign in": {"action": "accept"},
    },
    "pages": True,
    "roots": ROOTS,
    "progress": True,
    "logs": True,
}


def connected(
    node: NodeConversation, foreign: RunningServer, way: tuple[str, str], features: dict[str, Any]
) -> MastraClient:
    """A client of Mastra with these features."""
    version, transport = way
    if transport == "stdio":
        definition = stdio_server(foreign.data_dir, "--no-bundled")
    else:
        definition = http_server(foreign.mcp_url, protocol_version="legacy" if transport == "legacy" else None)
    return MastraClient(node, version, definition, features=features)


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A version of @mastra/mcp and how it connects; `legacy` is 2025-11-25 over HTTP."""
    return request.param


@pytest.fixture(scope="module")
def client_of_way(node: NodeConversation, foreign: RunningServer, way: tuple[str, str]) -> Generator[MastraClient]:
    """An application that handles all that Mastra can."""
    client = connected(node, foreign, way, HANDLERS)
    yield client
    client.close()


@pytest.fixture
def mastra(client_of_way: MastraClient) -> MastraClient:
    """The same, whose handlers were told nothing yet."""
    client_of_way.heard()
    return client_of_way


def text_of(result: Any) -> str:
    """The text of a result of one block."""
    (block,) = result["content"]
    assert block["type"] == "text"
    return block["text"]


def said(mastra: MastraClient, plugin: str, function: str, block: object = None) -> str:
    """What a host function gave to a plugin, or what else its tool `use` says."""
    return text_of(mastra.execute(f"{plugin}_use", use(function, block)))


def test_every_tool_is_listed_and_every_import_answers_in_its_shape_without_handlers(
    node: NodeConversation, foreign: RunningServer, way: tuple[str, str]
) -> None:
    client = connected(node, foreign, way, {})
    assert sorted(client.definitions()) == TOOLS
    asked = [(plugin, function, block) for plugin in GENERATIONS for function, block in BLOCKS.items()]
    results = client.execute_many([(f"{plugin}_use", use(function, block)) for plugin, function, block in asked])
    for (plugin, function, _), result in zip(asked, results, strict=True):
        assert answer_of(function, text_of(result)), (plugin, function, result)
    assert SECRET not in json.dumps(results)
    for plugin in GENERATIONS:
        assert text_of(client.execute(f"{plugin}_setting", {"key": "KEY"})) == SETTING
    client.close()


def test_a_handler_answers_what_a_plugin_asks_and_what_mastra_cannot_is_answered_as_by_its_own_host(
    mastra: MastraClient, way: tuple[str, str]
) -> None:
    version, _ = way
    for plugin in GENERATIONS:
        accepted = json.loads(said(mastra, plugin, "create_elicitation", FORM))
        assert accepted == {"action": "accept", "content": {"text": "Ada"}}
        assert json.loads(said(mastra, plugin, "create_elicitation", DATED)) == {"action": "cancel"}
        page = json.loads(said(mastra, plugin, "create_elicitation", PAGE))
        unable = {"action": "decline", "content": {"error": "Peer does not support url elicitation"}}
        assert page == ({"action": "accept"} if version == "2" else unable)
        assert json.loads(said(mastra, plugin, "list_roots")) == {"roots": ROOTS if version == "1" else []}
        assert json.loads(said(mastra, plugin, "create_message", SAMPLE)) == NO_MESSAGE
    questions = mastra.heard()["questions"]
    assert [question["message"] for question in questions] == ["Name?", "When?", *["Sign in"] * (version == "2")] * 2
    assert questions[0]["requestedSchema"] == FORM["requestedSchema"]
    assert questions[1]["requestedSchema"]["properties"]["at"]["format"] == "date-time"


def test_progress_and_log_messages_reach_their_handlers_once_although_the_plugin_asks_between_them(
    mastra: MastraClient,
) -> None:
    for plugin in GENERATIONS:
        answer = json.loads(said(mastra, plugin, "interview", FORM))
        assert answer == {"action": "accept", "content": {"text": "Ada"}}
    heard = mastra.heard()
    assert [(told["progress"], told["total"]) for told in heard["progress"]] == [(1, 2), (2, 2)] * 2
    first, *_, last = [told["progressToken"] for told in heard["progress"]]
    assert first != last
    assert [(told["level"], told["logger"]) for told in heard["logs"]] == [("info", "interview")] * 4
    without, _, once, again = [told["data"] for told in heard["logs"]]
    assert without is None
    assert isinstance(once, str)
    assert once == again


def test_a_servlet_shows_every_kind_of_content_and_its_failures_are_thrown_with_its_words(mastra: MastraClient) -> None:
    text, image, resource = mastra.execute("servlet_show", {"key": "KEY"})["content"]
    assert text == {"type": "text", "text": f"{SETTING}|{SETTING}"}
    hints = {"audience": ["user"], "priority": 0.5}
    assert image == {"type": "image", "mimeType": "image/png", "data": "aW1hZ2U=", "annotations": hints}
    assert (resource["type"], resource["resource"]["text"]) == ("resource", "inside")
    for arguments, words in (({}, "give a key"), ({"key": "KEY", "refuse": True}, SETTING)):
        with pytest.raises(MastraError) as thrown:
            mastra.execute("servlet_show", arguments)
        assert thrown.value.id == "MCP_CLIENT_TOOL_EXECUTION_FAILED"
        assert words in thrown.value.message


@pytest.mark.parametrize(
    ("function", "block", "words"),
    [
        ("create_elicitation", {"message": "?"}, "$.requestedSchema: expected an object"),
        ("create_message", {"messages": []}, "$.maxTokens: expected an integer"),
        ("notify_progress", {"progress": 1}, "$.progressToken: expected a string or an integer"),
        ("notify_logging_message", {"level": "loud", "data": 1}, "$.level: expected one of debug"),
    ],
)
def test_an_argument_that_a_host_function_does_not_take_ends_the_call_with_its_place(
    node: NodeConversation, foreign: RunningServer, function: str, block: Any, words: str
) -> None:
    client = connected(node, foreign, ("2", "http"), HANDLERS)
    for plugin in GENERATIONS:
        with pytest.raises(MastraError) as thrown:
            said(client, plugin, function, block)
        assert f"{function}: {words}" in thrown.value.message
    client.close()
