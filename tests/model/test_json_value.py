from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.model.json_value import JsonValue, canonical_json, has_long_number, json_type, parse_json

json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"\xff\xfe", "not UTF-8: byte 0"),
        (b'"ab\xc3"', "not UTF-8: byte 3"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "a": 2}', 'the key "a" stands twice'),
        (b"[" * 129 + b"]" * 129, "nested deeper than 128 levels"),
        (b'{"a":' * 2_000_000, "nested deeper than 128 levels"),
        (b"1" * 5_000, "too many digits"),
        (b'{"a": -1e999}', "-1e999 is larger than any"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b'{"\\uDFFFx": 1}', "half of a surrogate pair"),
    ],
)
def test_text_that_is_not_strict_json_is_refused_with_its_place(raw: bytes, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json(raw, what="plugin.json")
    assert part in caught.value.message
    assert caught.value.code == "invalid_json"


def test_nesting_up_to_the_limit_and_brackets_in_strings_are_accepted() -> None:
    assert parse_json("[" * 128 + "]" * 128) is not None
    assert parse_json(json.dumps({"a": "[" * 1_000 + '\\"[['})) == {"a": "[" * 1_000 + '\\"[['}


@given(json_values)
def test_what_json_writes_is_read_back_equal(value: JsonValue) -> None:
    assert parse_json(json.dumps(value)) == value


@given(json_values)
def test_the_canonical_spelling_is_json_of_the_same_value_whatever_the_order_of_keys(value: JsonValue) -> None:
    assert json.loads(canonical_json(value).decode("utf-8", "surrogatepass")) == value
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_integers_beyond_64_bits_have_a_canonical_spelling_too() -> None:
    assert canonical_json({"b": 2**70, "a": 1}) == b'{"a":1,"b":1180591620717411303424}'


@pytest.mark.parametrize(
    ("value", "name"),
    [({}, "object"), ([], "array"), ("", "string"), (True, "boolean"), (1, "integer"), (1.5, "number"), (None, "null")],
)
def test_json_types_are_named_as_in_json_schema(value: JsonValue, name: str) -> None:
    assert json_type(value) == name


@pytest.mark.parametrize(
    ("text", "long"),
    [
        (b"", False),
        (b"1" * 18, False),
        (b"1" * 19, True),
        (b"12345678901234567 1", False),
        (b'{"a": -9223372036854775808}', True),
        ("\u0661".encode() * 30, False),
        (b"x" * 100 + b"0123456789" * 2 + b"x", True),
    ],
)
def test_a_row_of_nineteen_digits_is_found_wherever_it_stands(text: bytes, long: bool) -> None:
    assert has_long_number(text) is long
