"""What ten thousand installed plugins cost: in each call, at the start, and on a page of tools/list.

As a program, `python -m tests.bench.catalogue DATA_DIR`: for each line on stdin, the median time of some calls.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import httpx

from tests.bench.report import Figure, ratio_figure
from tests.support.catalogue import fill
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.model.caller import LOCAL

MANY, FEW = 10_000, 10
ROUNDS = 41
CALLS = 300
STARTS = 7
PAGES = 15

META: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
REQUEST: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/list",
}


def measure_calls() -> Figure:
    """The ratio of medians through invoke and pool, with many and with few plugins, round by round."""
    ours: list[float] = []
    floors: list[float] = []
    with _folders() as (many, few), _caller(many) as with_many, _caller(few) as with_few:
        for _ in range(2):
            _median(with_many)
            _median(with_few)
        for _ in range(ROUNDS):
            floors.append(_median(with_few))
            ours.append(_median(with_many))
    return ratio_figure(
        "catalogue_call",
        ours,
        floors,
        bar=1.1,
        at_most=True,
        floor=f"the same call with {FEW} plugins, median {statistics.median(floors) * 1e6:.0f} us",
    )


def measure_start() -> Figure:
    """The ratio of times from spawn to serving, with many and with few plugins."""
    ours: list[float] = []
    floors: list[float] = []
    with _folders() as (many, few):
        for folder in (many, few):
            _start(folder)
        for _ in range(STARTS):
            floors.append(_start(few))
            ours.append(_start(many))
    return ratio_figure(
        "catalogue_start",
        ours,
        floors,
        bar=1.5,
        at_most=True,
        floor=f"the same with {FEW} plugins, {statistics.median(floors):.2f} s; with {MANY} "
        f"{statistics.median(ours):.2f} s; python -c pass {_nothing():.2f} s",
    )


def measure_page() -> Figure:
    """The ratio of a first page of tools/list over HTTP and of reading and writing its JSON once."""
    ours: list[float] = []
    floors: list[float] = []
    tools = 0
    with _folders() as (many, _), _server(many) as url, httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(PAGES):
            started = time.perf_counter()
            response = client.post(url, json=REQUEST, headers=HEADERS)
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            document = json.loads(response.content)
            json.dumps(document)
            floors.append(time.perf_counter() - started)
            tools = len(document["result"]["tools"])
    return ratio_figure(
        "catalogue_page",
        ours,
        floors,
        bar=2.0,
        at_most=True,
        floor=f"json.loads + json.dumps of the same {tools} tools, median {statistics.median(floors) * 1e3:.1f} ms",
    )


@contextmanager
def _folders() -> Generator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder, "many"), Path(folder, "few")
        anyio.run(fill, many, MANY)
        anyio.run(fill, few, FEW)
        yield many, few


@contextmanager
def _caller(data_dir: Path) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.bench.catalogue", str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)


def _median(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


@contextmanager
def _server(data_dir: Path) -> Generator[str]:
    command = [sys.executable, "-m", "tool_server", "up", "--port", "0", "--json", "--no-bundled"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TOOL_SERVER_")}
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["mcp_url"])
        process.terminate()
        process.wait(timeout=30)


def _start(data_dir: Path) -> float:
    started = time.perf_counter()
    with _server(data_dir):
        return time.perf_counter() - started


def _nothing() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True, timeout=60)
    return time.perf_counter() - started


async def _answer(data_dir: Path) -> None:
    async with build(Config(data_dir=data_dir, workers=1, spare_workers=0)) as services:
        tool = services.catalog.current.names[-1]
        # As the server does it before it serves.
        gc.collect()
        gc.freeze()
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            times: list[float] = []
            for _ in range(CALLS):
                started = time.perf_counter()
                await services.invoke.call(tool, {"text": "hello"}, LOCAL)
                times.append(time.perf_counter() - started)
            sys.stdout.write(f"{statistics.median(times)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(_answer, Path(sys.argv[1]), backend_options={"use_uvloop": True})
