"""Plugins that describe themselves: mcp.run servlets, hyper-mcp v1 and hyper-mcp v2.

`describe` (mcp.run, v1; empty input) and `list_tools` (v2; `{"context": {"id", "_meta"}}`) both answer with MCP's list
result, `{"tools": [{name, description, inputSchema, …}]}`. Sources: mcp.run's servlet schema (`CallToolRequest`,
`ListToolsResult`), hyper-mcp 0.8 `src/plugin.rs` and `templates/plugins/rust/src/pdk/types.rs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from tool_server.errors import InvalidInput, ToolServerError
from tool_server.inspection.content_blocks import guest_meta
from tool_server.inspection.described_items import LIST_EXPORTS, DescribedItems, list_request, read_items
from tool_server.inspection.json_paths import shown
from tool_server.inspection.local_references import root_type, with_object_root
from tool_server.model.call import Probe
from tool_server.model.icon import Icon, Icons
from tool_server.model.json_value import JsonObject, JsonValue, parse_json
from tool_server.model.release import Abi
from tool_server.model.tool import (
    Binding,
    Finding,
    InputForm,
    OutputForm,
    QuarantinedTool,
    Severity,
    ToolAnnotations,
    ToolDefinition,
    TypeSource,
)

MAX_TOOLS = 1_000

_ICONS = TypeAdapter[tuple[Icon, ...]](Icons)

_SERVLET_BINDING = Binding(export="call", input=InputForm.SERVLET, output=OutputForm.CONTENT)
_HYPER_V2_BINDING = Binding(export="call_tool", input=InputForm.HYPER_V2, output=OutputForm.CONTENT)

_SERVLET_EXPORTS = frozenset({"call", "describe"})
_HYPER_V2_EXPORTS = frozenset(
    {
        "list_tools",
        "call_tool",
        "list_prompts",
        "get_prompt",
        "list_resources",
        "list_resource_templates",
        "read_resource",
        "complete",
        "on_roots_list_changed",
    }
)


@dataclass(frozen=True, slots=True)
class Described:
    """What a plugin said about itself, read; `failed` when it gave no list at all."""

    abi: Abi
    tools: tuple[ToolDefinition, ...] = ()
    quarantined: tuple[QuarantinedTool, ...] = ()
    findings: tuple[Finding, ...] = ()
    failed: bool = False
    items: DescribedItems = field(default_factory=DescribedItems)


def convention_exports(abi: Abi) -> frozenset[str]:
    """The exports that belong to a convention and are no tools by themselves."""
    if abi is Abi.EXTISM:
        return frozenset()
    return _HYPER_V2_EXPORTS if abi is Abi.HYPER_V2 else _SERVLET_EXPORTS


def probes(abi: Abi) -> tuple[Probe, ...]:
    """What to run, each once, to learn a plugin's own description; nothing for a plain Extism plugin."""
    if abi is Abi.EXTISM:
        return ()
    if abi is Abi.HYPER_V2:
        return tuple(Probe(export, list_request()) for export in ("list_tools", *LIST_EXPORTS))
    return (Probe("describe"),)


def read_outcomes(abi: Abi, outcomes: Sequence[bytes | ToolServerError]) -> Described | None:
    """What `Sandbox.inspect` returned for `probes(abi)`, as a description; None for a plain Extism plugin.

    A plugin of hyper-mcp v2 may have prompts or resources alone, hence no `list_tools`. Any other failure is a finding
    that stops a publish, since its tools cannot be known.
    """
    if abi is Abi.EXTISM or not outcomes:
        return None
    described = _read_tools(abi, outcomes[0])
    return replace(described, items=read_items(outcomes[1:])) if abi is Abi.HYPER_V2 else described


def _read_tools(abi: Abi, outcome: bytes | ToolServerError) -> Described:
    try:
        if isinstance(outcome, bytes):
            return tools_described(abi, outcome)
    except InvalidInput as error:
        outcome = error
    if abi is Abi.HYPER_V2 and outcome.code == "missing_export":
        return Described(abi)
    finding = Finding(
        severity=Severity.REFUSE,
        rule="description-failed",
        message=f"the plugin's own description ({probes(abi)[0].export}) gave no tools: {outcome.message}",
    )
    return Described(abi, findings=(finding,), failed=True)


def tools_described(abi: Abi, output: bytes) -> Described:
    """Read the output of `describe` or `list_tools`. A malformed entry is quarantined and hides no other.

    An `inputSchema` that is missing, or does not say `type: object`, is completed with a warning; one that says
    another type quarantines its tool. An `outputSchema` that is no object schema is left out with a warning, since it
    would make some clients drop every tool. Of a paginated answer only the first page is known: the conventions have
    no way to ask for the next, and a warning says so.

    Raises:
        InvalidInput: `invalid_description`, when the output as a whole is no list of tools.
    """
    document = _parse(output)
    entries = document.get("tools")
    if not isinstance(entries, list):
        _refuse("'tools' as an array", entries)
    if len(entries) > MAX_TOOLS:
        _refuse(f"at most {MAX_TOOLS} tools", entries)
    reader = _Reader(_HYPER_V2_BINDING if abi is Abi.HYPER_V2 else _SERVLET_BINDING)
    for index, entry in enumerate(entries):
        reader.take(index, entry)
    if document.get("nextCursor") is not None:
        reader.warn(None, "more-pages", "the plugin lists its tools in pages: only the first page is offered")
    return Described(abi, tuple(reader.tools.values()), tuple(reader.quarantined), tuple(reader.findings))


