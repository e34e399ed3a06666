"""Response streams of the handshake era that end before their calls do, and go on where they ended (SEP-1699).

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports ("Resumability and Redelivery"). A client that
comes back with the id of the last event it got is sent what followed, in that stream and from its own session alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

import anyio
from mcp.server import ServerRequestContext
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCResponse
from mcp_types.jsonrpc import jsonrpc_message_adapter

from tool_server.background import background

MAX_BYTES = 8 * 2**20
"""Of the messages that are kept for all sessions together."""

MAX_EVENTS = 16_384
"""That are kept for all sessions together."""

RETRY_MS = 1_000
"""How soon clients are to come back."""


class _Event(NamedTuple):
    session: int
    stream: str
    message: bytes
    """As JSON; empty for the event that begins a stream."""
    last: bool
    """Whether nothing follows it in its stream."""


class RecentEvents:
    """The latest messages of all sessions; the oldest ones give way.

    Args:
        max_bytes: of their JSON.
        max_events: how many.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_events: int = MAX_EVENTS) -> None:
        self._max_bytes = max_bytes
        self._max_events = max_events
        self._events: OrderedDict[int, _Event] = OrderedDict()
        self._ids = count(1)
        self._sessions = count(1)
        self._bytes = 0

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._events)

    def of_new_session(self) -> EventStore:
        """What the SDK keeps the messages of one more session in, and takes them from."""
        return _SessionEvents(self, next(self._sessions))

    def add(self, session: int, stream: str, message: JSONRPCMessage | None) -> int:
        """Keep a message, None for the beginning of a stream, and give its id."""
        number = next(self._ids)
        written = b"" if message is None else message.model_dump_json(by_alias=True, exclude_none=True).encode()
        self._events[number] = _Event(session, stream, written, isinstance(message, JSONRPCResponse | JSONRPCError))
        self._bytes += len(written)
        while self._bytes > self._max_bytes or len(self._events) > self._max_events:
            _, oldest = self._events.popitem(last=False)
            self._bytes -= len(oldest.message)
        return number

    def find(self, session: int, number: int) -> _Event | None:
        """An event of a session, where it is still kept."""
        found = self._events.get(number)
        return found if found is not None and found.session == session else None

    def after(self, number: int) -> Iterator[tuple[int, _Event]]:
        """Every event that is younger than one that is kept, the older first."""
        return ((later, event) for later, event in tuple(self._events.items()) if later > number)


class _SessionEvents(EventStore):
    """The events of one session, as the SDK wants them."""

    def __init__(self, events: RecentEvents, session: int) -> None:
        self._events = events
        self._session = session

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """See the SDK's."""
        return str(self._events.add(self._session, stream_id, message))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send what followed an event in its stream, and give the stream where more may follow.

        Nothing is sent where the event is not kept any more, or was another session's.
        """
        number = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
        seen = self._events.find(self._session, number)
        if seen is None or seen.last:
            return None
        for later, event in self._events.after(number):
            if (event.session, event.stream) != (self._session, seen.stream) or not event.message:
                continue
            message = jsonrpc_message_adapter.validate_json(event.message, by_name=False)
            await send_callback(EventMessage(message, str(later)))
            if event.last:
                return None
        return seen.stream


class ResumableSessionManager(StreamableHTTPSessionManager):
    """The SDK's manager of sessions with a store of events for each: it would share one, whose streams have names that
    every session uses."""

    def __init__(self, *args: Any, events: RecentEvents | None, **options: Any) -> None:
        self._recent = events
        super().__init__(*args, retry_interval=RETRY_MS, **options)

    @property
    def event_store(self) -> EventStore | None:
        """A new one for each session that is made; None where streams cannot be taken up again."""
        return None if self._recent is None else self._recent.of_new_session()

    @event_store.setter
    def event_store(self, value: object) -> None:
        """What the SDK keeps of its own argument: nothing."""


@asynccontextmanager
async def stream_closed_after(context: ServerRequestContext[Any, Any], seconds: float) -> AsyncGenerator[None]:
    """While the block runs, end the response's stream after some seconds, if its client can take it up again.

    So no connection is held open for a long call: its client asks for the rest when it likes.
    """
    close = context.close_sse_stream
    if close is None:
        yield
        return

    async def end() -> None:
        await anyio.sleep(seconds)
        await close()

    async with background(end):
        yield
