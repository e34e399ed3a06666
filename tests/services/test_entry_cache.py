"""The cache of called tools: what it keeps, and what it lets go."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.storage.examples import make_release
from tool_server.model.catalog import Catalog, CatalogEntry, Offer, OfferChanges, OfferedTool
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.services.entry_cache import EntryCache

RELEASE = make_release()


def tool(name: str, revision: int = 1) -> OfferedTool:
    return OfferedTool(name, "plugin", "1.0.0", name, 0, revision, False, b"{}")


def entry(name: str) -> CatalogEntry:
    return CatalogEntry(name, "plugin", "1.0.0", RELEASE.tools[0], RELEASE.program, Permissions(), Limits())


@pytest.mark.parametrize(
    ("max_entries", "max_size", "sizes", "kept"),
    [
        (3, 100, {"a": 1, "b": 1, "c": 1}, "abc"),
        (2, 100, {"a": 1, "b": 1, "c": 1}, "bc"),
        (9, 10, {"a": 6, "b": 4, "c": 1}, "bc"),
        (9, 10, {"a": 1, "b": 1, "c": 99}, "c"),
        (9, 10, {"a": 99, "b": 1, "c": 1}, "bc"),
        (0, 0, {"a": 1, "b": 1, "c": 1}, "c"),
    ],
)
def test_the_cache_is_bounded_in_number_and_size_and_keeps_the_last(
    max_entries: int, max_size: int, sizes: dict[str, int], kept: str
) -> None:
    cache = EntryCache[OfferedTool, CatalogEntry](max_entries, max_size)
    tools = {name: tool(name) for name in sizes}
    for name, size in sizes.items():
        cache.add(tools[name], entry(name), size)
    assert [name for name in sizes if cache.get(tools[name]) is not None] == list(kept)
    assert len(cache) == len(kept)


def test_what_was_used_lately_outlives_what_was_not() -> None:
    cache = EntryCache[OfferedTool, CatalogEntry](2, 100)
    first, second, third = (tool(name) for name in "abc")
    kept = cache.add(first, entry("a"), 1)
    cache.add(second, entry("b"), 1)
    assert cache.get(first) is kept
    cache.add(third, entry("c"), 1)
    assert (cache.get(first), cache.get(second)) == (kept, None)


def test_of_two_who_read_a_tool_at_once_both_get_the_first_entry() -> None:
    cache = EntryCache[OfferedTool, CatalogEntry]()
    one = tool("a")
    kept = cache.add(one, entry("a"), 5)
    assert cache.add(one, entry("a"), 5) is kept


def test_an_entry_belongs_to_the_very_tool_of_its_snapshot() -> None:
    cache = EntryCache[OfferedTool, CatalogEntry](9, 10)
    before, after = tool("a"), tool("a")
    cache.add(before, entry("a"), 9)
    assert before == after
    assert cache.get(after) is None
    replaced = cache.add(after, entry("a"), 9)
    assert (cache.get(after), cache.get(before), len(cache)) == (replaced, None, 1)


def test_tools_that_are_no_longer_offered_as_they_were_are_forgotten() -> None:
    staying, moving, leaving = tool("a"), tool("b"), tool("c")
    offer = Offer("plugin", "1.0.0", datetime(2026, 1, 1, tzinfo=UTC), (staying, moving, leaving))
    catalog = Catalog(1, [offer])
    cache = EntryCache[OfferedTool, CatalogEntry]()
    for one in offer.tools:
        cache.add(one, entry(one.name), 1)
    cache.keep(catalog.find)
    assert len(cache) == 3
    changed = offer._replace(tools=(staying, tool("b", revision=2)))
    cache.keep(catalog.updated(OfferChanges(2, {"plugin": changed})).find)
    assert [cache.get(one) is not None for one in offer.tools] == [True, False, False]
    assert len(cache) == 1
