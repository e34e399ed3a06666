"""The tools as MCP lists them: pages of the JSON that the catalogue holds of each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from tool_server.errors import InvalidInput
from tool_server.model.catalog import Catalog
from tool_server.model.json_value import JsonObject

PAGE_SIZE = 1_000
"""Tools on one page. Many clients read only the first."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tools, by name."""

    tools: Sequence[bytes]
    """MCP `Tool` objects as JSON."""
    next_cursor: str | None


class Listing:
    """The current catalogue in MCP's form."""

    def __init__(self, catalog: Callable[[], Catalog], page_size: int = PAGE_SIZE) -> None:
        self._catalog = catalog
        self._page_size = page_size

    def page(self, cursor: str | None = None) -> Page:
        """One page. The cursor names the last tool before it, so pages stay right when tools come and go.

        Raises:
            InvalidInput: `invalid_cursor`.
        """
        after = "" if cursor is None else _decode_cursor(cursor)
        catalog = self._catalog()
        page = catalog.listings(after, self._page_size)
        more = bool(page) and catalog.has_after(page[-1][0])
        return Page([tool for _, tool in page], _encode_cursor(page[-1][0]) if more else None)

    def input_schema_with_headers(self, name: str) -> JsonObject | None:
        """The input schema of a tool with parameters in `Mcp-Param-*` headers, None for every other."""
        tool = self._catalog().find(name)
        return from_json(tool.listing)["inputSchema"] if tool is not None and tool.needs_headers else None

    def offers_plain(self, name: str) -> bool:
        """Whether there is such a tool, and none of its parameters are repeated in headers."""
        tool = self._catalog().find(name)
        return tool is not None and not tool.needs_headers


def _encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            "invalid_cursor", "this cursor is not one of this server's: list from the start", {"cursor": cursor[:80]}
        ) from error
