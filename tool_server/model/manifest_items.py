"""Prompts, resources and templates as authors declare them, in plugin.json and in the section `extism-tools`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tool_server.model.icon import MAX_STATIC, Name
from tool_server.model.prompt import PromptFacts
from tool_server.model.resource import MAX_SIZE, ResourceFacts
from tool_server.model.uri_template import MAX_URI

MAX_ITEMS = 1_000
"""Prompts of a plugin, and as many resources, and templates."""

Uri = Annotated[str, Field(max_length=MAX_URI)]


class ManifestPrompt(PromptFacts):
    """One entry of `prompts`, by its name."""

    export: Name | None = None
    """What makes it; by default `get_prompt`."""


class ManifestResource(ResourceFacts):
    """One entry of `resources`. With `text` or `blob` nothing is run to read it."""

    uri: Uri
    size: Annotated[int, Field(ge=0, le=MAX_SIZE)] | None = None
    export: Name | None = None
    """What reads it; by default `read_resource`."""
    text: Annotated[str, Field(max_length=MAX_STATIC)] | None = None
    blob: Annotated[str, Field(max_length=MAX_STATIC)] | None = None
    """Base64."""


class ManifestResourceTemplate(ResourceFacts):
    """One entry of `resourceTemplates`."""

    uriTemplate: Uri
    export: Name | None = None
    """What reads a resource of it; by default `read_resource`."""
