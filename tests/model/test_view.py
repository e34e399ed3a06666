"""Views: what they admit, how they are written, and the part of a catalogue that they show."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tool_server.errors import InvalidInput
from tool_server.model.catalog import Catalog, Offer, OfferedTool
from tool_server.model.tool import QuarantinedTool
from tool_server.model.view import EVERYTHING, MAX_NAMED, View, ViewMode, parse_only

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def offer(plugin: str, *tools: str, second: int = 0, names: tuple[str, ...] = ()) -> Offer:
    """An offer whose tools have these own names, and by default the usual MCP names."""
    offered = tuple(
        OfferedTool(names[position] if names else f"{plugin}_{tool}", plugin, "1.0.0", tool, position, 1, False, b"{}")
        for position, tool in enumerate(tools)
    )
    held = (QuarantinedTool(name="bad", rule="rule", reason="reason"),)
    return Offer(plugin, "1.0.0", NOON.replace(second=second), offered, held, ("kept",))


CATALOG = Catalog(7, [offer("text", "count", "diff"), offer("hash", "digest", "hmac"), offer("units", "convert")])


def test_a_view_without_names_admits_everything_and_is_no_copy_of_the_catalogue() -> None:
    assert EVERYTHING.admits("any", "any_tool")
    assert not EVERYTHING.restricted
    assert CATALOG.within(EVERYTHING) is CATALOG
    assert CATALOG.within(View(mode=ViewMode.SEARCH)) is CATALOG


def test_named_plugins_and_tools_add_up() -> None:
    part = CATALOG.within(View(plugins=("text",), tools=("hash_hmac", "not_there")))
    assert part.names == ("hash_hmac", "text_count", "text_diff")
    assert [tool.name for tool in part] == list(part.names)
    assert (len(part), part.plugins, part.revision) == (3, 2, 7)
    assert part.find("hash_digest") is None
    assert part.tools_of("hash") == ("hash_hmac",)
    assert part.keywords_of("hash") == ("kept",)
    assert part.page("hash_hmac", 1)[0].name == "text_count"
    assert not part.has_after("text_diff")


def test_a_part_shows_nothing_of_what_is_held_back() -> None:
    assert CATALOG.quarantined
    assert CATALOG.within(View(plugins=("text",))).quarantined == ()


def test_a_plugin_that_lost_a_name_to_another_one_does_not_show_the_others_tool() -> None:
    first, second = offer("a", "x", names=("same",)), offer("b", "x", "y", second=1, names=("same", "own"))
    catalog = Catalog(1, [first, second])
    assert catalog.within(View(plugins=("b",))).names == ("own",)
    assert catalog.within(View(plugins=("a",))).names == ("same",)


def test_a_view_of_nothing_that_is_installed_is_empty() -> None:
    part = CATALOG.within(View(plugins=("gone",)))
    assert (part.names, part.plugins, part.quarantined, part.page()) == ((), 0, (), ())


def test_names_are_kept_sorted_and_once() -> None:
    assert View(tools=("b", "a", "b")) == View(tools=("a", "b"))


@pytest.mark.parametrize(
    "document",
    [
        '{"plugins": ["Upper"]}',
        '{"plugins": [""]}',
        '{"plugins": ["a\\n"]}',
        '{"tools": ["with blank"]}',
        '{"tools": [""]}',
        '{"tools": [1]}',
        '{"mode": "none"}',
        '{"extra": 1}',
    ],
)
def test_what_names_no_plugin_or_tool_is_no_view(document: str) -> None:
    with pytest.raises(ValidationError):
        View.model_validate_json(document)


def test_options_name_plugins_and_tools() -> None:
    assert parse_only(("plugin:text", "tool:hash_digest", "plugin:@acme/pdf")) == (
        ("text", "@acme/pdf"),
        ("hash_digest",),
    )
    assert parse_only(()) == ((), ())


@pytest.mark.parametrize(
    "text", ["text", "", "plugin:", "tool:", "tool:a b", "plugin:A", "kind:x", ":x", "tool:" + "x" * 49]
)
def test_an_option_that_names_neither_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_only((text,))
    assert refused.value.code in ("invalid_view", "invalid_name")
    assert "plugin:NAME" in refused.value.message or "is not a plugin name" in refused.value.message


def test_a_view_names_no_more_than_its_bound() -> None:
    names = tuple(f"tool:t{number}" for number in range(MAX_NAMED + 1))
    assert len(parse_only(names[:-1])[1]) == MAX_NAMED
    with pytest.raises(InvalidInput, match="at most 200"):
        parse_only(names)
