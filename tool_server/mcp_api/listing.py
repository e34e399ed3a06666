"""The tools as MCP lists them: the JSON of each made once for a snapshot of the catalogue, and pages of them."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tool_server.errors import InvalidInput
from tool_server.model.catalog import Catalog, CatalogEntry
from tool_server.model.json_value import JsonObject, canonical_json, compact_json

PAGE_SIZE = 1_000
"""Tools on one page. Many clients read only the first."""

_HEADER_KEYWORD = b'"x-mcp-header"'


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
        self._made_for: Catalog | None = None
        self._tools: list[tuple[str, bytes]] = []
        self._with_headers: dict[str, JsonObject] = {}

    def page(self, cursor: str | None = None) -> Page:
        """One page. The cursor names the last tool before it, so pages stay right when tools come and go.

        Raises:
            InvalidInput: `invalid_cursor`.
        """
        after = "" if cursor is None else _decode_cursor(cursor)
        self._update()
        start = bisect_right(self._tools, after, key=lambda tool: tool[0])
        page = self._tools[start : start + self._page_size]
        more = start + self._page_size < len(self._tools)
        return Page([tool for _, tool in page], _encode_cursor(page[-1][0]) if more else None)

    def input_schema_with_headers(self, name: str) -> JsonObject | None:
        """The input schema of a tool with parameters in `Mcp-Param-*` headers, None for every other."""
        self._update()
        return self._with_headers.get(name)

    def offers_plain(self, name: str) -> bool:
        """Whether there is such a tool, and none of its parameters are repeated in headers."""
        self._update()
        return name in self._catalog().entries and name not in self._with_headers

    def _update(self) -> None:
        catalog = self._catalog()
        if catalog is not self._made_for:
            entries = catalog.entries.values()
            self._tools = sorted((entry.name, tool_json(entry)) for entry in entries)
            self._with_headers = {
                entry.name: entry.definition.input_schema
                for entry in entries
                if _HEADER_KEYWORD in canonical_json(entry.definition.input_schema)
            }
            self._made_for = catalog


def tool_json(entry: CatalogEntry) -> bytes:
    """A catalogue entry as MCP's `Tool`: without null at the top of the tool and of its schemas, as the SDK has it."""
    definition = entry.definition
    tool: JsonObject = {
        "name": entry.name,
        "title": definition.title,
        "description": definition.description or None,
        "inputSchema": _without_null(definition.input_schema),
        "outputSchema": None if definition.output_schema is None else _without_null(definition.output_schema),
        "annotations": definition.annotations.model_dump(exclude_none=True) or None,
        "_meta": {"tool-server/plugin": entry.plugin, "tool-server/version": entry.version},
    }
    return compact_json(_without_null(tool))


def _without_null(value: JsonObject) -> JsonObject:
    return {key: item for key, item in value.items() if item is not None}


def _encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            "invalid_cursor", "this cursor is not one of this server's: list from the start", {"cursor": cursor[:80]}
        ) from error
