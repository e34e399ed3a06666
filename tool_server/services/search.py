"""Search over the offered tools: an index that follows the catalogue, made at the first search.

The index is behind the catalogue until somebody searches; then what changed since is taken in, a slice at a time, each
in a thread, so that calls go on meanwhile. Every step may be done twice, so a search that is cancelled on the way
leaves a sound index behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import anyio

from tool_server.errors import NotFound, Unavailable
from tool_server.inspection.offering import ListedTool, listed_tool
from tool_server.inspection.search_document import document_of, found_tool
from tool_server.inspection.search_words import terms_of
from tool_server.interfaces import ToolIndex
from tool_server.model.caller import Caller, Scope
from tool_server.model.catalog import Catalog, OfferedTool
from tool_server.model.search import Found, FoundTool, SearchTerms, ToolFilter

MAX_RESULTS = 50
"""Tools in one answer."""

SEARCH_SECONDS = 30.0
"""How long a search may take, waiting for others and taking in a catalogue included."""

MAX_WAITING = 1_000
"""Searches at once, all but one of them waiting."""

SLICE = 50
"""Tools that are taken in at once: some milliseconds of work."""


T = TypeVar("T")


class SearchService:
    """Finds tools. Whoever makes one awaits `aclose` in the end.

    Args:
        catalog: the snapshot in force.
        open_index: makes an empty index.
    """

    def __init__(self, catalog: Callable[[], Catalog], open_index: Callable[[], ToolIndex]) -> None:
        self._catalog = catalog
        self._open_index = open_index
        self._index: ToolIndex | None = None
        self._followed: Catalog | None = None
        """The snapshot that the index shows as a whole."""
        self._indexed: dict[str, OfferedTool] = {}
        self._turn = anyio.Lock()
        # One thread, and so one after another: a step whose caller was cancelled ends before the next one begins.
        self._thread = ThreadPoolExecutor(1, "tool-search")
        self._waiting = 0

    async def search(self, query: str, within: ToolFilter, limit: int, caller: Caller) -> Found:
        """The tools that fit a query best, of those that the caller sees; with an empty query, tools by name.

        Args:
            query: any text.
            within: which tools are looked at; its view is not.
            limit: how many are wanted, at most `MAX_RESULTS`.
            caller: whose view it is.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `query_too_long`.
            Unavailable: `search_index`, tools cannot be searched here; `busy`; `search_timeout`.
        """
        caller.require(Scope.READ)
        terms = terms_of(query)
        limit = max(1, min(limit, MAX_RESULTS))
        async with self._in_turn():
            index, catalog = await self._up_to_date()
            within = replace(within, view=caller.view)
            return await self._in_thread(_look, index, catalog, terms, within, limit)

    async def describe(self, name: str, caller: Caller) -> ListedTool:
        """One tool that the caller sees, with its schemas.

        Raises:
            Denied: `missing_scope`.
            NotFound: `unknown_tool`.
        """
        caller.require(Scope.READ)
        tool = self._catalog().find(name)
        if tool is None or not caller.view.admits(tool.plugin, name):
            raise NotFound("unknown_tool", f"there is no tool {name[:100]!r} here", {"tool": name[:200]})
        return listed_tool(tool)

    async def check(self) -> None:
        """Do nothing where tools can be searched.

        Raises:
            Unavailable: `search_index`.
        """
        async with self._in_turn():
            await self._opened()

    async def aclose(self) -> None:
        """Forget the index."""
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if self._index is not None:
                    await self._in_thread(self._index.close)
                    self._index = self._followed = None
                    self._indexed = {}
                self._thread.shutdown()

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncGenerator[None]:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("busy", "too many searches are waiting: try again in a second")
        self._waiting += 1
        try:
            with anyio.fail_after(SEARCH_SECONDS):
                async with self._turn:
                    yield
        except TimeoutError as error:
            raise Unavailable(
                "search_timeout", "the tools are still being indexed, or others are searching: try again"
            ) from error
        finally:
            self._waiting -= 1

    async def _opened(self) -> ToolIndex:
        if self._index is None:
            self._index = await self._in_thread(self._open_index)
        return self._index

    async def _up_to_date(self) -> tuple[ToolIndex, Catalog]:
        """The index, and the snapshot that it shows."""
        index, catalog = await self._opened(), self._catalog()
        if catalog is not self._followed:
            gone, new = await self._in_thread(_changes, dict(self._indexed), catalog)
            for names in _slices(gone):
                await self._in_thread(index.change, names, ())
                for name in names:
                    del self._indexed[name]
            for tools in _slices(new):
                await self._in_thread(_take_in, index, catalog, tools)
                self._indexed.update((tool.name, tool) for tool in tools)
            self._followed = catalog
        return index, catalog


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))


def _changes(indexed: dict[str, OfferedTool], catalog: Catalog) -> tuple[list[str], list[OfferedTool]]:
    """What must leave the index, and what must enter it, so that it shows the snapshot."""
    gone = [name for name, tool in indexed.items() if _is_other(tool, catalog.find(name))]
    left = set(gone)
    return gone, [tool for tool in catalog if tool.name in left or tool.name not in indexed]


def _is_other(tool: OfferedTool, now: OfferedTool | None) -> bool:
    # Almost all are the very same objects as before.
    return tool is not now and tool != now


def _take_in(index: ToolIndex, catalog: Catalog, tools: Sequence[OfferedTool]) -> None:
    index.change((), [document_of(tool, catalog.keywords_of(tool.plugin)) for tool in tools])


def _look(index: ToolIndex, catalog: Catalog, terms: SearchTerms, within: ToolFilter, limit: int) -> Found:
    names = index.search(terms, within, limit + 1)
    found: list[FoundTool] = [found_tool(tool) for name in names[:limit] if (tool := catalog.find(name)) is not None]
    return Found(tuple(found), len(names) > limit)
