"""What this server offers right now: an immutable snapshot of all installed tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.model.tool import QuarantinedTool, ToolDefinition


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class CatalogEntry:
    """One offered tool with all that a call to it needs. Compared and hashed by identity."""

    name: str
    """The MCP name, `{plugin}_{tool}`."""
    plugin: str
    version: str
    definition: ToolDefinition
    program: Program
    permissions: Permissions
    """Effective: requested and granted."""
    limits: Limits


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """All tools by MCP name, in the order of their names."""

    revision: int = -1
    """The store's revision that this snapshot shows; -1 before the first load."""
    entries: Mapping[str, CatalogEntry] = field(default_factory=lambda: MappingProxyType(dict[str, CatalogEntry]()))
    quarantined: tuple[tuple[str, QuarantinedTool], ...] = ()
    """Plugin and tool that are not offered, with the reason."""
