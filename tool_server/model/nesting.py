"""Calls that plugins make of other tools: what they come from, and how far they may go."""

from __future__ import annotations

from dataclasses import dataclass

from tool_server.errors import Denied
from tool_server.model.transcript import Transcript

MAX_DEPTH = 8
"""Calls on top of one another, the client's own included."""

_SHOWN = 8


@dataclass(slots=True)
class CallTree:
    """What all calls share that follow from one of a client's."""

    limit: int
    """Most calls that may follow."""
    calls: int = 0
    cpu_s: float = 0.0
    """What they have used, seconds: it is charged to the client's call."""

    def count(self) -> None:
        """Take note of one more call.

        Raises:
            Denied: `too_many_calls`.
        """
        if self.calls >= self.limit:
            raise Denied(
                "too_many_calls",
                f"the tools behind one call call at most {self.limit} others in all (limits.nested_calls)",
                {"limit": self.limit},
            )
        self.calls += 1


@dataclass(frozen=True, slots=True)
class ParentCall:
    """The call of a plugin that waits for another tool."""

    id: str
    plugin: str
    stack: tuple[str, ...]
    """MCP names of the tools under way, the client's first, the one that waits last."""
    permitted: tuple[str, ...]
    """MCP names of the tools that the plugin may call."""
    deadline: float
    """When its time is over, on the monotonic clock."""
    tree: CallTree
    transcript: Transcript | None = None
    """Where the run of the tool that it calls is kept; None where the client cannot be asked anything."""

    def require(self, tool: str) -> None:
        """Do nothing where it may call this tool.

        Raises:
            Denied: `tool_not_permitted`, `call_cycle`, `calls_too_deep`.
        """
        data = {"plugin": self.plugin, "tool": tool[:200]}
        if tool not in self.permitted:
            allowed = ", ".join(self.permitted[:_SHOWN]) or "none"
            raise Denied(
                "tool_not_permitted",
                f"the plugin {self.plugin} may not call the tool {tool[:100]!r}; allowed are: {allowed}. List it under "
                "permissions.tools in plugin.json and have an operator grant it with "
                f"'tool-server grant add {self.plugin} tools={tool[:100]}'",
                data,
            )
        way = " -> ".join((*self.stack, tool))
        if tool in self.stack:
            raise Denied("call_cycle", f"the tool {tool} is under way already and cannot be called again: {way}", data)
        if len(self.stack) >= MAX_DEPTH:
            raise Denied("calls_too_deep", f"at most {MAX_DEPTH} tools may call one another in turn: {way}", data)
