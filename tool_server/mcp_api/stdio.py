"""One client over standard input and output: plain requests in the lane, everything else in the SDK.

The SDK is imported, which takes longer than all of the rest, when the first line for it comes.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from tool_server.mcp_api.calls import Invoke, Keeper, ToolCalls
from tool_server.mcp_api.lane.answers import NAME, ServerInfo
from tool_server.mcp_api.lane.requests import MODERN, VERSION_KEY
from tool_server.mcp_api.lane.stdio import Era, StdioLane
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.stdin import can_be_watched, read_lines
from tool_server.mcp_api.stdout import LineWriter, claimed_stdout
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.catalog import Catalog, ChangedLists
from tool_server.model.json_value import JsonObject

if TYPE_CHECKING:
    from tool_server.mcp_api.content import PluginContent
    from tool_server.mcp_api.notices import Notices
    from tool_server.mcp_api.server import McpServer
    from tool_server.mcp_api.tasks import Tasks

LONGEST_LINE = 16 * 2**20
"""Bytes of one message."""

_LINES_AHEAD = 64
"""Lines that may wait for the SDK; beyond that reading stops."""

logger = logging.getLogger(__name__)


class StdioServer:
    """Serves the client that started this process.

    Args:
        catalog: the snapshot in force.
        invoke: runs a tool.
        keeper: hands calls that wait for answers to the client.
        content: the plugins' prompts and resources.
        version: the server's.
        tracer: traces calls.
        caller: who calls, which is the user who started this process.
        answered: is set once the first answer is written, or the conversation is over.
        tasks: the tasks, for a client that can follow them.
    """

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        invoke: Invoke,
        keeper: Keeper,
        content: PluginContent,
        version: str,
        tracer: CallTracer = NO_TRACER,
        caller: Caller = LOCAL,
        answered: anyio.Event | None = None,
        tasks: Tasks | None = None,
    ) -> None:
        self._catalog = catalog
        self._keeper = keeper
        self._tracer = tracer
        self._invoke = invoke
        self._content = content
        self._version = version
        self._caller = caller
        self._tasks = tasks
        self._sdk: _SdkConversation | None = None
        self._answered = anyio.Event() if answered is None else answered

    async def catalog_changed(self) -> None:
        """Tell the client, if it wants to know, which lists are others now."""
        if self._notices is not None:
            await self._notices.catalog_changed()

    async def lists_changed(self, lists: ChangedLists) -> None:
        """Tell the client, if it wants to know, that these lists are to be read again."""
        if self._notices is not None:
            await self._notices.lists_changed(lists)

    async def resource_updated(self, uri: str) -> None:
        """Tell the client, if it wants to know, that a resource is another one now."""
        if self._notices is not None:
            await self._notices.resource_updated(uri)

    @property
    def _notices(self) -> Notices | None:
        return None if self._sdk is None else self._sdk.notices

    async def serve(self) -> None:
        """Serve until the client closes its end."""
        try:
            with claimed_stdout() as descriptor:
                with closing(LineWriter(descriptor, self._answered)) as writer:
                    async with anyio.create_task_group() as tasks, aclosing(_standard_input()) as lines:
                        await self._converse(lines, writer, tasks)
        except* BrokenPipeError:
            logger.warning("the client no longer reads what this server writes")
        finally:
            self._sdk = None
            self._answered.set()

    async def _converse(self, lines: AsyncIterator[bytes], writer: LineWriter, tasks: TaskGroup) -> None:
        listing, calls = Listing(self._catalog), ToolCalls(self._invoke, self._keeper, self._tracer)
        broken: list[BrokenPipeError] = []

        def give_up(error: BrokenPipeError) -> None:
            broken.append(error)
            tasks.cancel_scope.cancel()

        lane = StdioLane(listing, calls, ServerInfo(NAME, NAME, self._version), writer.write, give_up, self._caller)
        try:
            await self._answer(lines, lane, writer, tasks)
        finally:
            with anyio.CancelScope(shield=True):
                await lane.close()
            if broken:
                raise broken[0]
        if self._sdk is not None:
            await self._sdk.close()

    async def _answer(self, lines: AsyncIterator[bytes], lane: StdioLane, writer: LineWriter, tasks: TaskGroup) -> None:
        opened_here = False
        async for line in lines:
            undecided = lane.era is Era.UNDECIDED
            if await lane.take(line):
                opened_here = opened_here or (undecided and lane.era is Era.MODERN)
                continue
            if self._sdk is None:
                lane.alone = False
                self._sdk = _SdkConversation(self._make_sdk, writer, lane.greeted, tasks)
            if opened_here:
                opened_here = False
                await self._sdk.open_modern()
            await self._sdk.send(line.decode("utf-8", "replace"))

    def _make_sdk(self) -> McpServer:
        from tool_server.mcp_api.server import McpServer

        return McpServer(
            *(self._catalog, self._invoke, self._keeper, self._content, self._version),
            tracer=self._tracer,
            local=self._caller,
            tasks=self._tasks,
        )


class _SdkConversation:
    """The SDK's part: lines in, lines out."""

    def __init__(
        self,
        make: Callable[[], McpServer],
        writer: LineWriter,
        accepted: Callable[[int | str, str], None],
        tasks: TaskGroup,
    ) -> None:
        self._make = make
        self._writer = writer
        self._accepted = accepted
        self._server: McpServer | None = None
        self._lines: MemoryObjectSendStream[str]
        self._lines, self._received = anyio.create_memory_object_stream[str](_LINES_AHEAD)
        self._opening: str | None = None
        self._greeting = True
        tasks.start_soon(self._run)

    @property
    def notices(self) -> Notices | None:
        """What tells the client of changes, once the SDK is there."""
        return None if self._server is None else self._server.notices

    async def open_modern(self) -> None:
        """Have the SDK know the era, where the lane answered the request that decided on it.

        The SDK learns it from the first request alone: one of our own, whose answer goes nowhere.
        """
        self._opening = uuid4().hex
        meta: JsonObject = {VERSION_KEY: MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
        request: JsonObject = {
            "jsonrpc": "2.0",
            "id": self._opening,
            "method": "server/discover",
            "params": {"_meta": meta},
        }
        await self._lines.send(json.dumps(request))

    async def send(self, line: str) -> None:
        """One line from the client."""
        await self._lines.send(line)

    async def close(self) -> None:
        """The client's input has ended."""
        self._lines.close()

    async def write(self, text: str) -> None:
        """One line from the SDK."""
        line = text.rstrip("\n")
        if self._opening is not None or self._greeting:
            message: dict[str, Any] = json.loads(line)
            if self._opening is not None and message.get("id") == self._opening:
                self._opening = None
                return
            result = message.get("result")
            if isinstance(result, dict) and "protocolVersion" in result:
                self._greeting = False
                self._accepted(message["id"], str(message["result"]["protocolVersion"]))
        await self._writer.write(line.encode())

    async def flush(self) -> None:
        """Every line is out once it is written."""

    async def _run(self) -> None:
        # In a thread, so that calls in the lane go on meanwhile.
        self._server = await anyio.to_thread.run_sync(self._make)
        async with self._received:
            await self._server.serve_lines(self._received, self)


def _standard_input() -> AsyncGenerator[bytes]:
    descriptor = sys.stdin.fileno()
    return read_lines(descriptor, LONGEST_LINE) if can_be_watched(descriptor) else _file_lines(descriptor)


async def _file_lines(descriptor: int) -> AsyncGenerator[bytes]:
    # A regular file, which is always ready and cannot be watched.
    async with await anyio.open_file(descriptor, "rb", closefd=False) as file:
        async for line in file:
            yield line
