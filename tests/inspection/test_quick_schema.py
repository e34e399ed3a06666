"""What an event loop does by itself is little, and what it answers is what any other process would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inspection.test_lint_work import SCHEMAS, VALUES
from tests.support.tools import definition_of
from tool_server.errors import ToolServerError
from tool_server.inspection.arguments import ArgumentsValidator, OutputValidator
from tool_server.inspection.checked_tool import CheckedTool
from tool_server.inspection.instance_bounds import NotQuickError
from tool_server.inspection.lint import is_quick_to_lint
from tool_server.inspection.quick_schema import is_quick_to_compile
from tool_server.model.json_value import JsonObject, JsonValue

LARGE = 10**30


def about(schema: JsonValue) -> JsonObject:
    """A tool's schema in which `schema` is about `x`."""
    return {"type": "object", "properties": {"x": schema}}


def nested(schema: JsonValue, levels: int) -> JsonValue:
    """The schema inside so many arrays."""
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def answer(ask: Any, *values: Any, **options: Any) -> object:
    """What a question gives, or the error it ends in."""
    try:
        return ask(*values, **options)
    except ToolServerError as error:
        return type(error), error.code, error.message, error.data


ORDINARY: list[JsonObject] = [
    {"type": "object", "properties": {f"p{i}": {"type": "string", "description": "x" * 40} for i in range(30)}},
    about({"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}),
    about({"type": "string", "pattern": r"^\p{L}[\w-]*$", "maxLength": 64, "format": "hostname"}),
    about({"enum": [f"choice-{i}" for i in range(100)]}),
    about({"$ref": "#/properties/x/$defs/n", "$defs": {"n": {"properties": {"l": {"$ref": "#"}}}}}),
]


@pytest.mark.parametrize("schema", ORDINARY)
def test_ordinary_schemas_are_compiled_and_used_in_place(schema: JsonObject) -> None:
    assert is_quick_to_compile(schema)
    validator = ArgumentsValidator(schema, quick=True)
    assert validator.check({}, quick=True) == {}


LARGE_SCHEMAS: list[JsonObject] = [
    {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(3_000)}},
    {"type": "object", "properties": {f"p{i}": {} for i in range(100)}},
    about({"enum": list(range(1_000))}),
    about({"const": "x" * 50_000}),
    about(nested({}, 200)),
    about({"pattern": "(a{1000}){1000}"}),
    about({"pattern": "a{1000}{1000}"}),
    about({"pattern": r"((\w{9}){9}){9}"}),
    about({"pattern": r"\p{L}{20}"}),
    about({"patternProperties": {r"\p{L}{20}": {}}}),
    about({"pattern": "a" * 600}),
    about({"allOf": [{"pattern": "[^a]{60}"} for _ in range(5)]}),
    {
        "type": "object",
        "$dynamicAnchor": "n",
        "$defs": {
            f"d{i}": {"$dynamicAnchor": "n", "properties": {f"p{j}": {"$dynamicRef": "#n"} for j in range(5)}}
            for i in range(8)
        },
        "properties": {"x": {"$dynamicRef": "#n"}},
    },
]


@pytest.mark.parametrize("schema", LARGE_SCHEMAS, ids=lambda schema: repr(schema)[:60])
def test_schemas_that_take_long_to_compile_are_not_compiled_in_place(schema: JsonObject) -> None:
    with pytest.raises(NotQuickError):
        ArgumentsValidator(schema, quick=True)
    with pytest.raises(NotQuickError):
        OutputValidator(schema, quick=True)


LARGE_VALUES: list[tuple[JsonObject, Any]] = [
    ({}, list(range(6_000))),
    ({}, [[[]] * 100] * 100),
    ({}, {f"k{i}": None for i in range(6_000)}),
    ({"items": {"anyOf": [{"minLength": i} for i in range(20)]}}, ["a"] * 1_000),
    ({"uniqueItems": True, "items": {}}, list(range(200))),
    ({"uniqueItems": True}, [LARGE, LARGE + 1]),
    ({"maximum": 3}, LARGE),
    ({"type": "integer"}, [-LARGE]),
    ({"items": {"multipleOf": 0.01}}, [1e300] * 110),
    ({"items": {"enum": [i + 0.5 for i in range(20)]}}, [19.5] * 40),
    ({"items": {"const": list(range(110))}}, [list(range(110))] * 44),
    ({"items": {"required": [f"k{i}" for i in range(400)]}}, [{}] * 400),
    ({"pattern": "^(a|b|c)*$"}, "abc" * 30_000),
    ({"format": "idn-hostname"}, "ü." * 70_000),
    ({"propertyNames": {"pattern": "^k"}}, {"k" * 100_000: 1}),
    ({"items": {"type": "string"}}, list(range(150))),
    ({"enum": ["a" * 90 + str(i) for i in range(30)]}, "a" * 99),
    ({"items": {"properties": {"a": {"default": list(range(60))}}}}, [{}] * 10),
    ({"items": {"properties": {f"a{i}": {"default": 1} for i in range(30)}}}, [{}] * 60),
]


@pytest.mark.parametrize(("schema", "value"), LARGE_VALUES, ids=lambda given: repr(given)[:60])
def test_values_that_take_long_to_check_are_not_checked_in_place(schema: JsonObject, value: JsonValue) -> None:
    validator = ArgumentsValidator(about(schema), quick=True)
    with pytest.raises(NotQuickError):
        validator.check({"x": value}, quick=True)
    # It is not refused: whoever has the time gives an answer.
    answer(validator.check, {"x": value})


def test_defaults_that_bring_in_one_another_are_not_filled_in_in_place() -> None:
    schema: JsonObject = {"type": "object", "properties": {"x": {"$ref": "#", "default": {}}}}
    with pytest.raises(NotQuickError):
        ArgumentsValidator(schema, quick=True).check({}, quick=True)


@pytest.mark.parametrize(
    ("data", "quick"),
    [
        (b'{"x": "' + b"one, two [three] {four}; " * 20_000 + b'"}', True),
        (b'{"x": "' + rb"\"," * 2_000 + b'"}', True),
        (b"[" * 200, True),
        (b'{"x": [' + b"1," * 6_000 + b"1]}", False),
        (b'{"x": [' + b"{}," * 6_000 + b"{}]}", False),
        (b"[" * 1_000_000, False),
        (b'{"x": [' + b'"",' * 100_000 + b"1]}", False),
        (b'"' + b"," * 2_000_000 + b'"', False),
        (b'{"x": "' + b"0123456789" * 90_000 + b'"}', True),
        (b'{"x": [' + (b"9" * 4_000 + b",") * 100 + b"1]}", False),
    ],
    ids=[
        *("prose", "escapes", "deep", "numbers", "objects", "very deep", "strings", "megabytes of commas"),
        *("digits in text", "digits"),
    ],
)
def test_an_output_is_parsed_in_place_where_it_holds_few_values(data: bytes, quick: bool) -> None:
    in_place = CheckedTool(definition_of({"type": "object"}, {"type": "object"}), quick=True)
    anywhere = CheckedTool(definition_of({"type": "object"}, {"type": "object"}))
    if quick:
        assert answer(in_place.decode, data) == answer(anywhere.decode, data)
    else:
        with pytest.raises(NotQuickError):
            in_place.decode(data)


@settings(max_examples=300)
@given(x=SCHEMAS, value=VALUES)
def test_in_place_or_not_the_answer_is_the_same(x: Any, value: Any) -> None:
    schema = about(x)
    try:
        quick = ArgumentsValidator(schema, quick=True)
        found = answer(quick.check, {"x": value}, quick=True)
    except NotQuickError:
        return
    except ToolServerError:
        with pytest.raises(ToolServerError):
            ArgumentsValidator(schema)
        return
    assert found == answer(ArgumentsValidator(schema).check, {"x": value})
    output = OutputValidator(schema, quick=True)
    assert answer(output.check, {"x": value}, quick=True) == answer(OutputValidator(schema).check, {"x": value})


@given(
    value=st.recursive(
        st.integers() | st.floats() | st.text(max_size=3) | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_value_gets_the_same_answer_in_place_or_is_left_to_others(value: Any) -> None:
    schema = about({"type": ["string", "object", "array"], "items": {"type": "integer", "maximum": 3}})
    validator = ArgumentsValidator(schema, quick=True)
    try:
        found = answer(validator.check, {"x": value}, quick=True)
    except NotQuickError:
        return
    assert found == answer(validator.check, {"x": value})


def test_a_thread_of_the_server_lints_a_few_ordinary_tools_only() -> None:
    ordinary = definition_of(about({"type": "string"}), about({"type": "integer"}))
    large = about({"enum": list(range(1_000))})
    assert is_quick_to_lint([ordinary] * 5)
    assert not is_quick_to_lint([ordinary] * 50)
    assert not is_quick_to_lint([ordinary, definition_of(large)])
    assert not is_quick_to_lint([definition_of(about({}), large)])
    assert not is_quick_to_lint([ordinary.model_copy(update={"description": "x" * 10**6})])
