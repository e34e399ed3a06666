"""Lint at publish: what clients, models and this server's own validator would stumble over, tool by tool.

A single malformed tool schema makes some model providers reject every request of an agent, so the rules are strict. The
rules by name: `lint_schema` and `lint_advice` hold those about schemas, `lint_text` the one about hidden characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.arguments import ArgumentsValidator, OutputValidator
from tool_server.inspection.lint_advice import advise
from tool_server.inspection.lint_report import Report, SchemaReport
from tool_server.inspection.lint_schema import is_measurable, lint_schema
from tool_server.inspection.lint_text import hidden_character, hidden_in_value
from tool_server.inspection.quick_schema import is_quick_to_compile
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.manifest import Manifest
from tool_server.model.names import MAX_TOOL_NAME, tool_name
from tool_server.model.tool import Finding, OutputForm, Severity, ToolDefinition, TypeSource

_WRAPPED = frozenset({OutputForm.VALUE, OutputForm.TEXT_VALUE, OutputForm.BYTES})

QUICK_TOOLS = 16
QUICK_DESCRIPTION = 20_000
"""Characters."""


def lint_tool(plugin: str, tool: ToolDefinition) -> tuple[Finding, ...]:
    """All findings about one tool; empty for a good one. Never raises, whatever the schemas hold.

    Args:
        plugin: `name` or `@scope/name`.
        tool: as its plugin defines it.
    """
    report = Report(tool.name)
    _name(plugin, tool, report)
    if not tool.description.strip():
        report.warn(
            "no-description", "$.description", "the tool has no description: say what it does and when to use it"
        )
    declared_content = tool.binding.output is OutputForm.CONTENT and tool.source is not TypeSource.DESCRIBED
    if tool.output_schema is None and not declared_content:
        report.warn(
            "no-output-schema", "$.output_schema", "code cannot use the result: declare an object as output schema"
        )
    schemas: dict[str, JsonObject | None] = {"input_schema": tool.input_schema, "output_schema": tool.output_schema}
    views = [(SchemaReport(report, field), schema) for field, schema in schemas.items() if schema is not None]
    measurable = [is_measurable(schema, view) for view, schema in views]
    if all(measurable):
        _hidden_characters(tool, report)
        # Hidden characters may be halves of surrogate pairs, with which the engines cannot do anything.
        usable = [not report.refused and _schema(schema, view) for view, schema in views]
        if all(usable):
            _examples(tool, report)
    return report.findings


def lint_manifest(manifest: Manifest) -> tuple[Finding, ...]:
    """Findings about what a manifest says outside of its tools, prompts and resources, which are linted one by one."""
    report = Report(None)
    document = manifest.model_dump(
        mode="json",
        by_alias=True,
        exclude={"tools", "xtp", "prompts", "resources", "resourceTemplates"},
        exclude_none=True,
    )
    for path, words in hidden_in_value(document, "$"):
        _hidden(report, path, words)
    return report.findings


def is_quick_to_lint(tools: Sequence[ToolDefinition]) -> bool:
    """Whether a thread of the server may lint these tools: few, and each ordinary."""
    return len(tools) <= QUICK_TOOLS and all(
        len(tool.description) <= QUICK_DESCRIPTION
        and is_quick_to_compile(tool.input_schema)
        and (tool.output_schema is None or is_quick_to_compile(tool.output_schema))
        and all(is_quick_to_compile({"input": example.input, "output": example.output}) for example in tool.examples)
        and len(tool.examples) <= QUICK_TOOLS
        for tool in tools
    )


def lint_tools(plugin: str, tools: Iterable[ToolDefinition]) -> tuple[Finding, ...]:
    """Findings about the tools of one plugin together: two that get one MCP name. One finding for each of them."""
    by_name: dict[str, list[ToolDefinition]] = {}
    for tool in tools:
        by_name.setdefault(tool_name(plugin, tool.name), []).append(tool)
    findings: list[Finding] = []
    for mapped, colliding in by_name.items():
        names = ", ".join(ascii(tool.name[:80]) for tool in colliding[:5])
        for tool in colliding if len(colliding) > 1 else ():
            report = Report(tool.name)
            report.refuse("name-collision", "$.name", f"{names} all become '{mapped[:200]}': rename all but one")
            findings += report.findings
    return tuple(findings)


def refused(findings: Iterable[Finding]) -> bool:
    """Whether one of the findings stops a publish."""
    return any(finding.severity is Severity.REFUSE for finding in findings)


def _name(plugin: str, tool: ToolDefinition, report: Report) -> None:
    mapped = tool_name(plugin, tool.name)
    if len(mapped) > MAX_TOOL_NAME:
        report.refuse(
            "name-too-long",
            "$.name",
            f"'{mapped[:200]}' has {len(mapped)} characters, {MAX_TOOL_NAME} is the most that fits with a client's "
            f"prefix: shorten the tool's name by {len(mapped) - MAX_TOOL_NAME}",
        )
    if not tool.name.strip():
        report.refuse("name-empty", "$.name", "the tool has no name: give it one")


def _hidden_characters(tool: ToolDefinition, report: Report) -> None:
    for field, text in (("name", tool.name), ("title", tool.title), ("annotations.title", tool.annotations.title)):
        words = hidden_character(text or "", name=True)
        if words is not None:
            _hidden(report, f"$.{field}", words)
    values: dict[str, JsonValue] = {
        "description": tool.description,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "examples": [{"input": example.input, "output": example.output} for example in tool.examples],
    }
    for field, value in values.items():
        for path, words in hidden_in_value(value, f"$.{field}"):
            _hidden(report, path, words)


def _hidden(report: Report, path: str, words: str) -> None:
    report.refuse(
        "hidden-characters", path, f"{words} is invisible to the people who review this, but not to a model: delete it"
    )


def _schema(schema: JsonObject, view: SchemaReport) -> bool:
    graph = lint_schema(schema, view)
    if graph is None:
        return False
    advise(graph, view)
    return True


def _examples(tool: ToolDefinition, report: Report) -> None:
    arguments = ArgumentsValidator(tool.input_schema)
    output = OutputValidator(tool.output_schema) if tool.output_schema is not None else None
    for index, example in enumerate(tool.examples):
        try:
            arguments.check(example.input)
        except InvalidInput as error:
            _broken_example(report, f"$.examples[{index}].input", error.message)
        if output is not None and "output" in example.model_fields_set:
            try:
                output.check(_structured(tool, example.output))
            except CallFailed as error:
                _broken_example(report, f"$.examples[{index}].output", error.message)


def _structured(tool: ToolDefinition, value: JsonValue) -> JsonValue:
    """What clients would see: an author writes the plain value where the tool's result wraps it."""
    if tool.binding.output not in _WRAPPED or (isinstance(value, dict) and value.keys() == {"result"}):
        return value
    return {"result": value}


def _broken_example(report: Report, path: str, problem: str) -> None:
    report.refuse("example-invalid", path, f"{problem}: correct the example or the schema")
