"""Resources and resource templates of a plugin, spelled as in MCP, and how an export reads them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tool_server.model.icon import MAX_NAME, Icons, Name
from tool_server.model.json_value import JsonObject
from tool_server.model.tool import Binding, TypeSource

MAX_TITLE = 1_000
MAX_DESCRIPTION = 20_000

MAX_SIZE = 2**53


class ContentAnnotations(BaseModel):
    """MCP's hints about who is to see a resource."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audience: Annotated[tuple[Literal["user", "assistant"], ...], Field(max_length=2)] | None = None
    priority: Annotated[float, Field(ge=0, le=1)] | None = None
    lastModified: Annotated[str, Field(max_length=40)] | None = None


Title = Annotated[str, Field(max_length=MAX_TITLE)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION)]


class ResourceFacts(BaseModel):
    """What MCP says of a resource and of a template alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Title | None = None
    description: Description = ""
    mimeType: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    annotations: ContentAnnotations | None = None
    icons: Icons = ()
    meta: Annotated[JsonObject | None, Field(alias="_meta")] = None


class ResourceDefinition(ResourceFacts):
    """One resource as its plugin defines it. Either `binding` says what reads it, or it stands here."""

    uri: str
    size: Annotated[int, Field(ge=0, le=MAX_SIZE)] | None = None
    """Bytes."""
    source: TypeSource
    binding: Binding | None = None
    """Its export gets MCP's parameters of `resources/read` and writes MCP's result."""
    text: str | None = None
    blob: str | None = None
    """Base64."""


class ResourceTemplateDefinition(ResourceFacts):
    """Resources of one kind, by a URI template."""

    uriTemplate: str
    source: TypeSource
    binding: Binding
    """As of a resource."""
    completion: Binding | None = None
    """Its export gets MCP's parameters of `completion/complete`; None where nothing completes variables."""
