"""What an installed version offers, derived once when it is installed: each tool's wire form and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from tool_server.errors import InvalidInput
from tool_server.inspection.manifest_limits import asked_limits
from tool_server.inspection.tool_filter import ToolFilter
from tool_server.model.catalog import OfferedTool
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.names import MAX_TOOL_NAME, tool_name
from tool_server.model.release import Release
from tool_server.model.tool import QuarantinedTool, ToolDefinition

PLUGIN_KEY = "tool-server/plugin"
VERSION_KEY = "tool-server/version"
"""Keys in a listed tool's `_meta`."""

_LISTED = {"title", "description", "input_schema", "output_schema", "annotations"}

_HEADER_KEYWORD = b'"x-mcp-header":'

_object = TypeAdapter(JsonObject)


@dataclass(frozen=True, slots=True)
class Offering:
    """The tools of a version that can be offered, and those that cannot, whatever else is installed."""

    tools: tuple[ToolDefinition, ...]
    quarantined: tuple[QuarantinedTool, ...]


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as clients see it."""

    name: str
    plugin: str
    version: str
    title: str | None
    description: str
    input_schema: JsonObject
    output_schema: JsonObject | None
    annotations: JsonObject


def offering_of(release: Release, skip_tools: Sequence[str] = (), prefix: str | None = None) -> Offering:
    """What a version offers, but for the tools that the operator leaves out.

    Where its limits, or these patterns, cannot be read, none of its tools can be called. Those whose names the
    operator's prefix makes too long are held back.
    """
    try:
        asked_limits(release.manifest.limits)
        skipped = ToolFilter(skip_tools)
    except InvalidInput as error:
        held = (QuarantinedTool(name=tool.name, rule=error.code, reason=error.message) for tool in release.tools)
        return Offering((), (*release.quarantined, *held))
    tools, quarantined = release.tools, release.quarantined
    if skip_tools:
        tools = tuple(tool for tool in tools if not skipped.skips(tool.name))
    if prefix:
        too_long = [tool for tool in tools if len(tool_name(release.plugin, tool.name, prefix)) > MAX_TOOL_NAME]
        tools = tuple(tool for tool in tools if tool not in too_long)
        quarantined = (*quarantined, *(_too_long(tool, prefix) for tool in too_long))
    return Offering(tools, quarantined)


def _too_long(tool: ToolDefinition, prefix: str) -> QuarantinedTool:
    reason = f"with the prefix {prefix!r} its name has more than {MAX_TOOL_NAME} characters: install with a shorter one"
    return QuarantinedTool(name=tool.name, rule="name-too-long", reason=reason)


def listing(plugin: str, version: str, definition: ToolDefinition, prefix: str | None = None) -> bytes:
    """MCP's `Tool` object (https://modelcontextprotocol.io/specification, "Tools") as compact JSON in UTF-8.

    Absent values are left out; the order of the keys is that of the SDK's type.
    """
    tool: JsonObject = {"name": tool_name(plugin, definition.name, prefix)}
    optional: tuple[tuple[str, JsonValue], ...] = (
        ("title", definition.title),
        ("description", definition.description or None),
        ("inputSchema", definition.input_schema),
        ("outputSchema", definition.output_schema),
        ("icons", [icon.model_dump(mode="json", exclude_none=True) for icon in definition.icons] or None),
        ("annotations", definition.annotations.model_dump(exclude_none=True) or None),
        ("_meta", {**(definition.meta or {}), PLUGIN_KEY: plugin, VERSION_KEY: version}),
    )
    tool.update((key, value) for key, value in optional if value is not None)
    return to_json(tool)


def listed_tool(tool: OfferedTool) -> ListedTool:
    """What the listing of an offered tool says."""
    shown = from_json(tool.listing)
    return ListedTool(
        name=tool.name,
        plugin=tool.plugin,
        version=tool.version,
        title=shown.get("title"),
        description=shown.get("description", ""),
        input_schema=shown["inputSchema"],
        output_schema=shown.get("outputSchema"),
        annotations=shown.get("annotations", {}),
    )


def remainder(definition: ToolDefinition) -> str:
    """What the listing does not hold of a definition, as JSON."""
    # As releases are stored: an absent default is not the same as a null that was given.
    return definition.model_dump_json(exclude=_LISTED, exclude_unset=True, by_alias=True)


def definition_of(listed: bytes, rest: str) -> ToolDefinition:
    """The definition that `listing` and `remainder` were made from.

    Raises:
        ValidationError: they are not what these functions make.
    """
    shown = _object.validate_json(listed)
    return ToolDefinition.model_validate(
        {
            **_object.validate_json(rest),
            "title": shown.get("title"),
            "description": shown.get("description", ""),
            "input_schema": shown.get("inputSchema"),
            "output_schema": shown.get("outputSchema"),
            "annotations": shown.get("annotations", {}),
        }
    )


def needs_headers(definition: ToolDefinition) -> bool:
    """Whether the input schema maps parameters to HTTP headers (`x-mcp-header`)."""
    return _HEADER_KEYWORD in to_json(definition.input_schema)
