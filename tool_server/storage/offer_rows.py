"""The rows of what is offered: the statements that read them, and what they say, whatever the driver.

Text, not SQLAlchemy's expressions, so that `stored_offers` reads them too before SQLAlchemy is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import TypeAdapter

from tool_server.model.catalog import Offer, OfferChanges, OfferedTool
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.tool import QuarantinedTool, TaskSupport

INSTALLATION_REVISION = "installations"
"""The row of `counters` that grows with every change of an installation."""

SELECT_REVISION = f"SELECT value FROM counters WHERE name = '{INSTALLATION_REVISION}'"  # noqa: S608 - a constant

SELECT_HEADS = """
SELECT installation_changes.plugin, installation_changes.revision, installations.version, installations.installed_at,
       offers.quarantined, offers.keywords
FROM installation_changes
LEFT JOIN installations ON installations.plugin = installation_changes.plugin
LEFT JOIN offers ON offers.plugin = installation_changes.plugin
WHERE installation_changes.revision > :seen
"""
"""A `Head` of each plugin that changed after a revision."""

_SELECT_TOOLS = """
SELECT offered_tools.plugin, offered_tools.position, offered_tools.name, offered_tools.tool,
       offered_tools.needs_headers, offered_tools.listing, offered_tools.task
FROM offered_tools
"""
_IN_ORDER = "ORDER BY offered_tools.plugin, offered_tools.position"

SELECT_ALL_TOOLS = _SELECT_TOOLS + _IN_ORDER
"""A `ToolRow` of each tool."""

SELECT_CHANGED_TOOLS = f"""{_SELECT_TOOLS}
JOIN installation_changes ON installation_changes.plugin = offered_tools.plugin
WHERE installation_changes.revision > :seen
{_IN_ORDER}
"""
"""A `ToolRow` of each tool of the plugins that changed after a revision."""

_SELECT_ITEMS = """
SELECT offered_items.plugin, offered_items.kind, offered_items.position, offered_items.name, offered_items.listing
FROM offered_items
"""
_ITEMS_IN_ORDER = "ORDER BY offered_items.plugin, offered_items.kind, offered_items.position"

SELECT_ALL_ITEMS = _SELECT_ITEMS + _ITEMS_IN_ORDER
"""An `ItemRow` of each prompt, resource and template."""

SELECT_CHANGED_ITEMS = f"""{_SELECT_ITEMS}
JOIN installation_changes ON installation_changes.plugin = offered_items.plugin
WHERE installation_changes.revision > :seen
{_ITEMS_IN_ORDER}
"""
"""An `ItemRow` of each of the plugins that changed after a revision."""

QUARANTINED = TypeAdapter(tuple[QuarantinedTool, ...])
"""The JSON in `offers.quarantined`."""

KEYWORDS = TypeAdapter(tuple[str, ...])
"""The JSON in `offers.keywords`."""


class Head(NamedTuple):
    """What holds for all of a plugin's tools."""

    plugin: str
    revision: int
    version: str | None
    """None where the plugin is not installed any more; then what follows is None, too."""
    installed_at: datetime | None
    quarantined: str | None
    keywords: str | None


ToolRow = tuple[str, int, str, str, bool, bytes, str | None]
"""Plugin, position, MCP name, the tool's own name, whether it needs headers (0 or 1 will do), its listing, and its
`TaskSupport` (None: forbidden)."""


ItemRow = tuple[str, str, int, str, bytes]
"""Plugin, kind, position, name, listing."""


def changes(
    revision: int, heads: Iterable[Head], rows: Iterable[ToolRow], items: Iterable[ItemRow], *, complete: bool
) -> OfferChanges:
    """What the rows say.

    Args:
        revision: the store's present one.
        heads: of the plugins that changed.
        rows: of those plugins' tools, in order.
        items: of their prompts, resources and templates, in order.
        complete: whether these are all plugins.
    """
    by_plugin = {head.plugin: head for head in heads}
    tools: dict[str, list[OfferedTool]] = {}
    for plugin, position, name, tool, headers, wire, task in rows:
        head = by_plugin.get(plugin)
        if head is not None and head.version is not None:
            # The head's strings, not the row's own copies of them: there may be tens of thousands of rows.
            offered = OfferedTool(name, head.plugin, head.version, tool, position, head.revision, bool(headers), wire)
            if task is not None:
                offered = offered._replace(task=TaskSupport(task))
            tools.setdefault(head.plugin, []).append(offered)
    others = _items(by_plugin, items)
    return OfferChanges(
        revision,
        {plugin: _offer(head, tools.get(plugin, ()), others.get(plugin, ())) for plugin, head in by_plugin.items()},
        complete,
    )


def _items(heads: Mapping[str, Head], rows: Iterable[ItemRow]) -> Mapping[str, Sequence[OfferedItem]]:
    items: dict[str, list[OfferedItem]] = {}
    for plugin, kind, position, name, listing in rows:
        head = heads.get(plugin)
        if head is not None and head.version is not None:
            item = OfferedItem(name, ItemKind(kind), head.plugin, head.version, position, head.revision, listing)
            items.setdefault(head.plugin, []).append(item)
    return items


def _offer(head: Head, tools: Iterable[OfferedTool], items: Iterable[OfferedItem]) -> Offer | None:
    if head.version is None or head.installed_at is None:
        return None
    quarantined = () if head.quarantined in (None, "[]") else QUARANTINED.validate_json(head.quarantined)
    keywords = () if head.keywords is None else KEYWORDS.validate_json(head.keywords)
    return Offer(head.plugin, head.version, head.installed_at, tuple(tools), quarantined, keywords, tuple(items))
