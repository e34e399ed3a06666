"""What a plugin offers beside tools: prompts, resources and resource templates, called its items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tool_server.model.catalog import CatalogEntry
from tool_server.model.item_kind import OfferedItem
from tool_server.model.manifest import ManifestLimits
from tool_server.model.permission import Permissions
from tool_server.model.prompt import PromptDefinition
from tool_server.model.release import Program
from tool_server.model.resource import ResourceDefinition, ResourceTemplateDefinition

ItemDefinition = PromptDefinition | ResourceDefinition | ResourceTemplateDefinition


@dataclass(frozen=True, slots=True)
class InstalledItem:
    """What is stored of an offered item, before this server's limits: what an `ItemEntry` is made from."""

    definition: ItemDefinition
    program: Program
    requested: Permissions
    granted: Permissions
    limits: ManifestLimits
    size: int
    """Bytes that the definition takes as JSON."""
    config: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


class QuestionKind(StrEnum):
    """What is asked of an item's plugin: MCP's methods."""

    PROMPT = "prompts/get"
    RESOURCE = "resources/read"
    COMPLETION = "completion/complete"


@dataclass(frozen=True, slots=True)
class ItemEntry:
    """One offered item with all that asking its plugin needs."""

    item: OfferedItem
    definition: ItemDefinition
    questions: Mapping[QuestionKind, CatalogEntry]
    """What its plugin can be asked, each as the call of an export; nothing where it stands in the manifest."""