def _parse(output: bytes) -> JsonObject:
    if not output.strip():
        _refuse("JSON with a list of tools", "an empty output")
    try:
        document = parse_json(output, what="the description")
    except InvalidInput as error:
        raise InvalidInput("invalid_description", error.message, error.data) from error
    if not isinstance(document, dict):
        _refuse('an object, {"tools": [...]}', document)
    return document


def _refuse(expected: str, got: JsonValue) -> NoReturn:
    raise InvalidInput(
        "invalid_description",
        f"the description: expected {expected}, got {shown(got)}",
        {"path": "$", "expected": expected, "got": shown(got)},
    )


class _Malformed(InvalidInput):
    """One entry cannot be offered; `code` becomes the rule."""


class _Reader:
    """Collects the tools of one description."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self.tools: dict[str, ToolDefinition] = {}
        self.quarantined: list[QuarantinedTool] = []
        self.findings: list[Finding] = []

    def take(self, index: int, entry: JsonValue) -> None:
        """Add the tool of one entry, or put it into quarantine."""
        name = entry.get("name") if isinstance(entry, dict) else None
        label = name if isinstance(name, str) and name else f"tools[{index}]"
        try:
            if not isinstance(entry, dict) or label != name:
                raise _Malformed("invalid-entry", f"expected an object with a name, got {shown(entry)}")
            if name in self.tools:
                raise _Malformed("duplicate-name", "the description lists two tools of this name: the first is offered")
            self.tools[label] = self._definition(label, entry)
        except _Malformed as error:
            self.quarantined.append(QuarantinedTool(name=label, rule=error.code, reason=error.message))

    def warn(self, tool: str | None, rule: str, message: str, path: str = "") -> None:
        """Add a warning."""
        self.findings.append(Finding(severity=Severity.WARN, rule=rule, message=message, tool=tool, path=path))

    def _definition(self, name: str, entry: JsonObject) -> ToolDefinition:
        return ToolDefinition(
            name=name,
            title=_text(entry, "title") or None,
            description=_text(entry, "description"),
            input_schema=self._input(name, entry.get("inputSchema")),
            output_schema=self._output(name, entry.get("outputSchema")),
            annotations=self._annotations(name, entry.get("annotations")),
            source=TypeSource.DESCRIBED,
            binding=self._binding,
            icons=self._icons(name, entry.get("icons")),
            meta=guest_meta(entry.get("_meta")),
        )

    def _icons(self, name: str, value: JsonValue) -> tuple[Icon, ...]:
        if value is None:
            return ()
        try:
            return _ICONS.validate_python(value)
        except ValidationError:
            self.warn(name, "invalid-icons", "icons are malformed: they are left out", "$.icons")
            return ()

    def _input(self, name: str, schema: JsonValue) -> JsonObject:
        if schema is None:
            self.warn(name, "no-input-schema", "the tool has no inputSchema: any object is taken", "$.inputSchema")
            return {"type": "object"}
        if not isinstance(schema, dict):
            raise _Malformed("input-not-object", f"inputSchema: expected an object, got {shown(schema)}")
        kind = root_type(schema)
        if kind not in ("object", None):
            raise _Malformed("input-not-object", f'inputSchema: expected "type": "object", got {shown(kind)}')
        if "type" in schema:
            return schema
        self.warn(name, "no-root-type", 'inputSchema has no "type": read as "object"', "$.inputSchema.type")
        return {"type": "object", **schema}

    def _output(self, name: str, schema: JsonValue) -> JsonObject | None:
        if schema is None:
            return None
        if isinstance(schema, dict) and root_type(schema) == "object":
            return with_object_root(schema)
        problem = "outputSchema is no schema of an object: it is left out"
        self.warn(name, "output-not-object", problem, "$.outputSchema")
        return None

    def _annotations(self, name: str, value: JsonValue) -> ToolAnnotations:
        if value is None:
            return ToolAnnotations()
        known = value if isinstance(value, dict) else {"title": value}
        fields = {field: hint for field, hint in known.items() if field in ToolAnnotations.model_fields}
        try:
            return ToolAnnotations.model_validate(fields, strict=True)
        except ValidationError:
            self.warn(name, "invalid-annotations", "annotations are malformed: they are left out", "$.annotations")
            return ToolAnnotations()


def _text(entry: JsonObject, field: str) -> str:
    value = entry.get(field)
    if value is not None and not isinstance(value, str):
        raise _Malformed("invalid-entry", f"{field}: expected a string, got {shown(value)}")
    return value or ""
