"""Words for values and for what a schema expects, as they stand in messages to models and people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from tool_server.inspection.schema_graph import Node, SchemaGraph
from tool_server.model.json_value import JsonObject, JsonValue, json_type

MAX_SHOWN = 80
"""Characters of a value in a message."""

MAX_CHOICES = 30
"""Choices or names that a message lists."""

_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P1DT12H",
    "email": "name@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/page",
    "uri-reference": "/page?x=1",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "json-pointer": "/items/0",
    "regex": "^[a-z]+$",
}


def shown(value: JsonValue, limit: int = MAX_SHOWN) -> str:
    """The value as JSON, cut to about `limit` characters."""
    if isinstance(value, str):
        value = value[: limit + 1]
    text = ""
    # Encoded piece by piece, so that a large value is not written out in full.
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += part
        if len(text) > limit + 1:
            break
    cut = text if len(text) <= limit + 1 else f"{text[:limit]}…"
    # A lone surrogate would make the message itself impossible to send.
    return cut.encode("utf-8", "replace").decode("utf-8")


def got(value: JsonValue) -> str:
    """The value and its JSON type, such as `"three" (string)`."""
    return "null" if value is None else f"{shown(value)} ({json_type(value)})"


def one_of(words: Sequence[str], joint: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def choices(values: Sequence[JsonValue]) -> str:
    """`"a", "b" or "c"`, cut after `MAX_CHOICES`."""
    words = [shown(value) for value in values[:MAX_CHOICES]]
    return one_of(words) if len(values) <= MAX_CHOICES else f"{', '.join(words)} … ({len(values)} in all)"


def names(keys: Iterable[str]) -> str:
    """`'a', 'b'`, cut after `MAX_CHOICES`."""
    listed = list(keys)
    text = ", ".join(f"'{clean(key)}'" for key in listed[:MAX_CHOICES])
    return text if len(listed) <= MAX_CHOICES else f"{text} … ({len(listed)} in all)"


def clean(text: str, limit: int = MAX_SHOWN) -> str:
    """Text of a caller or an author, cut and fit to be sent."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return cut.encode("utf-8", "replace").decode("utf-8")


def types(allowed: Iterable[str]) -> str:
    """`a string or null` for JSON Schema's type names."""
    return one_of([_TYPES.get(name, name) for name in allowed])


def format_words(name: str) -> str:
    """`a string in the format 'date', such as 2026-01-31`."""
    example = _FORMATS.get(name)
    return f"a string in the format '{clean(name)}'" + (f", such as {example}" if example else "")


def expected_words(graph: SchemaGraph, node: Node, depth: int = 0) -> str:
    """What a subschema asks for in a few words, such as `an integer` or `one of "a" or "b"`; follows references."""
    schema = node.schema
    if not isinstance(schema, dict) or depth > 4:
        return "nothing" if schema is False else "a value"
    enumerated = schema.get("enum")
    if "const" in schema:
        return shown(schema["const"])
    if isinstance(enumerated, list):
        return choices(enumerated) if len(enumerated) < 2 else f"one of {choices(enumerated)}"
    type_words = _type_words(graph, node, schema)
    if type_words:
        return type_words
    for keyword in ("$ref", "$dynamicRef", "allOf"):
        for edge in node.edges:
            if edge.keyword == keyword:
                return expected_words(graph, graph.nodes[edge.target], depth + 1)
    branches = [
        expected_words(graph, graph.nodes[edge.target], depth + 1)
        for edge in node.edges
        if edge.keyword in ("anyOf", "oneOf")
    ]
    return one_of(list(dict.fromkeys(branches))[:MAX_CHOICES]) or "a value"


def described(graph: SchemaGraph, node: Node) -> str:
    """`expected_words`, and the author's description in parentheses."""
    words = expected_words(graph, node)
    for candidate in (node, *(graph.nodes[edge.target] for edge in node.edges if edge.keyword == "$ref")):
        if isinstance(candidate.schema, dict):
            text = candidate.schema.get("description")
            if isinstance(text, str) and text.strip():
                return f"{words} ({clean(' '.join(text.split()), 160)})"
    return words


def _type_words(graph: SchemaGraph, node: Node, schema: JsonObject) -> str:
    given = schema.get("type")
    if isinstance(given, list):
        return types(name for name in given if isinstance(name, str))
    if not isinstance(given, str):
        return ""
    name = schema.get("format")
    if given == "string" and isinstance(name, str):
        return format_words(name)
    if given == "object":
        marks = [
            f"{clean(edge.label)}: {shown(inner['const'])}"
            for edge in node.edges
            if edge.keyword == "properties"
            and isinstance(inner := graph.nodes[edge.target].schema, dict)
            and "const" in inner
        ]
        return f"an object with {', '.join(marks[:3])}" if marks else "an object"
    return _TYPES.get(given, given)
