"""Resources and resource templates of a plugin, spelled as in MCP, and how an export reads them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tool_server.model.json_value import JsonObject
from tool_server.model.tool import Binding, TypeSource

MAX_NAME = 200
"""Characters of a name."""

MAX_TITLE = 1_000
MAX_DESCRIPTION = 20_000
MAX_ICONS = 20

MAX_STATIC = 64 * 1024
"""Characters of a resource that stands in the manifest."""

MAX_SIZE = 2**53


class Icon(BaseModel):
    """An icon that clients may show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    src: Annotated[str, Field(max_length=MAX_STATIC)]
    """A URL, or a `data:` URI."""
    mimeType: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    sizes: Annotated[tuple[Annotated[str, Field(max_length=20)], ...], Field(max_length=MAX_ICONS)] | None = None
    theme: Literal["light", "dark"] | None = None


class ContentAnnotations(BaseModel):
    """MCP's hints about who is to see a resource."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audience: Annotated[tuple[Literal["user", "assistant"], ...], Field(max_length=2)] | None = None
    priority: Annotated[float, Field(ge=0, le=1)] | None = None
    lastModified: Annotated[str, Field(max_length=40)] | None = None


Icons = Annotated[tuple[Icon, ...], Field(max_length=MAX_ICONS)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
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
