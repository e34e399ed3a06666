"""What the commands do their work on: the local data folder, or a server after `login`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from tool_server.bootstrap.services import Services, build
from tool_server.cli.context import load_config, run_async
from tool_server.cli.credentials import Credentials, load_credentials
from tool_server.inspection.manifest_files import PluginSource
from tool_server.inspection.offering import ListedTool, listed_tool
from tool_server.model.call import ToolResult
from tool_server.model.caller import LOCAL, Scope, TokenRecord
from tool_server.model.catalog import Catalog
from tool_server.model.json_value import JsonObject
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, PluginSummary, Release, VersionSummary
from tool_server.model.secret import SecretRecord
from tool_server.model.settings import InstallationSettings
from tool_server.model.tool import QuarantinedTool
from tool_server.model.view import View
from tool_server.services.grants import GrantChange, PluginGrants
from tool_server.services.install import Installed
from tool_server.services.publish import Published
from tool_server.services.tokens import NewToken

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the commands act as, and where."""

    where: str
    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """All tools, and those held back as (plugin, tool)."""

    tools: tuple[ListedTool, ...]
    quarantined: tuple[tuple[str, QuarantinedTool], ...]


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """An installation with the MCP names it offers."""

    installation: Installation
    tools: tuple[str, ...]


class Backend(Protocol):
    """The services, near or far. Every method raises the errors of the service it stands for."""

    async def whoami(self) -> Identity: ...
    async def plugins(self, query: str) -> tuple[PluginSummary, ...]: ...
    async def versions(self, plugin: str) -> tuple[VersionSummary, ...]: ...
    async def release(self, plugin: str, requested: str) -> Release: ...
    async def publish(self, source: PluginSource) -> Published: ...
    async def install(self, plugin: str, requested: str, tool_prefix: str | None = None) -> Installed: ...
    async def install_as(
        self, plugin: str, version: str, granted: Permissions, settings: InstallationSettings
    ) -> Installed: ...
    async def update(self, plugin: str) -> Installed: ...
    async def rollback(self, plugin: str) -> Installed: ...
    async def uninstall(self, plugin: str) -> None: ...
    async def installed(self) -> tuple[InstalledPlugin, ...]: ...
    async def list_grants(self) -> tuple[PluginGrants, ...]: ...
    async def show_grants(self, plugin: str) -> PluginGrants: ...
    async def add_grants(self, plugin: str, permissions: Permissions) -> GrantChange: ...
    async def remove_grants(self, plugin: str, permissions: Permissions) -> GrantChange: ...
    async def clear_grants(self, plugin: str) -> GrantChange: ...
    async def set_yanked(self, plugin: str, version: str, yanked: bool, reason: str | None) -> Release: ...
    async def offered(self) -> Offered: ...
    async def call(self, tool: str, arguments: JsonObject) -> ToolResult: ...
    async def create_token(
        self, name: str, scopes: tuple[Scope, ...], lifetime: timedelta | None, view: View
    ) -> NewToken: ...
    async def list_tokens(self) -> tuple[TokenRecord, ...]: ...
    async def revoke_token(self, name_or_id: str) -> TokenRecord: ...
    async def set_secret(self, name: str, value: str, hosts: tuple[str, ...], plain_http: bool) -> SecretRecord: ...
    async def list_secrets(self) -> tuple[SecretRecord, ...]: ...
    async def remove_secret(self, name: str) -> None: ...


