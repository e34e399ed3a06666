"""How much work a schema can cause: an upper bound for each level of nesting, found without validating anything.

A validator applies subschemas to one value again and again: by `allOf`, `anyOf`, `$ref` … at the same place, and at
places inside it. For every subschema that is applied to a place of its own the analysis gathers the multiset of
subschemas which apply there (references followed, paths counted), and from it what reaches each member or item. A
recursion that goes through different members costs no more than the value is large; one that reaches the same member by
two ways multiplies with every level, and the numbers say so. A cycle that never enters the value would not end, and is
reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tool_server.inspection.schema_graph import Edge, SchemaGraph
from tool_server.model.json_value import MAX_DEPTH, JsonObject

SATURATION = 10**15
"""Counts stop here: it only matters that they are too large."""

MAX_TRANSITIONS = 100_000
"""Entries that the analysis itself may hold; a schema with more is too tangled to be bounded."""

_EXCESSIVE = (SATURATION,) * (MAX_DEPTH + 1)

_UNEVALUATED_FACTOR = 4
"""`unevaluated*` makes jsonschema-rs run the subschemas beside it again, measured as 2.6 times for each nesting."""


def evaluation_cost(schema: JsonObject | bool) -> int:
    """One evaluation, and more where the engine compares with objects or arrays one after another."""
    choices = schema.get("enum") if isinstance(schema, dict) else None
    listed = choices if isinstance(choices, list) else []
    return 1 + (len(listed) if any(isinstance(choice, dict | list) for choice in listed) else 0)


@dataclass(frozen=True, slots=True)
class SchemaWork:
    """`per_level[d]` bounds the subschema evaluations of one value `d` levels inside the root value, for `d`
    from 0 to `MAX_DEPTH`; empty where `endless` is not."""

    per_level: tuple[int, ...]
    endless: tuple[int, ...] = ()
    """Nodes on a cycle that enters no member and no item."""
    tangled: bool = False
    """The analysis gave up."""

    def worst(self, depth: int = MAX_DEPTH) -> int:
        """The most evaluations of one value at most `depth` levels inside."""
        return max(self.per_level[: depth + 1], default=0)


def measure_work(graph: SchemaGraph, effort: int | None = None) -> SchemaWork:
    """Bound the evaluations of validating against the graph's root.

    Args:
        graph: of the whole schema.
        effort: entries that the analysis may look at, about a microsecond each, before it gives up as `tangled`; None
            for as many as publishing allows.
    """
    order, endless = _in_place_order(graph)
    if endless:
        return SchemaWork((), endless=tuple(endless))
    weights = _Weights(graph, order, evaluation_cost)
    if weights.of[0] >= SATURATION:
        return SchemaWork(_EXCESSIVE)
    try:
        return SchemaWork(_Places(graph, weights, effort).levels(Counter({0: 1})))
    except _TangledError:
        return SchemaWork(_EXCESSIVE, tangled=True)


def measure_members(
    graph: SchemaGraph, cost: Callable[[JsonObject | bool], int]
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Bound another cost, for each member of the root value on its own.

    Args:
        graph: one that `measure_work` found neither endless nor tangled.
        cost: of applying one subschema to one value, without the subschemas in it.

    Returns:
        By the name of a member its costs per level (level 0 is the member itself), and those of a member not named.
    """
    places = _Places(graph, _Weights(graph, _in_place_order(graph)[0], cost))
    named, other = places.members()
    return {name: places.levels(counts) for name, counts in named.items()}, places.levels(other)


class _TangledError(Exception):
    pass


def _in_place(edges: Iterable[Edge]) -> list[int]:
    return [edge.target for edge in edges if edge.kind == "in_place"]


def _in_place_order(graph: SchemaGraph) -> tuple[list[int], list[int]]:
    """Nodes with every in-place target before its source, and the nodes on (or behind) in-place cycles."""
    waiting = [0] * len(graph.nodes)
    sources: list[list[int]] = [[] for _ in graph.nodes]
    for number, node in enumerate(graph.nodes):
        for target in _in_place(node.edges):
            waiting[number] += 1
            sources[target].append(number)
    order = [number for number, count in enumerate(waiting) if not count]
    for number in order:
        for source in sources[number]:
            waiting[source] -= 1
            if not waiting[source]:
                order.append(source)
    return order, [number for number, count in enumerate(waiting) if count]


class _Weights:
    """For each node, what one application costs at the same place."""

    def __init__(self, graph: SchemaGraph, order: list[int], cost: Callable[[JsonObject | bool], int]) -> None:
        self.of = [0] * len(graph.nodes)
        self.factor = [1] * len(graph.nodes)
        for number in order:
            node = graph.nodes[number]
            if isinstance(node.schema, dict) and node.schema.keys() & {"unevaluatedProperties", "unevaluatedItems"}:
                self.factor[number] = _UNEVALUATED_FACTOR
            inner = sum(self.of[target] for target in _in_place(node.edges))
            self.of[number] = min(SATURATION, cost(node.schema) + self.factor[number] * inner)


