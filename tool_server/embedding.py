"""The product inside a Python program: one plugin, or the whole server as an ASGI application."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from tool_server.bootstrap.host_functions import open_host_functions
from tool_server.bootstrap.sandbox import open_pool, open_validation, shared_folders
from tool_server.bootstrap.services import Services, SystemClock, build, publish_limits
from tool_server.config import Config, LoadedConfig
from tool_server.errors import CallFailed, NotFound, ToolServerError, Unavailable
from tool_server.inspection.manifest_files import load_plugin_folder
from tool_server.model.call import CallRecord, ToolResult
from tool_server.model.caller import LOCAL
from tool_server.model.catalog import CatalogEntry
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Release
from tool_server.model.tool import ToolDefinition
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.validation import ValidatorPool
from tool_server.services.catalog import entries_of
from tool_server.services.host_functions import HostFunction
from tool_server.services.invoke import InvokeService
from tool_server.services.nested_calls import NestedCalls
from tool_server.services.publish import examine

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LoadedPlugin:
    """A plugin ready to be called. Made by `load_plugin`."""

    def __init__(self, release: Release, entries: Mapping[str, CatalogEntry], invoke: InvokeService) -> None:
        self._release = release
        self._entries = entries
        self._invoke = invoke

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self._release.plugin

    @property
    def version(self) -> str:
        """The plugin's semantic version."""
        return self._release.version

    @property
    def tools(self) -> Mapping[str, ToolDefinition]:
        """The tools by their own names (without the plugin's), with schemas and examples."""
        return MappingProxyType({name: entry.definition for name, entry in self._entries.items()})

    async def call(self, tool: str, arguments: JsonObject | None = None) -> JsonValue:
        """Call one tool and return its value.

        Args:
            tool: the tool's own name, such as `"count_words"`.
            arguments: a JSON object; checked against the tool's input schema, its defaults filled in.

        Returns:
            The structured output, an object that fits the tool's output schema; for a tool without one, its text.

        Raises:
            NotFound: `unknown_tool`.
            InvalidInput: `invalid_arguments`, the message naming path, expected and got.
            CallFailed: the guest failed (`trap`, `timeout`, `out_of_memory`, `guest_error` …), or the tool itself
                answered with an error (`tool_error`).
            Unavailable: `busy`.
        """
        result = await self.call_tool(tool, arguments)
        text = "\n".join(str(block["text"]) for block in result.content if block.get("type") == "text")
        if result.is_error:
            raise CallFailed("tool_error", text or f"{tool} answered with an error")
        return text if result.structured is None else result.structured

    async def call_tool(self, tool: str, arguments: JsonObject | None = None) -> ToolResult:
        """Call one tool and return all of its content: text, images, embedded resources.

        Raises: as `call`, but for `tool_error`, which is the result's `is_error`.
        """
        if tool not in self._entries:
            raise NotFound(
                "unknown_tool",
                f"{self.name} has no tool {tool[:100]!r}; it has: {', '.join(self._entries) or 'none'}",
            )
        return await self._invoke.call(tool, arguments or {}, LOCAL)


