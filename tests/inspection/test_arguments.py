"""Validation at call time: what passes, and what callers are told."""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.arguments import ArgumentsValidator, OutputValidator
from tool_server.inspection.compiled_schema import MAX_PROBLEMS
from tool_server.model.json_value import JsonObject, JsonValue

Schema = dict[str, Any]


def message_for(schema: Schema, value: JsonObject) -> str:
    """What a caller is told, without the introduction."""
    with pytest.raises(InvalidInput) as caught:
        ArgumentsValidator({"type": "object", **schema}).check(value)
    assert caught.value.code == "invalid_arguments"
    introduction, _, problems = caught.value.message.partition(":")
    assert introduction == "the arguments do not fit the tool's input schema"
    return problems.strip()


def about(keywords: Schema | bool, value: JsonValue) -> str:
    """What is said about one parameter `p`."""
    return message_for({"properties": {"p": keywords}}, {"p": value})


SENTENCES: dict[str, tuple[Schema | bool, JsonValue, str]] = {
    "type": ({"type": "integer"}, "three", '$.p: expected an integer, got "three" (string)'),
    "types": ({"type": ["string", "null"]}, 1.5, "$.p: expected null or a string, got 1.5 (number)"),
    "null": ({"type": "boolean"}, None, "$.p: expected true or false, got null"),
    "json as text": (
        {"type": "object"},
        '{"a": 1}',
        '$.p: expected an object, got "{\\"a\\": 1}" (string): send the JSON value itself, not a string of it',
    ),
    "enum": (
        {"enum": ["red", "green", 3]},
        "gren",
        '$.p: expected one of "red", "green" or 3, got "gren" (string): did you mean "green"?',
    ),
    "const": ({"const": {"a": 1}}, 2, '$.p: expected {"a": 1}, got 2 (integer)'),
    "minimum": ({"minimum": 5}, 4, "$.p: expected a number of at least 5, got 4 (integer)"),
    "maximum": ({"maximum": 5}, 6, "$.p: expected a number of at most 5, got 6 (integer)"),
    "exclusiveMinimum": ({"exclusiveMinimum": 0}, 0, "$.p: expected a number greater than 0, got 0 (integer)"),
    "exclusiveMaximum": ({"exclusiveMaximum": 1.5}, 2, "$.p: expected a number less than 1.5, got 2 (integer)"),
    "multipleOf": ({"multipleOf": 5}, 7, "$.p: expected a multiple of 5, got 7 (integer)"),
    "minLength": ({"minLength": 3}, "é", '$.p: expected at least 3 characters, got "é" (1 character)'),
    "maxLength": ({"maxLength": 1}, "ab", '$.p: expected at most 1 character, got "ab" (2 characters)'),
    "pattern": (
        {"pattern": "^[a-z]+$"},
        "A",
        '$.p: expected a string that matches the regular expression ^[a-z]+$, got "A" (string)',
    ),
    "format": (
        {"format": "date"},
        "31.1.",
        "$.p: expected a string in the format 'date', such as 2026-01-31, got \"31.1.\" (string)",
    ),
    "uniqueItems": ({"uniqueItems": True}, [1, 1], "$.p: expected items that all differ, got [1, 1] (array)"),
    "minItems": ({"minItems": 2}, [1], "$.p: expected at least 2 items, got [1] (1 item)"),
    "maxItems": ({"maxItems": 1}, [1, 2], "$.p: expected at most 1 item, got [1, 2] (2 items)"),
    "minProperties": ({"minProperties": 1}, {}, "$.p: expected at least 1 property, got {} (0 properties)"),
    "maxProperties": (
        {"maxProperties": 0},
        {"a": 1},
        '$.p: expected at most 0 properties, got {"a": 1} (1 property)',
    ),
    "contains": (
        {"contains": {"type": "string"}},
        [1],
        "$.p: expected an array in which at least 1 of the items is or are a string, got [1] (array)",
    ),
    "minContains": (
        {"contains": {"const": 1}, "minContains": 2, "maxContains": 3},
        [1],
        "$.p: expected an array in which from 2 to 3 of the items is or are 1, got [1] (array)",
    ),
    "not": ({"not": {"type": "string"}}, "a", '$.p: expected anything but a string, got "a" (string)'),
    "false": (False, 1, "$.p is not allowed here: leave it out (got 1 (integer))"),
    "items false": (
        {"prefixItems": [{}], "items": False},
        [1, 2],
        "$.p[1] is not allowed here: leave it out (got 2 (integer))",
    ),
    "unevaluatedItems": ({"unevaluatedItems": False}, [1], "$.p: expected no further items, got [1] (array)"),
    "propertyNames": (
        {"propertyNames": {"maxLength": 2}},
        {"abc": 1},
        '$.p: the property name "abc" is not allowed: expected at most 2 characters',
    ),
    "dependentRequired": (
        {"dependentRequired": {"a": ["b"]}},
        {"a": 1},
        "$.p.b is required as soon as the properties that depend on it are given: a value",
    ),
    "dependentSchemas": (
        {"dependentSchemas": {"a": {"required": ["b"]}}},
        {"a": 1},
        "$.p.b is required: a value",
    ),
    "then": (
        {"if": {"type": "string"}, "then": {"minLength": 2}},
        "a",
        '$.p: expected at least 2 characters, got "a" (1 character)',
    ),
    "oneOf with two": (
        {"oneOf": [{"type": "string"}, {"maxLength": 5}, {"type": "null"}]},
        "a",
        '$.p: expected a value that fits exactly one of 3 alternatives, not 1 and 2, got "a" (string)',
    ),
    "anyOf of types": (
        {"anyOf": [{"type": "string"}, {"type": "array"}]},
        1,
        "$.p: expected a string or an array, got 1 (integer)",
    ),
    "anyOf where one was meant": (
        {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "integer"}}]},
        [1, "b"],
        '$.p[1]: expected an integer, got "b" (string)',
    ),
    "oneOf told apart by a constant": (
        {
            "oneOf": [
                {"type": "object", "properties": {"kind": {"const": "a"}, "x": {}}, "required": ["kind", "x"]},
                {"type": "object", "properties": {"kind": {"const": "b"}, "y": {}}, "required": ["kind", "y"]},
            ]
        },
        {"kind": "b"},
        "$.p.y is required: a value",
    ),
    "oneOf with an unknown constant": (
        {
            "oneOf": [
                {"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
                {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]},
            ]
        },
        {"kind": "c"},
        '$.p: expected an object with kind: "a" or an object with kind: "b", got {"kind": "c"} (object)',
    ),
    "place": (
        {"items": {"properties": {"a b": {"type": "string"}}}},
        [{}, {"a b": 1}],
        '$.p[1]["a b"]: expected a string, got 1 (integer)',
    ),
    "a long value": (
        {"type": "integer"},
        "x" * 1_000_000,
        f'$.p: expected an integer, got "{"x" * 79}… (string)',
    ),
}


