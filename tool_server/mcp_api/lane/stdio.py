"""The fast lane over stdio: plain `tools/call` of both eras and plain `tools/list` of the modern one.

The first request of a conversation decides on its era, as in the SDK's `serve_dual_era_loop`. In the handshake era
nothing is answered here before the SDK has accepted `initialize`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any, cast

from tool_server.errors import InvalidInput, NotFound
from tool_server.mcp_api.calls import ToolCalls
from tool_server.mcp_api.lane.agreed_json import NotAgreedError, parse_agreed
from tool_server.mcp_api.lane.answers import CONNECTION_CLOSED, HANDSHAKE, INVALID_PARAMS, Answers, ServerInfo
from tool_server.mcp_api.lane.client import ToldClient, client_with
from tool_server.mcp_api.lane.pending import answer_pending
from tool_server.mcp_api.lane.requests import (
    MODERN,
    VERSION_KEY,
    Call,
    List,
    Request,
    read_handshake,
    read_modern,
    read_request,
)
from tool_server.mcp_api.listing import Listing
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.client import ClientChannel, can_be_asked
from tool_server.model.json_value import JsonObject, compact_json

CLOSING_SECONDS = 1.0
"""How long answers to calls that the end of the input cut short may take to be written."""


class Era(Enum):
    """What is known of a conversation."""

    UNDECIDED = auto()
    MODERN = auto()
    GREETING = auto()
    """The handshake era, before the SDK has accepted `initialize`."""
    HANDSHAKE = auto()
    UNKNOWN = auto()
    """The SDK read a line that could not be read here, so that it alone knows."""


class _Running:
    """A call under way, in a task of its own."""

    __slots__ = ("cancelled", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False
        """Whether the client does not want it any more, or has gone."""

    def cancel(self) -> None:
        """End it."""
        if self.task is not None and not self.cancelled:
            self.cancelled = True
            self.task.cancel()

    def take_back(self) -> bool:
        """After a cancellation of the task: whether it was this and nothing else."""
        return self.cancelled and self.task is not None and self.task.uncancel() == 0


class StdioLane:
    """Answers plain requests. Whoever makes one awaits `close` in the end.

    Each call is a plain task of asyncio that ends in `close` at the latest and lets no exception out: one in a task
    group, with a scope to cancel it by, costs a quarter of a short call.

    Args:
        listing: the tools.
        calls: what runs them.
        server: stamped on answers of the modern era.
        write: writes one answer; raises `BrokenPipeError` where nobody reads it.
        broken: is told of that.
        caller: who calls.
    """

    def __init__(
        self,
        listing: Listing,
        calls: ToolCalls,
        server: ServerInfo,
        write: Callable[[bytes], Awaitable[None]],
        broken: Callable[[BrokenPipeError], None],
        caller: Caller = LOCAL,
    ) -> None:
        self._listing = listing
        self._calls = calls
        self._modern = Answers(MODERN, server)
        self._handshake = Answers(HANDSHAKE, server)
        self._write = write
        self._broken = broken
        self._caller = caller
        self.era = Era.UNDECIDED
        self.alone = True
        """Whether no line was left to the SDK yet."""
        self._greetings: set[int | str] = set()
        self._talks = False
        """Whether the client of the handshake era has a capability by which plugins may ask it something."""
        self._told = ToldClient(self._notify)
        self._running: dict[int | str, _Running] = {}
        self._unfinished: set[asyncio.Task[None]] = set()
        self._closing = False

    async def take(self, line: bytes) -> bool:
        """Answer a line, now or in a task; False leaves it to the SDK."""
        try:
            value = parse_agreed(line)
        except NotAgreedError:
            if self.era is Era.UNDECIDED and line.strip():
                self.era = Era.UNKNOWN
            return False
        request = read_request(value)
        if request is None:
            return self._take_other(value)
        self._decide(request)
        if self.era is Era.MODERN:
            return await self._take_modern(request)
        if request.method == "logging/setLevel":
            self._told.set_level(request.params.get("level"))
        if self.era is Era.HANDSHAKE and not self._talks and isinstance(asked := read_handshake(request), Call):
            return self._take_call(request, asked, self._handshake)
        return False

    def greeted(self, request_id: int | str, version: str) -> None:
        """The SDK has accepted the request of this id, which may have been `initialize`, with that version."""
        if self.era is Era.GREETING and request_id in self._greetings:
            self.era = Era.HANDSHAKE
            self._told.protocol_version = version

    async def close(self) -> None:
        """Stop what runs and say so, as the SDK does at the end of the input."""
        self._closing = True
        for running in tuple(self._running.values()):
            running.cancel()
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=CLOSING_SECONDS)
        for task in self._unfinished:
            task.cancel()
        if self._unfinished:
            await asyncio.wait(self._unfinished)

    def _take_other(self, value: object) -> bool:
        message = cast(dict[str, Any], value) if isinstance(value, dict) else {}
        if "id" not in message and message.get("method") == "notifications/cancelled":
            return self._cancel(message.get("params"))
        if self.era is Era.UNDECIDED and "id" in message and "method" in message:
            self.era = Era.UNKNOWN
        return False

    def _cancel(self, params: object) -> bool:
        named: object = cast(dict[str, Any], params).get("requestId") if isinstance(params, dict) else None
        # A boolean is an integer in Python, and names no request.
        names_one = isinstance(named, int | str) and not isinstance(named, bool)
        running = self._running.get(_correlated(cast("int | str", named))) if names_one else None
        if running is not None:
            running.cancel()
        # Nothing else is running that could be meant, unless the SDK runs it.
        return running is not None or self.alone

    def _decide(self, request: Request) -> None:
        greeting = request.method == "initialize"
        if self.era is Era.UNDECIDED:
            meta = request.params.get("_meta")
            modern = not greeting and isinstance(meta, dict) and VERSION_KEY in meta
            self.era = Era.MODERN if modern else Era.GREETING
        if greeting:
            self._greetings.add(request.id)
            capabilities = request.params.get("capabilities")
            self._talks = self._talks or can_be_asked(capabilities)

    async def _take_modern(self, request: Request) -> bool:
        match read_modern(request):
            case Call() as asked:
                return self._take_call(request, asked, self._modern)
            case List(cursor):
                try:
                    page = self._listing.page(cursor, self._caller.view)
                except InvalidInput as error:
                    await self._write(self._modern.failed(request.id, INVALID_PARAMS, error.message))
                else:
                    await self._write(self._modern.listed(request.id, page))
            case None:
                return False
        return True

    async def _notify(self, method: str, params: JsonObject) -> None:
        try:
            await self._write(compact_json({"jsonrpc": "2.0", "method": method, "params": params}))
        except BrokenPipeError as error:
            self._broken(error)

    def _client(self, asked: Call) -> ClientChannel:
        return client_with(asked.capabilities) if self.era is Era.MODERN else self._told

    def _take_call(self, request: Request, asked: Call, answers: Answers) -> bool:
        if not self._listing.answers_at_once(asked, self._caller.view):
            return False
        self._start(request, asked, answers)
        return True

    def _start(self, request: Request, asked: Call, answers: Answers) -> None:
        running = _Running()
        # Of two requests with one id the later one can be cancelled, as in the SDK.
        self._running[_correlated(request.id)] = running
        running.task = asyncio.get_running_loop().create_task(self._call(request, asked, answers, running))
        self._unfinished.add(running.task)
        running.task.add_done_callback(self._unfinished.discard)

    async def _call(self, request: Request, asked: Call, answers: Answers, running: _Running) -> None:
        answer: bytes | None = None
        try:
            client = self._client(asked)
            result = await self._calls.call(asked.name, asked.arguments, self._caller, client)
            if result.pending is None:
                refusal = answers.refused(request.id, result) if result.is_error else None
                answer = answers.called(request.id, result) if refusal is None else refusal
            else:
                answer = await answer_pending(self._calls, answers, request.id, asked, self._caller, result.pending)
        except NotFound as error:
            answer = answers.failed(request.id, INVALID_PARAMS, error.message)
        except asyncio.CancelledError:
            if not running.take_back():
                raise
            if self._closing:
                answer = answers.failed(request.id, CONNECTION_CLOSED, "Connection closed")
        finally:
            if self._running.get(_correlated(request.id)) is running:
                del self._running[_correlated(request.id)]
        if answer is not None:
            try:
                await self._write(answer)
            except BrokenPipeError as error:
                self._broken(error)


def _correlated(request_id: int | str) -> int | str:
    # Clients may name request 7 as "7", as the SDK's `coerce_request_id` allows.
    if isinstance(request_id, str):
        try:
            return int(request_id)
        except ValueError:
            pass
    return request_id
