"""The catalogue's snapshots: made change by change, they are what they would be if they were made at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.model.catalog import Catalog, Offer, OfferChanges, OfferedTool
from tool_server.model.tool import QuarantinedTool

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

PLUGINS = ["a", "b", "c", "d"]
NAMES = ["one", "three", "two"]


def offer(
    plugin: str, *names: str, minute: int = 0, version: str = "1.0.0", held: tuple[QuarantinedTool, ...] = ()
) -> Offer:
    """An installation made that many minutes after noon, whose tools have these MCP names."""
    tools = tuple(
        OfferedTool(name, plugin, version, f"own-{name}", position, minute, name == "one", f"{plugin} {name}".encode())
        for position, name in enumerate(names)
    )
    return Offer(plugin, version, NOON + timedelta(minutes=minute), tools, held)


def shown(catalog: Catalog) -> tuple[object, ...]:
    """All that can be seen of a snapshot."""
    return (
        catalog.revision,
        len(catalog),
        catalog.plugins,
        catalog.names,
        tuple(catalog),
        catalog.page(),
        catalog.listings(),
        catalog.quarantined,
        [(catalog.tools_of(plugin), catalog.quarantined_of(plugin)) for plugin in PLUGINS],
        [(catalog.find(name), catalog.needs_headers(name), catalog.has_after(name)) for name in ("", *NAMES)],
    )


@st.composite
def offers(draw: st.DrawFn, plugin: str) -> Offer:
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4))
    held = (QuarantinedTool(name="bad", rule="rule", reason="reason"),) if draw(st.booleans()) else ()
    return offer(plugin, *names, minute=draw(st.integers(0, 3)), version=draw(st.sampled_from("12")), held=held)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Offer | None]:
    changed = draw(st.lists(st.sampled_from(PLUGINS), unique=True, max_size=3))
    return {plugin: draw(st.none() | offers(plugin)) for plugin in changed}


@given(st.lists(changes(), max_size=8))
def test_a_catalogue_made_change_by_change_is_the_one_made_at_once(sequence: list[dict[str, Offer | None]]) -> None:
    catalog = Catalog()
    installed: dict[str, Offer] = {}
    for revision, changed in enumerate(sequence):
        before, snapshot = shown(catalog), catalog
        catalog = catalog.updated(OfferChanges(revision, changed))
        installed = {plugin: found for plugin, found in {**installed, **changed}.items() if found is not None}
        at_once = Catalog(revision, installed.values())
        assert shown(catalog) == shown(at_once)
        assert shown(snapshot) == before
        every = OfferChanges(revision, dict(installed), complete=True)
        assert shown(snapshot.updated(every)) == shown(at_once)


@given(st.lists(changes(), max_size=6))
def test_every_tool_is_offered_or_held_back_and_the_earliest_claim_to_a_name_wins(
    sequence: list[dict[str, Offer | None]],
) -> None:
    catalog = Catalog()
    installed: dict[str, Offer | None] = {}
    for changed in sequence:
        installed.update(changed)
        catalog = catalog.updated(OfferChanges(0, changed))
    present = [found for found in installed.values() if found is not None]
    claims = [tool for found in present for tool in found.tools]
    held = [tool for _, tool in catalog.quarantined if tool.rule == "name-collision"]
    assert len(catalog) + len(held) == len(claims)
    moments = {found.plugin: found.installed_at for found in present}
    for tool in claims:
        holder = catalog.find(tool.name)
        assert holder is not None
        assert (moments[holder.plugin], holder.plugin, holder.position) <= (
            moments[tool.plugin],
            tool.plugin,
            tool.position,
        )
    assert all(first < second for first, second in pairwise(catalog.names))


def test_a_name_is_freed_by_uninstalling_and_the_reason_names_who_has_it() -> None:
    catalog = Catalog(1, [offer("late", "one", minute=2), offer("early", "one", "two", minute=1)])
    assert catalog.tools_of("early") == ("one", "two")
    assert catalog.tools_of("late") == ()
    ((plugin, held),) = catalog.quarantined
    assert (plugin, held.name, held.rule) == ("late", "own-one", "name-collision")
    assert held.reason == "the name 'one' is already taken by early 1.0.0"
    freed = catalog.updated(OfferChanges(2, {"early": None}))
    assert (freed.names, freed.tools_of("late"), freed.quarantined) == (("one",), ("one",), ())


def test_a_plugin_that_moves_to_another_version_counts_as_installed_then() -> None:
    catalog = Catalog(1, [offer("early", "one", minute=1), offer("late", "one", minute=2)])
    moved = catalog.updated(OfferChanges(2, {"early": offer("early", "one", minute=3, version="2.0.0")}))
    assert moved.tools_of("late") == ("one",)
    assert [plugin for plugin, _ in moved.quarantined] == ["early"]


@pytest.mark.parametrize(
    ("after", "limit", "expected", "more"),
    [
        ("", None, ["one", "three", "two"], False),
        ("", 2, ["one", "three"], True),
        ("three", 2, ["two"], False),
        ("oops", 1, ["three"], True),
        ("zzz", 5, [], None),
        ("", 0, [], None),
    ],
)
def test_a_page_begins_after_a_name_whether_or_not_that_is_offered(
    after: str, limit: int | None, expected: list[str], more: bool | None
) -> None:
    catalog = Catalog(1, [offer("a", "two", "one"), offer("b", "three")])
    page = catalog.listings(after, limit)
    assert [name for name, _ in page] == expected
    assert all(listing.decode().endswith(name) for name, listing in page)
    if more is not None:
        assert catalog.has_after(expected[-1]) is more


def test_what_is_not_installed_offers_nothing_and_needs_no_headers() -> None:
    catalog = Catalog()
    assert (catalog.revision, len(catalog), catalog.find("one"), catalog.needs_headers("one")) == (-1, 0, None, False)
    assert (catalog.tools_of("a"), catalog.quarantined_of("a"), catalog.listings()) == ((), (), [])
