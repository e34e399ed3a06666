"""tools/list and tools/call over the catalogue."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic_core import from_json

from tool_server.mcp_api.errors import failed_result
from tool_server.mcp_api.hang_up import HangUpWatch
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.model.call import ToolResult
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.catalog import Catalog
from tool_server.model.json_value import JsonObject

PAGE_SIZE = 1_000
"""Tools on one page. Many clients read only the first."""

KEPT_PAGES = 4
"""Pages kept in their parsed form; each of a thousand tools takes a few megabytes."""

Invoke = Callable[[str, JsonObject, Caller], Awaitable[ToolResult]]


class ToolHandlers:
    """The two handlers. What a page shows is parsed once for each snapshot of the catalogue, while it is asked for."""

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
        self._pages_of: Catalog | None = None
        self._pages: OrderedDict[str, JsonObject] = OrderedDict()
        self._tracer = tracer

    async def list_tools(
        self, context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """One page, by name. The cursor names the last tool before it, so pages stay right when tools come and go."""
        after = _decode_cursor(params.cursor) if params is not None and params.cursor is not None else ""
        # In its wire form, which the SDK takes from any handler and checks: building its types as well costs twice.
        return cast(types.ListToolsResult, self._page(after))

    def _page(self, after: str) -> JsonObject:
        catalog = self._catalog()
        if catalog is not self._pages_of:
            self._pages.clear()
            self._pages_of = catalog
        page = self._pages.get(after)
        if page is None:
            page = self._pages[after] = read_page(catalog, after, self._page_size)
        self._pages.move_to_end(after)
        if len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)
        return page

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
        tool = self._catalog().find(name)
        return from_json(tool.listing)["inputSchema"] if tool is not None and tool.needs_headers else None


def read_page(catalog: Catalog, after: str, size: int) -> JsonObject:
    """The `tools/list` result with at most `size` tools, those after the name `after`, as on the wire."""
    page = catalog.listings(after, size)
    # The SDK leaves `resultType` out again where the client's protocol does not know it.
    result: JsonObject = {"resultType": "complete", "tools": [from_json(listing) for _, listing in page]}
    if page and catalog.has_after(page[-1][0]):
        result["nextCursor"] = _encode_cursor(page[-1][0])
    return result


def caller_of(context: ServerRequestContext[Any, Any]) -> Caller:
    """Who sent this request: over HTTP whom the authentication found, over stdio the local user."""
    return LOCAL if context.request is None else context.request.state.caller


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
