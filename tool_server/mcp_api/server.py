"""The MCP server on the SDK's low-level Server: handlers, capabilities, change notices, both transports."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import anyio
import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from starlette.types import ASGIApp, Receive, Scope, Send

from tool_server.mcp_api.calls import Invoke, Keeper, ToolCalls
from tool_server.mcp_api.client_channels import Clients, Waiting
from tool_server.mcp_api.completions import CompletionHandler
from tool_server.mcp_api.content import Asking, PluginContent
from tool_server.mcp_api.http_endpoint import HttpEndpoint, HttpSettings
from tool_server.mcp_api.lane.answers import NAME, ServerInfo
from tool_server.mcp_api.lane.http import Doors, HttpLane
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.notices import Notices
from tool_server.mcp_api.prompts import PromptHandlers
from tool_server.mcp_api.resources import ResourceHandlers
from tool_server.mcp_api.sessions import STDIO, ClientSessions
from tool_server.mcp_api.subscriptions import Subscriptions
from tool_server.mcp_api.tasks import TaskHandlers, Tasks
from tool_server.mcp_api.tools import ToolHandlers
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.mcp_api.view_choice import with_chosen_view
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.catalog import Catalog

MAX_CLIENTS = 100_000
"""Clients of the handshake era that are remembered: more than may have sessions."""

INSTRUCTIONS = (
    "Each tool runs in a sandbox. Arguments are checked against the tool's schema; when a call is refused, the "
    "message names the path, what was expected and what was got, so correct the arguments and call again."
)


ALL_LISTS = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
"""Of every list clients are told when it changes."""

_CACHEABLE: tuple[CacheableMethod, ...] = (
    *("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"),
)


@dataclass(frozen=True, slots=True)
class AskingBounds:
    """How calls may wait for their clients' answers."""

    calls: int = 1_000
    """Calls that wait at once for clients of the handshake era."""
    seconds: float = 600.0
    """How long each waits."""


class LineOutput(Protocol):
    """Where the SDK writes messages over stdio."""

    async def write(self, text: str) -> None:
        """One message with the line's end."""
        ...

    async def flush(self) -> None:
        """Send what was written."""
        ...


