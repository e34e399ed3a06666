"""The in-memory catalogue: rebuilt when the store's revision moves, announced to whoever listens."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from types import MappingProxyType

import anyio

from tool_server.errors import InvalidInput, Unavailable
from tool_server.inspection.manifest_limits import resolve_limits
from tool_server.interfaces import PluginStore
from tool_server.model.catalog import Catalog, CatalogEntry
from tool_server.model.limits import Limits
from tool_server.model.names import tool_name
from tool_server.model.permission import Permissions
from tool_server.model.release import InstalledRelease, Release
from tool_server.model.tool import QuarantinedTool

POLL_SECONDS = 0.5
"""How soon an installation made by another process is offered here."""

Listener = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


class CatalogService:
    """Owns the current snapshot. Calls read `current` and never wait for the store."""

    def __init__(self, plugins: PluginStore, defaults: Limits, ceiling: Limits) -> None:
        self._plugins = plugins
        self._defaults = defaults
        self._ceiling = ceiling
        self._current = Catalog()
        self._listeners: list[Listener] = []
        self._refreshing = anyio.Lock()

    @property
    def current(self) -> Catalog:
        """The snapshot in force."""
        return self._current

    def find(self, name: str) -> CatalogEntry | None:
        """An offered tool by its MCP name, or None."""
        return self._current.entries.get(name)

    def subscribe(self, listener: Listener) -> None:
        """Await `listener` after every change of the snapshot, in the order of subscription."""
        self._listeners.append(listener)

    async def refresh(self) -> bool:
        """Load the snapshot again where the revision moved; returns whether it did.

        Raises:
            Unavailable: the store cannot answer; the old snapshot stays in force.
        """
        async with self._refreshing:
            revision = await self._plugins.revision()
            if revision == self._current.revision:
                return False
            installed = await self._plugins.list_installed()
            first = self._current.revision == -1
            self._current = build_catalog(revision, installed, self._defaults, self._ceiling)
            if not first:
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


def build_catalog(revision: int, installed: Sequence[InstalledRelease], defaults: Limits, ceiling: Limits) -> Catalog:
    """Offer every tool of every installation; where two have one name, the earlier installation keeps it."""
    entries: dict[str, CatalogEntry] = {}
    quarantined: list[tuple[str, QuarantinedTool]] = []
    for item in sorted(installed, key=lambda item: (item.installation.installed_at, item.installation.plugin)):
        release = item.release
        quarantined += [(release.plugin, tool) for tool in release.quarantined]
        try:
            offered = entries_of(release, item.installation.granted, defaults, ceiling)
        except InvalidInput as error:
            quarantined += [
                (release.plugin, QuarantinedTool(name=tool.name, rule=error.code, reason=error.message))
                for tool in release.tools
            ]
            continue
        for entry in offered:
            taken = entries.setdefault(entry.name, entry)
            if taken is not entry:
                reason = f"the name {entry.name!r} is already taken by {taken.plugin} {taken.version}"
                held = QuarantinedTool(name=entry.definition.name, rule="name-collision", reason=reason)
                quarantined.append((release.plugin, held))
    return Catalog(revision, MappingProxyType(dict(sorted(entries.items()))), tuple(quarantined))


def entries_of(release: Release, granted: Permissions, defaults: Limits, ceiling: Limits) -> tuple[CatalogEntry, ...]:
    """A version's tools with effective permission (requested and granted) and limits.

    Raises:
        InvalidInput: the manifest's limits cannot be read.
    """
    limits = resolve_limits(release.manifest, defaults, ceiling)
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
