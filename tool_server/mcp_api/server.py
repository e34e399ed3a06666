"""The MCP server on the SDK's low-level Server: handlers, capabilities, change notices, both transports."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import anyio
from mcp.server import ServerRequestContext
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tool_server.mcp_api.calls import Invoke, ToolCalls
from tool_server.mcp_api.completions import CompletionHandler
from tool_server.mcp_api.content import Asking, PluginContent
from tool_server.mcp_api.lane.answers import NAME, Answers, ServerInfo
from tool_server.mcp_api.lane.http import Doors, HttpLane
from tool_server.mcp_api.lane.requests import MODERN
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.notices import Notices
from tool_server.mcp_api.prompts import PromptHandlers
from tool_server.mcp_api.resources import ResourceHandlers
from tool_server.mcp_api.subscriptions import Subscriptions
from tool_server.mcp_api.tools import ToolHandlers
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.mcp_api.view_choice import with_chosen_view
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.catalog import Catalog

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
class HttpSettings:
    """What the Streamable HTTP endpoint accepts."""

    allowed_hosts: Sequence[str]
    """Host header values; `name:*` takes any port."""
    allowed_origins: Sequence[str]
    max_body_bytes: int
    lane: bool = True
    """Whether plain requests are answered in front of the SDK; without, every one goes through it."""


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
        content: the plugins' prompts and resources.
        version: the server's.
        tracer: traces calls.
        local: who calls over stdio; over HTTP it is whom the authentication found.
    """

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        invoke: Invoke,
        content: PluginContent,
        version: str,
        tracer: CallTracer = NO_TRACER,
        local: Caller = LOCAL,
    ) -> None:
        self._listing = Listing(catalog)
        self._calls = ToolCalls(invoke, tracer)
        self._answers = Answers(MODERN, ServerInfo(NAME, NAME, version))
        self.lane: HttpLane | None = None
        """What stands in front of the SDK, once `http_app` was called with it."""
        handlers = ToolHandlers(self._listing, self._calls, local)
        asking = Asking(self._calls, local)
        prompts, resources = (
            PromptHandlers(self._listing, content, asking),
            ResourceHandlers(self._listing, content, asking),
        )
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._subscriptions = Subscriptions(self._listing, asking, self._listen)
        self._handshake_session: ServerSession | None = None
        self.notices = Notices(catalog, self._bus, self._subscriptions, self._handshake_sessions)
        """Tells clients what has changed."""
        self._server: Server[Any] = Server(
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
            on_completion=CompletionHandler(content, asking).complete,
            on_subscribe_resource=self._subscriptions.subscribe,
            on_unsubscribe_resource=self._subscriptions.unsubscribe,
            on_subscriptions_listen=self._subscriptions.listen,
            get_tool_input_schema=self._listing.input_schema_with_headers,
        )
        # The SDK's tracing middleware: making its spans costs as much as checking a call, wanted or not.
        self._server.middleware.clear()

    def http_app(self, settings: HttpSettings) -> ASGIApp:
        """The Streamable HTTP endpoint, both eras, without sessions.

        Its lifespan must be entered, and `watching_clients` beside it. Which path leads here is the caller's choice.
        """
        application = self._server.streamable_http_app(
            # A call's answer as one JSON document costs half of an event stream; subscriptions stream all the same.
            json_response=True,
            stateless_http=True,
            max_request_body_size=settings.max_body_bytes,
            transport_security=TransportSecuritySettings(
                allowed_hosts=list(settings.allowed_hosts), allowed_origins=list(settings.allowed_origins)
            ),
        )
        endpoint = StreamableHTTPASGIApp(self._server.session_manager)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            # The SDK's application routes one path; its router and error pages are not worth their time here.
            if scope["type"] != "http":
                await application(scope, receive, send)
            elif scope["method"] == "POST":
                with self._listing.seen_by(scope["state"]["caller"].view):
                    await endpoint(scope, receive, send)
            else:
                # Without sessions there is nothing that a stream opened by GET could carry, or a DELETE could end.
                await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)

        if not settings.lane:
            return with_chosen_view(serve)
        doors = Doors(frozenset(settings.allowed_hosts), frozenset(settings.allowed_origins), settings.max_body_bytes)
        self.lane = HttpLane(serve, doors, self._listing, self._calls, self._answers)
        return with_chosen_view(self.lane)

    def watching_clients(self) -> AbstractAsyncContextManager[None]:
        """Stops the calls of HTTP clients that hang up, while the block runs."""
        return self._calls.watching_clients()

    def close_subscriptions(self) -> None:
        """End every open `subscriptions/listen` stream gracefully."""
        self._listen.close()

    async def serve_lines(self, lines: AsyncIterable[str], output: LineOutput) -> None:
        """Serve one client whose messages arrive as lines, until they end."""
        self._server.middleware.append(self._remember_handshake_session)
        options = self._server.create_initialization_options(ALL_LISTS)
        # The SDK asks no more of its two files than these have.
        given, wanted = cast("anyio.AsyncFile[str]", lines), cast("anyio.AsyncFile[str]", output)
        try:
            async with stdio_server(stdin=given, stdout=wanted) as (read_stream, write_stream):
                await self._server.run(read_stream, write_stream, options)
        finally:
            self._handshake_session = None

    def _handshake_sessions(self) -> Sequence[ServerSession]:
        return () if self._handshake_session is None else (self._handshake_session,)

    async def _remember_handshake_session(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "notifications/initialized":
            self._handshake_session = ctx.session
        return result
