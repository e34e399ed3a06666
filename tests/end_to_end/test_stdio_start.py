"""A client starts stdio servers often, and throws some away unused: the start must cost next to nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.kernel import children_of
from tests.support.programs import publish_and_install
from tests.support.server import server_environment, stdio_command
from tool_server.bootstrap.services import build
from tool_server.config import Config

META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def fill(data_dir: Path) -> None:
    async with build(Config(data_dir=data_dir)) as services:
        await publish_and_install(services, "echo", tools=2)


def test_the_first_list_needs_neither_an_artifact_nor_a_worker(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path / "data")
    artifacts, aside = tmp_path / "data" / "artifacts", tmp_path / "aside"
    shutil.move(artifacts, aside)
    command, arguments = stdio_command(tmp_path / "data", "--no-bundled")
    with subprocess.Popen(
        [command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=server_environment()
    ) as process:
        try:
            listed = ask(process, "tools/list", {})
            assert [tool["name"] for tool in listed["tools"]] == ["echo_echo", "echo_echo_1"]
            assert not children_of(process.pid)
            shutil.rmtree(artifacts, ignore_errors=True)
            shutil.move(aside, artifacts)
            called = ask(process, "tools/call", {"name": "echo_echo", "arguments": {"text": "now"}})
            assert called["structuredContent"] == {"text": "now"}
            assert children_of(process.pid)
        finally:
            process.kill()


NOT_BEFORE_THE_FIRST_LIST = (
    *("sqlalchemy", "alembic", "obstore", "cryptography", "mcp", "mcp_types", "starlette", "uvicorn", "httpx", "rich"),
    *("jsonschema", "jsonschema_rs", "extism", "tool_server.sandbox", "tool_server.services", "tool_server.inspection"),
)


def test_what_runs_before_the_first_list_loads_no_large_library() -> None:
    program = (
        "import sys\n"
        "import tool_server.cli.operate, tool_server.cli.operate_serve, tool_server.cli.signals\n"
        "import tool_server.bootstrap.stdio\n"
        f"print(*(name for name in {NOT_BEFORE_THE_FIRST_LIST!r} if name in sys.modules))"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, env=server_environment(), check=True
    )
    assert done.stdout.split() == []


UNSHARED = {"TOOL_SERVER_FILESYSTEM__ROOTS": "/data=/there/is/no/such/folder:read"}
"""A setting that only the opened services find out to be wrong."""


def test_the_first_list_does_not_wait_for_the_services_whose_failure_ends_the_server(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path / "data")
    with started(tmp_path / "data", UNSHARED) as process:
        assert len(ask(process, "tools/list", {})["tools"]) == 2
        # Its input stays open: what is wrong ends it.
        assert process.wait(timeout=60) == 3
        assert process.stderr is not None
        assert "/there/is/no/such/folder is no folder" in process.stderr.read()


@pytest.mark.parametrize("leaves", [True, False])
def test_a_client_that_says_nothing_is_told_what_is_wrong_with_the_services(tmp_path: Path, leaves: bool) -> None:
    anyio.run(fill, tmp_path / "data")
    with started(tmp_path / "data", UNSHARED) as process:
        if leaves:
            assert process.stdin is not None
            process.stdin.close()
        assert process.wait(timeout=60) == 3
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == ""
        assert "/there/is/no/such/folder is no folder" in process.stderr.read()


def test_a_call_that_comes_first_waits_for_the_services(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path / "data")
    with started(tmp_path / "data") as process:
        called = ask(process, "tools/call", {"name": "echo_echo", "arguments": {"text": "first"}})
        assert called["structuredContent"] == {"text": "first"}
        assert ask(process, "tools/call", {"name": "gone", "arguments": {}}, "error")["code"] == -32602


def test_a_database_of_a_later_version_is_refused_before_anything_is_answered(tmp_path: Path) -> None:
    anyio.run(fill, tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / "tool-server.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with started(tmp_path / "data") as process:
        answer, complaint = process.communicate(json.dumps(request("tools/list", {})) + "\n", timeout=60)
        assert (answer, process.returncode) == ("", 5)
        assert "0999" in complaint


@contextmanager
def started(data_dir: Path, settings: Mapping[str, str] | None = None) -> Generator[subprocess.Popen[str]]:
    """The server over stdio, with its log in a pipe; killed at the end if it still runs."""
    command, arguments = stdio_command(data_dir, "--no-bundled")
    pipe = subprocess.PIPE
    environment = server_environment(settings)
    with subprocess.Popen(
        [command, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], method: str, params: dict[str, Any], answer: str = "result") -> dict[str, Any]:
    """One request in the modern era and the result, or the error, of its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request(method, params)) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())[answer]


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """A request in the modern era."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
