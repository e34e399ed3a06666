"""The official MCP Inspector's command line against the real server."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.support.node import run_node
from tests.support.plugins import bundled_tools
from tests.support.server import REPOSITORY, RunningServer, stdio_command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Json = dict[str, Any]

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])
TRANSPORTS = pytest.mark.parametrize("transport", ["http", "stdio"])


LAUNCHER = Path("@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
TOOL_FAILED = 5
"""The Inspector's exit code for `isError` and for a tool that is not there."""


class Inspector:
    """Runs `mcp-inspector --cli` on one server, with a home folder of its own."""

    def __init__(self, node_modules: Path, home: Path, server: RunningServer) -> None:
        self._script = node_modules / LAUNCHER
        self._home = home
        self._server = server

    def run(self, transport: str, era: str, method: str, *options: str) -> CompletedProcess[str]:
        """One request."""
        command, args = stdio_command(self._server.data_dir)
        target = (
            (self._server.mcp_url, "--transport", "http")
            if transport == "http"
            else (command, *args, "-e", f"PYTHONPATH={REPOSITORY}")
        )
        return run_node(
            self._script,
            *("--cli", *target, "--protocol-era", era, "--format", "json", "--method", method, *options),
            env={"HOME": str(self._home), "MCP_INSPECTOR_SECRET_STORE": "memory"},
            timeout=120,
            cwd=self._home,
        )

    def result(self, transport: str, era: str, method: str, *options: str) -> Json:
        """The result of a request that must succeed."""
        done = self.run(transport, era, method, *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["result"]


@pytest.fixture(scope="module")
def inspector(node_modules: Path, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Inspector:
    return Inspector(node_modules, tmp_path_factory.mktemp("home"), server)


@ERAS
@TRANSPORTS
def test_the_inspector_lists_every_bundled_tool_and_finds_no_fault_with_any_schema(
    inspector: Inspector, transport: str, era: str
) -> None:
    done = inspector.run(transport, era, "tools/list", "--strict")
    assert done.returncode == 0, done.stderr
    listed = {tool["name"]: tool for tool in json.loads(done.stdout)["result"]["tools"]}
    assert bundled_tools()
    for tool in bundled_tools():
        assert listed[tool.name]["inputSchema"] == tool.declared["input"]
        assert listed[tool.name].get("outputSchema") == tool.declared.get("output")


@ERAS
@TRANSPORTS
def test_the_inspector_calls_a_tool_and_shows_its_result(inspector: Inspector, transport: str, era: str) -> None:
    called = inspector.result(
        transport, era, "tools/call", "--tool-name", "trial_add", "--tool-args-json", '{"a": 2, "b": 40}'
    )
    assert called["structuredContent"] == {"sum": 42}
    assert called["content"] == [{"type": "text", "text": '{"sum":42}'}]
    assert called["isError"] is False


@ERAS
@pytest.mark.parametrize(
    ("tool", "arguments", "part"),
    [
        ("trial_add", {"a": "two", "b": 3}, "$.a"),
        ("trial_error", {}, "the thing is broken: bring a new one"),
        ("brief_spin", {}, "300 ms"),
    ],
)
def test_the_inspector_shows_a_failed_call_as_the_tools_error(
    inspector: Inspector, era: str, tool: str, arguments: Json, part: str
) -> None:
    done = inspector.run("http", era, "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
    assert done.returncode == TOOL_FAILED
    failed = json.loads(done.stdout)["result"]
    assert failed["isError"] is True
    assert part in failed["content"][0]["text"]


@ERAS
def test_the_inspectors_load_test_of_a_tool_ends_without_one_error(inspector: Inspector, era: str) -> None:
    options = ("--load", "--load-requests", "100", "--load-concurrency", "8")
    arguments = ("--tool-name", "trial_add", "--tool-args-json", '{"a": 2, "b": 40}')
    done = inspector.run("http", era, "tools/call", *arguments, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    load = json.loads(done.stdout)["result"]
    assert (load["requests"], load["ok"], load["toolErrors"], load["errors"]) == (100, 100, 0, 0), load
