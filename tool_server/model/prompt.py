"""Prompts of a plugin, and how an export makes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tool_server.model.icon import Icons, Name
from tool_server.model.json_value import JsonObject
from tool_server.model.resource import Description, Title
from tool_server.model.tool import Binding, TypeSource

MAX_ARGUMENTS = 100
"""Of one prompt."""


class PromptArgument(BaseModel):
    """One argument; its value is always a string."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Title | None = None
    description: Description = ""
    required: bool = False


class PromptFacts(BaseModel):
    """What MCP says of a prompt besides its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title | None = None
    description: Description = ""
    arguments: Annotated[tuple[PromptArgument, ...], Field(max_length=MAX_ARGUMENTS)] = ()
    icons: Icons = ()
    meta: Annotated[JsonObject | None, Field(alias="_meta")] = None


class PromptDefinition(PromptFacts):
    """One prompt as its plugin defines it; the MCP name is `names.tool_name(plugin, name)`."""

    name: str
    source: TypeSource
    binding: Binding
    """Its export gets MCP's parameters of `prompts/get` and writes MCP's result."""
    completion: Binding | None = None
    """Its export gets MCP's parameters of `completion/complete`; None where nothing completes arguments."""