class McpServer:
    """One MCP server for all clients of this process.

    Args:
        catalog: the snapshot in force.
        invoke: runs a tool.
        keeper: hands calls that wait for answers to their clients.
        content: the plugins' prompts and resources.
        version: the server's.
        asking: bounds of such waiting.
        tracer: traces calls.
        local: who calls over stdio; over HTTP it is whom the authentication found.
        tasks: the tasks, for clients that can follow them; None: there are none.
    """

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        invoke: Invoke,
        keeper: Keeper,
        content: PluginContent,
        version: str,
        *,
        asking: AskingBounds = AskingBounds(),
        tracer: CallTracer = NO_TRACER,
        local: Caller = LOCAL,
        tasks: Tasks | None = None,
    ) -> None:
        self._listing = Listing(catalog)
        self._calls = ToolCalls(invoke, keeper, tracer)
        self._info = ServerInfo(NAME, NAME, version)
        self.lane: HttpLane | None = None
        """What stands in front of the SDK, once `http_app` was called with it."""
        self._endpoint: HttpEndpoint | None = None
        self._sessions = ClientSessions(MAX_CLIENTS)
        self._local = local
        self.waiting = Waiting(asking.calls, asking.seconds)
        """The calls that wait for clients of the handshake era."""
        clients = Clients(self._calls, self._sessions, self.waiting)
        handlers = ToolHandlers(self._listing, self._calls, clients, local)
        asking_plugins = Asking(self._calls, clients, local)
        prompts = PromptHandlers(self._listing, content, asking_plugins)
        resources = ResourceHandlers(self._listing, content, asking_plugins)
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._subscriptions = Subscriptions(self._listing, asking_plugins, self._listen, self._sessions)
        self.notices = Notices(catalog, self._bus, self._sessions)
        """Tells clients what has changed."""
        self._server: Server[Any] = _Server(
            NAME,
            version=version,
            title=NAME,
            instructions=INSTRUCTIONS,
            cache_hints=dict.fromkeys(_CACHEABLE, CacheHint(ttl_ms=0, scope="private")),
            on_list_tools=handlers.list_tools,
            on_call_tool=handlers.call_tool,
            on_list_prompts=prompts.list_prompts,
            on_get_prompt=prompts.get_prompt,
            on_list_resources=resources.list_resources,
            on_list_resource_templates=resources.list_templates,
            on_read_resource=resources.read_resource,
            on_completion=CompletionHandler(content, asking_plugins).complete,
            on_subscribe_resource=self._subscriptions.subscribe,
            on_unsubscribe_resource=self._subscriptions.unsubscribe,
            on_subscriptions_listen=self._subscriptions.listen,
            get_tool_input_schema=self._listing.input_schema_with_headers,
        )
        # The SDK's tracing middleware: making its spans costs as much as checking a call, wanted or not.
        self._server.middleware.clear()
        self._server.middleware.append(self._greet)
        self._server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self._set_level)
        if tasks is not None:
            extension = TaskHandlers(tasks, self._listing, self._calls, clients, local)
            extension.register(self._server)
            handlers.begin_task = extension.begin

    def http_app(self, settings: HttpSettings) -> ASGIApp:
        """The Streamable HTTP endpoint, both eras. Which path leads here is the caller's choice.

        Its lifespan must be entered, and `watching_clients` beside it.
        """
        endpoint = self._endpoint = HttpEndpoint(self._server, settings, self._listing, self._sessions)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await _live(endpoint, receive, send)
            else:
                await endpoint(scope, receive, send)

        if not settings.lane:
            return with_chosen_view(serve)
        doors = Doors(frozenset(settings.allowed_hosts), frozenset(settings.allowed_origins), settings.max_body_bytes)
        self.lane = HttpLane(serve, doors, self._listing, self._calls, self._info, self._sessions)
        return with_chosen_view(self.lane)

    def watching_clients(self) -> AbstractAsyncContextManager[None]:
        """Stops the calls of HTTP clients that hang up, while the block runs."""
        return self._calls.watching_clients()

    def close_subscriptions(self) -> None:
        """End what would go on while the server stops: streams of notices, and calls that wait for their clients."""
        self._listen.close()
        self.waiting.end()
        if self._endpoint is not None:
            self._endpoint.close_streams()

    async def serve_lines(self, lines: AsyncIterable[str], output: LineOutput) -> None:
        """Serve one client whose messages arrive as lines, until they end."""
        # The SDK asks no more of its two files than these have.
        given, wanted = cast("anyio.AsyncFile[str]", lines), cast("anyio.AsyncFile[str]", output)
        self._sessions.open(STDIO, self._local.name)
        try:
            async with stdio_server(stdin=given, stdout=wanted) as (read_stream, write_stream):
                await self._server.run(read_stream, write_stream, self._server.create_initialization_options())
        finally:
            self._sessions.close(STDIO)

    async def _greet(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "notifications/initialized":
            self._sessions.ready(ctx)
        return result

    async def _set_level(
        self, context: ServerRequestContext[Any, Any], params: types.SetLevelRequestParams
    ) -> types.EmptyResult:
        client = self._sessions.of(context)
        if client is not None:
            client.level = params.level
        return types.EmptyResult()


class _Server(Server[Any]):
    """The SDK's, but that it says at every greeting which lists may change, since clients are told."""

    def create_initialization_options(self, *args: Any, **options: Any) -> InitializationOptions:
        """See the SDK's."""
        return super().create_initialization_options(ALL_LISTS, *args[1:], **options)


async def _live(endpoint: HttpEndpoint, receive: Receive, send: Send) -> None:
    """ASGI's lifespan of an endpoint."""
    async with endpoint.running():
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
