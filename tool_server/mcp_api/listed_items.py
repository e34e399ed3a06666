"""Pages of prompts, resources and resource templates in their wire form."""

from __future__ import annotations

import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic_core import from_json

from tool_server.errors import InvalidInput
from tool_server.mcp_api.listing import Listing
from tool_server.model.item_kind import ItemKind
from tool_server.model.json_value import JsonObject
from tool_server.model.view import View


def listed(
    listing: Listing, kind: ItemKind, field: str, params: types.PaginatedRequestParams | None, view: View
) -> JsonObject:
    """MCP's list result.

    Args:
        listing: what there is.
        kind: of it.
        field: of the result.
        params: of the request.
        view: of the caller.

    Raises:
        MCPError: the cursor is none.
    """
    try:
        page = listing.items(kind, None if params is None else params.cursor, view)
    except InvalidInput as error:
        raise MCPError(types.INVALID_PARAMS, error.message) from error
    result: JsonObject = {"resultType": "complete", field: [from_json(item) for item in page.items]}
    if page.next_cursor is not None:
        result["nextCursor"] = page.next_cursor
    return result
