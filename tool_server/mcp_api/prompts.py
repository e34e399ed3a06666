"""prompts/list and prompts/get as handlers of the SDK's server."""

from __future__ import annotations

from typing import cast

import mcp_types as types

from tool_server.mcp_api.content import Asking, Context, PluginContent
from tool_server.mcp_api.listed_items import listed
from tool_server.mcp_api.listing import Listing
from tool_server.model.item_kind import ItemKind
from tool_server.model.suspended_call import SuspendedCall


class PromptHandlers:
    """The two handlers.

    Args:
        listing: what there is.
        content: makes prompts.
        asking: answers requests.
    """

    def __init__(self, listing: Listing, content: PluginContent, asking: Asking) -> None:
        self._listing = listing
        self._content = content
        self._asking = asking

    async def list_prompts(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        """One page, by name."""
        view = self._asking.caller_of(context).view
        return cast(types.ListPromptsResult, listed(self._listing, ItemKind.PROMPT, "prompts", params, view))

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        """Have a plugin make one prompt."""
        caller = self._asking.caller_of(context)
        arguments = params.arguments or {}
        result = await self._asking.answer_call(
            context,
            SuspendedCall("prompts/get", params.name, dict(arguments), caller),
            lambda client: self._content.get_prompt(params.name, arguments, caller, client),
        )
        return cast(types.GetPromptResult, result)
