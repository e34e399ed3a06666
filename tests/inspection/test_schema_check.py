"""Schemas against the meta-schema of draft 2020-12."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest

from tool_server.errors import InvalidInput
from tool_server.inspection.schema_check import check_schema
from tool_server.model.json_value import JsonObject

GOOD: list[JsonObject] = [
    {},
    {"type": ["string", "null"], "pattern": "(?<javascript>\\p{L})", "unknown": 1},
    {"$ref": "#/nowhere", "$defs": {"a": {"$anchor": "b"}}, "definitions": {"old": {}}},
    {"$schema": "https://example.com/other", "properties": {"a": False}},
]

BAD: list[tuple[JsonObject, str]] = [
    ({"type": "text"}, "$.type"),
    ({"properties": {"a": {"minimum": "1"}}}, "$.properties.a.minimum"),
    ({"items": [{}]}, "$.items"),
    ({"required": ["a", "a"]}, "$.required"),
    ({"$defs": {"a": {"allOf": []}}}, "$['$defs'].a.allOf"),
    ({"multipleOf": 0}, "$.multipleOf"),
    ({"$id": "a#b"}, "$['$id']"),
    ({"enum": {"a": "x" * 1_000}}, "$.enum"),
]


@pytest.mark.parametrize("schema", GOOD)
def test_a_schema_passes_with_patterns_of_javascript_and_keywords_of_its_own(schema: JsonObject) -> None:
    check_schema(schema, where="it")


@pytest.mark.parametrize(("schema", "path"), BAD)
def test_what_breaks_the_meta_schema_is_refused_with_its_path(schema: JsonObject, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_schema(schema, where="the input schema of 'add'")
    assert caught.value.code == "invalid_schema"
    assert caught.value.message.startswith("the input schema of 'add' is not a JSON Schema")
    assert len(caught.value.message) < 500
    assert isinstance(caught.value.data["path"], str)
    assert caught.value.data["path"].replace("$['$defs']", "").replace("$['$id']", "").lstrip("$.") in path


def test_a_remote_reference_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    check_schema(
        {"$ref": "http://192.0.2.1/a", "$schema": "http://192.0.2.1/b", "$id": "http://192.0.2.1/c"}, where="it"
    )


def test_a_schema_nested_beyond_pythons_stack_is_refused() -> None:
    schema: JsonObject = {}
    for _ in range(5_000):
        schema = {"not": schema}
    with pytest.raises(InvalidInput, match="nested too deeply"):
        check_schema(schema, where="it")
