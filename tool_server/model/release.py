"""One published version of a plugin, and the pin that offers it on this server."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from tool_server.model.item_kind import QuarantinedItem
from tool_server.model.manifest import Manifest
from tool_server.model.permission import Permissions
from tool_server.model.prompt import PromptDefinition
from tool_server.model.resource import ResourceDefinition, ResourceTemplateDefinition
from tool_server.model.settings import InstallationSettings
from tool_server.model.tool import Finding, QuarantinedTool, ToolDefinition


class Abi(StrEnum):
    """Which conventions a plugin was written for."""

    EXTISM = "extism"
    SERVLET = "mcp.run"
    """`describe` and `call`: mcp.run servlets, and hyper-mcp v1, whose exports and envelopes are the same."""
    HYPER_V2 = "hyper-mcp-v2"


class HostImport(BaseModel):
    """A function that the guest imports from a host module other than Extism's kernel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str
    name: str
    params: tuple[str, ...] = ()
    """Wasm value types: `i32`, `i64`, `f32`, `f64`."""
    results: tuple[str, ...] = ()


class Program(BaseModel):
    """What the sandbox must know about an artifact to run it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    """SHA-256 of the wasm bytes, 64 hexadecimal characters."""
    size: int
    """Bytes."""
    wasi: bool = False
    """Whether the module imports `wasi_snapshot_preview1`."""
    imports: tuple[HostImport, ...] = ()


class Release(BaseModel):
    """One immutable publication of a plugin. Only `yanked` ever changes, by way of a new value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: Manifest
    manifest_digest: str
    """SHA-256 of the canonical manifest."""
    program: Program
    abi: Abi = Abi.EXTISM
    tools: tuple[ToolDefinition, ...]
    quarantined: tuple[QuarantinedTool, ...] = ()
    prompts: tuple[PromptDefinition, ...] = ()
    resources: tuple[ResourceDefinition, ...] = ()
    resource_templates: tuple[ResourceTemplateDefinition, ...] = ()
    quarantined_items: tuple[QuarantinedItem, ...] = ()
    findings: tuple[Finding, ...] = ()
    publisher: str
    published_at: datetime
    yanked: bool = False
    yank_reason: str | None = None

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The semantic version."""
        return self.manifest.version


class PluginSummary(BaseModel):
    """One line of a listing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    latest: str | None
    """What `latest` resolves to: the newest release that is not yanked, else the newest such pre-release, else None."""
    description: str
    keywords: tuple[str, ...]
    owner: str
    versions: int
    published_at: datetime


class VersionSummary(BaseModel):
    """One line of a version listing, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugin: str
    version: str
    digest: str
    size: int
    publisher: str
    published_at: datetime
    yanked: bool
    yank_reason: str | None = None


class Installation(BaseModel):
    """A plugin pinned to a version on this server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugin: str
    version: str
    requested: str
    """The range that was asked for; `update` resolves it again."""
    previous: str | None = None
    """The version pinned before, which `rollback` returns to."""
    granted: Permissions = Permissions()
    installed_at: datetime
    settings: InstallationSettings = Field(default=InstallationSettings(), exclude=True, repr=False)
    """Never shown: an operator may have put values there that are nobody else's business."""
