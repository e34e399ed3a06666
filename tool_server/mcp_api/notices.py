"""What MCP clients are told of their own accord: lists that changed, resources that changed."""

from __future__ import annotations

from collections.abc import Callable

from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    SubscriptionBus,
    ToolsListChanged,
)

from tool_server.mcp_api.sessions import ClientSessions
from tool_server.model.catalog import Catalog, ChangedLists


class Notices:
    """Sends notices to the clients of both eras.

    Args:
        catalog: the snapshot in force.
        bus: to the listeners of the modern era.
        sessions: the clients of the handshake era that are connected.
    """

    def __init__(self, catalog: Callable[[], Catalog], bus: SubscriptionBus, sessions: ClientSessions) -> None:
        self._catalog = catalog
        self._bus = bus
        self._sessions = sessions
        self._told = catalog()
        """The snapshot that clients know of."""

    async def catalog_changed(self) -> None:
        """Tell of the lists that are others than they were."""
        before, self._told = self._told, self._catalog()
        await self.lists_changed(self._told.changed_since(before))

    async def lists_changed(self, lists: ChangedLists) -> None:
        """Tell that these lists are to be read again."""
        if lists.tools:
            await self._bus.publish(ToolsListChanged())
        if lists.prompts:
            await self._bus.publish(PromptsListChanged())
        if lists.resources:
            await self._bus.publish(ResourcesListChanged())

        async def send(session: ServerSession) -> None:
            if lists.tools:
                await session.send_tool_list_changed()
            if lists.prompts:
                await session.send_prompt_list_changed()
            if lists.resources:
                await session.send_resource_list_changed()

        await self._sessions.tell(send)

    async def resource_updated(self, uri: str) -> None:
        """Tell who subscribed to it that a resource is another one now."""
        await self._bus.publish(ResourceUpdated(uri))
        await self._sessions.tell(lambda session: session.send_resource_updated(uri), uri)
