"""Bounds on text: patterns and formats read whole strings, and some patterns take microseconds for a character.

The engine matches in linear time, which for a pattern such as `a.{500}b` still means 500 states at every character.
"""

from __future__ import annotations

from collections.abc import Sequence

from tool_server.inspection.instance_bounds import QUICK, WHOLE, Budget, NotQuickError, OutOfBoundsError
from tool_server.inspection.schema_engine import MAX_PATTERN_PROGRAM, pattern_size
from tool_server.inspection.schema_graph import SchemaGraph
from tool_server.inspection.schema_work import measure_members
from tool_server.model.json_value import MAX_DEPTH, JsonObject, JsonValue

_BYTES_PER_NANOSECOND = 64
"""Of a compiled pattern, for one character at worst: 0.8 microseconds were measured at 64 KiB, 5.9 at 512 KiB."""

_FORMAT_COST = 4
_LENGTH_COST = 1


class TextBounds:
    """What a schema's strings cost, prepared once."""

    def __init__(self, graph: SchemaGraph) -> None:
        self._sizes: dict[str, int] = {}
        self.needed = any(self._cost(node.schema) for node in graph.nodes)
        if self.needed:
            self._named, self._other = measure_members(graph, self._cost)
            self._root_keys = self._cost(graph.nodes[0].schema) + self._other[0]

    def require(self, value: JsonValue, budget: Budget = WHOLE) -> None:
        """Do nothing when the text of the value can be read in time. To be asked only where `needed` is true.

        Raises:
            OutOfBoundsError: it cannot; the message names the member.
            NotQuickError: more than the budget `QUICK`.
        """
        if not isinstance(value, dict):
            return
        total = 0
        for key, item in value.items():
            costs = self._named.get(key, self._other)
            total += len(key) * self._root_keys
            total += len(item) * costs[0] if isinstance(item, str) else _inner_cost(item, costs)
            if total > budget.text:
                if budget is QUICK:
                    raise NotQuickError
                raise OutOfBoundsError(
                    f"the text at {key[:80]!r} is too long for the patterns and formats it is checked with: shorten it"
                )

    def _cost(self, schema: JsonObject | bool) -> int:
        """Nanoseconds for a character of the value itself, and of its keys, by one subschema."""
        if not isinstance(schema, dict):
            return 0
        cost = _LENGTH_COST if schema.keys() & {"minLength", "maxLength"} else 0
        cost += _FORMAT_COST if "format" in schema else 0
        keyed = schema.get("patternProperties")
        patterns = [schema.get("pattern"), *(keyed if isinstance(keyed, dict) else ())]
        return cost + sum(
            self._size(pattern) // _BYTES_PER_NANOSECOND for pattern in patterns if isinstance(pattern, str)
        )

    def _size(self, pattern: str) -> int:
        known = self._sizes.get(pattern)
        if known is None:
            known = self._sizes[pattern] = pattern_size(pattern) or MAX_PATTERN_PROGRAM
        return known


def _inner_cost(value: JsonValue, costs: Sequence[int]) -> int:
    """The cost of the text inside a member, level by level; keys count for their object and for its members."""
    if not isinstance(value, dict | list):
        return 0
    total = 0
    level: list[JsonObject | list[JsonValue]] = [value]
    for depth in range(MAX_DEPTH):
        inner: list[JsonObject | list[JsonValue]] = []
        for container in level:
            if isinstance(container, dict):
                total += sum(map(len, container)) * (costs[depth] + costs[depth + 1])
            for item in container.values() if isinstance(container, dict) else container:
                if isinstance(item, str):
                    total += len(item) * costs[depth + 1]
                elif isinstance(item, dict | list):
                    inner.append(item)
        level = inner
        if not level:
            break
    return total
