"""Ten thousand plugins with thirty thousand tools: started, listed, called, changed, in bounded memory."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.mcp_api.wire import ERAS, MODERN, body_of, call_body, headers_of
from tests.services.publishing import until
from tests.support.catalogue import fill, plugin_name
from tests.support.server import RunningServer, running_server
from tool_server.bootstrap.bundled import install_bundled
from tool_server.bootstrap.services import Services, build, watching
from tool_server.config import Config
from tool_server.mcp_api.listing import PAGE_SIZE
from tool_server.model.caller import LOCAL

PLUGINS = 10_000
TOOLS = 30_000
MEMORY_MB = 400

NAMES = sorted(f"{plugin_name(number)}_echo_{tool}" for number in range(PLUGINS) for tool in range(3))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("big") / "data"
    anyio.run(fill, data_dir, PLUGINS)
    return data_dir


@pytest.fixture(scope="module")
def server(filled: Path) -> Generator[RunningServer]:
    with running_server(filled, args=["--no-bundled"]) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as opened:
        yield opened


def pages(client: httpx.Client, era: str) -> Iterator[list[dict[str, Any]]]:
    """Every page of tools/list."""
    params: dict[str, Any] = {}
    while True:
        answer = client.post("/mcp", json=body_of(era, "tools/list", params), headers=headers_of(era, "tools/list"))
        result = answer.json()["result"]
        yield result["tools"]
        if result.get("nextCursor") is None:
            return
        params = {"cursor": result["nextCursor"]}


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process has held so far."""
    (line,) = [found for found in Path(f"/proc/{pid}/status").read_text().splitlines() if found.startswith("VmHWM")]
    return int(line.split()[1]) / 1_024


def call(client: httpx.Client, tool: str, text: str) -> str:
    """The text that a tool returns."""
    body = call_body(MODERN, tool, f'{{"text": "{text}"}}')
    answer = client.post("/mcp", content=body, headers=headers_of(MODERN, "tools/call", tool)).json()
    return answer["result"]["structuredContent"]["text"]


def test_everything_is_listed_and_called_in_bounded_memory(server: RunningServer, client: httpx.Client) -> None:
    for era in ERAS:
        listed = list(pages(client, era))
        assert [tool["name"] for page in listed for tool in page] == NAMES
        assert {len(page) for page in listed} == {PAGE_SIZE}
    for tool in NAMES[:: TOOLS // 100]:
        assert call(client, tool, tool) == tool
    assert peak_memory_mb(server.pid) < MEMORY_MB


def test_the_rest_listing_is_paged(client: httpx.Client) -> None:
    found: list[str] = []
    params = {"limit": "999"}
    while True:
        page = client.get("/api/v1/tools", params=params).json()
        found += [tool["name"] for tool in page["items"]]
        if page["next"] is None:
            break
        params["after"] = page["next"]
    assert found == NAMES


def test_the_home_page_shows_some_tools_and_leads_to_the_others(client: httpx.Client) -> None:
    first = client.get("/").text
    assert f"{TOOLS} tools from {PLUGINS} plugins" in first
    assert f"<code>{NAMES[0]}</code>" in first
    assert len(first) < 500_000
    assert f'href="/?after={NAMES[199]}"' in first
    last = client.get("/", params={"after": NAMES[-2]}).text
    assert f"<code>{NAMES[-1]}</code>" in last
    assert NAMES[-2] not in last
    assert "?after=" not in last


@pytest.fixture
async def services(filled: Path, tmp_path: Path) -> AsyncGenerator[Services]:
    """The product on a copy that may be changed."""
    shutil.copytree(filled, tmp_path / "data")
    async with build(Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)) as running:
        yield running


async def test_changes_of_another_process_read_their_plugins_and_nothing_else(services: Services) -> None:
    heard: list[int] = []

    async def listen() -> None:
        heard.append(services.catalog.current.revision)

    before = services.catalog.current
    untouched = before.find(NAMES[-1])
    services.catalog.subscribe(listen)
    database = services.config.data_dir / "tool-server.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # Whatever else was read now would be seen.
        connection.execute("UPDATE offered_tools SET listing = 'read again'")
    with anyio.fail_after(60):
        async with watching(services):
            async with build(services.config) as other:
                await other.install.uninstall(plugin_name(7), LOCAL)
            await until(lambda: len(heard) == 1)
        assert len(services.catalog.current) == TOOLS - 3
        assert services.catalog.current.tools_of(plugin_name(7)) == ()
        assert services.catalog.current.find(NAMES[-1]) is untouched
        assert len(before) == TOOLS
        await services.install.install(plugin_name(7), "", LOCAL)
        assert services.catalog.current.names == tuple(NAMES)
        assert len(heard) == 2


async def test_a_start_with_the_bundled_plugins_writes_nothing_the_second_time(services: Services) -> None:
    await install_bundled(services)
    database = services.config.data_dir / "tool-server.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        # Whoever wanted to write now would wait, and fail in the end.
        other.execute("BEGIN IMMEDIATE")
        with anyio.fail_after(60):
            await install_bundled(services)
        other.execute("ROLLBACK")
    assert len(services.catalog.current) > TOOLS


async def test_the_derived_rows_of_a_filled_folder_are_those_the_product_derives(tmp_path: Path) -> None:
    await fill(tmp_path / "data", 20)
    async with build(Config(data_dir=tmp_path / "data")) as services:
        assert await services.plugins.check() == ()
        assert len(services.catalog.current) == 60
