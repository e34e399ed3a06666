"""Filling in the `default`s of a schema, which clients and models leave out and JSON Schema itself only annotates."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

from tool_server.inspection.instance_bounds import NotQuickError
from tool_server.inspection.schema_graph import Edge, SchemaGraph
from tool_server.model.json_value import MAX_DEPTH, JsonObject, JsonValue

MAX_FILLED = 10_000
"""Defaults that one call may bring in, however little it sends."""

FILLED_PER_VALUE = 50
"""Further defaults for each value that is sent."""

QUICK_FILLED = 200
"""Values that `fill_quickly` may bring in."""

QUICK_LOOKS = 50_000
"""Subschemas, summed over the values, that `fill_quickly` may look at."""

_FOLLOWED = frozenset({"$ref", "allOf"})
"""Always in force, unlike the branches of `oneOf`, `anyOf`, `if`."""
_ENTERED = frozenset({"properties", "additionalProperties", "prefixItems", "items"})

Places = tuple[int, ...]
"""Numbers of the subschemas that apply to one value."""


class TooManyDefaultsError(Exception):
    """The defaults of a schema bring in one another without an end; the message is a clause that begins with "its"."""


class DefaultFiller:
    """The defaults of one schema, prepared once. `needed` is False when it has none that would ever be filled in."""

    def __init__(self, graph: SchemaGraph) -> None:
        self._graph = graph
        having = {
            number
            for number, node in enumerate(graph.nodes)
            if isinstance(node.schema, dict) and "default" in node.schema
        }
        having = _spread(graph, having, lambda edge: edge.keyword in _FOLLOWED)
        filling = {
            number
            for number, node in enumerate(graph.nodes)
            if any(edge.keyword == "properties" and edge.target in having for edge in node.edges)
        }
        filling = _spread(graph, filling, lambda edge: edge.keyword in _FOLLOWED | _ENTERED)
        self.needed = 0 in filling
        self._relevant = having | filling
        self._edges = sum(len(graph.nodes[number].edges) for number in self._relevant)
        self._largest = max(
            (
                _values_in(node.schema["default"])
                for number in having
                if (node := graph.nodes[number]) and isinstance(node.schema, dict) and "default" in node.schema
            ),
            default=1,
        )
        self._in_force: dict[Places, Places] = {}

    def fill_quickly(self, value: JsonObject, values: int) -> JsonObject:
        """As `fill`, where an event loop can wait for it.

        Raises:
            NotQuickError: it could take longer.
        """
        allowed = QUICK_FILLED // self._largest
        if (values + allowed) * self._edges > QUICK_LOOKS:
            raise NotQuickError
        try:
            return _Filling(self, allowed).fill_object((0,), value, 0)
        except TooManyDefaultsError as error:
            raise NotQuickError from error

    def fill(self, value: JsonObject, values: int = 0) -> JsonObject:
        """The value with every missing property that has a default; `value` itself is not changed.

        Defaults are themselves completed. A property that is there keeps its value, whatever it is.

        Args:
            value: the arguments.
            values: how many values they hold, at every depth.

        Raises:
            TooManyDefaultsError: more than the bounds above, or nested deeper than values may be.
        """
        allowed = MAX_FILLED + FILLED_PER_VALUE * values
        return _Filling(self, allowed).fill_object((0,), value, 0) if self.needed else value

    def in_force(self, places: Places) -> Places:
        """The subschemas in force where `places` apply: those, and what they refer to or demand all of."""
        known = self._in_force.get(places)
        if known is None:
            reached = dict.fromkeys(places)
            pending = list(reversed(places))
            while pending:
                targets = [
                    edge.target
                    for edge in self._graph.nodes[pending.pop()].edges
                    if edge.keyword in _FOLLOWED and edge.target in self._relevant and edge.target not in reached
                ]
                reached.update(dict.fromkeys(targets))
                pending += reversed(targets)
            known = self._in_force[places] = tuple(reached)
        return known

    def edges_inside(self, places: Places) -> list[tuple[int, Edge]]:
        """The edges into members and items, of all that is in force, each with the subschema it belongs to."""
        return [
            (place, edge)
            for place in self.in_force(places)
            for edge in self._graph.nodes[place].edges
            if edge.keyword in _ENTERED and edge.target in self._relevant
        ]

    def default_of(self, place: int) -> tuple[JsonValue] | None:
        """The default of a property's schema, beside or behind its `$ref`, in a tuple; None where it has none."""
        for reached in self.in_force((place,)):
            schema = self._graph.nodes[reached].schema
            if isinstance(schema, dict) and "default" in schema:
                return (schema["default"],)
        return None

    def takes_as_additional(self, place: int, key: str) -> bool:
        """Whether the subschema's `additionalProperties` is about this member. Patterns beside it are not matched:
        where there are any, the answer is no."""
        schema = self._graph.nodes[place].schema
        if not isinstance(schema, dict) or "patternProperties" in schema:
            return False
        properties = schema.get("properties")
        return not isinstance(properties, dict) or key not in properties

    def item_starts_at(self, place: int) -> int:
        """The first index that the subschema's `items` is about."""
        schema = self._graph.nodes[place].schema
        prefix = schema.get("prefixItems") if isinstance(schema, dict) else None
        return len(prefix) if isinstance(prefix, list) else 0


