"""Installing: pin a plugin to a version, move the pin, take it away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from tool_server.errors import Conflict, NotFound
from tool_server.inspection.tool_filter import ToolFilter
from tool_server.interfaces import Clock, PluginStore
from tool_server.model.caller import Caller, Scope
from tool_server.model.names import check_plugin_name, check_tool_prefix
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, VersionSummary
from tool_server.model.settings import InstallationSettings
from tool_server.model.versions import best_match, check_range


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation after a command; `changed` is False when the pin was there already."""

    installation: Installation
    changed: bool
    created: bool = False
    """Whether the plugin was not installed before."""


class InstallService:
    """Pins. `on_change` is awaited after every change, so that this process offers the new tools at once."""

    def __init__(self, plugins: PluginStore, clock: Clock, on_change: Callable[[], Awaitable[None]]) -> None:
        self._plugins = plugins
        self._clock = clock
        self._on_change = on_change

    async def install(
        self,
        plugin: str,
        requested: str,
        caller: Caller,
        granted: Permissions | None = None,
        settings: InstallationSettings | None = None,
        tool_prefix: str | None = None,
    ) -> Installed:
        """Pin `plugin` to the newest version that the range `requested` takes (empty: the newest release).

        A yanked version is taken only when the range names it exactly. `granted` replaces the stored grants, and
        `settings` the stored settings, `tool_prefix` what stands before the names of its tools; with None they stay.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name` or `invalid_range`; `invalid_permission` or `too_many_permissions`;
                `invalid_pattern`, `too_many_settings` or `invalid_prefix`.
            NotFound: `unknown_plugin`, or `no_matching_version` with the versions there are.
        """
        caller.require(Scope.ADMIN)
        check_plugin_name(plugin)
        check_range(requested)
        if tool_prefix is not None:
            check_tool_prefix(tool_prefix)
        version = _resolve(plugin, requested, await self._plugins.list_versions(plugin))
        now = self._clock.now()
        granted = None if granted is None else granted.normalised()
        if settings is not None:
            for patterns in settings.bounded().patterns:
                ToolFilter(patterns)

        def set_up(stored: InstallationSettings) -> InstallationSettings:
            wanted = stored if settings is None else settings
            # Whoever replaces the other settings need not know of a prefix that the operator chose.
            prefixes = (tool_prefix, wanted.tool_prefix, stored.tool_prefix)
            chosen = next((prefix for prefix in prefixes if prefix is not None), None)
            return wanted.model_copy(update={"tool_prefix": chosen})

        def pin(current: Installation | None) -> Installation:
            if current is not None:
                moved = _moved(current, version, requested, now, granted)
                return moved.model_copy(update={"settings": set_up(current.settings)})
            return Installation(
                plugin=plugin,
                version=version,
                requested=requested,
                granted=granted or Permissions(),
                installed_at=now,
                settings=set_up(InstallationSettings()),
            )

        return await self._change(plugin, pin)

    async def update(self, plugin: str, caller: Caller) -> Installed:
        """Resolve the range of an installation again and move its pin to the newest version in it.

        Raises:
            Denied: `missing_scope`.
            NotFound: `not_installed` or `no_matching_version`.
        """
        caller.require(Scope.ADMIN)
        check_plugin_name(plugin)
        try:
            versions = await self._plugins.list_versions(plugin)
        except NotFound:
            versions = ()  # then it is not installed either, which is what the caller wants to know
        now = self._clock.now()

        def newest(current: Installation | None) -> Installation:
            current = _existing(plugin, current)
            return _moved(current, _resolve(plugin, current.requested, versions), current.requested, now)

        return await self._change(plugin, newest)

    async def rollback(self, plugin: str, caller: Caller) -> Installed:
        """Return to the version that was pinned before; a second rollback undoes the first.

        Raises:
            Denied: `missing_scope`.
            NotFound: `not_installed`.
            Conflict: `no_previous_version`.
        """
        caller.require(Scope.ADMIN)
        check_plugin_name(plugin)
        now = self._clock.now()

        def back(current: Installation | None) -> Installation:
            current = _existing(plugin, current)
            if current.previous is None:
                raise Conflict(
                    "no_previous_version",
                    f"{plugin} was never pinned to another version than {current.version}: "
                    f"choose one with 'extism-registry install {plugin}@VERSION'",
                )
            return _moved(current, current.previous, current.requested, now)

        return await self._change(plugin, back)

    async def uninstall(self, plugin: str, caller: Caller) -> None:
        """Take the plugin's tools away; its versions stay in the registry.

        Raises:
            Denied: `missing_scope`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        await self._plugins.remove_installation(check_plugin_name(plugin))
        await self._on_change()

    async def _change(self, plugin: str, change: Callable[[Installation | None], Installation]) -> Installed:
        before, after = await self._plugins.change_installation(plugin, change)
        if after == before:
            return Installed(after, changed=False)
        await self._on_change()
        return Installed(after, changed=True, created=before is None)


def _existing(plugin: str, installation: Installation | None) -> Installation:
    if installation is None:
        raise NotFound(
            "not_installed",
            f"{plugin} is not installed: run 'extism-registry install {plugin}'",
            {"plugin": plugin},
        )
    return installation


def _moved(
    current: Installation, version: str, requested: str, now: datetime, granted: Permissions | None = None
) -> Installation:
    """The installation pinned to `version`; where that is another one, it counts as installed now."""
    moved = current.version != version
    return current.model_copy(
        update={
            "version": version,
            "requested": requested,
            "previous": current.version if moved else current.previous,
            "granted": current.granted if granted is None else granted,
            "installed_at": now if moved else current.installed_at,
        }
    )


def _resolve(plugin: str, requested: str, versions: tuple[VersionSummary, ...]) -> str:
    if any(version.version == requested for version in versions):
        return requested
    offered = [version.version for version in versions if not version.yanked]
    match = best_match(offered, requested)
    if match is None:
        shown = ", ".join(offered[:8]) or "none that is not yanked"
        raise NotFound(
            "no_matching_version",
            f"no version of {plugin} fits {requested or 'latest'!r}; there are: {shown}",
            {"plugin": plugin, "requested": requested, "versions": offered[:50]},
        )
    return match
