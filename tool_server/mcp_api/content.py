"""What every question about prompts and resources has in common: who asks, and what becomes of failures."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError

from tool_server.errors import CallFailed, InvalidInput, NotFound, ToolServerError
from tool_server.mcp_api.calls import ToolCalls
from tool_server.mcp_api.client_channels import Clients, input_required
from tool_server.mcp_api.errors import MISSING_CAPABILITY, required_capabilities
from tool_server.mcp_api.lane.requests import MODERN
from tool_server.model.call import Pending
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.client import ClientChannel
from tool_server.model.json_value import JsonObject
from tool_server.model.suspended_call import SuspendedCall

RESOURCE_NOT_FOUND = -32002
"""MCP's code up to 2025-11-25; since 2026-07-28 it is that of invalid parameters."""

Context = ServerRequestContext[Any, Any]
T = TypeVar("T")

logger = logging.getLogger(__name__)


class PluginContent(Protocol):
    """The plugins' prompts, resources and completions."""

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str], caller: Caller, client: ClientChannel
    ) -> JsonObject | Pending:
        """See `PluginContentService.get_prompt`."""
        ...

    async def read_resource(self, uri: str, caller: Caller, client: ClientChannel) -> JsonObject | Pending:
        """See `PluginContentService.read_resource`."""
        ...

    async def complete_prompt(
        self, name: str, argument: str, value: str, context: Mapping[str, str], caller: Caller
    ) -> JsonObject:
        """See `PluginContentService.complete_prompt`."""
        ...

    async def complete_template(
        self, template: str, argument: str, value: str, context: Mapping[str, str], caller: Caller
    ) -> JsonObject:
        """See `PluginContentService.complete_template`."""
        ...


class Asking:
    """Answers requests for their callers, over HTTP for as long as the client is there.

    Args:
        calls: knows which clients hang up, and keeps what waits for their answers.
        clients: whose requests they are.
        local: who asks over stdio.
    """

    def __init__(self, calls: ToolCalls, clients: Clients, local: Caller = LOCAL) -> None:
        self._calls = calls
        self._clients = clients
        self._local = local

    def caller_of(self, context: Context) -> Caller:
        """Whom the authentication found, over stdio the local user."""
        return self._local if context.request is None else context.request.state.caller

    async def answer(self, context: Context, work: Awaitable[JsonObject]) -> JsonObject:
        """What the work gives, as a complete result of MCP.

        Raises:
            MCPError: it failed.
        """
        try:
            return {"resultType": "complete", **await self._while_connected(context, work)}
        except Exception as error:
            raise failed_request(error, context.protocol_version) from error

    async def answer_call(
        self,
        context: Context,
        call: SuspendedCall,
        ask: Callable[[ClientChannel], Awaitable[JsonObject | Pending]],
    ) -> JsonObject:
        """What a plugin that may ask its client gives, as a complete result of MCP or as its questions.

        Raises:
            MCPError: it failed.
        """
        try:
            client = await self._clients.of(context, call)
            result = await self._while_connected(context, ask(client))
            if isinstance(result, Pending):
                return input_required(result.requests, await self._calls.state_of(call, result))
            return {"resultType": "complete", **result}
        except Exception as error:
            raise failed_request(error, context.protocol_version) from error

    async def _while_connected(self, context: Context, work: Awaitable[T]) -> T:
        request = context.request
        if request is None or not request.state.watch_client:
            return await work
        done: list[T] = []

        async def keep() -> None:
            done.append(await work)

        await self._calls.while_connected(request.receive, keep(), None)
        if not done:
            raise MCPError(types.INTERNAL_ERROR, "the client has gone")
        return done[0]


def failed_request(error: Exception, version: str) -> MCPError:
    """MCP's translation table for requests that have no result of their own for a failure: all but `tools/call`."""
    match error:
        case MCPError():
            return error
        case NotFound() if error.code == "unknown_resource":
            code = types.INVALID_PARAMS if version == MODERN else RESOURCE_NOT_FOUND
            return MCPError(code, error.message, {**_described("not_found", error), "uri": error.data.get("uri")})
        case InvalidInput() if error.code == "invalid_request_state":
            return MCPError(types.INVALID_PARAMS, error.message, {"reason": error.code})
        case NotFound() | InvalidInput():
            kind = "not_found" if isinstance(error, NotFound) else "invalid_input"
            return MCPError(types.INVALID_PARAMS, error.message, _described(kind, error))
        case ToolServerError() if (
            error.code == "client_cannot_be_asked" and version == MODERN and error.data.get("missing")
        ):
            return MCPError(MISSING_CAPABILITY, error.message, required_capabilities(error))
        case CallFailed():
            return MCPError(types.INTERNAL_ERROR, error.message, _described("call_failed", error))
        case ToolServerError():
            return MCPError(types.INTERNAL_ERROR, error.message, _described(type(error).__name__.lower(), error))
        case _:
            log_id = uuid4().hex[:12]
            logger.error("internal error %s", log_id, exc_info=error)
            text = f"internal error: the server's log has the details under {log_id}"
            return MCPError(types.INTERNAL_ERROR, text, {"kind": "internal", "code": "internal_error"})


def _described(kind: str, error: ToolServerError) -> dict[str, Any]:
    return {"kind": kind, "code": error.code, "data": error.data}
