"""plugin.json in its canonical form. Other spellings are rewritten to it by `inspection.manifest_forms`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field

from tool_server.model.icon import Icons
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import MAX_FUEL
from tool_server.model.manifest_items import (
    MAX_ITEMS,
    ManifestPrompt,
    ManifestResource,
    ManifestResourceTemplate,
)
from tool_server.model.names import check_plugin_name
from tool_server.model.permission import Permissions
from tool_server.model.tool import ToolAnnotations, ToolExample
from tool_server.model.versions import check_range, check_version

MAX_TOOLS = 1_000
MAX_EXAMPLES = 100
"""Of one tool."""
MAX_DEPENDENCIES = 1_000
MAX_KEYWORDS = 50

ShortText = Annotated[str, Field(max_length=1_000)]
PluginName = Annotated[str, AfterValidator(check_plugin_name)]
Version = Annotated[str, AfterValidator(check_version)]
VersionRange = Annotated[str, AfterValidator(check_range)]


def _is_none(value: object) -> bool:
    return value is None


class ManifestTool(BaseModel):
    """One entry of `tools`; `input` and `output` are JSON Schemas with every file `$ref` already inlined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ShortText | None = None
    description: Annotated[str, Field(max_length=20_000)] = ""
    input: JsonObject | None = None
    output: JsonObject | None = None
    annotations: ToolAnnotations = ToolAnnotations()
    examples: Annotated[tuple[ToolExample, ...], Field(max_length=MAX_EXAMPLES), FailFast()] = ()
    returns: Literal["json", "text", "content"] | None = None
    """What the export writes: by default `json` with an output schema, else `text`. `content` is an MCP result."""
    task: Literal["forbidden", "optional", "required", "after-input"] | None = None
    """Whether calls may become MCP tasks (`model.tool.TaskSupport`); by default they may not."""
    icons: Icons | None = None
    meta: Annotated[JsonObject | None, Field(alias="_meta")] = None
    """Shown to clients as the tool's `_meta`."""


class ManifestLimits(BaseModel):
    """`limits` as authors write it: sizes such as `"64MiB"`, durations such as `"5s"`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: str | int | None = None
    timeout: str | int | None = None
    output: str | int | None = None
    input: str | int | None = None
    fuel: Annotated[int, Field(ge=1, le=MAX_FUEL)] | None = None


class ManifestBuild(BaseModel):
    """How `extism-registry build` makes the wasm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: ShortText
    entry: ShortText | None = None


class Manifest(BaseModel):
    """What the author declares about one version of a plugin."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_uri: Annotated[str | None, Field(alias="$schema", max_length=1_000)] = None
    name: PluginName
    version: Version
    description: Annotated[str, Field(max_length=5_000)] = ""
    author: ShortText | None = None
    license: ShortText | None = None
    repository: ShortText | None = None
    homepage: ShortText | None = None
    keywords: Annotated[tuple[Annotated[str, Field(max_length=50)], ...], Field(max_length=MAX_KEYWORDS)] = ()
    wasm: ShortText = "plugin.wasm"
    """Path of the module, relative to plugin.json and inside its folder."""
    tools: Annotated[dict[str, ManifestTool] | None, Field(max_length=MAX_TOOLS)] = None
    # Left out of what is written where there are none, so that manifests from before keep their digests.
    prompts: Annotated[dict[str, ManifestPrompt] | None, Field(max_length=MAX_ITEMS, exclude_if=_is_none)] = None
    resources: Annotated[tuple[ManifestResource, ...] | None, Field(max_length=MAX_ITEMS, exclude_if=_is_none)] = None
    resourceTemplates: Annotated[
        tuple[ManifestResourceTemplate, ...] | None, Field(max_length=MAX_ITEMS, exclude_if=_is_none)
    ] = None
    xtp: JsonObject | None = None
    """An XTP schema (`version: v1-draft`), inlined."""
    dependencies: dict[PluginName, VersionRange] = Field(default_factory=dict, max_length=MAX_DEPENDENCIES)
    permissions: Permissions = Permissions()
    limits: ManifestLimits = ManifestLimits()
    build: ManifestBuild | None = None
    mastra: JsonObject | None = None
    """Display data of the Mastra ecosystem, carried unchanged."""
