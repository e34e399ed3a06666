"""What a version offers: the wire form of its tools, and their way back."""

from __future__ import annotations

import json
from pathlib import Path

import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.storage.examples import make_release
from tests.support.server import REPOSITORY
from tool_server.inspection.content_blocks import guest_meta
from tool_server.inspection.manifest_forms import parse_manifest_bytes
from tool_server.inspection.offering import definition_of, listed_tool, listing, needs_headers, offering_of, remainder
from tool_server.model.catalog import OfferedTool
from tool_server.model.icon import Icon
from tool_server.model.json_value import JsonObject, JsonValue, canonical_json
from tool_server.model.manifest import ManifestLimits
from tool_server.model.names import tool_name
from tool_server.model.tool import (
    Binding,
    InputForm,
    OutputForm,
    ToolAnnotations,
    ToolDefinition,
    ToolExample,
    TypeSource,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects: st.SearchStrategy[JsonObject] = st.dictionaries(texts, values, max_size=4)
hints = st.none() | st.booleans()
examples = st.builds(ToolExample, input=objects) | st.builds(ToolExample, input=objects, output=values)
definitions = st.builds(
    ToolDefinition,
    name=texts,
    title=st.none() | texts,
    description=texts,
    input_schema=objects,
    output_schema=st.none() | objects,
    annotations=st.builds(
        ToolAnnotations,
        title=st.none() | texts,
        readOnlyHint=hints,
        destructiveHint=hints,
        idempotentHint=hints,
        openWorldHint=hints,
    ),
    examples=st.lists(examples, max_size=2).map(tuple),
    icons=st.lists(
        st.builds(Icon, src=texts, mimeType=st.none() | texts, theme=st.sampled_from(["light", "dark", None])),
        max_size=2,
    ).map(tuple),
    meta=st.none() | objects.map(guest_meta),
    source=st.sampled_from(TypeSource),
    binding=st.builds(Binding, export=texts, input=st.sampled_from(InputForm), output=st.sampled_from(OutputForm)),
)


def by_the_sdk(plugin: str, version: str, definition: ToolDefinition) -> bytes:
    """The tool as the MCP SDK's own type serialises it."""
    given_hints = definition.annotations.model_dump(exclude_none=True)
    tool = types.Tool(
        name=tool_name(plugin, definition.name),
        title=definition.title,
        description=definition.description or None,
        input_schema=definition.input_schema,
        output_schema=definition.output_schema,
        icons=[types.Icon(src=icon.src, mime_type=icon.mimeType, theme=icon.theme) for icon in definition.icons]
        or None,
        annotations=types.ToolAnnotations.model_validate(given_hints) if given_hints else None,
        _meta={**(definition.meta or {}), "tool-server/plugin": plugin, "tool-server/version": version},
    )
    return tool.model_dump_json(by_alias=True, exclude_none=True).encode()


def bundled() -> list[Path]:
    return sorted((REPOSITORY / "plugins").glob("*/plugin.json"))


@given(definitions)
def test_a_listing_is_byte_for_byte_what_the_sdk_writes(definition: ToolDefinition) -> None:
    assert listing("@scope/name", "1.0.0", definition) == by_the_sdk("@scope/name", "1.0.0", definition)


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.parent.name)
def test_the_bundled_tools_are_listed_as_the_sdk_writes_them(path: Path) -> None:
    manifest, _ = parse_manifest_bytes(path.read_bytes())
    assert manifest.tools
    for name, tool in manifest.tools.items():
        definition = ToolDefinition(
            name=name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.input or {"type": "object"},
            output_schema=tool.output,
            annotations=tool.annotations,
            source=TypeSource.MANIFEST,
            binding=Binding(export=name),
        )
        assert listing(manifest.name, "1.0.0", definition) == by_the_sdk(manifest.name, "1.0.0", definition)


@given(definitions)
def test_listing_and_remainder_give_the_definition_back(definition: ToolDefinition) -> None:
    listed, rest = listing("plugin", "1.0.0", definition), remainder(definition)
    back = definition_of(listed, rest)
    assert back == definition
    assert canonical_json(back.input_schema) == canonical_json(definition.input_schema)
    for before, after in zip(definition.examples, back.examples, strict=True):
        assert ("output" in before.model_fields_set) == ("output" in after.model_fields_set)


@given(definitions)
def test_a_listed_tool_is_what_its_listing_says(definition: ToolDefinition) -> None:
    wire = listing("@acme/text", "1.2.3", definition)
    shown = listed_tool(OfferedTool("acme_text_x", "@acme/text", "1.2.3", definition.name, 0, 1, False, wire))
    assert (shown.name, shown.plugin, shown.version) == ("acme_text_x", "@acme/text", "1.2.3")
    assert (shown.title, shown.description) == (definition.title, definition.description)
    assert canonical_json(shown.input_schema) == canonical_json(definition.input_schema)
    assert canonical_json(shown.output_schema) == canonical_json(definition.output_schema)
    assert shown.annotations == definition.annotations.model_dump(exclude_none=True)


def test_the_remainder_does_not_repeat_the_listing() -> None:
    (tool,) = make_release().tools
    assert json.loads(remainder(tool)).keys() == {"name", "examples", "source", "binding"}


@pytest.mark.parametrize(
    ("listed", "rest"), [(b"{}", "{}"), (b'{"inputSchema": 1}', "{}"), (b"[", "{}"), (b"[]", "{}")]
)
def test_what_was_never_stored_like_this_is_refused(listed: bytes, rest: str) -> None:
    with pytest.raises(ValidationError):
        definition_of(listed, rest)


@pytest.mark.parametrize(
    ("schema", "needed"),
    [
        ({"type": "object"}, False),
        ({"properties": {"a": {"type": "string", "x-mcp-header": "Region"}}}, True),
        ({"properties": {"x-mcp-header": {"type": "string"}}}, True),
        ({"description": "x-mcp-header"}, False),
    ],
)
def test_schemas_that_may_map_parameters_to_headers_are_told(schema: JsonObject, needed: bool) -> None:
    (tool,) = make_release().tools
    assert needs_headers(tool.model_copy(update={"input_schema": schema})) is needed


def test_a_tool_is_listed_under_the_name_that_the_operators_prefix_gives_it() -> None:
    release = make_release()
    (tool,) = offering_of(release, prefix="").tools
    for prefix, name in (("", "count"), ("words", "words_count"), (None, "text-tools_count")):
        assert json.loads(listing("text-tools", "1.0.0", tool, prefix))["name"] == name


def test_a_tool_whose_name_a_prefix_makes_too_long_is_held_back_and_no_other() -> None:
    release = make_release()
    long = release.tools[0].model_copy(update={"name": "count_" + "x" * 20})
    offering = offering_of(release.model_copy(update={"tools": (*release.tools, long)}), prefix="p" * 24)
    assert offering.tools == release.tools
    assert (offering.quarantined[-1].name, offering.quarantined[-1].rule) == (long.name, "name-too-long")
    assert "install with a shorter one" in offering.quarantined[-1].reason


def test_a_version_whose_limits_cannot_be_read_offers_nothing_and_says_why() -> None:
    release = make_release()
    manifest = release.manifest.model_copy(update={"limits": ManifestLimits(memory="lots")})
    offering = offering_of(release.model_copy(update={"manifest": manifest}))
    assert offering.tools == ()
    assert [tool.name for tool in offering.quarantined] == ["bad", "count"]
    assert "$.limits.memory" in offering.quarantined[-1].reason
    assert offering_of(release).tools == release.tools
