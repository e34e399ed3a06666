"""Which tools a caller sees, and whether one by one or through search."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tool_server.errors import InvalidInput
from tool_server.model.names import MAX_TOOL_NAME, PLUGIN_NAME_PATTERN, check_plugin_name

MAX_NAMED = 200
"""Plugins, and tools, that one view names."""

TOOL_NAME_PATTERN = f"[a-zA-Z0-9_-]{{1,{MAX_TOOL_NAME}}}"
_TOOL_NAME = re.compile(TOOL_NAME_PATTERN)


class ViewMode(StrEnum):
    """What MCP clients are shown."""

    ALL = "all"
    """Every tool."""
    SEARCH = "search"
    """`search_tools`, `describe_tool` and `call_tool`."""


def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


_PluginName = Annotated[str, Field(pattern=f"^{PLUGIN_NAME_PATTERN}$", max_length=129)]
_ToolName = Annotated[str, Field(pattern=f"^{TOOL_NAME_PATTERN}$")]


class View(BaseModel):
    """What a caller sees of the catalogue; without names of plugins and tools, all of it.

    Named plugins and tools add up. They need not be installed (yet).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: ViewMode = ViewMode.ALL
    plugins: Annotated[tuple[_PluginName, ...], Field(max_length=MAX_NAMED), AfterValidator(_sorted)] = ()
    """Names of plugins all of whose tools, prompts and resources are seen."""
    tools: Annotated[tuple[_ToolName, ...], Field(max_length=MAX_NAMED), AfterValidator(_sorted)] = ()
    """MCP names of tools that are seen."""

    @property
    def searches(self) -> bool:
        """Whether MCP clients are shown search instead of the tools."""
        return self.mode is ViewMode.SEARCH

    @property
    def restricted(self) -> bool:
        """Whether there may be tools that are not seen."""
        return bool(self.plugins or self.tools)

    def admits(self, plugin: str, tool: str) -> bool:
        """Whether a tool, by its MCP name, is seen."""
        return not self.restricted or plugin in self.plugins or tool in self.tools

    def admits_items_of(self, plugin: str) -> bool:
        """Whether a plugin's prompts and resources are seen: a view of single tools shows none."""
        return not self.restricted or plugin in self.plugins

    def in_mode(self, mode: ViewMode) -> View:
        """The same tools, shown in another way."""
        return self if mode is self.mode else self.model_copy(update={"mode": mode})


EVERYTHING = View()
"""All tools, one by one."""


def parse_only(texts: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plugins and the tools in texts such as `plugin:text` and `tool:hash_digest`.

    Raises:
        InvalidInput: `invalid_view`, or `invalid_name` for a plugin's name.
    """
    named: dict[str, list[str]] = {"plugin": [], "tool": []}
    for text in texts:
        kind, _, name = text.partition(":")
        if kind not in named or (kind == "tool" and not _TOOL_NAME.fullmatch(name)):
            raise InvalidInput(
                "invalid_view",
                f"{text[:80]!r} names neither a plugin nor a tool: write plugin:NAME or tool:MCP_NAME, such as "
                "plugin:text or tool:hash_digest",
            )
        named[kind].append(check_plugin_name(name) if kind == "plugin" else name)
    if max(map(len, named.values())) > MAX_NAMED:
        raise InvalidInput("invalid_view", f"a view names at most {MAX_NAMED} plugins and as many tools")
    return tuple(named["plugin"]), tuple(named["tool"])
