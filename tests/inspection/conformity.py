"""Whether a value fits a JSON Schema, by the reference implementation and without fetching anything."""

from __future__ import annotations

from typing import Any, cast

from jsonschema import Draft202012Validator
from referencing import Registry

from tool_server.model.json_value import JsonObject, JsonValue


def conforms(schema: JsonObject, value: JsonValue) -> bool:
    """Whether `value` is valid under `schema`, draft 2020-12."""
    validator = cast(Any, Draft202012Validator)(schema, registry=cast(Any, Registry)())
    return bool(validator.is_valid(value))
