"""Looking around in the registry, and yanking."""

from __future__ import annotations

from dataclasses import dataclass

from tool_server.errors import Denied, NotFound
from tool_server.interfaces import ArtifactStore, PluginStore
from tool_server.model.caller import Caller, Scope
from tool_server.model.names import check_plugin_name
from tool_server.model.release import Installation, PluginSummary, Release, VersionSummary
from tool_server.model.versions import best_match, check_range, check_version

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Some plugins by name, and the name to continue after (None at the end)."""

    items: tuple[PluginSummary, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class InstalledPage:
    """Some installations by plugin name, and the name to continue after (None at the end)."""

    items: tuple[Installation, ...]
    next: str | None


class BrowseService:
    """Reading what is published and installed."""

    def __init__(self, plugins: PluginStore, artifacts: ArtifactStore) -> None:
        self._plugins = plugins
        self._artifacts = artifacts

    async def plugins(self, caller: Caller, query: str = "", limit: int = 100, after: str = "") -> Page:
        """Published plugins whose name, description or keywords hold `query`.

        Raises:
            Denied: `missing_scope`.
        """
        caller.require(Scope.READ)
        limit = max(1, min(limit, MAX_PAGE))
        found = await self._plugins.list_plugins(query, limit + 1, after)
        more = len(found) > limit
        return Page(found[:limit], found[limit - 1].name if more else None)

    async def versions(self, plugin: str, caller: Caller) -> tuple[VersionSummary, ...]:
        """All versions of a plugin, newest first.

        Raises:
            NotFound: `unknown_plugin`.
        """
        caller.require(Scope.READ)
        return await self._plugins.list_versions(check_plugin_name(plugin))

    async def release(self, plugin: str, requested: str, caller: Caller) -> Release:
        """One version: the exact one named, else the newest that fits the range (empty: the newest release).

        Raises:
            NotFound: `unknown_plugin`, `unknown_version` or `no_matching_version`.
        """
        caller.require(Scope.READ)
        check_range(requested)
        versions = await self._plugins.list_versions(check_plugin_name(plugin))
        names = [version.version for version in versions]
        if requested not in names:
            match = best_match([version.version for version in versions if not version.yanked], requested)
            if match is None and requested in ("", "latest") and names:
                match = names[0]
            if match is None:
                raise NotFound(
                    "no_matching_version",
                    f"no version of {plugin} fits {requested or 'latest'!r}; there are: {', '.join(names[:8])}",
                    {"plugin": plugin, "requested": requested},
                )
            requested = match
        return await self._plugins.get_version(plugin, requested)

    async def installed(self, caller: Caller, limit: int = MAX_PAGE, after: str = "") -> InstalledPage:
        """Installations, by plugin name.

        Raises:
            Denied: `missing_scope`.
        """
        caller.require(Scope.READ)
        limit = max(1, min(limit, MAX_PAGE))
        found = await self._plugins.list_installed(limit + 1, after)
        return InstalledPage(found[:limit], found[limit - 1].plugin if len(found) > limit else None)

    async def artifact(self, digest: str, caller: Caller) -> bytes:
        """The wasm bytes of a digest.

        Raises:
            NotFound: `unknown_artifact`.
        """
        caller.require(Scope.READ)
        return await self._artifacts.get(digest)

    async def set_yanked(
        self, plugin: str, version: str, yanked: bool, caller: Caller, reason: str | None = None
    ) -> Release:
        """Hide a version from new resolution, or show it again; installations stay as they are.

        Raises:
            Denied: `missing_scope`, or `not_owner` unless the caller is an admin.
            NotFound: `unknown_plugin` or `unknown_version`.
        """
        caller.require(Scope.PUBLISH)
        release = await self._plugins.get_version(check_plugin_name(plugin), check_version(version))
        if release.publisher != caller.name and not caller.may(Scope.ADMIN):
            raise Denied(
                "not_owner", f"{plugin} belongs to {release.publisher!r}: only its owner may yank its versions"
            )
        await self._plugins.set_yanked(plugin, version, yanked, reason)
        return await self._plugins.get_version(plugin, version)
