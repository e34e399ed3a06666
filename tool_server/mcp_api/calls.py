"""The one place where every way into MCP meets the product's `invoke`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tool_server.mcp_api.errors import failed_result
from tool_server.mcp_api.hang_up import HangUpWatch, Receive
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.model.call import Pending, ToolResult
from tool_server.model.caller import Caller
from tool_server.model.client import NO_CLIENT, ClientAnswer, ClientChannel
from tool_server.model.json_value import JsonObject
from tool_server.model.suspended_call import SuspendedCall
from tool_server.model.transcript import Transcript

Invoke = Callable[[str, JsonObject, Caller, ClientChannel], Awaitable[ToolResult]]
"""Runs a tool for a caller, whose client may be asked and told things."""

T = TypeVar("T")

_NOBODY_THERE = ToolResult((), is_error=True)
"""What is answered to a client that has gone."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request says about the trace it belongs to."""

    meta: Mapping[str, object] | None = None
    headers: Mapping[str, str] | None = None


NO_ORIGIN = Origin()


class Keeper(Protocol):
    """Hands calls that wait for answers to their clients."""

    async def keep(self, call: SuspendedCall, transcript: Transcript) -> str:
        """See `SuspendedCalls.keep`."""
        ...

    async def resume(self, call: SuspendedCall, state: str, answers: Mapping[str, ClientAnswer]) -> Transcript:
        """See `SuspendedCalls.resume`."""
        ...


class ToolCalls:
    """Runs tools for MCP clients, whatever their transport and era.

    Args:
        invoke: runs a tool.
        keeper: hands calls that wait for answers to their clients, and takes them back.
        tracer: traces calls.
    """

    def __init__(self, invoke: Invoke, keeper: Keeper, tracer: CallTracer = NO_TRACER) -> None:
        self._invoke = invoke
        self._keeper = keeper
        self._tracer = tracer
        self._hang_up = HangUpWatch()
        self.watching_clients = self._hang_up.watching
        """Stops the calls of HTTP clients that hang up, while the block runs."""

    async def call(
        self,
        name: str,
        arguments: JsonObject,
        caller: Caller,
        client: ClientChannel = NO_CLIENT,
        origin: Origin = NO_ORIGIN,
    ) -> ToolResult:
        """Run one tool; every failure but one is a result with `isError`.

        Raises:
            NotFound: `unknown_tool`.
        """
        if self._tracer is NO_TRACER:
            return await self._call(name, arguments, caller, client)
        with self._tracer.call(name, origin.meta, origin.headers):
            return await self._call(name, arguments, caller, client)

    async def call_while_connected(
        self,
        receive: Receive,
        name: str,
        arguments: JsonObject,
        caller: Caller,
        client: ClientChannel = NO_CLIENT,
        origin: Origin = NO_ORIGIN,
    ) -> ToolResult:
        """The same for an HTTP client, stopped when it hangs up. The request's body must have been read."""
        return await self.while_connected(receive, self.call(name, arguments, caller, client, origin), _NOBODY_THERE)

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

    async def state_of(self, call: SuspendedCall, pending: Pending) -> str:
        """What the client of a call that waits for its answers is to send back with them.

        Raises:
            Unavailable: it cannot be made.
        """
        return await self._keeper.keep(call, pending.transcript)

    async def resume(self, call: SuspendedCall, state: str, answers: Mapping[str, ClientAnswer]) -> Transcript:
        """Where a call goes on whose client sent back its state with answers.

        Raises:
            InvalidInput: `invalid_request_state`.
            Unavailable: the database cannot answer.
        """
        return await self._keeper.resume(call, state, answers)

    async def _call(self, name: str, arguments: JsonObject, caller: Caller, client: ClientChannel) -> ToolResult:
        try:
            return await self._invoke(name, arguments, caller, client)
        except Exception as error:  # noqa: BLE001 - MCP's top-level translation table
            return failed_result(error)
