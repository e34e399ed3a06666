"""What search over tools takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tool_server.model.view import EVERYTHING, View

HINTS: Mapping[str, bool] = {
    "readOnlyHint": False,
    "destructiveHint": True,
    "idempotentHint": False,
    "openWorldHint": True,
}
"""MCP's hints about a tool's behaviour, and what holds where a tool says nothing."""


@dataclass(frozen=True, slots=True)
class ToolDocument:
    """One tool as search sees it: its texts as words, separated by blanks."""

    name: str
    """The MCP name."""
    plugin: str
    words: str
    """Of the tool's own name."""
    plugin_words: str
    """Of the plugin's name."""
    title: str
    description: str
    parameters: str
    """Names of the parameters."""
    details: str
    """Descriptions of the parameters."""
    keywords: tuple[str, ...]
    """The plugin's, as it gives them."""
    hints: Mapping[str, bool]
    """All of `HINTS`, filled up."""


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """Which tools are looked at."""

    plugin: str | None = None
    keyword: str | None = None
    """One of the plugin's, without regard to case."""
    hints: Mapping[str, bool] = field(default_factory=dict[str, bool])
    view: View = EVERYTHING


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What a query asks for."""

    name: str
    """The query as it might name a tool exactly, empty where it cannot."""
    sentence: str
    """All of its words in order, separated by blanks."""
    words: tuple[str, ...]
    """Distinct words in lower case, at least one letter or digit each; none where the query has none."""


@dataclass(frozen=True, slots=True)
class FoundTool:
    """One tool that was found, in short."""

    name: str
    plugin: str
    title: str | None
    description: str
    """One line."""
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Tools, the best first."""

    tools: tuple[FoundTool, ...]
    more: bool
    """Whether others fit as well."""
