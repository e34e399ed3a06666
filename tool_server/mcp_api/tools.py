"""tools/list and tools/call as handlers of the SDK's server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import methods
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic_core import from_json

from tool_server.errors import InvalidInput, NotFound
from tool_server.mcp_api.calls import Origin, ToolCalls
from tool_server.mcp_api.client_channels import Clients, input_required
from tool_server.mcp_api.errors import MISSING_CAPABILITY, failed_result, missing_capability, required_capabilities
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.resumption import stream_closed_after
from tool_server.model.call import Pending, ToolResult
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.client import ClientChannel
from tool_server.model.json_value import JsonObject
from tool_server.model.suspended_call import SuspendedCall

BeginTask = Callable[
    [ServerRequestContext[Any, Any], types.CallToolRequestParams], Awaitable[types.CallToolResult | None]
]


class ToolHandlers:
    """The two handlers.

    Args:
        listing: the tools.
        calls: what runs them.
        clients: whose requests they are.
        local: who calls over stdio.
    """

    def __init__(self, listing: Listing, calls: ToolCalls, clients: Clients, local: Caller = LOCAL) -> None:
        self._listing = listing
        self._calls = calls
        self._clients = clients
        self._local = local
        self.begin_task: BeginTask | None = None
        """Makes tasks of some calls, where there are any; see `TaskHandlers.begin`."""

    async def list_tools(
        self, context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """One page, by name."""
        try:
            caller = self._local if context.request is None else context.request.state.caller
            page = self._listing.page(None if params is None else params.cursor, caller.view)
        except InvalidInput as error:
            raise MCPError(types.INVALID_PARAMS, error.message) from error
        # In its wire form, which the SDK takes from any handler and checks: building its types as well costs twice. It
        # leaves `resultType` out again where the client's protocol does not know it.
        result: JsonObject = {"resultType": "complete", "tools": [from_json(tool) for tool in page.tools]}
        if page.next_cursor is not None:
            result["nextCursor"] = page.next_cursor
        return cast(types.ListToolsResult, result)

    async def call_tool(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run one tool, over HTTP for whom the authentication found, over stdio for the local user."""
        if self.begin_task is not None and (begun := await self.begin_task(context, params)) is not None:
            return begun
        arguments, request = params.arguments or {}, context.request
        caller = self._local if request is None else request.state.caller
        call = SuspendedCall("tools/call", params.name, arguments, caller)
        try:
            client = await self._clients.of(context, call)
            result = await self._call(context, call, client)
            if result.pending is not None:
                return await self._input_required(call, result.pending)
            if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
                _refuse_missing_capability(result)
            return wire_result(result)
        except MCPError:
            raise
        except NotFound as error:
            raise MCPError(types.INVALID_PARAMS, error.message) from error
        except Exception as error:
            if isinstance(error, InvalidInput) and error.code == "invalid_request_state":
                data = {"reason": error.code}
                raise MCPError(types.INVALID_PARAMS, error.message, data) from error
            return wire_result(failed_result(error))

    async def _call(
        self, context: ServerRequestContext[Any, Any], call: SuspendedCall, client: ClientChannel
    ) -> ToolResult:
        request = context.request
        origin = Origin(context.meta, None if request is None else request.headers)
        if request is None:
            return await self._calls.call(call.name, call.arguments, call.caller, client, origin)
        if not request.state.watch_client:
            async with stream_closed_after(context, request.state.stream_s):
                return await self._calls.call(call.name, call.arguments, call.caller, client, origin)
        return await self._calls.call_while_connected(
            request.receive, call.name, call.arguments, call.caller, client, origin
        )

    async def _input_required(self, call: SuspendedCall, pending: Pending) -> types.CallToolResult:
        # In its wire form, as any handler may answer.
        result = input_required(pending.requests, await self._calls.state_of(call, pending))
        return cast(types.CallToolResult, result)


def _refuse_missing_capability(result: ToolResult) -> None:
    missing = missing_capability(result)
    if missing is not None:
        raise MCPError(MISSING_CAPABILITY, missing.message, required_capabilities(missing))


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


def serialized_result(result: ToolResult, version: str) -> JsonObject:
    """A tool's result as the SDK sends it in that version of the protocol, without the server's stamp.

    Raises:
        ValidationError: the version has no form for this result.
    """
    try:
        wire = wire_result(result)
    except Exception as error:  # noqa: BLE001 - part of MCP's top-level translation table
        wire = wire_result(failed_result(error))
    dumped = wire.model_dump(by_alias=True, mode="json", exclude_none=True)
    return methods.serialize_server_result("tools/call", version, dumped)