@pytest.mark.parametrize(("keywords", "value", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_broken_keyword_is_told_with_place_expected_and_got(
    keywords: Schema | bool, value: JsonValue, sentence: str
) -> None:
    assert about(keywords, value) == sentence


def test_a_missing_property_is_told_with_its_type_and_description() -> None:
    person = {"type": "string", "description": "the person\nto greet"}
    assert message_for({"properties": {"name": person}, "required": ["name"]}, {}) == (
        "$.name is required: a string (the person to greet)"
    )
    referred = {"properties": {"name": {"$ref": "#/$defs/person"}}, "required": ["name"], "$defs": {"person": person}}
    assert message_for(referred, {}) == "$.name is required: a string (the person to greet)"


CLOSED: list[Schema] = [
    {"additionalProperties": False, "properties": {"color": {}, "size": {}}},
    {"unevaluatedProperties": False, "allOf": [{"properties": {"color": {}, "size": {}}}]},
]


@pytest.mark.parametrize("closing", CLOSED)
def test_an_unknown_property_is_told_with_the_closest_known_one(closing: Schema) -> None:
    assert message_for(closing, {"colour": 1}) == (
        "$.colour is not a known property: did you mean 'color'? known here: 'color', 'size'"
    )


def test_an_unknown_property_of_a_tool_without_parameters_is_told_to_leave_it_out() -> None:
    assert "leave it out" in message_for({"additionalProperties": False}, {"x": 1})


def test_a_close_name_that_is_already_given_is_not_suggested() -> None:
    closed: Schema = {"additionalProperties": False, "properties": {"color": {}}}
    assert "did you mean" not in message_for(closed, {"colors": 1, "color": 2})


def test_the_first_five_problems_are_listed_and_given_as_data() -> None:
    schema: Schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(9)}}
    with pytest.raises(InvalidInput) as caught:
        ArgumentsValidator(schema).check({f"p{n}": n for n in range(9)})
    assert caught.value.message.count("\n- ") == MAX_PROBLEMS
    assert caught.value.data["errors"][1] == {
        "path": "$.p1",
        "expected": "a string",
        "got": "1 (integer)",
        "keyword": "type",
    }
    assert len(caught.value.data["errors"]) == MAX_PROBLEMS


