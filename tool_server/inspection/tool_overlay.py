"""Laying what an author declares about a tool over what a weaker source knows of it."""

from __future__ import annotations

from tool_server.inspection.content_blocks import guest_meta
from tool_server.inspection.local_references import root_type, with_object_root, wrap_result
from tool_server.model.json_value import JsonObject
from tool_server.model.manifest import ManifestTool
from tool_server.model.tool import (
    Binding,
    Finding,
    InputForm,
    OutputForm,
    Severity,
    TaskSupport,
    ToolAnnotations,
    ToolDefinition,
    TypeSource,
)

_CONVENTIONS = (InputForm.SERVLET, InputForm.HYPER_V2)


def overlay(base: ToolDefinition, entry: ManifestTool, source: TypeSource) -> tuple[ToolDefinition, list[Finding]]:
    """`base` with `entry` over it, and what to tell the author.

    An input in `entry` replaces the types as a whole, and `source` becomes the tool's; a tool of a self-describing
    plugin is still called by its convention.
    """
    problem = None
    if base.binding.input in _CONVENTIONS:
        binding, output_schema, problem = _of_convention(base, entry)
    else:
        form, output_schema = base.binding.output, base.output_schema
        if entry.input is not None or entry.output is not None or entry.returns is not None:
            form, output_schema, problem = _output(entry)
        input_form = InputForm.ARGUMENTS if entry.input is not None else base.binding.input
        binding = Binding(export=base.binding.export, input=input_form, output=form)
    retyped = entry.input is not None
    definition = ToolDefinition(
        name=base.name,
        title=entry.title or base.title,
        description=entry.description or base.description,
        input_schema=base.input_schema if entry.input is None else with_object_root(entry.input),
        output_schema=output_schema,
        annotations=_annotations(base.annotations, entry.annotations),
        examples=entry.examples or (() if retyped else base.examples),
        source=source if retyped else base.source,
        binding=binding,
        task=base.task if entry.task is None else TaskSupport(entry.task),
        icons=base.icons if entry.icons is None else entry.icons,
        meta=base.meta if entry.meta is None else guest_meta(entry.meta),
    )
    return definition, [] if problem is None else [_warning(base.name, problem)]


def _of_convention(base: ToolDefinition, entry: ManifestTool) -> tuple[Binding, JsonObject | None, str | None]:
    problem = None
    if entry.returns not in (None, "content"):
        problem = f'"returns": "{entry.returns}" has no effect: the plugin\'s convention returns MCP results'
    if entry.output is None:
        return base.binding, None if entry.input is not None else base.output_schema, problem
    if root_type(entry.output) != "object":
        return base.binding, None, "the output schema is left out: an MCP result's structuredContent is an object"
    return base.binding, with_object_root(entry.output), problem


def _output(entry: ManifestTool) -> tuple[OutputForm, JsonObject | None, str | None]:
    """The output's form and schema by `returns` and `output`; by default JSON where there is a schema, else text."""
    output = entry.output
    is_object = output is not None and root_type(output) == "object"
    match entry.returns:
        case "content" if output is not None and not is_object:
            return OutputForm.CONTENT, None, "the output schema is left out: structuredContent is an object"
        case "content":
            return OutputForm.CONTENT, with_object_root(output) if output is not None else None, None
        case "text" if output is not None and root_type(output) == "string":
            return OutputForm.TEXT_VALUE, wrap_result(output), None
        case "text":
            problem = 'the output schema is left out: "returns" says text' if output is not None else None
            return OutputForm.TEXT, None, problem
        case None if output is None:
            return OutputForm.TEXT, None, None
        case _ if output is not None and is_object:
            return OutputForm.JSON, with_object_root(output), None
        case _:
            return OutputForm.VALUE, wrap_result(output if output is not None else {}), None


def _annotations(weaker: ToolAnnotations, stronger: ToolAnnotations) -> ToolAnnotations:
    return weaker.model_copy(update=stronger.model_dump(exclude_none=True))


def _warning(tool: str, problem: str) -> Finding:
    return Finding(severity=Severity.WARN, rule="output-left-out", message=problem, tool=tool, path="$.output")
