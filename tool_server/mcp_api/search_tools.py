"""The three tools that stand for all others in the search view: what they are called, take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tool_server.model.json_value import JsonObject, compact_json
from tool_server.model.search import HINTS

SEARCH, DESCRIBE, CALL = "search_tools", "describe_tool", "call_tool"

DEFAULT_LIMIT, MAX_LIMIT = 10, 50

_NAME: JsonObject = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "description": f"The tool's name, as {SEARCH} gives it.",
}

_SEARCH_INPUT: JsonObject = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "maxLength": 1_000,
            "description": "What the tool is to do, in a few words, such as 'resize an image', or its name. English "
            "words of tools' names, titles, descriptions and parameters are looked for; an empty text lists tools by "
            "name.",
        },
        "plugin": {"type": "string", "maxLength": 200, "description": "Only tools of this plugin, by its exact name."},
        "keyword": {
            "type": "string",
            "maxLength": 100,
            "description": "Only tools of plugins with this keyword, such as 'image'.",
        },
        "annotations": {
            "type": "object",
            "properties": {
                hint: {"type": "boolean", "description": f"Where a tool says nothing, {str(value).lower()} holds."}
                for hint, value in HINTS.items()
            },
            "additionalProperties": False,
            "description": "Only tools with these hints: {'readOnlyHint': true} for those that change nothing.",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
            "description": "How many tools at most.",
        },
    },
    "required": ["query"],
    "additionalProperties": False,
}

_SEARCH_OUTPUT: JsonObject = {
    "type": "object",
    "properties": {
        "tools": {
            "type": "array",
            "description": "The tools that fit best, the best first.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "title": {"type": "string"},
                    "description": {"type": "string", "description": "One line."},
                    "plugin": {"type": "string"},
                    "parameters": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Names, the required ones first.",
                    },
                },
                "required": ["name", "description", "plugin", "parameters"],
            },
        },
        "more": {"type": "boolean", "description": "Whether other tools fit as well."},
    },
    "required": ["tools", "more"],
}

_DESCRIBE_OUTPUT: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "plugin": {"type": "string"},
        "version": {"type": "string"},
        "inputSchema": {"type": "object", "description": "JSON Schema of the arguments."},
        "outputSchema": {"type": "object", "description": "JSON Schema of the structured output, where it has one."},
        "annotations": {"type": "object", "description": "Hints about its behaviour."},
    },
    "required": ["name", "description", "plugin", "version", "inputSchema", "annotations"],
}

_CALL_INPUT: JsonObject = {
    "type": "object",
    "properties": {
        "name": _NAME,
        "arguments": {
            "type": "object",
            "default": {},
            "description": f"The arguments of that tool: an object that fits its inputSchema, which {DESCRIBE} gives.",
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}


def _listing(
    name: str, title: str, description: str, given: JsonObject, output: JsonObject | None, hints: JsonObject
) -> JsonObject:
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": given,
        **({} if output is None else {"outputSchema": output}),
        "annotations": {"title": title, **hints},
    }


_READS: JsonObject = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}

_TOOLS: Mapping[str, JsonObject] = {
    str(tool["name"]): tool
    for tool in (
        _listing(
            CALL,
            "Call a tool",
            f"Call a tool that {SEARCH} found and return what it answers. Arguments are checked against the tool's "
            f"input schema: get that from {DESCRIBE} first, unless you know it. When the call is refused, the message "
            "says which argument is wrong and what was expected.",
            _CALL_INPUT,
            # It would have to answer every call with structured content, beside which Mastra shows a model no image.
            None,
            # Whatever the tool does that is called: the strictest there is.
            {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True},
        ),
        _listing(
            DESCRIBE,
            "Describe a tool",
            "Everything about one tool: its full description, the JSON Schemas of its arguments and output, and hints "
            f"about its behaviour. Use it before {CALL}.",
            {"type": "object", "properties": {"name": _NAME}, "required": ["name"], "additionalProperties": False},
            _DESCRIBE_OUTPUT,
            _READS,
        ),
        _listing(
            SEARCH,
            "Search tools",
            "Find tools for a task. This server has many tools that are not listed: search for what you need, in a few "
            f"words, then read the schema of the best one with {DESCRIBE} and run it with {CALL}. Search again with "
            "other words when nothing fits.",
            _SEARCH_INPUT,
            _SEARCH_OUTPUT,
            _READS,
        ),
    )
}

INPUT_SCHEMAS: Mapping[str, JsonObject] = {name: cast(JsonObject, tool["inputSchema"]) for name, tool in _TOOLS.items()}
"""By name."""

LISTINGS: tuple[tuple[str, bytes], ...] = tuple((name, compact_json(tool)) for name, tool in _TOOLS.items())
"""Names with MCP's `Tool` objects as compact JSON, by name."""
