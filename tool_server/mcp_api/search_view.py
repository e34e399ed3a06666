"""Calls of a client in the search view: three tools in front of the catalogue. All others are called as ever."""

from __future__ import annotations

from collections.abc import Awaitable
from difflib import get_close_matches
from typing import Any, Protocol, cast

from tool_server.errors import InvalidInput, NotFound
from tool_server.inspection.arguments import ArgumentsValidator
from tool_server.inspection.instance_bounds import NotQuickError
from tool_server.inspection.offering import ListedTool
from tool_server.mcp_api.calls import Invoke
from tool_server.mcp_api.search_tools import CALL, DEFAULT_LIMIT, DESCRIBE, INPUT_SCHEMAS, SEARCH
from tool_server.model.call import ToolResult
from tool_server.model.caller import Caller
from tool_server.model.client import NO_CLIENT, ClientChannel
from tool_server.model.json_value import JsonObject, compact_json
from tool_server.model.search import Found, FoundTool, ToolFilter

MAX_ARGUMENTS = 16_384
"""Bytes of arguments, as JSON, that are looked at although that is not quick: too long texts, to say so."""

ALIKE, NEAREST = 30, 3
"""Tools that are found by a name that is not there, and those of them whose names are the most alike."""


class ToolSearch(Protocol):
    """Search over the offered tools."""

    async def search(self, query: str, within: ToolFilter, limit: int, caller: Caller) -> Found:
        """See `SearchService.search`."""
        ...

    async def describe(self, name: str, caller: Caller) -> ListedTool:
        """See `SearchService.describe`."""
        ...


class SearchView:
    """An `Invoke` for callers of both views.

    Args:
        tools: search over the tools.
        invoke: runs a tool.
    """

    def __init__(self, tools: ToolSearch, invoke: Invoke) -> None:
        self._tools = tools
        self._invoke = invoke
        self._validators: dict[str, ArgumentsValidator] = {}

    def call(
        self, name: str, arguments: JsonObject, caller: Caller, client: ClientChannel = NO_CLIENT
    ) -> Awaitable[ToolResult]:
        """Run one of the three tools for a caller in the search view, and any tool for every other.

        Raises:
            NotFound: `unknown_tool`.
            ToolServerError: as the tool fails.
        """
        # Not a coroutine of its own: ordinary calls pass through here.
        if caller.view.searches:
            return self._answer(name, arguments, caller, client)
        return self._invoke(name, arguments, caller, client)

    async def _answer(self, name: str, arguments: JsonObject, caller: Caller, client: ClientChannel) -> ToolResult:
        match name:
            case "search_tools":
                return await self._search(self._checked(SEARCH, arguments), caller)
            case "describe_tool":
                return await self._describe(self._checked(DESCRIBE, arguments)["name"], caller)
            case "call_tool":
                return await self._call(arguments, caller, client)
            case _:
                raise NotFound(
                    "unknown_tool",
                    f"there is no tool {name[:100]!r} in the search view: run tools with {CALL}",
                    {"tool": name[:200]},
                )

    async def _search(self, given: dict[str, Any], caller: Caller) -> ToolResult:
        within = ToolFilter(given.get("plugin"), given.get("keyword"), given.get("annotations", {}))
        found = await self._tools.search(given["query"], within, int(given.get("limit", DEFAULT_LIMIT)), caller)
        structured: JsonObject = {"tools": [_as_json(tool) for tool in found.tools], "more": found.more}
        return _result(_as_text(found), structured)

    async def _describe(self, name: str, caller: Caller) -> ToolResult:
        try:
            tool = await self._tools.describe(name, caller)
        except NotFound as error:
            raise await self._unknown(name, caller) from error
        described: JsonObject = {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "plugin": tool.plugin,
            "version": tool.version,
            "inputSchema": tool.input_schema,
            "outputSchema": tool.output_schema,
            "annotations": tool.annotations,
        }
        present: JsonObject = {key: value for key, value in described.items() if value is not None}
        return _result(compact_json(present).decode(), present)

    async def _call(self, arguments: JsonObject, caller: Caller, client: ClientChannel) -> ToolResult:
        inner = arguments.get("arguments", {})
        # They are checked against the tool's own schema, and may be more than is checked here.
        name: str = self._checked(CALL, {**arguments, "arguments": {}} if isinstance(inner, dict) else arguments)[
            "name"
        ]
        try:
            result = await self._invoke(name, cast(JsonObject, inner), caller, client)
        except NotFound as error:
            raise await self._unknown(name, caller) from error
        if result.is_error or result.pending is not None:
            return result
        structured: JsonObject | None = None if result.structured is None else {"output": result.structured}
        if any(block.get("type") == "image" for block in result.content):
            # Mastra shows the model either the structured content or the image.
            structured = None
        return ToolResult(result.content, structured, meta=result.meta)

    def _checked(self, tool: str, arguments: JsonObject) -> dict[str, Any]:
        """The arguments of one of the three tools with their defaults."""
        validator = self._validators.get(tool)
        if validator is None:
            validator = self._validators[tool] = ArgumentsValidator(INPUT_SCHEMAS[tool])
        try:
            return validator.check(arguments, quick=True)
        except NotQuickError as error:
            if len(compact_json(arguments)) > MAX_ARGUMENTS:
                raise InvalidInput("invalid_arguments", f"these are far too many arguments for {tool}") from error
            return validator.check(arguments)

    async def _unknown(self, name: str, caller: Caller) -> InvalidInput:
        """What to tell who named a tool that is not there. An argument is wrong then: the three tools are there."""
        alike = await self._tools.search(name, ToolFilter(), ALIKE, caller)
        near = get_close_matches(name, [tool.name for tool in alike.tools], NEAREST, cutoff=0)
        advice = f"the nearest are {', '.join(near)}" if near else f"find one with {SEARCH}"
        return InvalidInput("unknown_tool", f"there is no tool {name[:100]!r} here: {advice}", {"tool": name[:200]})


def _result(text: str, structured: JsonObject) -> ToolResult:
    return ToolResult(({"type": "text", "text": text},), structured)


def _as_json(tool: FoundTool) -> JsonObject:
    shown: dict[str, Any] = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "plugin": tool.plugin,
        "parameters": list(tool.parameters),
    }
    return {key: value for key, value in shown.items() if value is not None}


def _as_text(found: Found) -> str:
    if not found.tools:
        return "No tool fits: search again with other words, or with fewer filters."
    lines = [f"{tool.name}({', '.join(tool.parameters)}): {tool.description}" for tool in found.tools]
    return "\n".join([*lines, "There are more: say more precisely what you need."] if found.more else lines)
