"""The one place where every way into MCP meets the product's `invoke`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tool_server.mcp_api.errors import failed_result
from tool_server.mcp_api.hang_up import HangUpWatch, Receive
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.model.call import ToolResult
from tool_server.model.caller import Caller
from tool_server.model.json_value import JsonObject

Invoke = Callable[[str, JsonObject, Caller], Awaitable[ToolResult]]

T = TypeVar("T")

_NOBODY_THERE = ToolResult((), is_error=True)
"""What is answered to a client that has gone."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request says about the trace it belongs to."""

    meta: Mapping[str, object] | None = None
    headers: Mapping[str, str] | None = None


NO_ORIGIN = Origin()


class ToolCalls:
    """Runs tools for MCP clients, whatever their transport and era."""

    def __init__(self, invoke: Invoke, tracer: CallTracer = NO_TRACER) -> None:
        self._invoke = invoke
        self._tracer = tracer
        self._hang_up = HangUpWatch()
        self.watching_clients = self._hang_up.watching
        """Stops the calls of HTTP clients that hang up, while the block runs."""

    async def call(self, name: str, arguments: JsonObject, caller: Caller, origin: Origin = NO_ORIGIN) -> ToolResult:
        """Run one tool; every failure but one is a result with `isError`.

        Raises:
            NotFound: `unknown_tool`.
        """
        if self._tracer is NO_TRACER:
            return await self._call(name, arguments, caller)
        with self._tracer.call(name, origin.meta, origin.headers):
            return await self._call(name, arguments, caller)

    async def call_while_connected(
        self, receive: Receive, name: str, arguments: JsonObject, caller: Caller, origin: Origin = NO_ORIGIN
    ) -> ToolResult:
        """The same for an HTTP client, stopped when it hangs up. The request's body must have been read."""
        return await self.while_connected(receive, self.call(name, arguments, caller, origin), _NOBODY_THERE)

    async def while_connected(self, receive: Receive, work: Awaitable[T], nobody_there: T) -> T:
        """What the work for an HTTP client gives, or `nobody_there` where it was stopped since the client hung up."""
        watched = self._hang_up.add(receive)
        try:
            return await work
        except asyncio.CancelledError:
            if not watched.take_back():
                raise
            return nobody_there
        finally:
            self._hang_up.remove(watched)

    async def _call(self, name: str, arguments: JsonObject, caller: Caller) -> ToolResult:
        try:
            return await self._invoke(name, arguments, caller)
        except Exception as error:  # noqa: BLE001 - MCP's top-level translation table
            return failed_result(error)
