"""Clients of the handshake era that hold a connection: what they asked to be told, and the way to tell them.

Over HTTP that is a session; over stdio there is one client. A request of neither is answered, and then forgotten.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession

from tool_server.model.client import LOG_LEVELS

SESSION_HEADER = "mcp-session-id"
STDIO = "stdio"
"""The name of the one client there; sessions have names of 32 hexadecimal digits."""

_NOTICE_SECONDS = 5.0
"""How long one client may hold up a notice to all."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ClientSession:
    """One client."""

    caller: str
    """Whose session it is: nobody else is served in it."""
    level: str = LOG_LEVELS[0]
    """The least severe log messages that it wants."""
    uris: set[str] = field(default_factory=set[str])
    """The resources of which it wants to know when they change."""
    session: ServerSession | None = None
    """The way to it, once it has said that it is ready."""


class ClientSessions:
    """The clients that are connected, the one that was used last at the end.

    Args:
        limit: most that are kept; beyond that the one unused for longest is forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: OrderedDict[str, ClientSession] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sessions)

    def open(self, name: str, caller: str) -> None:
        """A client has connected."""
        self._sessions[name] = ClientSession(caller)
        while len(self._sessions) > self._limit:
            self._sessions.popitem(last=False)

    def close(self, name: str) -> None:
        """A client has gone, or may have."""
        self._sessions.pop(name, None)

    def end(self, name: str) -> None:
        """A client has said that it is done: whoever still comes in its name is to greet anew."""
        self.close(name)
        self._ended[name] = None
        while len(self._ended) > self._limit:
            self._ended.popitem(last=False)

    def has_ended(self, name: str) -> bool:
        """Whether a session of this name was ended by its client, as far as that is known."""
        return name in self._ended

    def find(self, name: str | None, caller: str) -> ClientSession | None:
        """The session of this name, where it is this caller's."""
        found = None if name is None else self._sessions.get(name)
        if name is None or found is None or found.caller != caller:
            return None
        self._sessions.move_to_end(name)
        return found

    def of(self, context: ServerRequestContext[Any, Any]) -> ClientSession | None:
        """The session that a request came in, None where it came in none."""
        return self._sessions.get(_name_of(context) or "")

    def ready(self, context: ServerRequestContext[Any, Any]) -> None:
        """A client says that it can be told things."""
        found = self.of(context)
        if found is not None:
            found.session = context.session

    async def tell(self, notify: Callable[[ServerSession], Awaitable[None]], uri: str | None = None) -> None:
        """Tell every client that is ready, or those that subscribed to a resource; one that has gone is forgotten."""
        for name, client in tuple(self._sessions.items()):
            if client.session is None or (uri is not None and uri not in client.uris):
                continue
            try:
                with anyio.fail_after(_NOTICE_SECONDS):
                    await notify(client.session)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError, TimeoutError):
                logger.debug("a client that is gone is not told any more")
                self.close(name)


def _name_of(context: ServerRequestContext[Any, Any]) -> str | None:
    if context.request is None:
        return STDIO
    return context.request.headers.get(SESSION_HEADER)
