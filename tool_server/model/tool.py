"""A tool of a plugin: its types, and how arguments reach the export and results come back."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tool_server.model.icon import Icons
from tool_server.model.json_value import JsonObject, JsonValue


class TypeSource(StrEnum):
    """Where a tool's types came from, strongest first."""

    MANIFEST = "manifest"
    """`tools` in plugin.json."""
    SECTION = "section"
    """The wasm custom section `extism-tools`."""
    XTP = "xtp"
    """An XTP schema, `version: v1-draft`."""
    DESCRIBED = "described"
    """The plugin's own description: mcp.run servlet, hyper-mcp v1 or v2."""
    EXPORT = "export"
    """A plain export: text in, text out."""


class InputForm(StrEnum):
    """What the export reads from the Extism input."""

    ARGUMENTS = "arguments"
    """The JSON of all arguments."""
    VALUE = "value"
    """The JSON of `arguments["input"]` alone."""
    TEXT = "text"
    """`arguments["input"]`, a string, as UTF-8."""
    BYTES = "bytes"
    """`arguments["input"]`, base64 text, decoded."""
    SERVLET = "servlet"
    """`{"params": {"name", "arguments"}}`: mcp.run and hyper-mcp v1."""
    HYPER_V2 = "hyper-v2"
    """`{"request": {"name", "arguments"}, "context": {"id", "_meta"}}`: hyper-mcp v2."""
    HYPER_V2_REQUEST = "hyper-v2-request"
    """`{"request": arguments, "context": {"id", "_meta"}}`: the other questions of hyper-mcp v2."""


class OutputForm(StrEnum):
    """What the export writes to the Extism output."""

    JSON = "json"
    """A JSON object that fits the output schema."""
    VALUE = "value"
    """Any JSON value, carried as `{"result": value}`; the output schema describes that wrapper."""
    TEXT = "text"
    """UTF-8 text."""
    TEXT_VALUE = "text-value"
    """UTF-8 text, carried as `{"result": text}`."""
    BYTES = "bytes"
    """Raw bytes, carried as `{"result": base64}`."""
    CONTENT = "content"
    """An MCP `CallToolResult`: `{"content": [...], "isError"?, "structuredContent"?, "_meta"?}`."""
    PROMPT = "prompt"
    """An MCP `GetPromptResult`: `{"messages": [...], "description"?, "_meta"?}`."""
    RESOURCE = "resource"
    """An MCP `ReadResourceResult`: `{"contents": [...], "_meta"?}`."""
    COMPLETION = "completion"
    """An MCP `CompleteResult`: `{"completion": {"values": [...], "total"?, "hasMore"?}, "_meta"?}`."""


class TaskSupport(StrEnum):
    """Whether a call of a tool may become an MCP task; see `mcp_api.tasks`."""

    FORBIDDEN = "forbidden"
    """Never."""
    OPTIONAL = "optional"
    """Wherever the client can follow one; other clients wait for the result."""
    REQUIRED = "required"
    """Always: a client that cannot follow one is refused."""
    AFTER_INPUT = "after-input"
    """As `required`, once the client has answered what the tool asks it first, on the call itself."""


class Binding(BaseModel):
    """How a tool is carried over to an export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    export: str
    input: InputForm = InputForm.ARGUMENTS
    output: OutputForm = OutputForm.TEXT


class ToolAnnotations(BaseModel):
    """MCP's hints about behaviour; spelled as on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    readOnlyHint: bool | None = None
    destructiveHint: bool | None = None
    idempotentHint: bool | None = None
    openWorldHint: bool | None = None


class ToolExample(BaseModel):
    """One call that works. `output` is absent (not in `model_fields_set`) where the result varies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: JsonObject
    output: JsonValue = None


class ToolDefinition(BaseModel):
    """One tool as its plugin defines it; the MCP name is `names.tool_name(plugin, name)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str
    title: str | None = None
    description: str = ""
    input_schema: JsonObject
    output_schema: JsonObject | None = None
    annotations: ToolAnnotations = ToolAnnotations()
    examples: tuple[ToolExample, ...] = ()
    source: TypeSource
    binding: Binding
    task: TaskSupport = TaskSupport.FORBIDDEN
    icons: Icons = ()
    meta: Annotated[JsonObject | None, Field(alias="_meta")] = None


class Severity(StrEnum):
    """How much a finding weighs: `refuse` stops a publish, `warn` and `note` are shown."""

    REFUSE = "refuse"
    WARN = "warn"
    NOTE = "note"


class Finding(BaseModel):
    """One remark of inspection or lint, about a tool or (with `tool` None) about the plugin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity
    rule: str
    """A stable word such as `name-too-long`."""
    message: str
    tool: str | None = None
    path: str = Field(default="")
    """JSON path inside the tool's definition, such as `$.input_schema.properties.a`."""


class QuarantinedTool(BaseModel):
    """A tool that is not offered, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rule: str
    reason: str
