"""Processor time of the server for one `tools/call` over HTTP, against a bare application's for the same bytes."""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

import anyio

from tests.bench.http_load import RAW, Load, Server, running, tool_server
from tests.bench.report import Figure, ratio_figure
from tests.support.programs import publish_and_install
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.version import VERSION

ROUNDS = 9
CALLS = 3_200
CONNECTIONS = 32


def measure() -> Figure:
    """Rounds of calls to either server in turn; processor time of the server process alone, without its workers."""
    ours: list[float] = []
    floors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder, "data")
        anyio.run(fill, data_dir)
        with tool_server(data_dir) as server, running([sys.executable, "-c", RAW, VERSION]) as raw:
            for each in (server, raw):
                _processor_seconds(each)
            for _ in range(ROUNDS):
                floors.append(_processor_seconds(raw))
                ours.append(_processor_seconds(server))
    median_us, ours_us = (round(sorted(times)[len(times) // 2] / CALLS * 1e6) for times in (floors, ours))
    return ratio_figure(
        "http_call_cpu",
        ours,
        floors,
        bar=3.0,
        at_most=True,
        floor=f"raw ASGI app on the same uvicorn, {median_us} us of processor time a call (ours {ours_us} us)",
    )


async def fill(data_dir: Path) -> None:
    """A data folder with one plugin that echoes."""
    async with build(Config(data_dir=data_dir)) as services:
        await publish_and_install(services, "echo")


def _processor_seconds(server: Server) -> float:
    with closing(Load(server.port, CONNECTIONS)) as load:
        before = server.consumed()
        load.run(CALLS)
        return server.consumed() - before
