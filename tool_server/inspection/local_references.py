"""Finding, resolving and moving the `$ref`s of a JSON Schema (draft 2020-12, sections 8.2.3 and 9.4.2).

Only places where a schema may stand are visited: data under `const`, `enum`, `default` and `examples` may hold a
member named `$ref` that refers to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import unquote

from tool_server.errors import InvalidInput
from tool_server.model.json_value import JsonObject, JsonValue

_DATA = frozenset({"const", "enum", "default", "examples"})
_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def map_schemas(schema: JsonValue, change: Callable[[JsonObject], JsonObject]) -> JsonValue:
    """A copy of `schema` in which every subschema (itself included, innermost first) went through `change`."""
    if isinstance(schema, list):
        return [map_schemas(item, change) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy: JsonObject = {}
    for keyword, value in schema.items():
        if keyword in _DATA:
            copy[keyword] = value
        elif keyword in _MAPS_OF_SCHEMAS and isinstance(value, dict):
            copy[keyword] = {name: map_schemas(child, change) for name, child in value.items()}
        else:
            copy[keyword] = map_schemas(value, change)
    return change(copy)


def references(schema: JsonValue) -> Iterator[str]:
    """Every `$ref` in `schema`, in document order."""
    if isinstance(schema, list):
        for item in schema:
            yield from references(item)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        for keyword, value in schema.items():
            if keyword in _MAPS_OF_SCHEMAS and isinstance(value, dict):
                yield from (found for child in value.values() for found in references(child))
            elif keyword not in _DATA:
                yield from references(value)


def is_pointer(reference: str) -> bool:
    """Whether `reference` is `#` or `#/…`, a JSON Pointer (RFC 6901) into the same document."""
    return reference == "#" or reference.startswith("#/")


def move_pointers(schema: JsonValue, prefix: str) -> JsonValue:
    """A copy of `schema` whose local pointers still hold when it stands at `prefix` (such as `/properties/result`)."""

    def change(subschema: JsonObject) -> JsonObject:
        reference = subschema.get("$ref")
        if isinstance(reference, str) and is_pointer(reference):
            subschema["$ref"] = f"#{prefix}{reference[1:]}"
        return subschema

    return map_schemas(schema, change)


def resolve_pointer(document: JsonValue, pointer: str) -> JsonValue:
    """What `pointer` (`""` or `/…`, percent-encoded as in a URI fragment) names in `document`.

    Raises:
        InvalidInput: `dangling_pointer`.
    """
    value = document
    for token in pointer.split("/")[1:]:
        key = unquote(token).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            raise InvalidInput("dangling_pointer", f"'#{pointer[:200]}' leads nowhere: there is no {key[:80]!r}")
    return value


def root_type(schema: JsonObject) -> JsonValue:
    """The `type` of the root, following local pointers; `"object"` where only `properties` are given, else None."""
    seen: set[str] = set()
    current: JsonValue = schema
    while isinstance(current, dict):
        if "type" in current:
            return current["type"]
        reference = current.get("$ref")
        if not isinstance(reference, str) or not is_pointer(reference) or reference in seen:
            return "object" if "properties" in current else None
        seen.add(reference)
        try:
            current = resolve_pointer(schema, reference[1:])
        except InvalidInput:
            return None
    return None


def with_object_root(schema: JsonObject) -> JsonObject:
    """`schema` with `type: object` written at its root, where that is what it means; else `schema` itself.

    MCP clients look for the word at the root and nowhere else.
    """
    if "type" in schema or (root_type(schema) != "object" and schema):
        return schema
    return {"type": "object", **schema}


def wrap_result(schema: JsonObject, name: str = "result") -> JsonObject:
    """The object schema `{name: schema}`, required, for a value that is no object itself."""
    inner = {keyword: value for keyword, value in schema.items() if keyword not in ("$schema", "$id")}
    moved = move_pointers(inner, f"/properties/{name}")
    return {"type": "object", "properties": {name: moved}, "required": [name]}
