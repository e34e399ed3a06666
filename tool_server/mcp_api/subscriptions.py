"""Who wants to know of which resource: resources/subscribe of the handshake era, subscriptions/listen since."""

from __future__ import annotations

import mcp_types as types
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError

from tool_server.errors import NotFound
from tool_server.mcp_api.content import Asking, Context, failed_request
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.sessions import ClientSessions

MAX_URIS = 1_000
"""Resources that one client may subscribe to."""


class Subscriptions:
    """Handlers of the three methods.

    Args:
        listing: what there is.
        asking: knows who asks.
        listener: serves `subscriptions/listen`.
        sessions: the clients of the handshake era that are connected.
    """

    def __init__(self, listing: Listing, asking: Asking, listener: ListenHandler, sessions: ClientSessions) -> None:
        self._listing = listing
        self._asking = asking
        self._listener = listener
        self._sessions = sessions

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Tell this session from now on when the resource changes."""
        if not self._listing.shows_resource(params.uri, self._asking.caller_of(context).view):
            problem = NotFound(
                "unknown_resource", f"there is no resource {params.uri[:200]!r} here", {"uri": params.uri[:2_000]}
            )
            raise failed_request(problem, context.protocol_version)
        client = self._sessions.of(context)
        if client is None:
            raise MCPError(
                types.INVALID_REQUEST,
                "this connection has no session over which to tell of changes: use protocol 2026-07-28 and "
                "subscriptions/listen",
            )
        if len(client.uris) >= MAX_URIS and params.uri not in client.uris:
            raise MCPError(types.INVALID_PARAMS, f"a client subscribes to at most {MAX_URIS} resources")
        client.uris.add(params.uri)
        return types.EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Tell this session no more; that it never subscribed is no error."""
        client = self._sessions.of(context)
        if client is not None:
            client.uris.discard(params.uri)
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
