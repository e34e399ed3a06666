"""The kinds of what a plugin offers beside tools, called its items."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class ItemKind(StrEnum):
    """What an item is."""

    PROMPT = "prompt"
    RESOURCE = "resource"
    TEMPLATE = "resource template"


class QuarantinedItem(BaseModel):
    """An item that is not offered, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ItemKind
    name: str
    """The prompt's name, the URI or the template."""
    rule: str
    reason: str


class OfferedItem(NamedTuple):
    """One item as it is listed."""

    name: str
    """What clients call it by: a prompt's MCP name, a resource's URI, a template."""
    kind: ItemKind
    plugin: str
    version: str
    position: int
    """Which of its version's items of this kind it is, from 0."""
    revision: int
    """The store's revision at which the plugin's installation last changed."""
    listing: bytes
    """MCP's object as compact JSON in UTF-8."""
