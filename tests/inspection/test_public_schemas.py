"""The shipped JSON Schemas against the code that reads the same formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tests.inspection.conformity import conforms
from tests.inspection.test_manifest_forms import BASE, CANONICAL, FORMS, REFUSALS
from tool_server.errors import InvalidInput
from tool_server.inspection import tool_section
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.model.icon import Icon
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.manifest import Manifest, ManifestBuild, ManifestLimits, ManifestTool
from tool_server.model.manifest_items import ManifestPrompt, ManifestResource, ManifestResourceTemplate
from tool_server.model.permission import Permissions
from tool_server.model.prompt import PromptArgument
from tool_server.model.resource import ContentAnnotations
from tool_server.model.tool import ToolAnnotations, ToolExample

FOLDER = Path(__file__).parents[2] / "schemas"


def schema(name: str) -> JsonObject:
    """One of the shipped schemas."""
    return json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))


PLUGIN, SECTION = schema("plugin"), schema("tool-section")


def read(document: JsonObject) -> bool:
    """Whether the code takes `document` as it stands."""
    try:
        return not parse_manifest(document)[1]
    except InvalidInput:
        return False


def undescribed(node: JsonValue, path: str) -> list[str]:
    """The properties, at every depth, that have no description."""
    if not isinstance(node, dict):
        return []
    missing: list[str] = []
    for keyword in ("properties", "$defs"):
        members = node.get(keyword)
        for name, child in members.items() if isinstance(members, dict) else ():
            if isinstance(child, dict) and keyword == "properties" and not {"description", "$ref"} & set(child):
                missing.append(f"{path}.{name}")
            missing += undescribed(child, f"{path}.{name}")
    return missing


@pytest.mark.parametrize("document", [PLUGIN, SECTION])
def test_a_shipped_schema_is_a_schema_in_which_everything_is_described(document: JsonObject) -> None:
    Draft202012Validator.check_schema(document)

    assert undescribed(document, "$") == []


DECLARED: JsonObject = {
    "prompts": {
        "review": {
            "title": "Review",
            "description": "Reviews.",
            "arguments": [{"name": "text", "title": "Text", "description": "What.", "required": True}],
            "icons": [{"src": "data:,", "mimeType": "image/png", "sizes": ["any"], "theme": "dark"}],
            "_meta": {"a": 1},
            "export": "review",
        }
    },
    "resources": [
        {
            "uri": "notes://today",
            "name": "today",
            "mimeType": "text/plain",
            "size": 1,
            "annotations": {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-01T00:00:00Z"},
            "text": "x",
        },
        {"uri": "notes://icon", "name": "icon", "blob": "AA=="},
    ],
    "resourceTemplates": [{"uriTemplate": "notes://{name}", "name": "notes", "_meta": {}, "export": "read"}],
}

TOO_MANY_EXAMPLES: list[JsonValue] = [{"input": {}}] * 101

AGREED: list[tuple[JsonObject, bool]] = [
    (BASE, True),
    (CANONICAL, True),
    ({"version": "1.0.0"}, False),
    ({"name": "a"}, False),
    ({**BASE, "name": "@acme/" + "x" * 64}, True),
    ({**BASE, "name": "@acme/" + "x" * 65}, False),
    ({**BASE, "name": "@" + "a" * 63 + "/x"}, True),
    ({**BASE, "name": "@" + "a" * 64 + "/x"}, False),
    ({**BASE, "name": "-a"}, False),
    ({**BASE, "version": "2.0.0-rc.1+build.5"}, True),
    ({**BASE, "version": "01.0.0"}, False),
    ({**BASE, "version": "1.0.0-01"}, False),
    ({**BASE, "limits": {"memory": "64 KiB", "timeout": "1.5s"}}, True),
    ({**BASE, "limits": {"timeout": "5 seconds"}}, False),
    ({**BASE, "limits": {"timeout": 19}}, False),
    ({**BASE, "limits": {"memory": 65_535}}, False),
    ({**BASE, "limits": {"fuel": 1.5}}, False),
    ({**BASE, "limits": {"cpu": 1}}, False),
    ({**BASE, "dependencies": {"Bad": "1"}}, False),
    ({**BASE, "keywords": list[JsonValue](["k"] * 51)}, False),
    ({**BASE, "description": "x" * 5_001}, False),
    ({**BASE, "tools": {"a": {"description": "x" * 20_001}}}, False),
    ({**BASE, "tools": {"a": {"examples": [{"input": {}, "output": None}]}}}, True),
    ({**BASE, "tools": {"a": {"examples": [{"output": 1}]}}}, False),
    ({**BASE, "tools": {"a": {"examples": TOO_MANY_EXAMPLES}}}, False),
    ({**BASE, "tools": {f"t{number}": {} for number in range(1_001)}}, False),
    ({**BASE, "tools": {"a": {"annotations": {"idempotentHint": False}}}}, True),
    ({**BASE, "tools": {"a": {"task": "optional"}, "b": {"task": "required"}}}, True),
    ({**BASE, "tools": {"a": {"task": "after-input"}, "b": {"task": "forbidden"}}}, True),
    ({**BASE, "tools": {"a": {"task": True}}}, False),
    ({**BASE, "tools": {"a": {"task": "Optional"}}}, False),
    ({**BASE, "build": {"language": "go", "flags": []}}, False),
    ({**BASE, **DECLARED}, True),
    ({**BASE, "prompts": {"a": {"arguments": [{}]}}}, False),
    ({**BASE, "prompts": {"a": {"text": "b"}}}, False),
    ({**BASE, "prompts": [{"name": "a"}]}, False),
    ({**BASE, "prompts": {f"p{number}": {} for number in range(1_001)}}, False),
    ({**BASE, "resources": [{"uri": "a:b"}]}, False),
    ({**BASE, "resources": [{"uri": "a:b", "name": "c", "size": -1}]}, False),
    ({**BASE, "resources": [{"uri": "a:" + "b" * 2_047, "name": "c"}]}, False),
    ({**BASE, "resources": [{"uri": "a:b", "name": "c", "text": "x" * 65_537}]}, False),
    ({**BASE, "resources": [{"uri": "a:b", "name": "c", "annotations": {"priority": 2}}]}, False),
    ({**BASE, "resources": [{"uri": "a:b", "name": "c", "icons": [{"theme": "dark"}]}]}, False),
    ({**BASE, "resourceTemplates": [{"name": "c"}]}, False),
    ({**BASE, "resourceTemplates": [{"uriTemplate": "a:{b}", "name": "c", "size": 1}]}, False),
]


@pytest.mark.parametrize(("document", "good"), AGREED)
def test_schema_and_code_agree_on_a_manifest(document: JsonObject, good: bool) -> None:
    assert (conforms(PLUGIN, document), read(document)) == (good, good)


@pytest.mark.parametrize("written", [written for written, _, notes in FORMS if notes and "mastra" not in written])
def test_the_schema_teaches_the_canonical_form_alone(written: JsonObject) -> None:
    assert not conforms(PLUGIN, {**BASE, **written})


@pytest.mark.parametrize("canonical", [canonical for _, canonical, _ in FORMS])
def test_every_form_is_rewritten_to_what_the_schema_takes(canonical: JsonObject) -> None:
    assert conforms(PLUGIN, {**BASE, **canonical})


ONLY_CODE = ("surrogate", "out of range", "outside the folder", "version range")


@pytest.mark.parametrize(
    "written",
    [
        written
        for written, path, said in REFUSALS
        if not any(word in said for word in ONLY_CODE) and not path.startswith("$.mastra.")
    ],
)
def test_what_the_code_refuses_the_schema_refuses(written: JsonObject) -> None:
    assert not conforms(PLUGIN, {**BASE, **written})


@pytest.mark.parametrize(
    ("place", "model"),
    [
        (("properties", "permissions"), Permissions),
        (("properties", "limits"), ManifestLimits),
        (("properties", "build"), ManifestBuild),
        (("$defs", "tool"), ManifestTool),
        (("$defs", "prompt"), ManifestPrompt),
        (("$defs", "promptArgument"), PromptArgument),
        (("$defs", "resource"), ManifestResource),
        (("$defs", "resourceTemplate"), ManifestResourceTemplate),
        (("$defs", "contentAnnotations"), ContentAnnotations),
        (("$defs", "icon"), Icon),
        (("$defs", "annotations"), ToolAnnotations),
        (("$defs", "example"), ToolExample),
        ((), Manifest),
    ],
)
def test_schema_and_model_have_the_same_fields(place: tuple[str, ...], model: type[BaseModel]) -> None:
    node: JsonValue = PLUGIN
    for part in place:
        assert isinstance(node, dict)
        node = node[part]
    assert isinstance(node, dict)
    fields = {field.alias or name for name, field in model.model_fields.items()}
    properties = node["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == fields
    assert node["additionalProperties"] is False


def test_both_schemas_describe_a_tool_alike() -> None:
    assert SECTION["$defs"] == PLUGIN["$defs"]


@pytest.mark.parametrize(
    ("document", "good"),
    [
        ({"tools": {}}, True),
        ({"tools": CANONICAL["tools"]}, True),
        ({"tools": {"a": {"inputs": {}}}}, False),
        ({"tools": {"a": {"title": 1}}}, False),
        ({"tools": {"a": {"task": "required"}}}, True),
        ({"tools": {"a": {"task": "always"}}}, False),
        ({"tools": {"a": []}}, False),
        ({"tools": []}, False),
        (DECLARED, True),
        ({"tools": {}, **DECLARED}, True),
        ({"prompts": {}}, True),
        ({"prompts": {"a": {"arguments": {}}}}, False),
        ({"resources": [{"name": "a"}]}, False),
        ({"resources": {}}, False),
        ({"resourceTemplates": [1]}, False),
        ({}, False),
    ],
)
def test_schema_and_code_agree_on_a_section(document: JsonObject, good: bool) -> None:
    try:
        section = tool_section.read(json.dumps(document).encode())
        taken = not section.quarantined and not section.quarantined_items
    except InvalidInput:
        taken = False
    assert (conforms(SECTION, document), taken) == (good, good)
