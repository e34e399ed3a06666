"""Finding, resolving and moving the references of a schema."""

from __future__ import annotations

import pytest

from tests.inspection.conformity import conforms
from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import json_path
from tool_server.inspection.local_references import (
    move_pointers,
    references,
    resolve_pointer,
    root_type,
    with_object_root,
    wrap_result,
)
from tool_server.model.json_value import JsonObject, JsonValue

LIST: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:list",
    "type": "array",
    "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/leaf"}]},
    "$defs": {"leaf": {"type": "integer"}},
}


def test_references_are_found_where_schemas_stand_and_not_in_data() -> None:
    schema: JsonObject = {
        "$ref": "#/a",
        "properties": {"$ref": {"$ref": "#/b"}, "const": {"$ref": "#/c"}, "x": {"default": {"$ref": "no"}}},
        "allOf": [{"not": {"$ref": "#/d"}}, {"const": {"$ref": "no"}, "enum": [{"$ref": "no"}]}],
        "examples": [{"$ref": "no"}],
        "items": {"$ref": 7},
    }
    assert list(references(schema)) == ["#/a", "#/b", "#/c", "#/d"]
    assert list(references(move_pointers(schema, "/p"))) == ["#/p/a", "#/p/b", "#/p/c", "#/p/d"]
    assert schema["$ref"] == "#/a"


def test_anchors_and_files_are_not_moved() -> None:
    schema: JsonObject = {"anyOf": [{"$ref": "#name"}, {"$ref": "x.json#/a"}]}
    assert move_pointers(schema, "/p") == schema


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("", {"a/b": [1, {"~": 2}], "ä": 3}), ("/a~1b/0", 1), ("/a~1b/1/~0", 2), ("/%C3%A4", 3)],
)
def test_a_pointer_is_resolved(pointer: str, value: JsonValue) -> None:
    assert resolve_pointer({"a/b": [1, {"~": 2}], "ä": 3}, pointer) == value


@pytest.mark.parametrize("pointer", ["/x", "/a/2", "/a/-1", "/a/b", "/a/0/c", "/a/²"])
def test_a_pointer_to_nothing_is_refused(pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve_pointer({"a": [1, 2]}, pointer)
    assert caught.value.code == "dangling_pointer"


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({}, None),
        ({"type": "object"}, "object"),
        ({"type": ["object", "null"]}, ["object", "null"]),
        ({"properties": {}}, "object"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}}}, "string"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, None),
        ({"$ref": "#/$defs/no"}, None),
        ({"$ref": "#/$defs/a", "$defs": {"a": True}}, None),
        ({"anyOf": [{"type": "object"}]}, None),
    ],
)
def test_the_type_of_the_root_is_followed_through_references(schema: JsonObject, kind: JsonValue) -> None:
    assert root_type(schema) == kind


ROOTED: list[tuple[JsonObject, JsonObject]] = [
    ({}, {"type": "object"}),
    ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
    (
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
        {"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
    ),
    ({"type": "array"}, {"type": "array"}),
    ({"oneOf": [{}]}, {"oneOf": [{}]}),
]


@pytest.mark.parametrize(("schema", "rooted"), ROOTED)
def test_object_is_written_at_the_root_only_where_it_is_meant(schema: JsonObject, rooted: JsonObject) -> None:
    assert with_object_root(schema) == rooted


def test_a_wrapped_schema_means_what_it_meant() -> None:
    wrapper = wrap_result(LIST)
    assert conforms(wrapper, {"result": [1, [2, []]]})
    assert not conforms(wrapper, {"result": [1, ["2"]]})
    assert not conforms(wrapper, {})
    assert "$id" not in str(wrapper)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ([], "$"),
        (["tools", "a-b", 0, "$ref"], "$.tools.a-b[0].$ref"),
        (["count words"], '$["count words"]'),
        (['"'], '$["\\""]'),
        (["ä\ud800"], '$["\\xe4\\ud800"]'),
        (["x" * 200], f'$["{"x" * 80}"]'),
    ],
)
def test_a_path_is_written_so_that_it_can_be_printed(parts: list[str | int], path: str) -> None:
    assert json_path(parts) == path
    path.encode("ascii")
