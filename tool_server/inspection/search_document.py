"""A listed tool as search sees it: which texts are looked through, and what a result shows of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from tool_server.inspection.offering import listed_tool
from tool_server.inspection.search_words import words_of
from tool_server.model.catalog import OfferedTool
from tool_server.model.json_value import JsonObject
from tool_server.model.search import HINTS, FoundTool, ToolDocument

MAX_DESCRIPTION = 2_000
"""Characters of a description that are looked through."""

MAX_PARAMETERS = 100
"""Parameters of one tool that are looked through, nested ones included."""

MAX_DEPTH = 3
"""How deeply nested they may be."""

ONE_LINE = 160
"""Characters of the description that a result shows."""

MAX_SHOWN = 20
"""Parameters that a result names."""

_BLANKS = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s")


def document_of(tool: OfferedTool, keywords: tuple[str, ...]) -> ToolDocument:
    """What search looks through of a tool.

    Args:
        tool: as it is listed.
        keywords: of its plugin.
    """
    listed = listed_tool(tool)
    names: list[str] = []
    details: list[str] = []
    for name, description in _parameters(listed.input_schema):
        names.append(name)
        details.append(description)
    return ToolDocument(
        name=tool.name,
        plugin=tool.plugin,
        words=_joined(tool.tool),
        plugin_words=_joined(tool.plugin),
        title=_joined(listed.title or ""),
        description=_joined(listed.description[:MAX_DESCRIPTION]),
        parameters=_joined(" ".join(names)),
        details=_joined(" ".join(details)),
        keywords=keywords,
        hints=_hints(listed.annotations),
    )


def found_tool(tool: OfferedTool) -> FoundTool:
    """What a result shows of a tool."""
    listed = listed_tool(tool)
    properties = _properties(listed.input_schema)
    required = [name for name in _required(listed.input_schema) if name in properties]
    rest = [name for name in properties if name not in required]
    return FoundTool(
        tool.name, tool.plugin, listed.title, one_line(listed.description), tuple((required + rest)[:MAX_SHOWN])
    )


def one_line(text: str) -> str:
    """The first sentence of a text, or as much of it as one line holds."""
    line = _SENTENCE_END.split(_BLANKS.sub(" ", text[: 4 * ONE_LINE]).strip(), maxsplit=1)[0]
    return line if len(line) <= ONE_LINE else line[: ONE_LINE - 1].rpartition(" ")[0] + "…"


def _joined(text: str) -> str:
    return " ".join(words_of(text))


def _parameters(schema: JsonObject) -> Iterator[tuple[str, str]]:
    """Name and description of each parameter, those of the outermost object first."""
    waiting, left = [(schema, 0)], MAX_PARAMETERS
    for within, depth in waiting:
        for name, value in _properties(within).items():
            if left == 0:
                return
            left -= 1
            described = cast(dict[str, Any], value) if isinstance(value, dict) else {}
            description = described.get("description")
            yield name, description[:MAX_DESCRIPTION] if isinstance(description, str) else ""
            if depth < MAX_DEPTH:
                items = described.get("items")
                waiting.append((described, depth + 1))
                if isinstance(items, dict):
                    waiting.append((cast(JsonObject, items), depth + 1))


def _properties(schema: JsonObject) -> dict[str, Any]:
    found = schema.get("properties")
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _required(schema: JsonObject) -> list[str]:
    found = schema.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _hints(annotations: JsonObject) -> dict[str, bool]:
    given = {name: value for name in HINTS if isinstance(value := annotations.get(name), bool)}
    hints = {**HINTS, **given}
    if hints["readOnlyHint"]:
        # MCP gives this hint a meaning only where a tool changes something.
        hints["destructiveHint"] = False
    return hints