class LocalBackend:
    """The services of this process on the local data folder, acting as the local user."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def whoami(self) -> Identity:
        return Identity(str(self._services.config.data_dir), LOCAL.name, tuple(sorted(LOCAL.scopes)))

    async def plugins(self, query: str) -> tuple[PluginSummary, ...]:
        found: list[PluginSummary] = []
        after: str | None = ""
        while after is not None:
            page = await self._services.browse.plugins(LOCAL, query, after=after)
            found += page.items
            after = page.next
        return tuple(found)

    async def versions(self, plugin: str) -> tuple[VersionSummary, ...]:
        return await self._services.browse.versions(plugin, LOCAL)

    async def release(self, plugin: str, requested: str) -> Release:
        return await self._services.browse.release(plugin, requested, LOCAL)

    async def publish(self, source: PluginSource) -> Published:
        return await self._services.publish.publish(source.manifest, source.wasm, LOCAL, source.findings)

    async def install(self, plugin: str, requested: str, tool_prefix: str | None = None) -> Installed:
        return await self._services.install.install(plugin, requested, LOCAL, tool_prefix=tool_prefix)

    async def install_as(
        self, plugin: str, version: str, granted: Permissions, settings: InstallationSettings
    ) -> Installed:
        return await self._services.install.install(plugin, version, LOCAL, granted, settings)

    async def update(self, plugin: str) -> Installed:
        return await self._services.install.update(plugin, LOCAL)

    async def rollback(self, plugin: str) -> Installed:
        return await self._services.install.rollback(plugin, LOCAL)

    async def uninstall(self, plugin: str) -> None:
        await self._services.install.uninstall(plugin, LOCAL)

    async def installed(self) -> tuple[InstalledPlugin, ...]:
        catalog = await self._loaded_catalog()
        found: list[InstalledPlugin] = []
        after: str | None = ""
        while after is not None:
            page = await self._services.browse.installed(LOCAL, after=after)
            found += [InstalledPlugin(item, catalog.tools_of(item.plugin)) for item in page.items]
            after = page.next
        return tuple(found)

    async def list_grants(self) -> tuple[PluginGrants, ...]:
        return await self._services.grants.list_grants(LOCAL)

    async def show_grants(self, plugin: str) -> PluginGrants:
        return await self._services.grants.show(plugin, LOCAL)

    async def add_grants(self, plugin: str, permissions: Permissions) -> GrantChange:
        return await self._services.grants.add(plugin, permissions, LOCAL)

    async def remove_grants(self, plugin: str, permissions: Permissions) -> GrantChange:
        return await self._services.grants.remove(plugin, permissions, LOCAL)

    async def clear_grants(self, plugin: str) -> GrantChange:
        return await self._services.grants.clear(plugin, LOCAL)

    async def set_yanked(self, plugin: str, version: str, yanked: bool, reason: str | None) -> Release:
        return await self._services.browse.set_yanked(plugin, version, yanked, LOCAL, reason)

    async def offered(self) -> Offered:
        catalog = await self._loaded_catalog()
        tools = tuple(listed_tool(tool) for tool in catalog)
        return Offered(tools, catalog.quarantined)

    async def call(self, tool: str, arguments: JsonObject) -> ToolResult:
        await self._loaded_catalog()
        return await self._services.invoke.call(tool, arguments, LOCAL)

    async def _loaded_catalog(self) -> Catalog:
        # Not before it is asked for: most commands touch one plugin, whatever else is installed.
        await self._services.catalog.refresh()
        return self._services.catalog.current

    async def create_token(
        self, name: str, scopes: tuple[Scope, ...], lifetime: timedelta | None, view: View
    ) -> NewToken:
        return await self._services.tokens.create(name, scopes, LOCAL, lifetime, view)

    async def list_tokens(self) -> tuple[TokenRecord, ...]:
        return await self._services.tokens.list_tokens(LOCAL)

    async def revoke_token(self, name_or_id: str) -> TokenRecord:
        return await self._services.tokens.revoke(name_or_id, LOCAL)

    async def set_secret(self, name: str, value: str, hosts: tuple[str, ...], plain_http: bool) -> SecretRecord:
        return await self._services.secrets.set_secret(name, value, hosts, LOCAL, plain_http=plain_http)

    async def list_secrets(self) -> tuple[SecretRecord, ...]:
        return await self._services.secrets.list_secrets(LOCAL)

    async def remove_secret(self, name: str) -> None:
        await self._services.secrets.remove(name, LOCAL)


def open_backend(data_dir: Path | None) -> AbstractAsyncContextManager[Backend]:
    """The server that `login` named; without a login, or with an explicit `--data-dir`, the local data folder.

    Raises:
        InvalidInput: `invalid_config`.
        Unavailable: the data folder or the server cannot be reached.
    """
    credentials = None if data_dir is not None else load_credentials()
    return _local(data_dir) if credentials is None else _remote(credentials)


def with_backend(data_dir: Path | None, work: Callable[[Backend], Awaitable[T]]) -> T:
    """Open the backend in force, do `work` with it, and close it."""

    async def run() -> T:
        async with open_backend(data_dir) as backend:
            return await work(backend)

    return run_async(run)


@asynccontextmanager
async def _local(data_dir: Path | None) -> AsyncGenerator[Backend]:
    async with build(load_config(data_dir).config, load_catalog=False) as services:
        yield LocalBackend(services)


@asynccontextmanager
async def _remote(credentials: Credentials) -> AsyncGenerator[Backend]:
    from tool_server.cli.remote import open_remote

    async with open_remote(credentials) as backend:
        yield backend
