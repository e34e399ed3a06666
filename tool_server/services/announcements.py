"""What plugins announce while they run: that their resources have changed, or what they offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tool_server.model.call import Call
from tool_server.model.catalog import Catalog, ChangedLists
from tool_server.model.item_kind import ItemKind

MAX_ANNOUNCEMENTS = 100
"""Of one call; further ones go nowhere."""


class Audience(Protocol):
    """Whoever tells clients."""

    async def resource_updated(self, uri: str) -> None:
        """A resource is another one now."""
        ...

    async def lists_changed(self, lists: ChangedLists) -> None:
        """These lists are to be read again."""
        ...


class AnnouncementService:
    """Hands on what a plugin may say: of what it offers itself, and not without end.

    Args:
        catalog: the snapshot in force.
    """

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog
        self._audiences: list[Audience] = []

    def subscribe(self, audience: Audience) -> None:
        """Tell this one, too."""
        self._audiences.append(audience)

    async def resource_updated(self, call: Call, uri: str) -> None:
        """A plugin's own resource, or one that its own template stands for, has changed. Of others nobody is told."""
        if call.journal.take_announcement() <= MAX_ANNOUNCEMENTS and self._catalog().items.owns(call.plugin, uri):
            for audience in self._audiences:
                await audience.resource_updated(uri)

    async def list_changed(self, call: Call, kind: str) -> None:
        """A plugin says that its `tools`, `prompts` or `resources` are others: nobody is told where it has none."""
        if call.journal.take_announcement() > MAX_ANNOUNCEMENTS:
            return
        catalog = self._catalog()
        kinds = catalog.items.kinds_of(call.plugin)
        lists = ChangedLists(
            tools=kind == "tools" and bool(catalog.tools_of(call.plugin)),
            prompts=kind == "prompts" and ItemKind.PROMPT in kinds,
            resources=kind == "resources" and bool(kinds - {ItemKind.PROMPT}),
        )
        if any(lists):
            for audience in self._audiences:
                await audience.lists_changed(lists)
