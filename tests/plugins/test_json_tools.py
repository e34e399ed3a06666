"""`json-tools` agrees with Python's json, and its patches do what RFC 6902 says."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import TypeIs

from tests.plugins.running import BundledPlugins

Value = Any

scalars = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.text(max_size=6)
names = st.text('ab~/é"', max_size=2)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


@settings(max_examples=100)
@given(value=values, indent=st.sampled_from([0, 1, 2, 4]), sort_keys=st.booleans(), ascii_only=st.booleans())
def test_layout_equals_pythons(
    plugins: BundledPlugins, value: Value, indent: int, sort_keys: bool, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    result = plugins.call("json-tools", "format", json=text, indent=indent, sort_keys=sort_keys)["json"]
    separators = (",", ": ") if indent else (",", ":")
    expected = json.dumps(
        value, ensure_ascii=False, indent=indent or None, sort_keys=sort_keys, separators=separators
    ).replace("\x7f", "\\u007f")
    assert result == expected


def is_list(value: Value) -> TypeIs[list[Value]]:
    return isinstance(value, list)


def is_object(value: Value) -> TypeIs[dict[str, Value]]:
    return isinstance(value, dict)


def pointers(value: Value, path: str = "") -> list[tuple[str, Value]]:
    named: list[tuple[str, Value]] = []
    if is_object(value):
        named = list(value.items())
    elif is_list(value):
        named = [(str(index), item) for index, item in enumerate(value)]
    found: list[tuple[str, Value]] = [(path, value)]
    for name, inner in named:
        found += pointers(inner, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
    return found


@settings(max_examples=40)
@given(value=values)
def test_every_value_is_found_by_its_pointer(plugins: BundledPlugins, value: Value) -> None:
    for pointer, expected in pointers(value)[:8]:
        result = plugins.call("json-tools", "get", json=json.dumps(value), pointer=pointer)
        assert json.loads(result["value"]) == expected
        assert result.get("count") == (len(expected) if is_list(expected) or is_object(expected) else None)


def applied(document: Value, operations: list[dict[str, Value]]) -> Value:
    """A plain application of add, remove and replace."""
    whole: list[Value] = [copy.deepcopy(document)]
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent: Value = whole
        for part in ["0", *parts][:-1]:
            parent = parent[int(part)] if is_list(parent) else parent[part]
        last = ["0", *parts][-1]
        if is_object(parent):
            parent.pop(last, None)
            parent.update({last: operation["value"]} if operation["op"] != "remove" else {})
            continue
        index = len(parent) if last == "-" else int(last)
        parent[index : index + (operation["op"] != "add")] = [operation["value"]] if operation["op"] != "remove" else []
    return whole[0]


@settings(max_examples=100)
@given(before=values, after=values)
def test_a_patch_leads_from_one_document_to_the_other(plugins: BundledPlugins, before: Value, after: Value) -> None:
    result = plugins.call("json-tools", "diff", **{"from": json.dumps(before)}, to=json.dumps(after))
    operations = json.loads(result["patch"])
    # Python takes True for 1; JSON does not.
    assert result["equal"] is (json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True))
    assert result["operations"] == len(operations)
    assert applied(before, operations) == after
    patched = plugins.call("json-tools", "patch", json=json.dumps(before), patch=result["patch"])["json"]
    assert json.loads(patched) == after


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("1", "1.0", True), ("100", "1e2", True), ("0.01", "1E-2", True), ("-0", "0.00", True), ("1", "1.01", False),
        ("10", "1", False), ("1.50e1", "15", True), ("12345678901234567890", "12345678901234567891", False),
        ("1e400", "1e401", False), ("0.10", "0.1", True), ("1001", "1.001e3", True), ("true", "1", False),
        ('"1"', "1", False), ("[1,2]", "[2,1]", False), ('{"a":1,"b":2}', '{"b":2,"a":1}', True), ("{}", "[]", False),
    ],
)  # fmt: skip
def test_numbers_are_equal_by_value_to_the_last_digit(
    plugins: BundledPlugins, left: str, right: str, equal: bool
) -> None:
    assert plugins.call("json-tools", "diff", **{"from": left}, to=right)["equal"] is equal


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [  # most of them from RFC 6902, appendix A
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["a", "c"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b", "c"]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"f": [1, 2, 3]}, [{"op": "remove", "path": "/f/1"}], {"f": [1, 3]}),
        ({"a": 1, "b": 2}, [{"op": "replace", "path": "/a", "value": [0]}], {"a": [0], "b": 2}),
        ({"a": {"x": 1}, "b": {}}, [{"op": "move", "from": "/a/x", "path": "/b/y"}], {"a": {}, "b": {"y": 1}}),
        ({"f": [1, 2, 3]}, [{"op": "move", "from": "/f/0", "path": "/f/2"}], {"f": [2, 3, 1]}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/a/-"}], {"a": [1, [1]]}),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"a": 1}, [{"op": "add", "path": "", "value": None}], None),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
        ({"foo": "bar"}, [{"op": "add", "path": "/x", "value": "y", "extra": 1}], {"foo": "bar", "x": "y"}),
    ],
)
def test_operations_do_what_the_standard_says(
    plugins: BundledPlugins, document: Value, operations: Value, expected: Value
) -> None:
    result = plugins.call("json-tools", "patch", json=json.dumps(document), patch=json.dumps(operations))
    assert json.loads(result["json"]) == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "test", "path": "/a", "value": "1"}], "operation 1 of the patch cannot be applied: the value at '/a'"),
        ([{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}], "operation 2"),
        ([{"op": "add", "path": "/b/c", "value": 1}], "no member or element 'b'"),
        ([{"op": "add", "path": "/l/5", "value": 1}], "no element '5' in an array of 2"),
        ([{"op": "add", "path": "/l/01", "value": 1}], "no index"),
        ([{"op": "replace", "path": "/l/-", "value": 1}], "no member or element '-'"),
        ([{"op": "add", "path": "/a/b", "value": 1}], "the value there is a number"),
        ([{"op": "add", "path": "a", "value": 1}], "must be empty"),
        ([{"op": "add", "path": "/~2", "value": 1}], "write ~0 for ~"),
        ([{"op": "add", "path": "/x"}], "has no 'value'"),
        ([{"op": "move", "path": "/x"}], "has no 'from'"),
        ([{"op": "move", "from": "/l", "path": "/l/0"}], "into itself"),
        ([{"op": "remove", "path": ""}], "whole document"),
        ([{"op": "spam", "path": "/x"}], "none of add"),
        ([1], "no object"),
        ({}, "must be an array"),
    ],
)
def test_an_operation_that_cannot_be_applied_is_refused_with_its_number(
    plugins: BundledPlugins, operations: Value, expected: str
) -> None:
    message = plugins.refusal("json-tools", "patch", json='{"a":1,"l":[1,2]}', patch=json.dumps(operations))
    assert expected in message


def test_a_document_that_copies_itself_ends_in_a_clear_error(plugins: BundledPlugins) -> None:
    doubling = json.dumps([{"op": "copy", "from": "", "path": "/-"}] * 60)
    message = plugins.refusal("json-tools", "patch", json="[1]", patch=doubling)
    assert "48 MiB" in message
    nesting = json.dumps([{"op": "add", "path": "/0" * depth, "value": [0]} for depth in range(1, 700)])
    assert "deeper than 500" in plugins.refusal("json-tools", "patch", json="[0]", patch=nesting)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1,\n "b":[1 2]}', "line 2, column 9"),
        ('{"a":1,"a":1}', "stands twice"),
        ("[1,]", "unexpected character at line 1, column 4"),
        ("'a'", "unexpected character"),
        ("", "ends too early"),
        ("[" * 200, "deeper than 128"),
    ],
)
def test_a_document_that_is_no_json_is_refused_with_its_place(
    plugins: BundledPlugins, text: str, expected: str
) -> None:
    for tool, argument, rest in (
        ("format", "json", {}), ("get", "json", {"pointer": ""}),
        ("diff", "to", {"from": "1"}), ("patch", "patch", {"json": "1"}),
    ):  # fmt: skip
        message = plugins.refusal("json-tools", tool, **{argument: text}, **rest)
        assert expected in message
        assert message.startswith(argument)
