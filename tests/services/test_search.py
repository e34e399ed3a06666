"""Search over a whole catalogue: what ranks first, what it follows, who sees what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import anyio
import pytest

from tests.services.publishing import CALLER, until
from tests.support.held import TOOLS, HeldPlugin, held_catalog, held_offer, held_queries
from tool_server.errors import Denied, InvalidInput, NotFound, Unavailable
from tool_server.interfaces import ToolIndex
from tool_server.model.caller import Caller
from tool_server.model.catalog import Catalog, Offer, OfferChanges
from tool_server.model.search import ToolDocument, ToolFilter
from tool_server.model.view import View
from tool_server.services import search
from tool_server.services.search import MAX_RESULTS, SLICE, SearchService
from tool_server.storage.tool_index import FtsToolIndex

NOBODY = Caller("nobody", frozenset())


class WatchedIndex(FtsToolIndex):
    """The real index; it notes what reaches it, and waits where a test holds it."""

    def __init__(self, held_by: Event | None = None) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.lost: list[str] = []
        self.waiting = Event()
        self.held_by = held_by

    def change(self, gone: Sequence[str], documents: Sequence[ToolDocument]) -> None:
        """Note it, wait, do it."""
        self.lost += gone
        self.taken += [document.name for document in documents]
        if self.held_by is not None:
            self.waiting.set()
            assert self.held_by.wait(20)
        super().change(gone, documents)


class Server:
    """A catalogue that changes, and search over it."""

    def __init__(self, catalog: Catalog, held_by: Event | None = None) -> None:
        self.catalog = catalog
        self.indexes: list[WatchedIndex] = []
        self.held_by = held_by
        self.search = SearchService(lambda: self.catalog, self._open_index)

    def _open_index(self) -> ToolIndex:
        self.indexes.append(WatchedIndex(self.held_by))
        return self.indexes[-1]

    def change(self, plugin: str, offer: Offer | None) -> None:
        """Install, update or uninstall."""
        self.catalog = self.catalog.updated(OfferChanges(self.catalog.revision + 1, {plugin: offer}))

    async def names(self, query: str, limit: int = 10, caller: Caller = CALLER, **within: Any) -> list[str]:
        """What a search finds."""
        return [tool.name for tool in (await self.search.search(query, ToolFilter(**within), limit, caller)).tools]


@asynccontextmanager
async def serving(*plugins: HeldPlugin, held_by: Event | None = None) -> AsyncGenerator[Server]:
    """Search over some plugins."""
    server = Server(Catalog(1, map(held_offer, plugins)), held_by)
    async with aclosing(server.search):
        yield server


def plugin(name: str, *tools: str, keywords: tuple[str, ...] = (), said: str = "Does something.") -> HeldPlugin:
    """A plugin with tools that say the same."""
    given: dict[str, Any] = {"title": "", "description": said, "input": {"type": "object"}, "annotations": {}}
    return HeldPlugin(name, keywords, dict.fromkeys(tools, given))


@pytest.fixture(scope="module")
async def full() -> AsyncGenerator[Server]:
    """Search over the held catalogue."""
    server = Server(held_catalog())
    async with aclosing(server.search):
        yield server


async def test_at_least_95_of_100_held_queries_rank_the_right_tool_first_of_five_thousand(full: Server) -> None:
    queries = held_queries()
    assert (len(queries), len(full.catalog)) == (100, TOOLS)
    assert all(full.catalog.find(query.tool) for query in queries)
    missed = {
        query.query: found for query in queries if (found := await full.names(query.query, 5))[:1] != [query.tool]
    }
    assert len(missed) <= 5, missed


async def test_each_of_five_thousand_tools_is_first_for_its_own_exact_name(full: Server) -> None:
    for name in full.catalog.names[::7]:
        assert (await full.names(name, 1)) == [name]


async def test_nothing_is_indexed_before_the_first_search_and_everything_with_it() -> None:
    async with serving(plugin("text", "count", "diff"), plugin("hash", "digest")) as server:
        assert server.indexes == []
        assert await server.names("count text") == ["text_count", "text_diff"]
        (index,) = server.indexes
        assert sorted(index.taken) == ["hash_digest", "text_count", "text_diff"]
        assert await server.names("digest") == ["hash_digest"]
        assert len(index.taken) == 3


async def test_a_change_takes_in_its_own_plugin_and_no_other() -> None:
    async with serving(plugin("text", "count"), plugin("hash", "digest", "hmac"), plugin("units", "convert")) as server:
        await server.names("x")
        (index,) = server.indexes
        index.taken.clear()
        server.change("hash", held_offer(plugin("hash", "digest", "crc", said="A kangaroo.")))
        server.change("units", None)
        assert await server.names("kangaroo") == ["hash_crc", "hash_digest"]
        assert await server.names("convert") == []
        assert sorted(index.lost) == ["hash_digest", "hash_hmac", "units_convert"]
        assert sorted(index.taken) == ["hash_crc", "hash_digest"]


async def test_a_snapshot_that_was_read_anew_and_says_the_same_is_not_indexed_again() -> None:
    same = plugin("text", "count")
    async with serving(same) as server:
        await server.names("x")
        server.catalog = Catalog(2, [held_offer(same)])
        assert await server.names("count") == ["text_count"]
        assert server.indexes[0].taken == ["text_count"]


async def test_a_name_that_passes_to_another_plugin_is_found_with_that_ones_text() -> None:
    first, second = (
        held_offer(plugin("a", "b_c", said="An elephant.")),
        held_offer(plugin("a-b", "c", said="A giraffe.")),
    )
    later = second._replace(
        installed_at=first.installed_at.replace(hour=1), tools=(second.tools[0]._replace(name="a_b_c"),)
    )
    server = Server(Catalog(1, [first, later]))
    async with aclosing(server.search):
        assert (await server.names("elephant"), await server.names("giraffe")) == (["a_b_c"], [])
        server.change("a", None)
        assert (await server.names("elephant"), await server.names("giraffe")) == ([], ["a_b_c"])


async def test_a_keyword_of_a_new_version_is_known() -> None:
    async with serving(plugin("text", "count")) as server:
        assert await server.names("", keyword="words") == []
        offer = held_offer(plugin("text", "count", keywords=("Words",)))
        server.change("text", offer._replace(tools=(offer.tools[0]._replace(revision=2, version="2.0.0"),)))
        assert await server.names("", keyword="words") == ["text_count"]


async def test_results_are_short_and_say_whether_there_are_more() -> None:
    async with serving(plugin("text", *(f"t{number:03}" for number in range(120)))) as server:
        found = await server.search.search("", ToolFilter(), 2, CALLER)
        assert ([tool.name for tool in found.tools], found.more) == (["text_t000", "text_t001"], True)
        assert (await server.search.search("t001", ToolFilter(), 2, CALLER)).more is False
        assert len(await server.names("", 10_000)) == MAX_RESULTS
        assert len(await server.names("", -1)) == 1


async def test_a_caller_finds_and_describes_only_what_the_view_shows() -> None:
    seen = replace(CALLER, view=View(plugins=("text",), tools=("hash_hmac",)))
    async with serving(plugin("text", "count"), plugin("hash", "digest", "hmac")) as server:
        assert await server.names("", caller=seen) == ["hash_hmac", "text_count"]
        assert await server.names("hash_digest", caller=seen) == ["hash_hmac"]
        # A filter's own view would widen the caller's.
        assert await server.names("digest", caller=seen, view=View(plugins=("hash",))) == []
        assert (await server.search.describe("hash_hmac", seen)).plugin == "hash"
        for name in ("hash_digest", "nothing"):
            with pytest.raises(NotFound) as refused:
                await server.search.describe(name, seen)
            assert refused.value.code == "unknown_tool"


async def test_who_may_not_read_may_not_search() -> None:
    async with serving(plugin("text", "count")) as server:
        with pytest.raises(Denied):
            await server.names("count", caller=NOBODY)
        with pytest.raises(Denied):
            await server.search.describe("text_count", NOBODY)


async def test_a_query_beyond_its_bound_is_refused_before_anything_is_indexed() -> None:
    async with serving(plugin("text", "count")) as server:
        with pytest.raises(InvalidInput, match="at most 1000"):
            await server.names("x" * 1_001)
        assert server.indexes == []


async def test_a_search_whose_task_is_cancelled_while_it_indexes_leaves_the_rest_to_the_next_one() -> None:
    gate = Event()
    count = 3 * SLICE
    async with serving(plugin("text", *(f"t{number:03}" for number in range(count))), held_by=gate) as server:
        first = asyncio.create_task(server.names("t000"))
        await until(lambda: bool(server.indexes) and server.indexes[0].waiting.is_set())
        # As the lanes do it when a client hangs up: the thread goes on with its slice.
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert await server.names("t149") == ["text_t149"]
        assert await server.names("t000", 1) == ["text_t000"]
        (index,) = server.indexes
        assert set(index.taken) == set(server.catalog.names)
        assert len(index.taken) <= count + SLICE


async def test_many_searches_at_once_share_one_index() -> None:
    answers: list[list[str]] = []
    async with serving(plugin("text", *(f"t{number:03}" for number in range(200)))) as server:

        async def ask(number: int) -> None:
            answers.append(await server.names(f"t{number:03}", 1))

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(ask, number)
        assert sorted(answers) == [[f"text_t{number:03}"] for number in range(100)]
        (index,) = server.indexes
        assert len(index.taken) == 200


async def test_a_search_that_waits_too_long_or_behind_too_many_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Event()
    monkeypatch.setattr(search, "SEARCH_SECONDS", 0.2)
    monkeypatch.setattr(search, "MAX_WAITING", 1)
    async with serving(plugin("text", "count"), held_by=gate) as server:
        refused: list[Unavailable] = []

        async def ask() -> None:
            try:
                await server.names("count")
            except Unavailable as error:
                refused.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(ask)
        assert sorted(error.code for error in refused) == ["busy", "search_timeout"]
        gate.set()
        monkeypatch.setattr(search, "SEARCH_SECONDS", 30)
        assert await server.names("count") == ["text_count"]


async def test_where_the_index_cannot_be_made_search_is_unavailable_and_nothing_else() -> None:
    def refuse() -> ToolIndex:
        raise Unavailable("search_index", "tools cannot be searched here")

    async with aclosing(SearchService(lambda: held_catalog(), refuse)) as service:
        for _ in range(2):
            with pytest.raises(Unavailable, match="cannot be searched"):
                await service.search("x", ToolFilter(), 1, CALLER)
        with pytest.raises(Unavailable):
            await service.check()
        assert (await service.describe("hash_digest", CALLER)).name == "hash_digest"


async def test_a_closed_search_has_let_go_of_its_index_and_thread() -> None:
    async with serving(plugin("text", "count")) as server:
        await server.names("count")
    with pytest.raises(Unavailable):
        server.indexes[0].change([], [])