@asynccontextmanager
async def load_plugin(
    path_or_name: str | os.PathLike[str],
    *,
    permissions: Permissions | None = None,
    limits: Limits | None = None,
    config: Config | None = None,
    host_functions: Sequence[HostFunction] = (),
) -> AsyncGenerator[LoadedPlugin]:
    """Run a plugin in worker processes of its own while the block lasts.

    Args:
        path_or_name: a folder with a plugin.json, that file, or a `.wasm` file; else the name of a plugin (`name`
            or `name@range`) published in the data folder.
        permissions: what is granted; the plugin gets what it also requests. Nothing by default.
        limits: ceilings for each call, below those of the configuration.
        config: by default from `tool-server.toml` and the environment.
        host_functions: what this program offers to the plugin, where `permissions` grants it.

    Example:
        ```python
        async with load_plugin("plugins/text") as plugin:
            await plugin.call("count_words", {"text": "one two"})
        ```

    Raises:
        InvalidInput: the plugin's manifest, module or tools break a rule, what is granted is no permission, or two host
            functions have the same name.
        NotFound: there is no such file, plugin or version.
        Unavailable: the data folder or the sandbox cannot be used.
    """
    settings = LoadedConfig.load(os.environ).config if config is None else config
    async with AsyncExitStack() as stack:
        path = Path(path_or_name)
        if await anyio.Path(path).exists() or path.suffix in (".wasm", ".json"):
            nested = NestedCalls(settings.limits.nested_calls)
            release, pool, validation = await _from_files(path, settings, stack, nested, host_functions)
        else:
            nested = None
            services = await stack.enter_async_context(build(settings, host_functions=host_functions))
            name, _, requested = str(path_or_name)[1:].partition("@")
            release = await services.browse.release(str(path_or_name)[:1] + name, requested, LOCAL)
            pool, validation = services.pool, services.validation
        ceiling = settings.limits.ceiling()
        entries = {
            entry.definition.name: entry
            for entry in entries_of(
                release,
                (permissions or Permissions()).normalised(),
                settings.limits.defaults(),
                ceiling if limits is None else limits.capped_by(ceiling),
            )
        }

        by_mcp_name = {entry.name: entry for entry in entries.values()}

        async def find(name: str) -> CatalogEntry | None:
            return entries.get(name) or by_mcp_name.get(name)

        invoke = InvokeService(
            *(find, pool, validation, _Unrecorded(), SystemClock(), os.environ),
            shared_folders(settings),
            frozenset(settings.sandbox.reuse),
        )
        if nested is not None:
            nested.connect(invoke.call)
        yield LoadedPlugin(release, entries, invoke)


async def _from_files(
    path: Path, settings: Config, stack: AsyncExitStack, nested: NestedCalls, host_functions: Sequence[HostFunction]
) -> tuple[Release, WorkerPool, ValidatorPool]:
    source = await anyio.to_thread.run_sync(lambda: load_plugin_folder(path, max_wasm_bytes=settings.limits.wasm))

    async def read(digest: str) -> bytes:
        return source.wasm

    functions = await stack.enter_async_context(
        open_host_functions(settings.egress, _no_secrets, SystemClock(), nested, host_functions)
    )
    pool = await stack.enter_async_context(open_pool(settings, read, functions))
    validation = await stack.enter_async_context(open_validation(settings))
    release = await examine(
        *(source.manifest, source.wasm, pool, validation),
        *(publish_limits(settings), SystemClock(), LOCAL.name, source.findings),
    )
    return release, pool, validation


async def _no_secrets(name: str) -> None:
    """A plugin run from its files has no data folder, and so no secrets."""


class _Unrecorded:
    """Embedded calls belong to the program that makes them: there is no call log to write."""

    def require_room(self) -> None:
        """There is always room."""

    def record(self, record: CallRecord) -> None:
        """Keep nothing."""


class ToolServer:
    """The whole server as an ASGI application: MCP at `/mcp`, the registry's REST API beside it.

    The application must be run with its lifespan, which opens the data folder and ends the workers:

        ```python
        app = ToolServer(Config(data_dir=Path("data")))      # uvicorn module:app
        ```

    Args:
        config: by default from `tool-server.toml` and the environment.
        host_functions: what this program offers to plugins, where an operator grants it.
    """

    def __init__(self, config: Config | None = None, host_functions: Sequence[HostFunction] = ()) -> None:
        self._config = LoadedConfig.load(os.environ).config if config is None else config
        self._host_functions = host_functions
        self._services: Services | None = None
        self._app: ASGIApp | None = None

    @property
    def services(self) -> Services:
        """The services, while the application runs.

        Raises:
            Unavailable: `not_running`, outside the lifespan.
        """
        if self._services is None:
            raise Unavailable("not_running", "the server is not running: run the application with its lifespan")
        return self._services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._app is None:
            raise Unavailable("not_running", "the server is not running: run the application with its lifespan")
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            try:
                services = await stack.enter_async_context(build(self._config, host_functions=self._host_functions))
            except ToolServerError as error:
                # An exception would mean that this application has no lifespan, and it would be served without one.
                await receive()
                await send({"type": "lifespan.startup.failed", "message": error.message})
                return
            # Here, for a plugin needs neither the HTTP framework nor the MCP SDK.
            from tool_server.bootstrap.http import http_application

            self._services = services
            self._app = http_application(services, port=self._config.port).app
            try:
                await self._app(scope, receive, send)
            finally:
                self._services = self._app = None
