"""tools/list and tools/call over the catalogue."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError

from tool_server.mcp_api.errors import failed_result
from tool_server.mcp_api.hang_up import HangUpWatch
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.model.call import ToolResult
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.catalog import Catalog, CatalogEntry
from tool_server.model.json_value import JsonObject, canonical_json

PAGE_SIZE = 1_000
"""Tools on one page. Many clients read only the first."""

HEADER_KEYWORD = b'"x-mcp-header"'

Invoke = Callable[[str, JsonObject, Caller], Awaitable[ToolResult]]


class ToolHandlers:
    """The two handlers. The wire form of every tool is made once for each snapshot of the catalogue."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        invoke: Invoke,
        hang_up: HangUpWatch,
        page_size: int = PAGE_SIZE,
        tracer: CallTracer = NO_TRACER,
    ) -> None:
        self._catalog = catalog
        self._invoke = invoke
        self._hang_up = hang_up
        self._page_size = page_size
        self._tracer = tracer
        self._made_for: Catalog | None = None
        self._tools: list[types.Tool] = []
        self._with_headers: dict[str, JsonObject] = {}

    async def list_tools(
        self, context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """One page, by name. The cursor names the last tool before it, so pages stay right when tools come and go."""
        tools = self._current_tools()
        start = 0
        if params is not None and params.cursor is not None:
            after = _decode_cursor(params.cursor)
            start = next((index for index, tool in enumerate(tools) if tool.name > after), len(tools))
        page = tools[start : start + self._page_size]
        more = start + self._page_size < len(tools)
        return types.ListToolsResult(tools=page, next_cursor=_encode_cursor(page[-1].name) if more else None)

    async def call_tool(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run one tool; every failure but an unknown tool is a result with `isError`."""
        headers = None if context.request is None else context.request.headers
        with self._tracer.call(params.name, context.meta, headers):
            return await self._call_tool(context, params)

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        try:
            call = partial(self._invoke, params.name, params.arguments or {}, caller_of(context))
            if context.request is None:
                return wire_result(await call())
            result = await self._hang_up.run(context.request, call)
            return types.CallToolResult(content=[], is_error=True) if result is None else wire_result(result)
        except Exception as error:  # noqa: BLE001 - MCP's top-level translation table
            return failed_result(error)

    def input_schema(self, name: str) -> JsonObject | None:
        """The input schema of a tool with parameters in `Mcp-Param-*` headers, for the SDK's check; else None."""
        self._current_tools()
        return self._with_headers.get(name)

    def _current_tools(self) -> list[types.Tool]:
        catalog = self._catalog()
        if catalog is not self._made_for:
            self._tools = [wire_tool(entry) for entry in catalog.entries.values()]
            self._with_headers = {
                name: entry.definition.input_schema
                for name, entry in catalog.entries.items()
                if HEADER_KEYWORD in canonical_json(entry.definition.input_schema)
            }
            self._made_for = catalog
        return self._tools


def caller_of(context: ServerRequestContext[Any, Any]) -> Caller:
    """Who sent this request: over HTTP whom the authentication found, over stdio the local user."""
    return LOCAL if context.request is None else context.request.state.caller


def wire_tool(entry: CatalogEntry) -> types.Tool:
    """A catalogue entry as MCP's Tool."""
    definition = entry.definition
    hints = definition.annotations.model_dump(exclude_none=True)
    return types.Tool(
        name=entry.name,
        title=definition.title,
        description=definition.description or None,
        input_schema=definition.input_schema,
        output_schema=definition.output_schema,
        annotations=types.ToolAnnotations.model_validate(hints) if hints else None,
        _meta={"tool-server/plugin": entry.plugin, "tool-server/version": entry.version},
    )


def wire_result(result: ToolResult) -> types.CallToolResult:
    """A tool's result as MCP's CallToolResult."""
    if len(result.content) == 1 and result.content[0].keys() == {"type", "text"}:
        # Almost every result; building the block directly spares the validation of a union.
        content: list[types.ContentBlock] = [types.TextContent(text=str(result.content[0]["text"]))]
    else:
        content = types.CallToolResult.model_validate({"content": list(result.content)}).content
    return types.CallToolResult(
        content=content,
        structured_content=result.structured,
        is_error=result.is_error,
        _meta=result.meta,
    )


def _encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise MCPError(types.INVALID_PARAMS, "this cursor is not one of this server's: list from the start") from error
