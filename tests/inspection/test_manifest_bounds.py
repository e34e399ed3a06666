"""How much a manifest may hold: counted before it is parsed, rewritten or validated."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.inspection import manifest_forms
from tool_server.inspection.instance_bounds import count_values
from tool_server.inspection.manifest_bounds import MAX_CONTAINERS, MAX_TEXT, MAX_VALUES, count_in_text
from tool_server.inspection.manifest_forms import parse_manifest, parse_manifest_bytes
from tool_server.model.json_value import JsonValue

BASE: dict[str, Any] = {"name": "text-tools", "version": "1.2.0"}
UNKNOWN: dict[str, Any] = {f"field{number}": 1 for number in range(201)}
NAMES = [f"name{number}" for number in range(101)]
ARRAYS: list[Any] = [[]] * (MAX_CONTAINERS + 1)

TOO_MUCH: list[tuple[dict[str, Any], str, str, str]] = [
    (UNKNOWN, "$", "200 fields", "203 fields"),
    ({"tools": {"a": UNKNOWN}}, "$.tools.a", "200 fields", "201 fields"),
    ({"tools": {"a": {"annotations": UNKNOWN}}}, "$.tools.a.annotations", "200 fields", "201 fields"),
    (
        {"tools": {"a": {"examples": [{"input": {}}, UNKNOWN]}}},
        "$.tools.a.examples[1]",
        "200 fields",
        "201 fields",
    ),
    ({"permissions": UNKNOWN}, "$.permissions", "200 fields", "201 fields"),
    ({"limits": UNKNOWN}, "$.limits", "200 fields", "201 fields"),
    ({"build": UNKNOWN}, "$.build", "200 fields", "201 fields"),
    # A few in every object are many in all of them.
    (
        {"tools": {f"tool{number}": {"inputs": {}, "outputs": {}} for number in range(101)}},
        "$.tools.tool100",
        "200",
        "2",
    ),
    ({"tools": {f"tool{number}": {} for number in range(1_001)}}, "$.tools", "1000 tools", "1001"),
    ({"exports": [f"export{number}" for number in range(1_001)]}, "$.exports", "1000 exports", "1001"),
    ({"exports": [{"name": "a", "inputs": [{}] * 1_001}]}, "$.exports[0].inputs", "1000 entries", "1001"),
    ({"mastra": {"parameters": [{}] * 1_001}}, "$.mastra.parameters", "1000 entries", "1001"),
    ({"tools": {"a": {"examples": [{"input": {}}] * 101}}}, "$.tools.a.examples", "100 examples", "101"),
    ({"dependencies": {f"other-{number}": "1" for number in range(1_001)}}, "$.dependencies", "1000", "1001"),
    (
        {"dependencies": {f"other-{number}": "1 || " * 40 + "1" for number in range(200)}},
        "$.dependencies",
        "32768",
        "40",
    ),
    ({"keywords": NAMES[:51]}, "$.keywords", "50 keywords", "51"),
    ({"tags": NAMES[:51]}, "$.tags", "50 tags", "51"),
    ({"permissions": {"secrets": NAMES}}, "$.permissions.secrets", "100 permissions", "101"),
    ({"allowedHosts": NAMES}, "$.allowedHosts", "100 hosts", "101"),
    ({"allowedPaths": NAMES}, "$.allowedPaths", "100 folders", "101"),
    ({"allowedEnv": NAMES}, "$.allowedEnv", "100 names", "101"),
    ({"tools": {"a": {"input": {"enum": list(range(MAX_VALUES))}}}}, "$", "100000 values", "100006"),
    ({"xtp": {"version": "v0", "exports": [""] * MAX_VALUES}}, "$", "100000 values", "100005"),
    ({"mastra": {"icon": ARRAYS}}, "$", "50000 objects and arrays", "50004"),
    ({"tools": {"a": {"input": {"properties": {str(number): {} for number in range(50_000)}}}}}, "$", "50000", "50005"),
]
"""What there is too much of, the place, what may be there and what is there."""


def _never(*_: object) -> NoReturn:
    raise AssertionError("this is work for what is within the bounds")


@pytest.mark.parametrize(("written", "path", "expected", "got"), TOO_MUCH)
def test_what_there_is_too_much_of_is_refused_by_place_before_anything_is_made_of_it(
    monkeypatch: pytest.MonkeyPatch, written: dict[str, Any], path: str, expected: str, got: str
) -> None:
    for later in ("check_plain", "tools_from_exports", "validate_manifest"):
        monkeypatch.setattr(manifest_forms, later, _never)
    document = {**BASE, **written}
    for read in (lambda: parse_manifest(document), lambda: parse_manifest_bytes(json.dumps(document).encode())):
        with pytest.raises(InvalidInput) as refused:
            read()
        assert (refused.value.code, refused.value.data["path"]) == ("invalid_manifest", path)
        assert expected in refused.value.data["expected"]
        assert got in refused.value.data["got"]
        assert path in refused.value.message


@pytest.mark.parametrize(
    "written",
    [
        f'{{"a": [{"[], " * 60_000}[]]}}',
        f"[{'1,' * MAX_VALUES}1]",
        '{"a":' * 60_000,
        "[" * 60_000,
        "x" * (MAX_TEXT + 1),
    ],
)
def test_a_text_of_too_many_values_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setattr(manifest_forms, "parse_json", _never)
    with pytest.raises(InvalidInput, match="at most"):
        parse_manifest_bytes(written.encode())


def test_a_thousand_tools_of_a_hundred_values_each_are_within_the_bounds() -> None:
    field = {"type": "string", "description": "What it is, in one sentence."}
    schema = {"type": "object", "properties": {f"field{number}": field for number in range(28)}}
    tool = {"title": "A tool", "description": "Does it.", "input": schema, "annotations": {"readOnlyHint": True}}
    document: dict[str, Any] = {**BASE, "tools": {f"tool{number}": tool for number in range(1_000)}}
    assert 90_000 <= count_values(document) <= MAX_VALUES
    manifest, _ = parse_manifest(document)
    assert manifest.tools is not None
    assert len(manifest.tools) == 1_000
    assert parse_manifest_bytes(json.dumps(document).encode()) == (manifest, ())


def test_commas_and_brackets_in_strings_are_no_values() -> None:
    text = ',[]{}:"\\' * 500
    tools = {f"tool{number}": {"description": text} for number in range(100)}
    manifest, _ = parse_manifest_bytes(json.dumps({**BASE, "tools": tools}).encode())
    assert manifest.tools is not None
    assert manifest.tools["tool99"].description == text


scalars = (
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from(',[]{}:"\\ \n\u00e4')) | st.text(max_size=4)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars.map(str), inner, max_size=4)
)


@given(value=values, indent=st.none() | st.integers(0, 2), ascii_only=st.booleans())
def test_the_count_of_a_text_is_that_of_its_value(value: JsonValue, indent: int | None, ascii_only: bool) -> None:
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert count_in_text(written) == (count_values(value), containers_of(value))


def containers_of(value: JsonValue) -> int:
    """Objects and arrays at every depth."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + sum(map(containers_of, value.values() if isinstance(value, dict) else value))
