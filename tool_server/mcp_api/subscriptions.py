"""Who wants to know of which resource: resources/subscribe of the handshake era, subscriptions/listen since."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import anyio
import mcp_types as types
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError

from tool_server.errors import NotFound
from tool_server.mcp_api.content import Asking, Context, failed_request
from tool_server.mcp_api.listing import Listing

MAX_URIS = 1_000
"""Resources that one client may subscribe to."""

MAX_CLIENTS = 1_024
"""Handshake sessions with subscriptions; the one that was longest without a request for any is forgotten."""

SEND_SECONDS = 5.0
"""How long a client may take to be told."""

SESSION_HEADER = "mcp-session-id"


@dataclass(slots=True)
class _Client:
    """A handshake session, and what it subscribed to."""

    session: ServerSession
    uris: set[str] = field(default_factory=set[str])


class Subscriptions:
    """Handlers of the three methods, and the handshake sessions that are to be told.

    Args:
        listing: what there is.
        asking: knows who asks.
        listener: serves `subscriptions/listen`.
    """

    def __init__(self, listing: Listing, asking: Asking, listener: ListenHandler) -> None:
        self._listing = listing
        self._asking = asking
        self._listener = listener
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        """By session id; over stdio, where there is one client, it is empty."""

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Tell this session from now on when the resource changes."""
        if not self._listing.shows_resource(params.uri, self._asking.caller_of(context).view):
            problem = NotFound(
                "unknown_resource", f"there is no resource {params.uri[:200]!r} here", {"uri": params.uri[:2_000]}
            )
            raise failed_request(problem, context.protocol_version)
        session_id = _session_id(context)
        client = self._clients.pop(session_id, None) or _Client(context.session)
        client.session = context.session
        if len(client.uris) >= MAX_URIS and params.uri not in client.uris:
            self._clients[session_id] = client
            raise MCPError(types.INVALID_PARAMS, f"a client subscribes to at most {MAX_URIS} resources")
        client.uris.add(params.uri)
        self._clients[session_id] = client
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return types.EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Tell this session no more; that it never subscribed is no error."""
        session_id = _session_id(context)
        client = self._clients.get(session_id)
        if client is not None:
            client.uris.discard(params.uri)
            if not client.uris:
                self.forget(session_id)
        return types.EmptyResult()

    async def listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream. Of resources that the client does not see it is told nothing."""
        wanted = params.notifications.resource_subscriptions
        if wanted:
            if len(wanted) > MAX_URIS:
                raise MCPError(types.INVALID_PARAMS, f"a client subscribes to at most {MAX_URIS} resources")
            view = self._asking.caller_of(context).view
            seen = [uri for uri in wanted if not view.restricted or self._listing.shows_resource(uri, view)]
            notifications = params.notifications.model_copy(update={"resource_subscriptions": seen})
            params = params.model_copy(update={"notifications": notifications})
        return await self._listener(context, params)

    async def resource_updated(self, uri: str) -> None:
        """Tell the handshake sessions that subscribed."""
        for session_id, client in list(self._clients.items()):
            if uri in client.uris:
                try:
                    with anyio.move_on_after(SEND_SECONDS):
                        await client.session.send_resource_updated(uri)
                except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                    self.forget(session_id)

    def forget(self, session_id: str = "") -> None:
        """The session has ended."""
        self._clients.pop(session_id, None)


def _session_id(context: Context) -> str:
    if context.request is None:
        return ""
    session_id = context.request.headers.get(SESSION_HEADER)
    if not session_id:
        raise MCPError(
            types.INVALID_REQUEST,
            "this connection has no session over which to tell of changes: use protocol 2026-07-28 and "
            "subscriptions/listen",
        )
    return session_id
