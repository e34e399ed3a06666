"""A client starts stdio servers often, and throws some away unused: the start must cost next to nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import anyio

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
            assert children(process.pid) == []
            shutil.rmtree(artifacts, ignore_errors=True)
            shutil.move(aside, artifacts)
            called = ask(process, "tools/call", {"name": "echo_echo", "arguments": {"text": "now"}})
            assert called["structuredContent"] == {"text": "now"}
            assert children(process.pid) != []
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], method: str, params: dict[str, Any]) -> dict[str, Any]:
    """One request in the modern era and the result of its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())["result"]


def children(pid: int) -> list[str]:
    """Process ids of a process's children."""
    return [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="ascii").split()
    ]
