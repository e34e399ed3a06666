"""The tools as MCP lists them to a caller: pages of the JSON that the catalogue holds of each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pydantic_core import from_json

from tool_server.errors import InvalidInput
from tool_server.mcp_api import search_tools
from tool_server.mcp_api.lane.requests import Call
from tool_server.model.catalog import Catalog
from tool_server.model.item_kind import ItemKind
from tool_server.model.json_value import JsonObject
from tool_server.model.tool import TaskSupport
from tool_server.model.view import EVERYTHING, View

PAGE_SIZE = 1_000
"""Tools on one page. Many clients read only the first."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tools, by name."""

    tools: Sequence[bytes]
    """MCP `Tool` objects as JSON."""
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some prompts, resources or resource templates, by name."""

    items: Sequence[bytes]
    """MCP's objects as JSON."""
    next_cursor: str | None


class Listing:
    """The current catalogue in MCP's form, as far as a view shows it."""

    def __init__(self, catalog: Callable[[], Catalog], page_size: int = PAGE_SIZE) -> None:
        self._catalog = catalog
        self._page_size = page_size
        # What the SDK asks about a request's headers it asks by the tool's name alone.
        self._seen_by: ContextVar[View] = ContextVar("seen_by", default=EVERYTHING)

    def page(self, cursor: str | None = None, view: View = EVERYTHING) -> Page:
        """One page of what a view shows.

        The cursor names the last tool before it, so pages stay right when tools come and go.

        Raises:
            InvalidInput: `invalid_cursor`.
        """
        after = "" if cursor is None else _decode_cursor(cursor)
        if view.searches:
            return Page([tool for name, tool in search_tools.LISTINGS if name > after], None)
        catalog = self._catalog().within(view)
        page = catalog.listings(after, self._page_size)
        more = bool(page) and catalog.has_after(page[-1][0])
        return Page([tool for _, tool in page], _encode_cursor(page[-1][0]) if more else None)

    def items(self, kind: ItemKind, cursor: str | None = None, view: View = EVERYTHING) -> ItemPage:
        """One page of the prompts, resources or templates that a view shows, as `page`.

        Raises:
            InvalidInput: `invalid_cursor`.
        """
        after = "" if cursor is None else _decode_cursor(cursor)
        items = self._catalog().items.within(view)
        page = items.page(kind, after, self._page_size)
        more = bool(page) and items.has_after(kind, page[-1].name)
        return ItemPage([item.listing for item in page], _encode_cursor(page[-1].name) if more else None)

    def shows_resource(self, uri: str, view: View = EVERYTHING) -> bool:
        """Whether a view shows a resource of this URI, or a template that can stand for it."""
        item = self._catalog().items.reader_of(uri)
        return item is not None and view.admits_items_of(item.plugin)

    def input_schema_with_headers(self, name: str) -> JsonObject | None:
        """The input schema of a tool with parameters in `Mcp-Param-*` headers, None for every other.

        Inside of `seen_by` those that the view does not show are others.
        """
        tool, view = self._catalog().find(name), self._seen_by.get()
        if tool is None or not tool.needs_headers or view.searches or not view.admits(tool.plugin, name):
            return None
        return from_json(tool.listing)["inputSchema"]

    @contextmanager
    def seen_by(self, view: View) -> Generator[None]:
        """Have `input_schema_with_headers` answer for a view, in this task and those that it starts."""
        token = self._seen_by.set(view)
        try:
            yield
        finally:
            self._seen_by.reset(token)

    def offers_plain(self, name: str, view: View = EVERYTHING) -> bool:
        """Whether a view shows such a tool, and none of its parameters are repeated in headers."""
        if view is not EVERYTHING and view.searches:
            return name in search_tools.INPUT_SCHEMAS
        tool = self._catalog().find(name)
        return tool is not None and not tool.needs_headers and (view is EVERYTHING or view.admits(tool.plugin, name))

    def task_support(self, name: str, arguments: JsonObject, view: View = EVERYTHING) -> TaskSupport:
        """Whether a call may become a task. In the search view it is the tool to be called that says so."""
        if view is not EVERYTHING and view.searches:
            called = arguments.get("name") if name == search_tools.CALL else None
            if type(called) is not str:
                return TaskSupport.FORBIDDEN
            name = called
        tool = self._catalog().find(name)
        if tool is None or (view is not EVERYTHING and not view.admits(tool.plugin, name)):
            return TaskSupport.FORBIDDEN
        return tool.task

    def answers_at_once(self, call: Call, view: View = EVERYTHING) -> bool:
        """Whether a call neither becomes a task nor is refused because it cannot."""
        support = self.task_support(call.name, call.arguments, view)
        return support is TaskSupport.FORBIDDEN or (support is TaskSupport.OPTIONAL and not call.tasks)


def _encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            "invalid_cursor", "this cursor is not one of this server's: list from the start", {"cursor": cursor[:80]}
        ) from error
