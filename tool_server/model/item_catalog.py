"""The prompts, resources and resource templates of one moment: what a `Catalog` holds beside tools."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tool_server.errors import InvalidInput
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.uri_template import read_template
from tool_server.model.view import View


class ItemOffer(NamedTuple):
    """What one installation offers."""

    installed_at: datetime
    items: tuple[OfferedItem, ...]


class ItemCatalog:
    """All items by kind and name. Of two installations that claim one name, the earlier keeps it.

    Never changed once made. Few plugins have items, so that all is put together again where one of those changes.

    Args:
        offers: by plugin.
    """

    __slots__ = ("_by_kind", "_names", "_offers")

    def __init__(self, offers: Mapping[str, ItemOffer] | None = None) -> None:
        self._offers = dict(offers or {})
        self._by_kind: dict[ItemKind, dict[str, OfferedItem]] = {kind: {} for kind in ItemKind}
        """In the order of installation."""
        ordered = sorted(self._offers.items(), key=lambda entry: (entry[1].installed_at, entry[0]))
        self._fill(item for _, offer in ordered for item in offer.items)

    def _fill(self, items: Iterable[OfferedItem]) -> None:
        for item in items:
            self._by_kind[item.kind].setdefault(item.name, item)
        self._names = {kind: sorted(found) for kind, found in self._by_kind.items()}

    def updated(self, changes: Mapping[str, ItemOffer | None]) -> ItemCatalog:
        """After changes by plugin, None where a plugin offers no item any more; itself where nothing changed."""
        changed = {plugin: offer for plugin, offer in changes.items() if self._offers.get(plugin) != offer}
        if not changed:
            return self
        offers = {plugin: offer for plugin, offer in self._offers.items() if plugin not in changed}
        return ItemCatalog(offers | {plugin: offer for plugin, offer in changed.items() if offer is not None})

    def within(self, view: View) -> ItemCatalog:
        """The part that a view shows, itself where that is all."""
        if not view.restricted:
            return self
        part = ItemCatalog()
        part._offers = {plugin: self._offers[plugin] for plugin in view.plugins if plugin in self._offers}
        if part._offers:
            part._fill(
                item for found in self._by_kind.values() for item in found.values() if item.plugin in part._offers
            )
        return part

    def find(self, kind: ItemKind, name: str) -> OfferedItem | None:
        """An item by its name, or None."""
        return self._by_kind[kind].get(name)

    def page(self, kind: ItemKind, after: str = "", limit: int | None = None) -> Sequence[OfferedItem]:
        """At most `limit` items of a kind by name, those after the name `after` (None: all of them)."""
        names, found = self._names[kind], self._by_kind[kind]
        start = bisect_right(names, after) if after else 0
        end = len(names) if limit is None else start + limit
        return [found[name] for name in names[start:end]]

    def has_after(self, kind: ItemKind, name: str) -> bool:
        """Whether an item of a kind comes after this name."""
        names = self._names[kind]
        return bisect_right(names, name) < len(names)

    def reader_of(self, uri: str) -> OfferedItem | None:
        """What is to be asked for a URI: the resource, else the first template that can stand for it, else None."""
        resource = self._by_kind[ItemKind.RESOURCE].get(uri)
        return resource if resource is not None else next(self._templates_of(uri), None)

    def owns(self, plugin: str, uri: str) -> bool:
        """Whether a URI is that of a plugin's own resource, or one that its own templates can stand for."""
        resource = self._by_kind[ItemKind.RESOURCE].get(uri)
        if resource is not None:
            return resource.plugin == plugin
        return plugin in self._offers and any(template.plugin == plugin for template in self._templates_of(uri))

    def kinds_of(self, plugin: str) -> frozenset[ItemKind]:
        """The kinds of which a plugin offers any."""
        offer = self._offers.get(plugin)
        return frozenset() if offer is None else frozenset(item.kind for item in offer.items)

    def changed_since(self, before: ItemCatalog) -> tuple[bool, bool]:
        """Whether the list of prompts, and those of resources, are others than in an earlier snapshot."""
        if self is before:
            return False, False
        changed = [kind for kind in ItemKind if self._listed(kind) != before._listed(kind)]
        return ItemKind.PROMPT in changed, bool(set(changed) - {ItemKind.PROMPT})

    def _listed(self, kind: ItemKind) -> list[tuple[str, bytes]]:
        return [(item.name, item.listing) for item in self.page(kind)]

    def _templates_of(self, uri: str) -> Iterator[OfferedItem]:
        for text, item in self._by_kind[ItemKind.TEMPLATE].items():
            if uri.startswith(text.partition("{")[0]):
                try:
                    matches = read_template(text).matches(uri)
                except InvalidInput:  # one that an earlier version of this server took
                    matches = False
                if matches:
                    yield item
