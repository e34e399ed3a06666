"""Grants: what an operator allows to an installed plugin, beside what it requests and what it therefore gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tool_server.errors import NotFound
from tool_server.interfaces import PluginStore
from tool_server.model.caller import Caller, Scope
from tool_server.model.folder_permission import FolderRoots
from tool_server.model.names import check_plugin_name
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, Release


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

    async def list_grants(self, caller: Caller) -> tuple[PluginGrants, ...]:
        """Of all installations, by plugin name.

        Raises:
            Denied: `missing_scope`.
        """
        caller.require(Scope.ADMIN)
        return tuple([await self._described(installation) for installation in await self._plugins.list_installed()])

    async def show(self, plugin: str, caller: Caller) -> PluginGrants:
        """Of one installation.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        installation = await self._plugins.get_installation(check_plugin_name(plugin))
        return await self._described(_existing(plugin, installation))

    async def add(self, plugin: str, permissions: Permissions, caller: Caller) -> GrantChange:
        """Grant these too; what the plugin does not request is kept and has no effect.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`; `invalid_permission`, naming the item; `too_many_permissions`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        added = permissions.normalised()
        return await self._change(plugin, lambda granted: granted.joined(added))

    async def remove(self, plugin: str, permissions: Permissions, caller: Caller) -> GrantChange:
        """Take back exactly these grants.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`, `invalid_permission`.
            NotFound: `not_installed`; `not_granted`, with the grants there are. Nothing has changed then.
        """
        caller.require(Scope.ADMIN)
        unwanted = permissions.normalised().items()

        def without(granted: Permissions) -> Permissions:
            _require_granted(plugin, granted.items(), unwanted)
            return granted.excluding(unwanted)

        return await self._change(plugin, without)

    async def clear(self, plugin: str, caller: Caller) -> GrantChange:
        """Take back all grants.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_name`.
            NotFound: `not_installed`.
        """
        caller.require(Scope.ADMIN)
        return await self._change(plugin, lambda _: Permissions())

    async def _change(self, plugin: str, change: Callable[[Permissions], Permissions]) -> GrantChange:
        def changed(current: Installation | None) -> Installation:
            installation = _existing(plugin, current)
            return installation.model_copy(update={"granted": change(installation.granted)})

        before, after = await self._plugins.change_installation(check_plugin_name(plugin), changed)
        if after != before:
            await self._on_change()
        return GrantChange(await self._described(after), after != before)

    async def _described(self, installation: Installation) -> PluginGrants:
        return self._shown(installation, await self._plugins.get_version(installation.plugin, installation.version))

    def _shown(self, installation: Installation, release: Release) -> PluginGrants:
        requested, granted = release.manifest.permissions, installation.granted
        allowed = requested.intersect(granted)
        wasi = release.program.wasi
        folders = self._roots.folders(allowed.folder_permissions) if wasi else ()
        reachable = tuple(f"{folder.guest}:{'write' if folder.write else 'read'}" for folder in folders)
        return PluginGrants(
            plugin=installation.plugin,
            version=installation.version,
            # As it is understood: a name that only looks like another one shows its A-labels.
            requested=requested.without(Permissions()),
            granted=granted,
            effective=allowed.model_copy(update={"filesystem": reachable}),
            missing=requested.without(granted),
            notes=(*_without_effect(installation, requested), *self._folder_notes(allowed, wasi)),
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


def _existing(plugin: str, installation: Installation | None) -> Installation:
    if installation is None:
        raise NotFound(
            "not_installed", f"{plugin} is not installed: run 'extism-registry install {plugin}'", {"plugin": plugin}
        )
    return installation
