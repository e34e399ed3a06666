"""What an answer of `search_tools` costs with 5,000 tools, over bare full-text queries on the same index."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import anyio

from tests.bench.report import Figure, ratio_figure
from tests.support.held import TOOLS, held_catalog, held_queries
from tool_server.inspection.search_words import terms_of
from tool_server.mcp_api.search_view import SearchView
from tool_server.model.call import ToolResult
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.client import ClientChannel
from tool_server.model.json_value import JsonObject
from tool_server.model.view import View, ViewMode
from tool_server.services.search import SearchService
from tool_server.storage.tool_index import FtsToolIndex

ROUNDS = 15
BAR = 5.0

CALLER = replace(LOCAL, view=View(mode=ViewMode.SEARCH))


class BareIndex(FtsToolIndex):
    """The index, which can also be asked as anybody asks SQLite."""

    def bare(self, words: Sequence[str]) -> int:
        """Ten rows by rank that hold any of the words; how many there are."""
        query = " OR ".join(f'"{word}"' for word in words)
        rows = self._connection.execute("SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT 10", (query,))
        return len(rows.fetchall())


def measure() -> Figure:
    """The ratio of a hundred answers and of a hundred queries, round by round, and how long the slowest took."""
    return anyio.run(_measure, backend_options={"use_uvloop": True})


async def _measure() -> Figure:
    catalog, index = held_catalog(), BareIndex()
    async with aclosing(SearchService(lambda: catalog, lambda: index)) as service:
        view = SearchView(service, _no_tool)
        started = time.perf_counter()
        await service.check()
        # Takes in the catalogue; the words are those of no query that follows.
        await view.call("search_tools", {"query": "zyzzyva"}, CALLER)
        indexed = time.perf_counter() - started
        first = await _answer(view, "resize picture to 800x600 pixels")
        ours: list[float] = []
        floors: list[float] = []
        single: list[float] = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for query in held_queries():
                index.bare(terms_of(query.query).words)
            floors.append(time.perf_counter() - started)
            times = [await _answer(view, query.query) for query in held_queries()]
            single += times
            ours.append(sum(times))
    return ratio_figure(
        "search_tools",
        ours,
        floors,
        bar=BAR,
        at_most=True,
        floor=f"a bare FTS5 query on the same {TOOLS} tools, {statistics.median(floors) * 10:.2f} ms; an answer "
        f"{statistics.median(single) * 1e3:.2f} ms, the first {first * 1e3:.1f} ms, 99 of 100 within "
        f"{statistics.quantiles(single, n=100)[98] * 1e3:.1f} ms; indexing once {indexed:.2f} s",
    )


async def _answer(view: SearchView, query: str) -> float:
    started = time.perf_counter()
    result = await view.call("search_tools", {"query": query}, CALLER)
    elapsed = time.perf_counter() - started
    assert result.structured is not None
    assert result.structured["tools"]
    return elapsed


async def _no_tool(name: str, arguments: JsonObject, caller: Caller, client: ClientChannel) -> ToolResult:
    raise AssertionError(name)