class _Places:
    """The nodes that are applied to a place of their own, and what each passes on to the places inside."""

    def __init__(self, graph: SchemaGraph, weights: _Weights, effort: int | None = None) -> None:
        self._graph = graph
        self._weights = weights
        self._held = 0
        self._effort = effort
        self._costs: list[dict[int, int]] = []
        self._order = _topological_rank(graph)
        self.transitions: dict[int, list[Counter[int]]] = {}
        pending = [0]
        while pending:
            place = pending.pop()
            if place in self.transitions:
                continue
            closure = self._closure(place)
            self._hold(len(closure))
            classes = self._classes(closure)
            self.transitions[place] = classes
            pending += [target for counts in classes for target in counts]

    def _hold(self, entries: int) -> None:
        self._held += entries
        if self._held > (MAX_TRANSITIONS if self._effort is None else self._effort):
            raise _TangledError

    def _closure(self, place: int) -> Counter[int]:
        """The nodes that apply to the same value as `place` does, each with the number of ways to it."""
        reached = {place}
        pending = [place]
        while pending:
            for target in _in_place(self._graph.nodes[pending.pop()].edges):
                if target not in reached:
                    reached.add(target)
                    pending.append(target)
        counts: Counter[int] = Counter({place: 1})
        for number in sorted(reached, key=self._order.__getitem__):
            ways = counts[number] * self._weights.factor[number]
            for target in _in_place(self._graph.nodes[number].edges):
                counts[target] = min(SATURATION, counts[target] + ways)
        return counts

    def members(self) -> tuple[dict[str, Counter[int]], Counter[int]]:
        """What reaches each named member of the root, and any other member."""
        return self._members(self._closure(0))

    def _members(self, closure: Counter[int]) -> tuple[dict[str, Counter[int]], Counter[int]]:
        named: dict[str, Counter[int]] = {}
        other: Counter[int] = Counter()
        passed_by: dict[str, Counter[int]] = {}
        for number, ways in closure.items():
            edges = self._graph.nodes[number].edges
            other.update({edge.target: ways for edge in edges if edge.kind in ("additional", "every_property")})
            additional = {edge.target: ways for edge in edges if edge.kind == "additional"}
            for edge in edges:
                if edge.kind == "property":
                    named.setdefault(edge.label, Counter())[edge.target] += ways
                    # An `additionalProperties` beside it is not about this member.
                    passed_by.setdefault(edge.label, Counter()).update(additional)
        return {name: counts + (other - passed_by[name]) for name, counts in named.items()}, other

    def _items(self, closure: Counter[int]) -> tuple[dict[str, Counter[int]], Counter[int]]:
        indexed: dict[str, Counter[int]] = {}
        other: Counter[int] = Counter()
        for number, ways in closure.items():
            for edge in self._graph.nodes[number].edges:
                if edge.kind == "prefix_item":
                    indexed.setdefault(edge.label, Counter())[edge.target] += ways
                elif edge.kind in ("item", "every_item"):
                    other[edge.target] += ways
        return indexed, other

    def _classes(self, closure: Counter[int]) -> list[Counter[int]]:
        """What reaches one inner place, for each kind of place that differs: a named member, any other, an index."""
        named, other_member = self._members(closure)
        indexed, other_item = self._items(closure)
        classes = [other_member, other_item, *named.values()]
        classes += [counts + other_item for counts in indexed.values()]
        distinct = {frozenset(counts.items()): counts for counts in classes if counts}
        self._hold(sum(len(counts) for counts in distinct.values()))
        return list(distinct.values())

    def levels(self, start: Counter[int]) -> tuple[int, ...]:
        """The worst cost at each depth below a place that `start` reaches."""
        costs = [self._passed_on(start, counts) for counts in self._history()]
        # Once all counts stay the same they do so for ever.
        return tuple(costs + costs[-1:] * (MAX_DEPTH + 1 - len(costs)))

    def _history(self) -> list[dict[int, int]]:
        """For each depth, until nothing changes any more, the worst cost of one value that deep below each place."""
        if not self._costs:
            self._costs.append({place: self._weights.of[place] for place in self.transitions})
            while len(self._costs) <= MAX_DEPTH:
                if self._effort is not None:
                    self._hold(sum(len(classes) for classes in self.transitions.values()))
                following = {
                    place: max((self._passed_on(inner, self._costs[-1]) for inner in classes), default=0)
                    for place, classes in self.transitions.items()
                }
                if following == self._costs[-1]:
                    break
                self._costs.append(following)
        return self._costs

    def _passed_on(self, inner: Counter[int], counts: dict[int, int]) -> int:
        return min(SATURATION, sum(ways * counts[target] for target, ways in inner.items()))


def _topological_rank(graph: SchemaGraph) -> list[int]:
    """A rank that rises along in-place edges."""
    order, _ = _in_place_order(graph)
    rank = [0] * len(graph.nodes)
    for position, number in enumerate(reversed(order)):
        rank[number] = position
    return rank