class _Filling:
    """One run, with its count of defaults."""

    def __init__(self, filler: DefaultFiller, allowed: int) -> None:
        self._filler = filler
        self._allowed = allowed
        self._count = 0

    def _fill(self, places: Places, value: JsonValue, depth: int) -> JsonValue:
        if depth > MAX_DEPTH:
            raise TooManyDefaultsError(f"its defaults are nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            return self.fill_object(places, value, depth)
        if isinstance(value, list):
            return self._fill_array(places, value, depth)
        return value

    def fill_object(self, places: Places, value: JsonObject, depth: int) -> JsonObject:
        edges = self._filler.edges_inside(places)
        result = {**value, **self._missing(edges, value)}
        changed = len(result) > len(value)
        for key, targets in self._applying(edges, result).items():
            filled = self._fill(targets, result[key], depth + 1)
            if filled is not result[key]:
                result[key] = filled
                changed = True
        return result if changed else value

    def _missing(self, edges: Iterable[tuple[int, Edge]], value: JsonObject) -> JsonObject:
        added: JsonObject = {}
        for _, edge in edges:
            if edge.keyword != "properties" or edge.label in value or edge.label in added:
                continue
            default = self._filler.default_of(edge.target)
            if default is None:
                continue
            self._count += 1
            if self._count > self._allowed:
                raise TooManyDefaultsError(f"its defaults would add more than {self._allowed:,} values")
            added[edge.label] = copy.deepcopy(default[0])
        return added

    def _applying(self, edges: Iterable[tuple[int, Edge]], value: JsonObject) -> dict[str, Places]:
        """For each member that is an object or array, the subschemas that apply to it."""
        applying: dict[str, dict[int, None]] = {}
        for place, edge in edges:
            keys: Iterable[str] = ()
            if edge.keyword == "properties":
                keys = (edge.label,) if edge.label in value else ()
            elif edge.keyword == "additionalProperties":
                keys = [key for key in value if self._filler.takes_as_additional(place, key)]
            for key in keys:
                if isinstance(value[key], dict | list):
                    applying.setdefault(key, {})[edge.target] = None
        return {key: tuple(targets) for key, targets in applying.items()}

    def _fill_array(self, places: Places, value: list[JsonValue], depth: int) -> list[JsonValue]:
        edges = self._filler.edges_inside(places)
        reaches: list[Callable[[int], bool]] = [self._index_test(place, edge) for place, edge in edges]
        result: list[JsonValue] = list(value)
        changed = False
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                targets = tuple(
                    edge.target for (_, edge), reaching in zip(edges, reaches, strict=True) if reaching(index)
                )
                result[index] = self._fill(targets, item, depth + 1)
                changed = changed or result[index] is not item
        return result if changed else value

    def _index_test(self, place: int, edge: Edge) -> Callable[[int], bool]:
        if edge.keyword == "prefixItems":
            position = int(edge.label)
            return lambda index: index == position
        start = self._filler.item_starts_at(place)
        return lambda index: edge.keyword == "items" and index >= start


def _values_in(value: JsonValue) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values_in, inner))


def _spread(graph: SchemaGraph, start: set[int], along: Callable[[Edge], bool]) -> set[int]:
    """`start` and every node from which an edge of that sort leads into the set."""
    sources: dict[int, list[int]] = {}
    for number, node in enumerate(graph.nodes):
        for edge in node.edges:
            if along(edge):
                sources.setdefault(edge.target, []).append(number)
    reached = set(start)
    pending = list(start)
    while pending:
        for source in sources.get(pending.pop(), ()):
            if source not in reached:
                reached.add(source)
                pending.append(source)
    return reached