ROWS: Schema = {
    "properties": {
        "rows": {
            "type": "array",
            "items": {"anyOf": [{"$ref": "#/$defs/row"}, {"type": "null"}]},
        }
    },
    "$defs": {"row": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
}


def test_the_bad_rows_of_a_large_table_are_found_without_listing_all_errors() -> None:
    rows: list[JsonValue] = [{"id": index} for index in range(30_000)]
    rows[20_000] = {"id": "x"}
    rows[25_000] = {}
    assert message_for(ROWS, {"rows": rows}) == (
        '- $.rows[20000].id: expected an integer, got "x" (string)\n- $.rows[25000].id is required: an integer'
    )


def test_a_large_value_that_breaks_a_rule_as_a_whole_is_told_as_such() -> None:
    schema = {
        "properties": {
            "a": {"anyOf": [{"items": {"type": "integer"}, "type": "array", "maxItems": 9}, {"type": "string"}]}
        }
    }
    assert "$.a: expected an array or a string, got [0, 1, 2," in message_for(schema, {"a": list(range(20_000))})


BIG = 2**63


@pytest.mark.parametrize(
    ("keywords", "value", "fits"),
    [
        ({"type": "integer"}, BIG, True),
        ({"type": "integer"}, 10**300, True),
        ({"maximum": BIG}, BIG, True),
        ({"maximum": BIG}, BIG + 1, False),
        ({"minimum": -BIG - 1}, -BIG - 2, False),
        ({"maximum": 2**53}, 2**53 + 1, False),
        ({"const": 2**70}, 2**70 + 1, False),
        ({"enum": [2**70]}, 2**70, True),
        ({"multipleOf": 3}, 2**70, False),
        ({"multipleOf": 3}, 3 * 2**70, True),
        ({"uniqueItems": True}, [2**64, 2**64 + 1], True),
        ({"type": "integer"}, 1.0, True),
        ({"multipleOf": 0.1}, 0.3, True),
        ({"type": "integer"}, True, False),
        ({"format": "email"}, "nobody", False),
        ({"format": "email"}, "a@example.com", True),
        ({"format": "of our own"}, "x", True),
        ({"pattern": "^a$"}, "a\n", False),
        ({"pattern": "^\\d$"}, "\u0663", False),
        ({"pattern": "^\\p{L}$"}, "é", True),
        ({"maxLength": 1}, "\U0001f600", True),
    ],
)
def test_numbers_are_exact_and_formats_and_patterns_are_javascripts(keywords: Schema, value: Any, fits: bool) -> None:
    validator = ArgumentsValidator({"type": "object", "properties": {"p": keywords}})
    if fits:
        assert validator.check({"p": value}) == {"p": value}
    else:
        with pytest.raises(InvalidInput):
            validator.check({"p": value})


def nest(levels: int) -> JsonValue:
    """Lists in one another."""
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({}, {"p": math.nan}, "NaN"),
        ({}, {"p": [{"q": -math.inf}]}, "-Infinity"),
        ({}, {"p": nest(128)}, "nested deeper than 128"),
        ({"properties": {"p": {"format": "email"}}}, {"p": "\ud800"}, "surrogate"),
        (
            {"properties": {"p": {"pattern": "a.{500}b"}}},
            {"p": "a" * 1_000_000},
            "too long for the patterns",
        ),
        (
            {"properties": {"p": {"items": {"pattern": "a.{500}b"}}}},
            {"p": ["a" * 10_000] * 100},
            "too long for the patterns",
        ),
        (
            {"patternProperties": {"a.{500}b": {}}},
            {"a" * 1_000_000: 1},
            "too long for the patterns",
        ),
        (
            {
                "properties": {
                    "p": {"$ref": "#/$defs/t"},
                },
                "$defs": {"t": {"anyOf": [{"items": {"$ref": "#/$defs/t"}}] * 3}},
            },
            {"p": nest(60)},
            "nest them less deeply",
        ),
        (
            {"properties": {"p": {"items": {"enum": [{"a": n} for n in range(1_000)]}}}},
            {"p": list[JsonValue](range(10_000))},
            "send fewer values",
        ),
    ],
    ids=["nan", "infinity", "deep", "surrogate", "pattern", "items", "keys", "growth", "enum of objects"],
)
def test_values_that_cannot_be_validated_in_bounded_time_are_refused(
    schema: Schema, value: JsonObject, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        ArgumentsValidator({"type": "object", **schema}).check(value)
    assert caught.value.code == "invalid_arguments"
    assert caught.value.data["errors"][0]["keyword"] == "bounds"
    with pytest.raises(CallFailed, match=words) as failed:
        OutputValidator({"type": "object", **schema}).check(value)
    assert failed.value.code == "bad_output"


def test_text_beside_a_costly_pattern_is_not_bounded_by_it() -> None:
    validator = ArgumentsValidator(
        {"type": "object", "properties": {"title": {"pattern": "^.{1,255}$"}, "body": {"type": "string"}}}
    )
    assert validator.check({"title": "a", "body": "x" * 3_000_000})
    assert validator.check({"p": nest(127)})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "https://example.com/x"},
        {"type": "text"},
        {"pattern": "a(?=b)"},
        {
            "$ref": "#/$defs/d0",
            "$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}},
        },
    ],
    ids=["endless", "remote", "meta-schema", "lookahead", "bomb"],
)
def test_a_schema_that_lint_refuses_makes_no_validator(schema: Schema) -> None:
    for make in (ArgumentsValidator, OutputValidator):
        with pytest.raises(InvalidInput) as caught:
            make(schema)
        assert caught.value.code == "invalid_schema"


