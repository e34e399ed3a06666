"""resources/list, resources/templates/list and resources/read as handlers of the SDK's server."""

from __future__ import annotations

from typing import cast

import mcp_types as types

from tool_server.mcp_api.content import Asking, Context, PluginContent
from tool_server.mcp_api.listed_items import listed
from tool_server.mcp_api.listing import Listing
from tool_server.model.item_kind import ItemKind
from tool_server.model.suspended_call import SuspendedCall


class ResourceHandlers:
    """The three handlers.

    Args:
        listing: what there is.
        content: reads resources.
        asking: answers requests.
    """

    def __init__(self, listing: Listing, content: PluginContent, asking: Asking) -> None:
        self._listing = listing
        self._content = content
        self._asking = asking

    async def list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """One page, by URI."""
        view = self._asking.caller_of(context).view
        return cast(types.ListResourcesResult, listed(self._listing, ItemKind.RESOURCE, "resources", params, view))

    async def list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """One page, by template."""
        view = self._asking.caller_of(context).view
        page = listed(self._listing, ItemKind.TEMPLATE, "resourceTemplates", params, view)
        return cast(types.ListResourceTemplatesResult, page)

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Have a plugin read one resource, or give what its manifest holds."""
        caller = self._asking.caller_of(context)
        result = await self._asking.answer_call(
            context,
            SuspendedCall("resources/read", params.uri, {}, caller),
            lambda client: self._content.read_resource(params.uri, caller, client),
        )
        return cast(types.ReadResourceResult, result)
