"""Grants: what an operator allows to an installed plugin, beside what it requests and what it therefore gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from tool_server.errors import NotFound
from tool_server.interfaces import PluginStore
from tool_server.model.caller import Caller, Scope
from tool_server.model.folder_permission import FolderRoots
from tool_server.model.names import check_plugin_name
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, InstalledRelease


@dataclass(frozen=True, slots=True)
class PluginGrants:
    """What one installation asks for and has."""

    plugin: str
    version: str
    requested: Permissions
    granted: Permissions
    effective: Permissions
    """Requested and granted, the folders also within the operator's roots."""
    missing: Permissions
    """What is requested and not wholly granted."""
    notes: tuple[str, ...]
    """Sentences about grants and requests without effect."""


@dataclass(frozen=True, slots=True)
class GrantChange:
    """An installation's grants after a command; `changed` is False when they were so already."""

    grants: PluginGrants
    changed: bool


class GrantService:
    """Grants. `on_change` is awaited after every change, so that this process goes by it at once."""

    def __init__(self, plugins: PluginStore, roots: FolderRoots, on_change: Callable[[], Awaitable[None]]) -> None:
        self._plugins = plugins
        self._roots = roots
        self._on_change = on_change
        # A change is read, made and written: of two at the same time none may be lost.
        self._changing = anyio.Lock()

    async def list_grants(self, caller: Caller) -> tuple[PluginGrants, ...]:
        """Of all installations, by plugin name.

        Raises:
            Denied: `missing_scope`.
        """
        caller.require(Scope.ADMIN)
        return tuple([self._shown(item) for item in await self._plugins.list_installed()])

    async def show(self, plugin: str, caller: Caller) -> PluginGrants:
        """Of one installation.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        return self._shown(await self._installed(plugin))

    async def add(self, plugin: str, permissions: Permissions, caller: Caller) -> GrantChange:
        """Grant these too; what the plugin does not request is kept and has no effect.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`; `invalid_permission`, naming the item; `too_many_permissions`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        added = permissions.normalised()
        async with self._changing:
            item = await self._installed(plugin)
            return await self._put(item, item.installation.granted.joined(added))

    async def remove(self, plugin: str, permissions: Permissions, caller: Caller) -> GrantChange:
        """Take back exactly these grants.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`, `invalid_permission`.
            NotFound: `not_installed`; `not_granted`, with the grants there are. Nothing has changed then.
        """
        caller.require(Scope.ADMIN)
        unwanted = permissions.normalised().items()
        async with self._changing:
            item = await self._installed(plugin)
            granted = item.installation.granted
            _require_granted(plugin, granted.items(), unwanted)
            return await self._put(item, granted.excluding(unwanted))

    async def clear(self, plugin: str, caller: Caller) -> GrantChange:
        """Take back all grants.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        async with self._changing:
            return await self._put(await self._installed(plugin), Permissions())

    async def _put(self, item: InstalledRelease, granted: Permissions) -> GrantChange:
        installation = item.installation
        changed = granted != installation.granted
        if changed:
            installation = installation.model_copy(update={"granted": granted})
            await self._plugins.put_installation(installation)
            await self._on_change()
        return GrantChange(self._shown(InstalledRelease(installation=installation, release=item.release)), changed)

    async def _installed(self, plugin: str) -> InstalledRelease:
        installation = await self._plugins.get_installation(check_plugin_name(plugin))
        if installation is None:
            raise _not_installed(plugin)
        release = await self._plugins.get_version(plugin, installation.version)
        return InstalledRelease(installation=installation, release=release)

    def _shown(self, item: InstalledRelease) -> PluginGrants:
        requested, granted = item.release.manifest.permissions, item.installation.granted
        allowed = requested.intersect(granted)
        wasi = item.release.program.wasi
        folders = self._roots.folders(allowed.folder_permissions) if wasi else ()
        reachable = tuple(f"{folder.guest}:{'write' if folder.write else 'read'}" for folder in folders)
        return PluginGrants(
            plugin=item.installation.plugin,
            version=item.installation.version,
            # As it is understood: a name that only looks like another one shows its A-labels.
            requested=requested.without(Permissions()),
            granted=granted,
            effective=allowed.model_copy(update={"filesystem": reachable}),
            missing=requested.without(granted),
            notes=(*_without_effect(item.installation, requested), *self._folder_notes(allowed, wasi)),
        )

    def _folder_notes(self, allowed: Permissions, wasi: bool) -> tuple[str, ...]:
        if allowed.filesystem and not wasi:
            return ("the module does not import WASI, so it cannot use any folder",)
        notes: list[str] = []
        for permission in allowed.folder_permissions:
            folders = self._roots.folders([permission])
            if not folders:
                notes.append(f"this server shares no folder {permission.path}: add it to filesystem.roots")
            elif permission.write and not any(folder.write for folder in folders):
                notes.append(f"this server shares {permission.path} to be read only: see filesystem.roots")
        return tuple(notes)


def _require_granted(plugin: str, granted: tuple[str, ...], unwanted: tuple[str, ...]) -> None:
    absent = next((grant for grant in unwanted if grant not in granted), None)
    if absent is not None:
        shown = ", ".join(repr(held) for held in granted[:10]) or "nothing"
        raise NotFound(
            "not_granted",
            f"{absent!r} is no grant of {plugin}; granted are: {shown}. Name it as it was granted",
            {"plugin": plugin, "item": absent, "granted": list(granted)},
        )


def _without_effect(installation: Installation, requested: Permissions) -> tuple[str, ...]:
    return tuple(
        f"{item} has no effect: {installation.plugin} {installation.version} does not request it"
        for item in installation.granted.items()
        if requested.intersect(Permissions.read([item])).empty
    )


def _not_installed(plugin: str) -> NotFound:
    return NotFound(
        "not_installed", f"{plugin} is not installed: run 'extism-registry install {plugin}'", {"plugin": plugin}
    )
