"""Types of an XTP schema as JSON Schema 2020-12.

Source: dylibso/xtp-bindgen, `schema.yaml`, `src/parser.ts` and `src/normalizer.ts`, for `version: v1-draft`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import json_path, shown
from tool_server.model.json_value import JsonObject, JsonValue

Path = Sequence[str | int]

REFERENCE_PREFIX = "#/components/schemas/"

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
_NODE_FIELDS = frozenset(
    {
        "type",
        "$ref",
        "format",
        "items",
        "nullable",
        "description",
        "enum",
        "properties",
        "required",
        "additionalProperties",
    }
)
_FIELDS_OF_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"format", "enum"}),
    "number": frozenset({"format"}),
    "integer": frozenset({"format"}),
    "boolean": frozenset(),
    "buffer": frozenset(),
    "array": frozenset({"items"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
_BESIDE_REFERENCE = frozenset({"$ref", "nullable", "description"})
_FORMATS: Mapping[tuple[str, str], JsonObject] = {
    ("string", "date-time"): {"format": "date-time"},
    ("string", "byte"): {"contentEncoding": "base64"},
    ("number", "float"): {},
    ("number", "double"): {},
    ("integer", "uint8"): {"minimum": 0, "maximum": 2**8 - 1},
    ("integer", "int8"): {"minimum": -(2**7), "maximum": 2**7 - 1},
    ("integer", "uint16"): {"minimum": 0, "maximum": 2**16 - 1},
    ("integer", "int16"): {"minimum": -(2**15), "maximum": 2**15 - 1},
    ("integer", "uint32"): {"minimum": 0, "maximum": 2**32 - 1},
    ("integer", "int32"): {"minimum": -(2**31), "maximum": 2**31 - 1},
    # The bounds of 64 bits cannot be told apart from their neighbours by a client that reads numbers as doubles.
    ("integer", "uint64"): {"minimum": 0},
    ("integer", "int64"): {},
}


def refuse(path: Path, expected: str, got: JsonValue) -> NoReturn:
    """Stop at one place of an XTP schema.

    Raises:
        InvalidInput: `invalid_xtp`, always.
    """
    place = json_path(path)
    raise InvalidInput(
        "invalid_xtp",
        f"XTP schema: {place}: expected {expected}, got {shown(got)}",
        {"path": place, "expected": expected, "got": shown(got)},
    )


def check_fields(node: JsonValue, known: frozenset[str], path: Path) -> JsonObject:
    """`node` when it is an object of `known` fields, without those that are null.

    Raises:
        InvalidInput: `invalid_xtp`.
    """
    if not isinstance(node, dict):
        refuse(path, "an object", node)
    for field in node:
        if field not in known:
            place = json_path((*path, field))
            raise InvalidInput(
                "invalid_xtp",
                f"XTP schema: {place} is not a field of {'a type' if known is _NODE_FIELDS else 'this place'} in "
                f"v1-draft: known are {', '.join(sorted(known))}",
                {"path": place, "expected": sorted(known), "got": field[:200]},
            )
    return {field: value for field, value in node.items() if value is not None}


def read_components(components: JsonValue) -> dict[str, JsonObject]:
    """`$defs` of every component, each name a schema.

    Raises:
        InvalidInput: `invalid_xtp`.
    """
    path: Path = ("components", "schemas")
    holder = check_fields(components if components is not None else {}, frozenset({"schemas"}), ("components",))
    schemas = holder.get("schemas", {})
    if not isinstance(schemas, dict):
        refuse(path, "an object of schemas by name", schemas)
    for name in schemas:
        if not _NAME.fullmatch(name):
            refuse((*path, name), "a name of letters, digits, '_' and '$'", name)
    names = frozenset(schemas)
    return {name: type_schema(node, names, (*path, name)) for name, node in schemas.items()}


def type_schema(node: JsonValue, components: frozenset[str], path: Path) -> JsonObject:
    """The JSON Schema of one type, its references as `#/$defs/NAME`.

    Raises:
        InvalidInput: `invalid_xtp`, for what v1-draft does not have and for references to no component.
    """
    fields = check_fields(node, _NODE_FIELDS, path)
    if "$ref" in fields:
        schema = _reference(fields, components, path)
    else:
        kind = _kind(fields, path)
        schema = _typed(kind, fields, components, path)
    if _flag(fields, path):
        schema = _nullable(schema)
    description = fields.get("description")
    if description is not None and not isinstance(description, str):
        refuse((*path, "description"), "a string", description)
    return {"description": description.strip(), **schema} if description else schema


def _reference(fields: JsonObject, components: frozenset[str], path: Path) -> JsonObject:
    reference = fields["$ref"]
    for field in fields:
        if field not in _BESIDE_REFERENCE:
            refuse((*path, field), "nothing beside '$ref' but 'description' and 'nullable'", fields[field])
    name = reference.removeprefix(REFERENCE_PREFIX) if isinstance(reference, str) else ""
    if reference != f"{REFERENCE_PREFIX}{name}":
        refuse((*path, "$ref"), f"'{REFERENCE_PREFIX}NAME'", reference)
    if name not in components:
        refuse(
            (*path, "$ref"), f"one of the components ({', '.join(sorted(components)) or 'there are none'})", reference
        )
    return {"$ref": f"#/$defs/{name}"}


def _kind(fields: JsonObject, path: Path) -> str:
    kind = fields.get("type")
    if kind is None:
        kind = "string" if "enum" in fields else "array" if "items" in fields else "object"
    if not isinstance(kind, str) or kind not in _FIELDS_OF_TYPE:
        refuse((*path, "type"), f"one of {', '.join(_FIELDS_OF_TYPE)}", kind)
    for field in fields:
        if field not in _FIELDS_OF_TYPE[kind] and field not in ("type", "nullable", "description"):
            refuse((*path, field), f"no such field on type '{kind}'", fields[field])
    return kind


def _typed(kind: str, fields: JsonObject, components: frozenset[str], path: Path) -> JsonObject:
    if kind == "object":
        return _object(fields, components, path)
    if kind == "array":
        items = fields.get("items")
        if items is None:
            return {"type": "array"}
        return {"type": "array", "items": type_schema(items, components, (*path, "items"))}
    if kind == "buffer":
        return {"type": "string", "contentEncoding": "base64"}
    schema: JsonObject = {"type": kind}
    if "enum" in fields:
        schema["enum"] = _enum(fields["enum"], (*path, "enum"))
    format_ = fields.get("format")
    if format_ is None:
        return schema
    known = [name for of, name in _FORMATS if of == kind]
    if not isinstance(format_, str) or format_ not in known:
        refuse((*path, "format"), f"one of {', '.join(known) or 'no formats'} on type '{kind}'", format_)
    return {**schema, **_FORMATS[kind, format_]}


def _object(fields: JsonObject, components: frozenset[str], path: Path) -> JsonObject:
    properties = fields.get("properties", {})
    if not isinstance(properties, dict):
        refuse((*path, "properties"), "an object of types by name", properties)
    schema: JsonObject = {"type": "object"}
    if "properties" in fields:
        schema["properties"] = {
            name: type_schema(value, components, (*path, "properties", name)) for name, value in properties.items()
        }
    required = fields.get("required", [])
    if not isinstance(required, list):
        refuse((*path, "required"), "an array of property names", required)
    for index, name in enumerate(required):
        if not isinstance(name, str) or name not in properties:
            refuse((*path, "required", index), "the name of a property of this object", name)
    if required:
        schema["required"] = list(dict.fromkeys(str(name) for name in required))
    if "additionalProperties" in fields:
        value = fields["additionalProperties"]
        schema["additionalProperties"] = type_schema(value, components, (*path, "additionalProperties"))
    return schema


def _enum(values: JsonValue, path: Path) -> list[JsonValue]:
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        refuse(path, "an array of strings, at least one", values)
    if len(set(map(str, values))) != len(values):
        refuse(path, "every value once", values)
    return values


def _flag(fields: JsonObject, path: Path) -> bool:
    nullable = fields.get("nullable", False)
    if not isinstance(nullable, bool):
        refuse((*path, "nullable"), "true or false", nullable)
    return nullable


def _nullable(schema: JsonObject) -> JsonObject:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    values = schema.get("enum")
    with_null: JsonObject = {**schema, "type": [schema["type"], "null"]}
    if isinstance(values, list):
        with_null["enum"] = [*values, None]
    return with_null
