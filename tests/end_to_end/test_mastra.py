"""Mastra's own MCPClient and Agent against the real server, in both protocol eras and over both transports."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mastra import MastraClient, MastraError, http_server, stdio_server
from tests.support.node import NodeConversation
from tests.support.plugins import TRIAL_TOOLS, BundledTool, bundled_tools, trial_plugins
from tests.support.server import RunningServer, extism_registry, publish_and_install, running_server, tool_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VERSIONS = pytest.mark.parametrize("version", ["2", "1"], ids=["mastra-mcp-2", "mastra-mcp-1"])
Json = dict[str, Any]


@pytest.fixture(
    scope="module",
    params=[(version, transport) for version in ("2", "1") for transport in ("http", "stdio")],
    ids=lambda param: f"mastra-mcp-{param[0]}-{param[1]}",
)
def mastra(request: pytest.FixtureRequest, node: NodeConversation, server: RunningServer) -> Generator[MastraClient]:
    version, transport = request.param
    definition = http_server(server.mcp_url) if transport == "http" else stdio_server(server.data_dir)
    client = MastraClient(node, version, definition)
    yield client
    client.close()


def examples_of(tool: BundledTool) -> list[Json]:
    """The examples that promise an output."""
    return [example for example in tool.declared.get("examples", ()) if "output" in example]


def text_of(result: Any) -> str:
    """The text of a result without structured content."""
    return "".join(block["text"] for block in result["content"] if block["type"] == "text")


class TestListing:
    def test_every_bundled_tool_is_listed_with_the_schemas_of_its_plugin_json(self, mastra: MastraClient) -> None:
        definitions = mastra.definitions()
        assert bundled_tools()
        for tool in bundled_tools():
            listed = definitions[tool.name]
            assert listed["inputSchema"] == tool.declared["input"], tool.name
            assert listed.get("outputSchema") == tool.declared.get("output"), tool.name
            assert listed["description"] == tool.declared["description"], tool.name

    def test_a_tool_carries_its_annotations_and_the_server_its_name_and_instructions(
        self, mastra: MastraClient
    ) -> None:
        greet = mastra.definitions()["trial_greet"]
        assert greet["annotations"]["readOnlyHint"] is True
        assert greet["outputSchema"] == TRIAL_TOOLS["greet"]["output"]
        assert greet["server"]["instructions"]


class TestCalls:
    def test_every_example_of_every_bundled_tool_gives_the_output_that_it_promises(self, mastra: MastraClient) -> None:
        promised = [(tool, example) for tool in bundled_tools() for example in examples_of(tool)]
        assert promised
        results = mastra.execute_many([(tool.name, example["input"]) for tool, example in promised])
        for (tool, example), result in zip(promised, results, strict=True):
            got = result if "output" in tool.declared else text_of(result)
            assert got == example["output"], tool.name

    def test_structured_text_and_image_results_arrive_whole(self, mastra: MastraClient) -> None:
        assert mastra.execute("trial_add", {"a": 2, "b": 40}) == {"sum": 42}
        assert mastra.execute("trial_greet", {"name": "Zoë 😀"}) == {"greeting": "Hello, Zoë 😀!"}
        assert text_of(mastra.execute("trial_words", {"text": "one two three"})) == "3 words"
        (image,) = mastra.execute("trial_image", {})["content"]
        assert (image["type"], image["mimeType"]) == ("image", "image/png")
        assert image["data"].startswith("iVBORw0KGgo")

    def test_many_calls_at_once_each_get_their_own_answer(self, mastra: MastraClient) -> None:
        results = mastra.execute_many([("trial_add", {"a": number, "b": 1}) for number in range(50)])
        assert results == [{"sum": number + 1} for number in range(50)]

    def test_defaults_that_mastra_leaves_out_are_filled_in_by_the_server(self, mastra: MastraClient) -> None:
        assert mastra.execute("trial_echo", {"text": "hi"}) == {"text": "hi", "count": 3}


class TestFailures:
    def test_mastra_itself_returns_what_its_own_check_of_the_listed_schema_finds(self, mastra: MastraClient) -> None:
        refused = mastra.execute("trial_add", {"a": "two", "b": 3})
        assert refused["error"] is True
        assert "a: must be integer" in refused["message"]

    def test_a_format_that_mastra_does_not_check_is_refused_with_path_expected_and_got(
        self, mastra: MastraClient
    ) -> None:
        with pytest.raises(MastraError) as thrown:
            mastra.execute("trial_echo", {"text": "hi", "day": "yesterday"})
        assert thrown.value.id == "MCP_CLIENT_TOOL_EXECUTION_FAILED"
        wanted = "$.day: expected a string in the format 'date', such as 2026-01-31, got \"yesterday\" (string)"
        assert wanted in thrown.value.message

    @pytest.mark.parametrize(
        ("tool", "arguments", "parts"),
        [
            ("trial_error", {}, ["the thing is broken: bring a new one"]),
            ("trial_trap", {}, ["crashed", "try other arguments"]),
            ("trial_not_json", {}, ["JSON", "plugin is at fault"]),
            ("brief_spin", {}, ["300 ms", "time limit"]),
        ],
        ids=["guest error", "trap", "bad output", "timeout"],
    )
    def test_a_failing_guest_is_thrown_with_the_servers_own_words(
        self, mastra: MastraClient, tool: str, arguments: Json, parts: list[str]
    ) -> None:
        with pytest.raises(MastraError) as thrown:
            mastra.execute(tool, arguments)
        assert thrown.value.id == "MCP_CLIENT_TOOL_EXECUTION_FAILED"
        for part in parts:
            assert part in thrown.value.message
        assert mastra.execute("trial_add", {"a": 1, "b": 1}) == {"sum": 2}


class TestAgent:
    @pytest.mark.parametrize("toolsets", [False, True], ids=["tools", "toolsets"])
    def test_an_agents_model_is_offered_the_tools_calls_one_and_uses_its_result(
        self, mastra: MastraClient, toolsets: bool
    ) -> None:
        answer = mastra.ask_agent([("trial_add", {"a": 19, "b": 23})], toolsets=toolsets)
        (used,) = answer["toolResults"]
        assert used["result"] == {"sum": 42}
        assert "42" in answer["text"]
        offered = {tool["name"]: tool for tool in answer["offered"]}
        name = "trial_add" if toolsets else mastra.tool("trial_add")
        assert offered[name]["inputSchema"]["properties"] == TRIAL_TOOLS["add"]["input"]["properties"]
        assert len(offered) == len(mastra.definitions())

    def test_an_agents_model_is_told_why_a_tool_failed_beside_the_results_of_those_that_did_not(
        self, mastra: MastraClient
    ) -> None:
        answer = mastra.ask_agent([("trial_error", {}), ("trial_greet", {"name": "Ada"})])
        assert "the thing is broken: bring a new one" in answer["text"]
        assert "Hello, Ada!" in answer["text"]

    def test_an_agents_model_is_told_which_argument_is_wrong(self, mastra: MastraClient) -> None:
        answer = mastra.ask_agent([("trial_echo", {"text": "hi", "day": "yesterday"})])
        assert "$.day: expected a string in the format 'date'" in answer["text"]


class TestStaleCatalogue:
    def test_a_catalogue_serialized_before_works_without_listing_again(
        self, node: NodeConversation, server: RunningServer, mastra: MastraClient
    ) -> None:
        client = MastraClient(node, "2", http_server(server.mcp_url), name=mastra.server, list_now=False)
        assert mastra.tool("trial_add") in client.hydrate(mastra.definitions())
        assert client.execute("trial_add", {"a": 3, "b": 4}) == {"sum": 7}
        client.close()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"text": 5}, "$.text: expected a string, got 5 (integer)"),
            ({"text": "hi", "tags": ["a", 2]}, "$.tags[1]: expected a string, got 2 (integer)"),
            ({"text": "hi", "count": 0}, "$.count: expected a number of at least 1, got 0 (integer)"),
            ({}, "$.text is required: a string"),
            ({"text": "hi", "txet": 1}, "$.txet is not a known property: known here: 'text', 'day', 'count', 'tags'"),
        ],
        ids=["wrong type", "inside of a list", "too small", "missing", "unknown"],
    )
    @VERSIONS
    def test_arguments_wrong_by_the_current_schema_are_refused_by_the_server(
        self, node: NodeConversation, server: RunningServer, version: str, arguments: Json, message: str
    ) -> None:
        client = MastraClient(node, version, http_server(server.mcp_url))
        stale = {**client.definitions()["trial_echo"], "inputSchema": {"type": "object"}}
        client.hydrate({"trial_echo": stale})
        with pytest.raises(MastraError) as thrown:
            client.execute("trial_echo", arguments)
        assert message in thrown.value.message
        client.close()

    def test_a_tool_that_is_gone_is_an_error_that_says_to_list_again(
        self, node: NodeConversation, server: RunningServer
    ) -> None:
        client = MastraClient(node, "2", http_server(server.mcp_url))
        gone = {**client.definitions()["trial_echo"], "name": "trial_gone"}
        client.hydrate({"trial_gone": gone})
        with pytest.raises(MastraError, match="there is no tool 'trial_gone' here: list the tools again"):
            client.execute("trial_gone", {"text": "hi"})
        client.close()


class TestTheServersLife:
    def test_a_plugin_published_and_installed_while_clients_listen_is_announced_and_works(
        self, node: NodeConversation, tmp_path: Path
    ) -> None:
        trial, brief, _ = trial_plugins(tmp_path / "plugins")
        data = tmp_path / "data"
        with running_server(data, args=["--no-bundled"]) as server:
            stdio, http = stdio_server(data, "--no-bundled"), http_server(server.mcp_url)
            listening = [
                MastraClient(node, version, target) for version, target in (("2", http), ("2", stdio), ("1", stdio))
            ]
            for client in listening:
                assert client.definitions() == {}
                client.listen()
            publish_and_install(trial, data)
            for client in listening:
                client.wait_for_change()
                assert "trial_add" in client.list_again()
                assert client.execute("trial_add", {"a": 1, "b": 2}) == {"sum": 3}
            # @mastra/mcp 1 over HTTP lists again: it opens no stream on which it could be told.
            asking = MastraClient(node, "1", http)
            assert "trial_add" in asking.definitions()
            publish_and_install(brief, data)
            extism_registry("uninstall", "trial", data_dir=data)
            for client in (*listening, asking):
                client.list_until({"brief_spin"})
                client.close()

    def test_a_server_restarted_between_two_calls_serves_the_second_one(
        self, node: NodeConversation, tmp_path: Path
    ) -> None:
        trial, *_ = trial_plugins(tmp_path / "plugins")
        data = tmp_path / "data"
        publish_and_install(trial, data)
        with running_server(data, args=["--no-bundled"]) as server:
            # Those that speak 2025-11-25 have a session, which is gone then: @mastra/mcp 2 would never recover from a
            # refusal of it.
            ways = [("2", None), ("2", "legacy"), ("1", None)]
            clients = [MastraClient(node, version, http_server(server.mcp_url, None, era)) for version, era in ways]
            for client in clients:
                assert client.execute("trial_add", {"a": 1, "b": 2}) == {"sum": 3}
            server.restart()
            for client in clients:
                assert client.execute("trial_add", {"a": 3, "b": 4}) == {"sum": 7}
                assert "trial_add" in client.list_again()
                client.close()

    @VERSIONS
    def test_a_stdio_server_that_was_killed_is_started_again_by_the_next_call(
        self, node: NodeConversation, data_dir: Path, tmp_path: Path, version: str
    ) -> None:
        definition = stdio_server(data_dir, "--no-bundled")
        pid_file = tmp_path / "pid"
        command = shlex.join([definition["command"], *definition["args"]])
        client = MastraClient(
            node,
            version,
            {**definition, "command": "/bin/sh", "args": ["-c", f"echo $$ > {pid_file}; exec {command}"]},
        )
        assert client.execute("trial_add", {"a": 1, "b": 2}) == {"sum": 3}
        killed = int(pid_file.read_text())
        os.kill(killed, signal.SIGKILL)
        assert client.execute("trial_add", {"a": 3, "b": 4}) == {"sum": 7}
        assert int(pid_file.read_text()) != killed
        client.close()

    @VERSIONS
    def test_a_catalogue_of_more_than_one_page_is_listed_whole(
        self, node: NodeConversation, wide_server: RunningServer, version: str
    ) -> None:
        client = MastraClient(node, version, http_server(wide_server.mcp_url))
        assert len(client.definitions()) == 1_200
        client.close()


class TestTokens:
    def test_a_plain_bearer_token_is_enough_and_a_wrong_or_missing_one_is_refused(
        self, node: NodeConversation, data_dir: Path
    ) -> None:
        made = tool_server("token", "create", "mastra", "--scope", "call", "--json", data_dir=data_dir)
        token = json.loads(made.stdout)["secret"]
        environment = {"TOOL_SERVER_AUTH__ANONYMOUS_LOOPBACK": "false"}
        with running_server(data_dir, args=["--no-bundled"], env=environment) as server:
            for version in ("2", "1"):
                client = MastraClient(node, version, http_server(server.mcp_url, token))
                assert client.execute("trial_add", {"a": 1, "b": 2}) == {"sum": 3}
                client.close()
                for wrong in (None, f"{token}x"):
                    refused = MastraClient(node, version, http_server(server.mcp_url, wrong))
                    assert "401" in refused.listed["errors"][refused.server]
                    refused.close()