def test_output_that_fits_passes_and_other_output_is_the_plugins_fault() -> None:
    validator = OutputValidator({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    validator.check({"n": 1})
    with pytest.raises(CallFailed) as caught:
        validator.check({"n": "1"})
    assert caught.value.code == "bad_output"
    assert caught.value.message == (
        "the plugin's output breaks its output schema (the plugin must be fixed): "
        '$.n: expected an integer, got "1" (string)'
    )
    assert caught.value.data["errors"][0]["path"] == "$.n"
    with pytest.raises(CallFailed, match="an object"):
        validator.check([])


def test_output_is_not_completed_with_defaults() -> None:
    with pytest.raises(CallFailed, match="is required"):
        OutputValidator({"type": "object", "properties": {"n": {"default": 1}}, "required": ["n"]}).check({})


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "b"]) | st.just(1.5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=6,
)


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of the common keywords."""
    few = st.lists(inner, min_size=1, max_size=2)
    size = st.integers(0, 2)
    members = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    types = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
    optional: dict[str, st.SearchStrategy[Any]] = {
        "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": SCALARS,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": size,
        "maxLength": size,
        "pattern": st.sampled_from(["^a", "b$", "^[ab]*$"]),
        "minItems": size,
        "maxItems": size,
        "uniqueItems": st.booleans(),
        "minProperties": size,
        "maxProperties": size,
        "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        "dependentRequired": st.just({"a": ["b"]}),
        "properties": members,
        "patternProperties": st.dictionaries(st.just("^c"), inner, max_size=1),
        "additionalProperties": inner,
        "propertyNames": inner,
        "items": inner,
        "prefixItems": few,
        "contains": inner,
        "allOf": few,
        "anyOf": few,
        "oneOf": few,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "unevaluatedProperties": st.booleans(),
        "dependentSchemas": members,
    }
    keywords = st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True)
    return keywords.flatmap(lambda names: st.fixed_dictionaries({name: optional[name] for name in names}))


SCHEMAS = st.recursive(st.booleans() | st.just({"$ref": "#/$defs/d"}), schemas_of, max_leaves=6)


@settings(max_examples=300)
@given(member=SCHEMAS, definition=SCHEMAS, value=VALUES)
def test_validity_agrees_with_the_jsonschema_package_and_every_refusal_is_explained(
    member: Any, definition: Any, value: JsonValue
) -> None:
    schema: Schema = {"type": "object", "properties": {"p": member}, "$defs": {"d": definition}}
    try:
        validator = OutputValidator(schema)
    except InvalidInput:
        assume(False)
        raise
    expected = Draft202012Validator(schema).is_valid({"p": value})  # pyright: ignore[reportUnknownMemberType]
    if expected:
        validator.check({"p": value})
        return
    with pytest.raises(CallFailed) as caught:
        validator.check({"p": value})
    problems = caught.value.data["errors"]
    assert 1 <= len(problems) <= MAX_PROBLEMS
    assert all(cast(str, problem["path"]).startswith("$") and problem["expected"] for problem in problems)


DEFAULTED: Schema = {
    "type": "object",
    "properties": {
        "plain": {"default": [1]},
        "null": {"default": None},
        "nested": {"type": "object", "default": {}, "properties": {"deep": {"default": 2}}},
        "optional": {"type": "object", "properties": {"deep": {"default": 3}}},
        "referred": {"$ref": "#/$defs/d"},
        "list": {"type": "array", "prefixItems": [{"$ref": "#/$defs/first"}], "items": {"$ref": "#/$defs/d"}},
        "map": {"properties": {"x": {}}, "additionalProperties": {"properties": {"in_map": {"default": 4}}}},
        "branch": {
            "anyOf": [{"properties": {"no": {"default": 0}}}],
            "oneOf": [{"properties": {"no": {"default": 0}}}],
        },
        "condition": {"if": {"properties": {"no": {"default": 0}}}, "then": {"properties": {"no": {"default": 0}}}},
    },
    "allOf": [{"properties": {"from_all": {"default": 5}, "plain": {"default": "second"}}}],
    "$defs": {
        "d": {"type": "object", "properties": {"from_d": {"$ref": "#/$defs/six"}}},
        "first": {"properties": {"is_first": {"default": True}}},
        "six": {"default": 6},
    },
}
FILLED: JsonObject = {"plain": [1], "null": None, "nested": {"deep": 2}, "from_all": 5}


COMPLETED: list[tuple[JsonObject, JsonObject]] = [
    ({}, {}),
    ({"plain": None}, {"plain": None}),
    ({"nested": {"deep": 0, "x": 1}}, {"nested": {"deep": 0, "x": 1}}),
    ({"optional": {}}, {"optional": {"deep": 3}}),
    ({"referred": {}}, {"referred": {"from_d": 6}}),
    ({"list": [{}, {}, 1]}, {"list": [{"is_first": True}, {"from_d": 6}, 1]}),
    ({"map": {"x": {}, "y": {}}}, {"map": {"x": {}, "y": {"in_map": 4}}}),
    ({"branch": {}, "condition": {}}, {"branch": {}, "condition": {}}),
    ({"unknown": {"a": 1}}, {"unknown": {"a": 1}}),
]


@pytest.mark.parametrize(("given_value", "added"), COMPLETED)
def test_defaults_are_filled_in_at_every_place_that_is_certain(given_value: JsonObject, added: JsonObject) -> None:
    schema = copy.deepcopy(DEFAULTED)
    del schema["properties"]["list"]["items"]["$ref"]
    schema["properties"]["list"]["items"] = {"allOf": [{"$ref": "#/$defs/d"}]}
    for each in (DEFAULTED, schema):
        # `1` is no object, and the items here say so only where they are objects.
        each["$defs"]["d"].pop("type", None)
        before = copy.deepcopy(given_value)
        assert ArgumentsValidator(each).check(given_value) == FILLED | added
        assert given_value == before


def test_defaults_are_copies_so_that_one_call_never_sees_anothers() -> None:
    validator = ArgumentsValidator(DEFAULTED)
    cast(list[int], validator.check({})["plain"]).append(2)
    assert validator.check({}) == FILLED


def test_arguments_without_defaults_are_handed_on_as_they_are() -> None:
    value: JsonObject = {"a": [1]}
    assert ArgumentsValidator({"type": "object", "properties": {"a": {"items": {"default": 1}}}}).check(value) is value


def test_a_default_that_breaks_the_schema_is_told_like_an_argument() -> None:
    assert "$.p: expected an integer" in message_for({"properties": {"p": {"type": "integer", "default": "x"}}}, {})


def test_a_default_that_a_value_brings_in_without_end_is_refused() -> None:
    schema: Schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d"}},
        "$defs": {"d": {"properties": {"b": {"$ref": "#/$defs/d", "default": {}}}}},
    }
    validator = ArgumentsValidator(schema)
    assert validator.check({}) == {}
    with pytest.raises(InvalidInput, match="its defaults are nested deeper"):
        validator.check({"a": {}})
    doubling: Schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {
            f"d{n}": {"properties": {key: {"$ref": f"#/$defs/d{n + 1}", "default": {}} for key in "xy"}}
            for n in range(40)
        }
        | {"d40": {}},
    }
    with pytest.raises(InvalidInput, match="its defaults would add more than"):
        ArgumentsValidator(doubling).check({"a": {}})


@settings(max_examples=100)
@given(value=st.dictionaries(st.sampled_from([*DEFAULTED["properties"], "x"]), VALUES, max_size=4))
def test_filling_in_defaults_twice_changes_nothing_more_and_overwrites_nothing(value: JsonObject) -> None:
    schema = {key: keyword for key, keyword in DEFAULTED.items() if key != "type"}
    validator = ArgumentsValidator(schema)
    try:
        once = validator.check(value)
    except InvalidInput:
        assume(False)
        raise
    assert validator.check(once) == once
    assert {key: item for key, item in once.items() if key in value}.keys() == value.keys()
    assert all(once[key] == item for key, item in value.items() if not isinstance(item, dict | list))
