"""Catalogue entries for tests that need a tool's types and no guest."""

from __future__ import annotations

from tool_server.model.catalog import CatalogEntry
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.model.tool import Binding, InputForm, OutputForm, ToolDefinition, TypeSource


def definition_of(input_schema: JsonObject, output_schema: JsonObject | None = None) -> ToolDefinition:
    """A tool that takes JSON arguments, and gives a JSON object where it has an output schema, else text."""
    output = OutputForm.TEXT if output_schema is None else OutputForm.JSON
    return ToolDefinition(
        name="tool",
        description="A tool.",
        input_schema=input_schema,
        output_schema=output_schema,
        source=TypeSource.MANIFEST,
        binding=Binding(export="tool", input=InputForm.ARGUMENTS, output=output),
    )


def entry_of(input_schema: JsonObject, output_schema: JsonObject | None = None) -> CatalogEntry:
    """Such a tool as the catalogue offers it."""
    return CatalogEntry(
        name="plugin_tool",
        plugin="plugin",
        version="1.0.0",
        definition=definition_of(input_schema, output_schema),
        program=Program(digest="0" * 64, size=8, wasi=False, imports=()),
        permissions=Permissions(),
        limits=Limits(),
    )
