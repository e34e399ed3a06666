"""`exports` and `mastra.parameters` of the Extismx format, as JSON Schemas.

`exports` is a list of names, or of `{name, description?, inputs, outputs}`; both of these are lists of
`{name, type, optional?, description?}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from tool_server.inspection.manifest_errors import closest, refuse, refuse_unknown
from tool_server.model.json_value import JsonObject, JsonValue

_WORDS: tuple[tuple[JsonObject, tuple[str, ...]], ...] = (
    ({"type": "string"}, ("string", "str", "text")),
    ({"type": "integer"}, ("integer", "int", "i32", "i64", "u32", "u64", "long")),
    ({"type": "number"}, ("number", "float", "double", "f32", "f64")),
    ({"type": "boolean"}, ("boolean", "bool")),
    ({"type": "object"}, ("object", "record", "map", "dict")),
    ({"type": "array"}, ("array", "list")),
    ({"type": "string", "contentEncoding": "base64"}, ("bytes", "buffer", "binary")),
    ({}, ("any", "json", "unknown")),
)
_TYPES: dict[str, JsonObject] = {word: schema for schema, words in _WORDS for word in words}

_EXPORT_FIELDS = ("name", "description", "inputs", "outputs")
_VALUE_FIELDS = ("name", "type", "optional", "required", "description", "default", "enum")


def tools_from_exports(value: JsonValue, path: Sequence[str | int] = ("exports",)) -> dict[str, JsonObject]:
    """Entries of `tools`, in the order given; a bare name is an empty entry, whose types come from the module.

    One output is the tool's result (a string is plain text, so it gets no schema); several are the fields of an object.

    Raises:
        InvalidInput: `invalid_manifest`, naming the place.
    """
    if not isinstance(value, list):
        refuse(path, "an array of export names, or of {name, inputs, outputs}", value)
    tools: dict[str, JsonObject] = {}
    for index, entry in enumerate(value):
        name, tool = _export(entry, (*path, index))
        if name in tools:
            refuse((*path, index), "every export once", name)
        tools[name] = tool
    return tools


def schema_of_values(values: JsonValue, path: Sequence[str | int]) -> JsonObject:
    """The object schema of a list of `{name, type, optional?, description?}`.

    Raises:
        InvalidInput: `invalid_manifest`, naming the place.
    """
    if not isinstance(values, list):
        refuse(path, "an array of {name, type, optional, description}", values)
    properties: JsonObject = {}
    required: list[JsonValue] = []
    for index, value in enumerate(values):
        here = (*path, index)
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
            refuse(here, "an object with a name and a type", value)
        name = str(value["name"])
        if name in properties:
            refuse(here, "every name once", name)
        properties[name] = _value_schema(value, here)
        if not _optional(value, here):
            required.append(name)
    schema: JsonObject = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _export(entry: JsonValue, path: Sequence[str | int]) -> tuple[str, JsonObject]:
    if isinstance(entry, str) and entry:
        return entry, {}
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        refuse(path, "the name of an export, or an object with its name", entry)
    for field in entry:
        if field not in _EXPORT_FIELDS:
            refuse_unknown((*path, field), _EXPORT_FIELDS)
    tool: JsonObject = {}
    if entry.get("description") is not None:
        tool["description"] = entry["description"]
    if entry.get("inputs") is not None:
        tool["input"] = schema_of_values(entry["inputs"], (*path, "inputs"))
    if entry.get("outputs") is not None:
        output = _output_schema(entry["outputs"], (*path, "outputs"))
        tool.update({"output": output} if output is not None else {"returns": "text"})
    return str(entry["name"]), tool


def _output_schema(values: JsonValue, path: Sequence[str | int]) -> JsonObject | None:
    if not isinstance(values, list):
        refuse(path, "an array of {name, type, description}", values)
    if len(values) > 1:
        return schema_of_values(values, path)
    if not values:
        return None
    value, here = values[0], (*path, 0)
    if not isinstance(value, dict):
        refuse(here, "an object with a type", value)
    schema = _value_schema(value, here)
    return None if schema.get("type") == "string" and "contentEncoding" not in schema else schema


def _value_schema(value: JsonObject, path: Sequence[str | int]) -> JsonObject:
    for field in value:
        if field not in _VALUE_FIELDS:
            refuse_unknown((*path, field), _VALUE_FIELDS)
    schema = type_schema(value.get("type", "string"), (*path, "type"))
    for field in ("description", "default", "enum"):
        if value.get(field) is not None:
            schema[field] = value[field]
    return schema


def _optional(value: JsonObject, path: Sequence[str | int]) -> bool:
    for field, means_optional in (("optional", True), ("required", False)):
        flag = value.get(field)
        if flag is not None and not isinstance(flag, bool):
            refuse((*path, field), "true or false", flag)
        if flag is not None:
            return flag is means_optional
    return "default" in value


def type_schema(kind: JsonValue, path: Sequence[str | int]) -> JsonObject:
    """The schema of a type's word (`string`, `int`, `string[]`, …); a JSON Schema object stays as it is.

    Raises:
        InvalidInput: `invalid_manifest`, naming the place.
    """
    if isinstance(kind, dict):
        return dict(kind)
    if not isinstance(kind, str):
        refuse(path, "a type such as 'string', or a JSON Schema", kind)
    word = kind.strip()
    dimensions = 0
    while word.endswith("[]") and dimensions < 8:
        word, dimensions = word[:-2].strip(), dimensions + 1
    known = _TYPES.get(word.lower())
    if known is None:
        _refuse_type(kind, word, path)
    schema: JsonObject = dict(known)
    for _ in range(dimensions):
        schema = {"type": "array", "items": schema}
    return schema


def _refuse_type(kind: str, word: str, path: Sequence[str | int]) -> NoReturn:
    names = "string, integer, number, boolean, object, array, bytes, any, or one of these with '[]'"
    refuse(path, f"a type ({names}) or a JSON Schema{closest(word, _TYPES)}", kind)
