"""Whatever a tool is sent, it answers with a result or an error of its own: no trap, no endless loop."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.running import NAMES, BundledPlugins, source_of
from tool_server.errors import CallFailed

FIRST_TOOLS = [(name, next(iter(source_of(name).manifest.tools or ()))) for name in NAMES]
ALL_TOOLS = [(name, tool) for name in NAMES for tool in source_of(name).manifest.tools or ()]

BROKEN_INPUTS: list[tuple[bytes, str]] = [
    (b"", "the text ends too early at line 1, column 1"),
    (b"{", "a string was expected at line 1, column 2"),
    (b'{"a":1,}', "a string was expected"),
    (b'{"a" 1}', "a missing ':'"),
    (b'{"a":"\xff"}', "not UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
    (b'{"a":"\\ud800"}', "half of a surrogate pair"),
    (b'{"a":"\\udc00\\ud800"}', "half of a surrogate pair"),
    (b'{"a":"\\u12"}', "four hexadecimal digits"),
    (b'{"a":"\\x"}', "unknown escape"),
    (b'{"a":"\n"}', "control character"),
    (b'{"a":"', "does not end"),
    (b'{"a":01}', "missing ',' or '}'"),
    (b'{"a":-}', "without digits"),
    (b'{"a":1e}', "without digits"),
    (b'{"a":nul}', "unknown word"),
    (b'{"a":NaN}', "unexpected character"),
    (b'{"a":1,"a":2}', "stands twice"),
    (b"{}{}", "after the end"),
    (b"\n\n  [1, \xc3\xa9]", "line 3, column 7"),
    (b"[]", "must be a JSON object"),
    (b"null", "must be a JSON object"),
    (b"[" * 100_000, "deeper than 128"),
    (b'{"a":' * 100_000, "deeper than 128"),
    (b"\x00", "unexpected character"),
]


@pytest.mark.parametrize(("name", "tool"), FIRST_TOOLS)
def test_input_that_is_no_json_object_is_refused_with_its_place(plugins: BundledPlugins, name: str, tool: str) -> None:
    for data, expected in BROKEN_INPUTS:
        assert expected in plugins.refusal_of(name, tool, data)


@pytest.mark.parametrize(("name", "tool"), ALL_TOOLS)
def test_every_argument_of_a_wrong_type_is_refused_by_name(plugins: BundledPlugins, name: str, tool: str) -> None:
    declared = (source_of(name).manifest.tools or {})[tool]
    assert declared.input is not None
    properties = declared.input["properties"]
    assert isinstance(properties, dict)
    example = declared.examples[0].input
    for argument in properties:
        wrong: list[object] = [{}, [{}], 10**30 if isinstance(example.get(argument), int) else {"nested": [None]}]
        for value in wrong:
            message = plugins.refusal(name, tool, **{**example, argument: value})
            assert argument in message or "exactly one of" in message


@pytest.mark.parametrize(("name", "tool"), ALL_TOOLS)
def test_a_truncated_input_is_refused(plugins: BundledPlugins, name: str, tool: str) -> None:
    declared = (source_of(name).manifest.tools or {})[tool]
    data = json.dumps(declared.examples[0].input).encode()
    for length in range(0, len(data), max(1, len(data) // 12)):
        plugins.refusal_of(name, tool, data[:length])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(("name", "tool"), ALL_TOOLS)
def test_arbitrary_arguments_never_make_a_tool_trap(plugins: BundledPlugins, name: str, tool: str) -> None:
    declared = (source_of(name).manifest.tools or {})[tool]
    assert declared.input is not None
    properties = declared.input["properties"]
    assert isinstance(properties, dict)

    @settings(max_examples=15)
    @given(st.fixed_dictionaries({}, optional=dict.fromkeys(properties, json_values)))
    def answers(arguments: dict[str, object]) -> None:
        try:
            result = plugins.send(name, tool, json.dumps(arguments).encode())
        except CallFailed as error:
            assert error.code == "guest_error", error.message  # noqa: PT017
        else:
            assert isinstance(json.loads(result), dict)

    answers()


BIG = 3_900_000
FULL_INPUTS: list[tuple[str, str, bytes]] = [
    ("hash", "digest", b'{"data":"' + b"a" * BIG + b'"}'),
    ("encoding", "encode", b'{"to":"base64","data":"' + b"a" * (BIG // 2) + b'"}'),
    ("encoding", "encode", b'{"to":"percent","data":"' + "é".encode() * (BIG // 2) + b'"}'),
    ("encoding", "encode", b'{"to":"hex","data":[' + b"[]," * (BIG // 3) + b"0]}"),
    ("text", "statistics", b'{"text":"' + b"\\n" * (BIG // 2) + b'"}'),
    ("text", "count", b'{"substring":"' + b"a" * 1000 + b'","text":"' + b"a" * (BIG - 2000) + b'"}'),
    ("text", "diff", b'{"new":"","old":"' + b"\\n" * (BIG // 2) + b'"}'),
    ("json-tools", "format", b'{"indent":8,"json":"[' + b"[]," * (BIG // 3 - 50) + b'0]"}'),
    ("json-tools", "format", b'{"json":"' + b"[" * BIG + b'"}'),
    ("calc", "evaluate", b'{"expression":"' + b"9" * 49_000 + b'"}'),
    ("calc", "statistics", b'{"numbers":[' + b'"1e-19999",' * 9_999 + b'"1/7"]}'),
    ("calendar", "add", b'{"date":"0001-01-01","business_days":2600000}'),
    ("units", "convert", b'{"from":"m","to":"ft","value":"1e-19999"}'),
    ("qr-code", "create", b'{"scale":40,"border":20,"text":"' + b"a" * BIG + b'"}'),
]


@pytest.mark.parametrize(("name", "tool", "data"), FULL_INPUTS, ids=[f"{case[0]}/{case[1]}" for case in FULL_INPUTS])
def test_the_largest_inputs_end_in_a_result_or_a_clear_error(
    plugins: BundledPlugins, name: str, tool: str, data: bytes
) -> None:
    try:
        assert plugins.send(name, tool, data)
    except CallFailed as error:
        assert error.code in {"guest_error", "output_too_large"}, error.message  # noqa: PT017
