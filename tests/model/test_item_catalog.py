"""Prompts, resources and templates of one moment, and who of two has a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tool_server.model.catalog import Catalog, ChangedLists, Offer, OfferChanges, OfferedTool
from tool_server.model.item_catalog import ItemCatalog, ItemOffer
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.view import View

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def item(plugin: str, kind: ItemKind, name: str, listing: bytes = b"{}", revision: int = 1) -> OfferedItem:
    return OfferedItem(name, kind, plugin, "1.0.0", 0, revision, listing)


def offer(plugin: str, *items: OfferedItem, minutes: int = 0, tools: tuple[OfferedTool, ...] = ()) -> Offer:
    return Offer(plugin, "1.0.0", NOON + timedelta(minutes=minutes), tools, items=items)


def resource(plugin: str, uri: str) -> OfferedItem:
    return item(plugin, ItemKind.RESOURCE, uri)


def template(plugin: str, text: str) -> OfferedItem:
    return item(plugin, ItemKind.TEMPLATE, text)


CATALOG = Catalog(
    1,
    (
        offer("late", resource("late", "a://x"), template("late", "a://{+rest}"), minutes=2),
        offer("early", resource("early", "a://x"), template("early", "a://b/{c}"), minutes=1),
    ),
)


def test_the_earlier_installation_keeps_a_name_and_answers_first() -> None:
    items = CATALOG.items
    found = items.find(ItemKind.RESOURCE, "a://x")
    assert found is not None
    assert found.plugin == "early"
    for uri, plugin in (
        ("a://x", "early"),
        ("a://b/c", "early"),
        ("a://b/c/d", "late"),
        ("a://", None),
        ("b://", None),
    ):
        reader = items.reader_of(uri)
        assert (None if reader is None else reader.plugin) == plugin


def test_a_name_goes_to_the_next_when_its_holder_leaves() -> None:
    after = CATALOG.updated(OfferChanges(2, {"early": None}))
    found = after.items.find(ItemKind.RESOURCE, "a://x")
    assert found is not None
    assert found.plugin == "late"


@pytest.mark.parametrize(
    ("plugin", "uri", "owned"),
    [
        *(("early", "a://x", True), ("late", "a://x", False), ("late", "a://b/c", True), ("early", "a://b/c", True)),
        *(("early", "a://other", False), ("none", "a://x", False), ("early", "", False)),
    ],
)
def test_a_plugin_speaks_for_its_own_resources(plugin: str, uri: str, owned: bool) -> None:
    assert CATALOG.items.owns(plugin, uri) is owned


def test_a_view_of_plugins_shows_theirs_and_one_of_tools_none() -> None:
    part = CATALOG.within(View(plugins=("late",))).items
    assert [found.name for found in part.page(ItemKind.TEMPLATE)] == ["a://{+rest}"]
    # What another plugin holds does not come back by not being seen.
    assert part.page(ItemKind.RESOURCE) == []
    assert CATALOG.within(View(tools=("late_t",))).items.page(ItemKind.TEMPLATE) == []
    assert CATALOG.within(View()).items is CATALOG.items


def test_pages_are_by_name() -> None:
    names = [f"p{number:03}" for number in range(25)]
    items = ItemCatalog({"p": ItemOffer(NOON, tuple(item("p", ItemKind.PROMPT, name) for name in reversed(names)))})
    first = items.page(ItemKind.PROMPT, limit=10)
    assert [found.name for found in first] == names[:10]
    assert items.has_after(ItemKind.PROMPT, "p009")
    assert not items.has_after(ItemKind.PROMPT, "p024")
    assert [found.name for found in items.page(ItemKind.PROMPT, "p0095", 3)] == names[10:13]


def test_without_items_nothing_is_made_again() -> None:
    assert CATALOG.updated(OfferChanges(2, {"plain": offer("plain")})).items is CATALOG.items


@pytest.mark.parametrize(
    ("changed", "lists"),
    [
        (offer("late", resource("late", "a://x"), template("late", "a://{+rest}"), minutes=2), (False, False, False)),
        (offer("new"), (False, False, False)),
        (offer("new", item("new", ItemKind.PROMPT, "new_p")), (False, True, False)),
        (offer("new", resource("new", "a://new")), (False, False, True)),
        (offer("new", template("new", "b://{c}")), (False, False, True)),
        (offer("new", resource("new", "a://x"), minutes=9), (False, False, False)),
        (offer("new", tools=(OfferedTool("new_t", "new", "1.0.0", "t", 0, 1, False, b"{}"),)), (True, False, False)),
    ],
)
def test_the_lists_that_changed_are_known(changed: Offer, lists: tuple[bool, bool, bool]) -> None:
    after = CATALOG.updated(OfferChanges(2, {changed.plugin: changed}))
    assert after.changed_since(CATALOG) == ChangedLists(*lists)
    assert CATALOG.changed_since(after) == ChangedLists(*lists)
    assert after.changed_since(after) == ChangedLists(False, False, False)


def test_a_grant_changes_no_list() -> None:
    again = item("late", ItemKind.RESOURCE, "a://y", revision=1)
    before = Catalog(1, (offer("late", again),))
    after = before.updated(OfferChanges(2, {"late": offer("late", again._replace(revision=2))}))
    assert after.changed_since(before) == ChangedLists(False, False, False)
