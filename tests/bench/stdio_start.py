"""How soon `tool-server stdio` answers its first tools/list with 100 plugins, over the import of the SDK alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from tests.bench.report import Figure, ratio_figure
from tests.support.programs import publish_and_install
from tool_server.bootstrap.services import build
from tool_server.config import Config

ROUNDS = 9
PLUGINS = 100
TOOLS = 5

META: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
REQUEST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}) + "\n"


def measure() -> Figure:
    """Pairs of one import and one start, from spawn to the first answer."""
    ours: list[float] = []
    floors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder, "data")
        anyio.run(_fill, data_dir)
        _first_list(data_dir)
        for _ in range(ROUNDS):
            floors.append(_import())
            ours.append(_first_list(data_dir))
    return ratio_figure(
        "stdio_first_list",
        ours,
        floors,
        bar=0.5,
        at_most=True,
        floor=f"python -c 'import mcp.server.lowlevel', median {sorted(floors)[len(floors) // 2]:.2f} s",
    )


async def _fill(data_dir: Path) -> None:
    async with build(Config(data_dir=data_dir)) as services:
        for number in range(PLUGINS):
            await publish_and_install(services, f"plugin-{number}", tools=TOOLS)


def _import() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import mcp.server.lowlevel"], check=True, timeout=60)
    return time.perf_counter() - started


def _first_list(data_dir: Path) -> float:
    command = [sys.executable, "-m", "tool_server", "stdio", "--data-dir", str(data_dir), "--no-bundled"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TOOL_SERVER_")}
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(REQUEST)
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        elapsed = time.perf_counter() - started
        process.stdin.close()
        process.wait(timeout=30)
    assert len(answer["result"]["tools"]) == PLUGINS * TOOLS
    return elapsed
