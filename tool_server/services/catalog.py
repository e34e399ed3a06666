"""The catalogue: kept in step with the store change by change, announced to whoever listens.

What a listing shows is in memory. What a call needs besides is read at a tool's first call and kept while it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from tool_server.errors import Unavailable
from tool_server.inspection.item_offering import item_entry
from tool_server.inspection.manifest_limits import resolve_limits
from tool_server.interfaces import PluginStore
from tool_server.model.catalog import Catalog, CatalogEntry, InstalledTool, OfferedTool
from tool_server.model.item import ItemEntry
from tool_server.model.item_catalog import ItemCatalog
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.limits import Limits
from tool_server.model.names import tool_name
from tool_server.model.permission import Permissions
from tool_server.model.release import Release
from tool_server.services.entry_cache import EntryCache

POLL_SECONDS = 0.5
"""How soon an installation made by another process is offered here."""

MAX_ITEM_ENTRIES = 1_024
MAX_ITEM_SIZE = 2 * 2**20
"""Of the prompts, the resources and the templates that were asked for lately: as `EntryCache` has it for tools."""

READ_ATTEMPTS = 5
"""How often a tool or item is looked up again when its plugin changes just then."""

Listener = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


class CatalogService:
    """Owns the current snapshot. Listing, and every call of a tool but its first, never wait for the store.

    Args:
        plugins: where installations are stored.
        defaults: limits of a call where a manifest asks for none.
        ceiling: what no call may exceed.
        cache: the entries of called tools.
        known: a snapshot of the same store from before, to go on from.
    """

    def __init__(
        self,
        plugins: PluginStore,
        defaults: Limits,
        ceiling: Limits,
        cache: EntryCache[OfferedTool, CatalogEntry] | None = None,
        known: Catalog | None = None,
    ) -> None:
        self._plugins = plugins
        self._defaults = defaults
        self._ceiling = ceiling
        self._current = Catalog() if known is None else known
        self._entries = EntryCache[OfferedTool, CatalogEntry]() if cache is None else cache
        self._items = {kind: EntryCache[OfferedItem, ItemEntry](MAX_ITEM_ENTRIES, MAX_ITEM_SIZE) for kind in ItemKind}
        self._listeners: list[Listener] = []
        self._refreshing = anyio.Lock()

    @property
    def current(self) -> Catalog:
        """The snapshot in force."""
        return self._current

    @property
    def loaded(self) -> bool:
        """Whether the snapshot shows what the store holds, and not nothing because it was never asked."""
        return self._current.revision != -1

    async def find(self, name: str) -> CatalogEntry | None:
        """An offered tool by its MCP name with all that a call needs, or None.

        Raises:
            Unavailable: the tool was not called lately and the store cannot answer.
        """
        for _ in range(READ_ATTEMPTS):
            tool = self._current.find(name)
            if tool is None:
                return None
            entry = self._entries.get(tool)
            if entry is not None:
                return entry
            (stored,) = await self._plugins.read_tools((tool,))
            if stored is not None:
                return self._entries.add(tool, self._entry(tool, stored), stored.size)
            # Another process has just changed the plugin: the snapshot is older than the store.
            await self.refresh()
        raise Unavailable(
            "catalogue_changing", f"the plugin of {name!r} is being installed again and again: call later"
        )

    async def find_item(self, choose: Callable[[ItemCatalog], OfferedItem | None]) -> ItemEntry | None:
        """A prompt, resource or template with all that asking its plugin needs, or None.

        Args:
            choose: picks it from the snapshot in force; asked again where the store has changed.

        Raises:
            Unavailable: it was not asked for lately and the store cannot answer.
        """
        for _ in range(READ_ATTEMPTS):
            item = choose(self._current.items)
            if item is None:
                return None
            entry = self._items[item.kind].get(item)
            if entry is not None:
                return entry
            (stored,) = await self._plugins.read_items((item,))
            if stored is not None:
                made = item_entry(item, stored, self._defaults, self._ceiling)
                return self._items[item.kind].add(item, made, stored.size)
            await self.refresh()
        raise Unavailable("catalogue_changing", "the plugin asked is being installed again and again: ask later")

    async def describe(self, tools: Sequence[OfferedTool]) -> tuple[CatalogEntry, ...]:
        """All that is known of these tools of the current snapshot, read in one go and not kept.

        Those whose plugin has changed meanwhile are left out.

        Raises:
            Unavailable: the store cannot answer.
        """
        stored = await self._plugins.read_tools(tools)
        return tuple(self._entry(tool, found) for tool, found in zip(tools, stored, strict=True) if found is not None)

    def _entry(self, tool: OfferedTool, stored: InstalledTool) -> CatalogEntry:
        return CatalogEntry(
            name=tool.name,
            plugin=tool.plugin,
            version=tool.version,
            definition=stored.definition,
            program=stored.program,
            permissions=stored.requested.intersect(stored.granted),
            limits=resolve_limits(stored.limits, self._defaults, self._ceiling),
            config=stored.config,
        )

    def subscribe(self, listener: Listener) -> None:
        """Await `listener` after every change of the snapshot, in the order of subscription."""
        self._listeners.append(listener)

    async def refresh(self) -> bool:
        """Take over what changed in the store; returns whether anything did.

        Raises:
            Unavailable: the store cannot answer; the old snapshot stays in force.
        """
        async with self._refreshing:
            before = self._current
            changes = await self._plugins.offers_since(before.revision)
            if changes.revision == before.revision:
                return False
            self._current = before.updated(changes)
            self._entries.keep(self._current.find)
            for kind, entries in self._items.items():
                entries.keep(partial(self._current.items.find, kind))
            if before.revision != -1:
                for listener in self._listeners:
                    await listener()
            return True

    async def watch(self) -> None:
        """Refresh for ever, so that what another process installs is offered here too."""
        while True:
            await anyio.sleep(POLL_SECONDS)
            try:
                await self.refresh()
            except Unavailable as error:
                logger.warning("the catalogue could not be refreshed: %s", error.message)


def entries_of(release: Release, granted: Permissions, defaults: Limits, ceiling: Limits) -> tuple[CatalogEntry, ...]:
    """A version's tools with effective permission (requested and granted) and limits.

    Raises:
        InvalidInput: the manifest's limits cannot be read.
    """
    limits = resolve_limits(release.manifest.limits, defaults, ceiling)
    permissions = release.manifest.permissions.intersect(granted)
    return tuple(
        CatalogEntry(
            name=tool_name(release.plugin, tool.name),
            plugin=release.plugin,
            version=release.version,
            definition=tool,
            program=release.program,
            permissions=permissions,
            limits=limits,
        )
        for tool in release.tools
    )
