"""XTP schemas as tools."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.inspection.conformity import conforms
from tool_server.errors import InvalidInput
from tool_server.inspection.xtp import XtpTool, tools_from_xtp
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.tool import InputForm, OutputForm

JSON, TEXT, BINARY = "application/json", "text/plain; charset=utf-8", "application/x-binary"
BASE64: JsonObject = {"type": "string", "contentEncoding": "base64"}
TREE: JsonObject = {
    "description": "A tree.",
    "required": ["label"],
    "properties": {
        "label": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
        "kind": {"$ref": "#/components/schemas/Kind"},
    },
}
KIND: JsonObject = {"description": "A kind.", "enum": ["leaf", "node"]}
COMPONENTS: dict[str, JsonValue] = {"Tree": TREE, "Kind": KIND, "Unused": {"type": "integer"}}
KIND_SCHEMA: JsonObject = {"description": "A kind.", "type": "string", "enum": ["leaf", "node"]}
TREE_BODY: JsonObject = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        "kind": {"$ref": "#/$defs/Kind"},
    },
    "required": ["label"],
}
TREE_SCHEMA: JsonObject = {"description": "A tree.", **TREE_BODY}


def document(export: JsonValue, components: dict[str, JsonValue] | None = None) -> JsonObject:
    """A v1-draft document with one export."""
    schemas: JsonObject = dict(COMPONENTS if components is None else components)
    return {"version": "v1-draft", "exports": {"f": export}, "components": {"schemas": schemas}}


def tool(export: JsonValue, components: dict[str, JsonValue] | None = None) -> XtpTool:
    return tools_from_xtp(document(export, components))["f"]


def ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def argument(schema: JsonValue) -> JsonObject:
    return {"type": "object", "properties": {"input": schema}, "required": ["input"], "additionalProperties": False}


def result(schema: JsonValue) -> JsonObject:
    return {"type": "object", "properties": {"result": schema}, "required": ["result"]}


DEFINITIONS: JsonObject = {"Tree": TREE_SCHEMA, "Kind": KIND_SCHEMA}

INPUTS: list[tuple[JsonValue, InputForm, JsonObject]] = [
    (None, InputForm.TEXT, {"type": "object", "properties": {}, "additionalProperties": False}),
    (
        {"contentType": JSON, "$ref": ref("Tree")},
        InputForm.ARGUMENTS,
        {**TREE_SCHEMA, "$defs": DEFINITIONS},
    ),
    (
        {"contentType": JSON, "$ref": ref("Tree"), "description": "The root."},
        InputForm.ARGUMENTS,
        {**TREE_BODY, "description": "The root.", "$defs": DEFINITIONS},
    ),
    (
        {"contentType": JSON, "$ref": ref("Tree"), "nullable": True},
        InputForm.VALUE,
        {**argument({"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}), "$defs": DEFINITIONS},
    ),
    (
        {"contentType": "application/json; charset=utf-8", "properties": {"a": {"type": "integer"}}},
        InputForm.ARGUMENTS,
        {"type": "object", "properties": {"a": {"type": "integer"}}},
    ),
    (
        {"contentType": JSON, "type": "object", "additionalProperties": {"type": "number", "format": "float"}},
        InputForm.ARGUMENTS,
        {"type": "object", "additionalProperties": {"type": "number"}},
    ),
    ({"contentType": JSON, "type": "integer"}, InputForm.VALUE, argument({"type": "integer"})),
    (
        {"contentType": JSON, "items": {"$ref": ref("Kind")}},
        InputForm.VALUE,
        {**argument({"type": "array", "items": {"$ref": "#/$defs/Kind"}}), "$defs": {"Kind": KIND_SCHEMA}},
    ),
    ({"contentType": JSON, "type": "buffer"}, InputForm.VALUE, argument(BASE64)),
    (
        {"contentType": TEXT, "type": "string", "description": "Words."},
        InputForm.TEXT,
        argument({"description": "Words.", "type": "string"}),
    ),
    (
        {"contentType": "text/plain", "$ref": ref("Kind")},
        InputForm.TEXT,
        {**argument({"$ref": "#/$defs/Kind"}), "$defs": {"Kind": KIND_SCHEMA}},
    ),
    (
        {"contentType": TEXT, "type": "string", "nullable": True},
        InputForm.TEXT,
        argument({"type": ["string", "null"]}),
    ),
    (
        {"contentType": BINARY, "type": "buffer", "description": "A picture."},
        InputForm.BYTES,
        argument({**BASE64, "description": "A picture."}),
    ),
]


@pytest.mark.parametrize(("written", "form", "schema"), INPUTS)
def test_an_input_becomes_an_object_schema_and_a_form(written: JsonValue, form: InputForm, schema: JsonObject) -> None:
    found = tool({} if written is None else {"input": written})
    assert (found.input, found.input_schema) == (form, schema)
    Draft202012Validator.check_schema(found.input_schema)


OUTPUTS: list[tuple[JsonValue, OutputForm, JsonObject | None]] = [
    (None, OutputForm.TEXT, None),
    ({"contentType": JSON, "$ref": ref("Tree")}, OutputForm.JSON, {**TREE_SCHEMA, "$defs": DEFINITIONS}),
    ({"contentType": JSON, "type": "boolean"}, OutputForm.VALUE, result({"type": "boolean"})),
    (
        {"contentType": JSON, "$ref": ref("Kind")},
        OutputForm.VALUE,
        {**result({"$ref": "#/$defs/Kind"}), "$defs": {"Kind": KIND_SCHEMA}},
    ),
    ({"contentType": TEXT, "type": "string"}, OutputForm.TEXT, None),
    ({"contentType": BINARY, "type": "buffer"}, OutputForm.BYTES, result(BASE64)),
]


@pytest.mark.parametrize(("written", "form", "schema"), OUTPUTS)
def test_an_output_becomes_an_object_schema_or_text(
    written: JsonValue, form: OutputForm, schema: JsonObject | None
) -> None:
    found = tool({} if written is None else {"output": written})
    assert (found.output, found.output_schema) == (form, schema)


TYPES: list[tuple[JsonObject, JsonValue]] = [
    ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    ({"type": "string", "format": "byte"}, BASE64),
    ({"type": "number", "format": "double", "nullable": True}, {"type": ["number", "null"]}),
    ({"type": "integer", "format": "int32"}, {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}),
    ({"type": "integer", "format": "uint8"}, {"type": "integer", "minimum": 0, "maximum": 255}),
    ({"type": "integer", "format": "int64"}, {"type": "integer"}),
    ({"type": "integer", "format": "uint64"}, {"type": "integer", "minimum": 0}),
    ({"enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
    ({"type": "array"}, {"type": "array"}),
    ({"description": "free"}, {"description": "free", "type": "object"}),
    ({"nullable": True}, {"type": ["object", "null"]}),
]


@pytest.mark.parametrize(("written", "schema"), TYPES)
def test_a_type_becomes_json_schema(written: JsonObject, schema: JsonValue) -> None:
    found = tool({"input": {"contentType": JSON, "properties": {"a": written}}})
    assert found.input_schema["properties"] == {"a": schema}


def test_a_recursive_type_validates_at_every_depth() -> None:
    schema = tool({"input": {"contentType": JSON, "$ref": ref("Tree")}}).input_schema
    assert conforms(schema, {"label": "a", "children": [{"label": "b", "kind": "leaf"}]})
    assert not conforms(schema, {"label": "a", "children": [{"label": "b", "children": [{"label": 1}]}]})


def test_exports_keep_their_order_and_descriptions_and_imports_are_no_tools() -> None:
    found = tools_from_xtp(
        {
            "version": "v1-draft",
            "exports": {"z": {"description": "Last.\n", "codeSamples": [{"lang": "go", "source": "x"}]}, "a": {}},
            "imports": {"eat": {"input": {"contentType": TEXT, "type": "string"}}},
        }
    )
    assert [(name, tool.description) for name, tool in found.items()] == [("z", "Last."), ("a", "")]


def test_a_v0_schema_gives_text_tools() -> None:
    found = tools_from_xtp({"version": "v0", "exports": ["a", "b"]})
    assert {name: (tool.input, tool.output) for name, tool in found.items()} == dict.fromkeys(
        ("a", "b"), (InputForm.TEXT, OutputForm.TEXT)
    )


F = "$.exports.f"
C = "$.components.schemas"

REFUSED: list[tuple[JsonObject, str, str]] = [
    ({}, "$.version", "'v1-draft' or 'v0'"),
    ({"version": "v2"}, "$.version", "'v1-draft' or 'v0'"),
    ({"version": "v0"}, "$.exports", "array of export names"),
    ({"version": "v0", "exports": ["a", "a"]}, "$.exports[1]", "once"),
    ({"version": "v0", "exports": [], "components": {}}, "$.components", "not a field"),
    ({"version": "v1-draft"}, "$.exports", "an object"),
    ({"version": "v1-draft", "exports": []}, "$.exports", "an object"),
    ({"version": "v1-draft", "exports": {}, "metadata": 1}, "$.metadata", "not a field"),
    ({"version": "v1-draft", "exports": {}, "components": {"schemas": []}}, C, "an object"),
    (
        {"version": "v1-draft", "exports": {}, "imports": {"i": {"input": {"type": "string"}}}},
        "$.imports.i.input.contentType",
        "'application/json'",
    ),
    (document("x"), F, "an object"),
    (document({"inputs": {}}), f"{F}.inputs", "not a field"),
    (document({"description": 1}), f"{F}.description", "a string"),
    (document({"input": "x"}), f"{F}.input", "contentType"),
    (document({"input": {"contentType": "text/html", "type": "string"}}), f"{F}.input.contentType", "text/html"),
    (document({"input": {"contentType": JSON}}), f"{F}.input", "a 'type' or a '$ref'"),
    (document({"input": {"contentType": JSON, "type": "null"}}), f"{F}.input.type", "one of string"),
    (document({"input": {"contentType": JSON, "type": "string", "minLength": 1}}), f"{F}.input.minLength", "v1-draft"),
    (document({"input": {"contentType": TEXT, "type": "integer"}}), f"{F}.input", "content type is 'text/plain'"),
    (document({"input": {"contentType": BINARY, "$ref": ref("Tree")}}), f"{F}.input", "a buffer"),
    (document({"output": {"contentType": JSON, "$ref": ref("No")}}), f"{F}.output.$ref", "Kind, Tree, Unused"),
    (
        document({"output": {"contentType": JSON, "$ref": "#/$defs/Tree"}}),
        f"{F}.output.$ref",
        "#/components/schemas/NAME",
    ),
    (document({"output": {"contentType": JSON, "$ref": 1}}), f"{F}.output.$ref", "#/components/schemas/NAME"),
    (document({"output": {"contentType": JSON, "$ref": ref("Tree"), "type": "object"}}), f"{F}.output.type", "beside"),
    (
        document({"input": {"contentType": JSON, "type": "string", "format": "int32"}}),
        f"{F}.input.format",
        "date-time, byte",
    ),
    (
        document({"input": {"contentType": JSON, "type": "boolean", "format": "x"}}),
        f"{F}.input.format",
        "no such field",
    ),
    (document({"input": {"contentType": JSON, "type": "string", "items": {}}}), f"{F}.input.items", "no such field"),
    (document({"input": {"contentType": JSON, "items": {"$ref": ref("No")}}}), f"{F}.input.items.$ref", "Kind"),
    (
        document({"input": {"contentType": JSON, "additionalProperties": True}}),
        f"{F}.input.additionalProperties",
        "an object",
    ),
    (document({}, {"A": {"enum": []}}), f"{C}.A.enum", "at least one"),
    (document({}, {"A": {"enum": ["a", 1]}}), f"{C}.A.enum", "strings"),
    (document({}, {"A": {"enum": ["a", "a"]}}), f"{C}.A.enum", "once"),
    (document({}, {"A": {"required": ["b"], "properties": {}}}), f"{C}.A.required[0]", "a property"),
    (document({}, {"A": {"required": "b"}}), f"{C}.A.required", "array"),
    (document({}, {"A": {"properties": []}}), f"{C}.A.properties", "an object"),
    (document({}, {"A": {"type": "string", "nullable": "yes"}}), f"{C}.A.nullable", "true or false"),
    (document({}, {"A": {"description": []}}), f"{C}.A.description", "a string"),
    (
        document({}, {"A": {"properties": {"b": {"$ref": ref("B")}}}}),
        f"{C}.A.properties.b.$ref",
        "one of the components (A)",
    ),
    (document({}, {"A": {"$ref": ref("B")}, "B": {"$ref": ref("A")}}), f"{C}.A", "circle"),
    (document({}, {"a/b": {}}), f'{C}["a/b"]', "letters"),
    ({"version": "v0", "exports": [str(number) for number in range(1_001)]}, "$.exports", "at most 1000"),
    ({"version": "v1-draft", "exports": {str(number): {} for number in range(1_001)}}, "$.exports", "at most 1000"),
    ({"version": "v1-draft", "exports": {}, "imports": dict.fromkeys(map(str, range(1_001)))}, "$.imports", "at most"),
]


@pytest.mark.parametrize(("written", "path", "said"), REFUSED)
def test_what_v1_draft_does_not_have_is_refused_with_its_path(written: JsonObject, path: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tools_from_xtp(written)
    assert (caught.value.code, caught.value.data["path"]) == ("invalid_xtp", path)
    assert said in caught.value.message


words = st.sampled_from(
    [
        "type",
        "$ref",
        "items",
        "enum",
        "nullable",
        "properties",
        "required",
        "additionalProperties",
        "contentType",
        "format",
    ]
)
pieces = st.sampled_from(
    [JSON, TEXT, BINARY, "string", "array", "object", "buffer", ref("Tree"), ref("No"), True, ["a"]]
)
nodes = st.recursive(
    pieces | st.none() | st.text(max_size=3),
    lambda children: st.dictionaries(words, children, max_size=4) | st.lists(children, max_size=2),
    max_leaves=10,
)


@settings(max_examples=150)
@given(nodes, nodes, nodes)
def test_any_document_is_read_into_valid_schemas_or_refused(into: JsonValue, out: JsonValue, part: JsonValue) -> None:
    try:
        found = tool({"input": into, "output": out}, {"Tree": TREE, "Kind": KIND, "Part": part})
    except InvalidInput as error:
        json.dumps(error.data).encode()
        return
    for schema in (found.input_schema, found.output_schema or {"type": "object"}):
        assert schema["type"] == "object"
        Draft202012Validator.check_schema(schema)
