"""The custom section `extism-tools`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.inspection import tool_section
from tool_server.inspection.manifest_bounds import MAX_TEXT
from tool_server.model.json_value import JsonObject
from tool_server.model.manifest import ManifestTool
from tool_server.model.tool import ToolAnnotations, ToolExample

TOOLS = {
    "zeta": ManifestTool(
        title="Zeta",
        description="Zählt.",
        input={"type": "object", "properties": {"z": {}, "a": {}}},
        output={"type": "integer"},
        annotations=ToolAnnotations(readOnlyHint=True),
        examples=(ToolExample(input={"z": 1}, output=None), ToolExample(input={})),
        returns="json",
        task="after-input",
    ),
    "alpha": ManifestTool(),
}


def test_what_is_written_is_read_in_the_same_order() -> None:
    section = tool_section.read(tool_section.write(TOOLS))
    assert list(section.tools.items()) == list(TOOLS.items())
    assert section.quarantined == ()
    examples = section.tools["zeta"].examples
    assert ["output" in example.model_fields_set for example in examples] == [True, False]
    assert json.dumps(section.tools["zeta"].input).index('"z"') < json.dumps(section.tools["zeta"].input).index('"a"')


@settings(max_examples=50)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.text(st.characters(codec="utf-8"))))
def test_any_name_and_description_survives(descriptions: dict[str, str]) -> None:
    tools = {name: ManifestTool(description=text) for name, text in descriptions.items()}
    assert tool_section.read(tool_section.write(tools)).tools == tools


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"inputs": {}}, "$.tools.bad.inputs"),
        ({"input": []}, "$.tools.bad.input"),
        ({"annotations": {"readOnlyHint": 1}}, "$.tools.bad.annotations.readOnlyHint"),
        ({"returns": "xml"}, "$.tools.bad.returns"),
        ({"task": None, "returns": "xml"}, "$.tools.bad.returns"),
        ({"task": "always"}, "$.tools.bad.task"),
        ("x", "$.tools.bad"),
    ],
)
def test_a_malformed_entry_is_quarantined_and_hides_no_other(entry: JsonObject, place: str) -> None:
    section = tool_section.read(json.dumps({"tools": {"bad": entry, "good": {}}}).encode())
    assert list(section.tools) == ["good"]
    assert [(tool.name, tool.rule) for tool in section.quarantined] == [("bad", "invalid-section")]
    assert f"{place}:" in section.quarantined[0].reason


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"tools": {"a": {}, "a": {}}}', "invalid_json"),
        (b"[]", "invalid_section"),
        (b"{}", "invalid_section"),
        (b'{"tools": []}', "invalid_section"),
        (b'{"tools": {"a": {"title": "\\ud800"}}}', "invalid_json"),
        (json.dumps({"tools": {str(number): {} for number in range(1_001)}}).encode(), "invalid_section"),
        (json.dumps({"tools": {"a": {str(number): {} for number in range(201)}}}).encode(), "invalid_section"),
        (json.dumps({"tools": {"a": {"input": {"enum": [[]] * 50_000}}}}).encode(), "invalid_section"),
        (b" " * (MAX_TEXT + 1), "invalid_section"),
    ],
)
def test_a_section_of_another_shape_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(InvalidInput, match=r"extism-tools|twice") as caught:
        tool_section.read(raw)
    assert caught.value.code == code
