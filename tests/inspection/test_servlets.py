"""Plugins that describe themselves."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.servlets import convention_exports, probes, read_outcomes, tools_described
from tool_server.interfaces import Probe
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.release import Abi
from tool_server.model.tool import InputForm, OutputForm, Severity, TypeSource

OBJECT: JsonObject = {"type": "object", "properties": {"text": {"type": "string"}}}
GOOD: JsonObject = {"name": "count", "description": "Counts.", "inputSchema": OBJECT}


def listing(*tools: JsonValue, **more: JsonValue) -> bytes:
    return json.dumps({"tools": list(tools), **more}).encode()


def test_each_convention_is_asked_in_its_own_words() -> None:
    assert probes(Abi.EXTISM) == ()
    assert probes(Abi.SERVLET) == (Probe("describe", b""),)
    asked = probes(Abi.HYPER_V2)
    lists = ["list_tools", "list_prompts", "list_resources", "list_resource_templates"]
    assert [probe.export for probe in asked] == lists
    assert all(set(json.loads(probe.input)["context"]) == {"id", "_meta"} for probe in asked)


@pytest.mark.parametrize(
    ("abi", "export", "form"),
    [
        (Abi.SERVLET, "call", InputForm.SERVLET),
        (Abi.HYPER_V2, "call_tool", InputForm.HYPER_V2),
    ],
)
def test_a_described_tool_is_bound_to_its_convention(abi: Abi, export: str, form: InputForm) -> None:
    full: JsonObject = {
        **GOOD,
        "title": "Count",
        "outputSchema": {"properties": {"n": {}}},
        "annotations": {"readOnlyHint": True, "vendor": 1},
        "_meta": {"vendor/colour": "red", "tool-server/plugin": "another"},
        "icons": [{"src": "https://example.com/icon.png", "sizes": ["48x48"]}],
    }
    described = tools_described(abi, listing(full))
    (tool,) = described.tools
    assert (tool.name, tool.title, tool.description, tool.input_schema) == ("count", "Count", "Counts.", OBJECT)
    assert tool.output_schema == {"type": "object", "properties": {"n": {}}}
    assert tool.annotations.model_dump(exclude_none=True) == {"readOnlyHint": True}
    assert (tool.meta, tool.icons[0].src) == ({"vendor/colour": "red"}, "https://example.com/icon.png")
    assert (tool.binding.export, tool.binding.input, tool.binding.output) == (export, form, OutputForm.CONTENT)
    assert (tool.source, described.abi) == (TypeSource.DESCRIBED, abi)
    assert described.findings == described.quarantined == ()
    assert export in convention_exports(abi)


@pytest.mark.parametrize(
    ("entry", "name", "rule"),
    [
        ("x", "tools[1]", "invalid-entry"),
        ({}, "tools[1]", "invalid-entry"),
        ({"name": ""}, "tools[1]", "invalid-entry"),
        ({"name": 7, "inputSchema": OBJECT}, "tools[1]", "invalid-entry"),
        ({**GOOD, "name": "b", "description": ["x"]}, "b", "invalid-entry"),
        ({**GOOD, "name": "b", "title": 1}, "b", "invalid-entry"),
        ({**GOOD, "name": "b", "inputSchema": "{}"}, "b", "input-not-object"),
        ({**GOOD, "name": "b", "inputSchema": []}, "b", "input-not-object"),
        ({**GOOD, "name": "b", "inputSchema": {"type": "string"}}, "b", "input-not-object"),
        ({**GOOD, "name": "b", "inputSchema": {"type": ["object", "null"]}}, "b", "input-not-object"),
        (GOOD, "count", "duplicate-name"),
    ],
)
def test_a_malformed_entry_is_quarantined_and_hides_no_other(entry: JsonValue, name: str, rule: str) -> None:
    described = tools_described(Abi.SERVLET, listing(GOOD, entry, {**GOOD, "name": "last"}))
    assert [tool.name for tool in described.tools] == ["count", "last"]
    assert [(tool.name, tool.rule) for tool in described.quarantined] == [(name, rule)]
    assert described.quarantined[0].reason


@pytest.mark.parametrize(
    ("change", "rule", "attribute", "value"),
    [
        ({"inputSchema": None}, "no-input-schema", "input_schema", {"type": "object"}),
        ({"inputSchema": {}}, "no-root-type", "input_schema", {"type": "object"}),
        (
            {"inputSchema": {"properties": {"a": {}}}},
            "no-root-type",
            "input_schema",
            {"type": "object", "properties": {"a": {}}},
        ),
        ({"outputSchema": {"type": "array"}}, "output-not-object", "output_schema", None),
        ({"outputSchema": True}, "output-not-object", "output_schema", None),
        ({"annotations": {"readOnlyHint": "yes"}}, "invalid-annotations", "title", None),
        ({"annotations": []}, "invalid-annotations", "title", None),
    ],
)
def test_what_can_be_repaired_is_repaired_with_a_warning(
    change: JsonObject, rule: str, attribute: str, value: JsonValue
) -> None:
    described = tools_described(Abi.HYPER_V2, listing({**GOOD, **change}))
    assert getattr(described.tools[0], attribute) == value
    assert [(finding.tool, finding.rule, finding.severity) for finding in described.findings] == [
        ("count", rule, Severity.WARN)
    ]


def test_further_pages_are_noted() -> None:
    described = tools_described(Abi.HYPER_V2, listing(GOOD, nextCursor="2"))
    assert [finding.rule for finding in described.findings] == ["more-pages"]


BAD_OUTPUTS = [
    b"",
    b" \n",
    b"null",
    b"[]",
    b"{",
    b"\xff",
    b"{}",
    b'{"tools": {}}',
    b'{"tools": [1e999]}',
    b'{"tools": ["\\ud800"]}',
    listing(*([GOOD] * 1_001)),
]


@pytest.mark.parametrize("output", BAD_OUTPUTS)
def test_an_output_that_is_no_list_of_tools_is_refused(output: bytes) -> None:
    with pytest.raises(InvalidInput, match="the description") as caught:
        tools_described(Abi.SERVLET, output)
    assert caught.value.code == "invalid_description"


def test_outcomes_of_a_plain_plugin_are_no_description() -> None:
    assert read_outcomes(Abi.EXTISM, ()) is None


def test_outcomes_that_are_good_are_read() -> None:
    described = read_outcomes(Abi.SERVLET, [listing(GOOD)])
    assert described is not None
    assert not described.failed
    assert [tool.name for tool in described.tools] == ["count"]


@pytest.mark.parametrize(
    "outcome", [b"nonsense", CallFailed("trap", "unreachable"), CallFailed("missing_export", "no")]
)
def test_a_description_that_failed_stops_a_publish(outcome: bytes | CallFailed) -> None:
    described = read_outcomes(Abi.SERVLET, [outcome])
    assert described is not None
    assert described.failed
    assert [(finding.severity, finding.rule) for finding in described.findings] == [
        (Severity.REFUSE, "description-failed")
    ]


def test_a_v2_plugin_without_list_tools_has_no_tools_and_no_problem() -> None:
    described = read_outcomes(Abi.HYPER_V2, [CallFailed("missing_export", "no list_tools")])
    assert described is not None
    assert (described.failed, described.tools, described.findings) == (False, (), ())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(OBJECT),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["name", "title", "description", "inputSchema", "outputSchema", "annotations"])


@settings(max_examples=100)
@given(st.lists(st.dictionaries(fields, json_values) | json_values, max_size=5))
def test_every_entry_is_offered_or_quarantined(entries: list[JsonValue]) -> None:
    described = tools_described(Abi.SERVLET, listing(*entries))
    assert len(described.tools) + len(described.quarantined) == len(entries)
    assert all(tool.input_schema["type"] == "object" for tool in described.tools)


@pytest.mark.parametrize(
    "icons", [{}, "x", [1], [{"src": 1}], [{}], [{"src": "x", "theme": "pink"}], [{"src": "x"}] * 21]
)
def test_malformed_icons_are_left_out_with_a_warning_and_hold_back_nothing(icons: JsonValue) -> None:
    described = tools_described(Abi.SERVLET, listing({**GOOD, "icons": icons}))
    (tool,) = described.tools
    assert tool.icons == ()
    assert [finding.rule for finding in described.findings] == ["invalid-icons"]
