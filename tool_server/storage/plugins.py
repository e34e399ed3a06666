"""`PluginStore` on SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tool_server.model.catalog import InstalledTool, OfferChanges, OfferedTool
from tool_server.model.item import InstalledItem
from tool_server.model.item_kind import OfferedItem
from tool_server.model.release import Installation, PluginSummary, Release, VersionSummary
from tool_server.storage import installations, integrity, offers, releases
from tool_server.storage.database import Database


class SqlPluginStore:
    """The `PluginStore` of a database. Two stores on one database, in any processes, see the same plugins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_version(self, release: Release) -> bool:
        """See `PluginStore.add_version`."""
        return await self._database.write(releases.add_version, release)

    async def find_published(
        self, plugin: str, version: str, *, publisher: str, digest: str, manifest_digest: Callable[[], str]
    ) -> Release | None:
        """See `PluginStore.find_published`."""
        return await self._database.read(releases.find_published, plugin, version, publisher, digest, manifest_digest)

    async def get_version(self, plugin: str, version: str) -> Release:
        """See `PluginStore.get_version`."""
        return await self._database.read(releases.get_version, plugin, version)

    async def list_versions(self, plugin: str) -> tuple[VersionSummary, ...]:
        """See `PluginStore.list_versions`."""
        return await self._database.read(releases.list_versions, plugin)

    async def list_plugins(self, query: str = "", limit: int = 100, after: str = "") -> tuple[PluginSummary, ...]:
        """See `PluginStore.list_plugins`."""
        return await self._database.read(releases.list_plugins, query, limit, after)

    async def set_yanked(self, plugin: str, version: str, yanked: bool, reason: str | None = None) -> None:
        """See `PluginStore.set_yanked`."""
        await self._database.write(releases.set_yanked, plugin, version, yanked, reason)

    async def change_installation(
        self, plugin: str, change: Callable[[Installation | None], Installation]
    ) -> tuple[Installation | None, Installation]:
        """See `PluginStore.change_installation`."""
        return await self._database.write(installations.change_installation, plugin, change)

    async def remove_installation(self, plugin: str) -> None:
        """See `PluginStore.remove_installation`."""
        await self._database.write(installations.remove_installation, plugin)

    async def get_installation(self, plugin: str) -> Installation | None:
        """See `PluginStore.get_installation`."""
        return await self._database.read(installations.get_installation, plugin)

    async def list_installed(self, limit: int | None = None, after: str = "") -> tuple[Installation, ...]:
        """See `PluginStore.list_installed`."""
        return await self._database.read(installations.list_installed, limit, after)

    async def offers_since(self, revision: int) -> OfferChanges:
        """See `PluginStore.offers_since`."""
        return await self._database.read(offers.since, revision)

    async def read_tools(self, wanted: Sequence[OfferedTool]) -> tuple[InstalledTool | None, ...]:
        """See `PluginStore.read_tools`."""
        return await self._database.read(offers.read_tools, wanted)

    async def read_items(self, wanted: Sequence[OfferedItem]) -> tuple[InstalledItem | None, ...]:
        """See `PluginStore.read_items`."""
        return await self._database.read(offers.read_items, wanted)

    async def revision(self) -> int:
        """See `PluginStore.revision`."""
        return await self._database.read(installations.revision)

    async def referenced_digests(self) -> frozenset[str]:
        """See `PluginStore.referenced_digests`."""
        return await self._database.read(releases.referenced_digests)

    async def check(self) -> tuple[str, ...]:
        """See `PluginStore.check`."""
        return await self._database.read(integrity.check)
