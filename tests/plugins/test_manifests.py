"""What every bundled plugin declares is true, and clean by the product's own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.plugins.running import NAMES, PLUGINS, BundledPlugins, source_of
from tool_server.inspection.lint import lint_tool, lint_tools
from tool_server.inspection.tools import derive_tools
from tool_server.inspection.wasm import parse_module
from tool_server.model.json_value import JsonObject
from tool_server.model.names import MAX_TOOL_NAME, tool_name

Declared = dict[str, Any]


def declared_tools() -> list[tuple[str, str, Declared]]:
    return [
        (name, tool, declared)
        for name in NAMES
        for tool, declared in json.loads((PLUGINS / name / "plugin.json").read_text(encoding="utf-8"))["tools"].items()
    ]


TOOLS = [pytest.param(*found, id=f"{found[0]}/{found[1]}") for found in declared_tools()]
EXAMPLES = [
    pytest.param(plugin, tool, declared, example, id=f"{plugin}/{tool}/{number}")
    for plugin, tool, declared in declared_tools()
    for number, example in enumerate(declared["examples"])
]


def test_there_are_at_least_six_plugins() -> None:
    assert len(NAMES) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_a_publish_would_find_nothing_to_remark(name: str) -> None:
    source = source_of(name)
    derived = derive_tools(source.manifest, parse_module(source.wasm), None)
    assert source.manifest.license == "Apache-2.0"
    assert not source.findings
    assert not derived.quarantined
    assert not derived.findings
    assert not lint_tools(name, derived.tools)
    assert not [finding for tool in derived.tools for finding in lint_tool(name, tool)]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_asks_the_host_for_input_output_and_errors_only(name: str) -> None:
    module = parse_module(source_of(name).wasm)
    allowed = {"alloc", "error_set", "input_length", "input_load_u64", "input_load_u8", "output_set"}
    allowed |= {"store_u64", "store_u8"}
    assert {(item.module, item.name) for item in module.imports} <= {("extism:host/env", found) for found in allowed}


@pytest.mark.parametrize(("plugin", "tool", "declared"), TOOLS)
def test_a_tool_is_described_for_a_model(plugin: str, tool: str, declared: Declared) -> None:
    assert len(tool_name(plugin, tool)) <= MAX_TOOL_NAME
    assert declared["title"]
    assert len(declared["description"]) > 40
    assert declared["examples"]
    assert declared["annotations"]["readOnlyHint"] is True
    assert declared["annotations"]["idempotentHint"] is True
    assert declared["annotations"]["openWorldHint"] is False
    for schema in filter(None, (declared["input"], declared.get("output"))):
        Draft202012Validator.check_schema(schema)
        check_described(schema)
    assert ("output" in declared) != (declared.get("returns") == "content")


def check_described(schema: JsonObject) -> None:
    """Every object is closed, and every value in it has a description."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        assert schema["additionalProperties"] is False
        for value in properties.values():
            assert isinstance(value, dict)
            assert value["description"]
            check_described(value)
    items = schema.get("items")
    if isinstance(items, dict):
        assert items["description"]
        check_described(items)


def check_fits(schema: Declared, value: Any) -> None:
    validator = Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(value)] == []  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize(("plugin", "tool", "declared", "example"), EXAMPLES)
def test_an_example_gives_exactly_what_the_manifest_says(
    plugins: BundledPlugins, plugin: str, tool: str, declared: Declared, example: Declared
) -> None:
    check_fits(declared["input"], example["input"])
    result = plugins.call(plugin, tool, **example["input"])
    if declared.get("returns") == "content":
        assert [block["type"] for block in result["content"]] == ["image", "text"]
    else:
        check_fits(declared["output"], result)
        assert result == example["output"]
