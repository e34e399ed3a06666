"""A schema made ready for validating many values: compiled, its work known, and able to say what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import jsonschema_rs

from tool_server.errors import InvalidInput
from tool_server.inspection.instance_bounds import MAX_WORK, QUICK, InstanceSize, NotQuickError, require_bounds
from tool_server.inspection.quick_schema import (
    QUICK_EFFORT,
    QUICK_EXPLAINED_WORK,
    QUICK_SIMILARITY,
    QUICK_SUBSCHEMAS,
    compared_characters,
    compares_items,
    evaluation_factor,
    is_quick_to_compile,
)
from tool_server.inspection.schema_engine import compile_map, compile_schema
from tool_server.inspection.schema_graph import Edge, SchemaGraph, build_graph
from tool_server.inspection.schema_work import SchemaWork, measure_work
from tool_server.inspection.text_bounds import TextBounds
from tool_server.inspection.validation_messages import Explainer, Problem, value_path
from tool_server.inspection.value_words import described, got
from tool_server.model.json_value import JsonObject, JsonValue

MAX_PROBLEMS = 5
"""Problems that are told of one value."""

MAX_EXPLAINED_WORK = 5_000
"""Evaluations for which the engine may collect errors. Each costs it some 15 microseconds and 4 KB, and those of
all alternatives are collected before the first is given."""

Steps = tuple[str | int, ...]


class CompiledSchema:
    """One compiled schema.

    Args:
        schema: of draft 2020-12.
        quick: whether it is compiled in an event loop, and is to be used there.

    Raises:
        InvalidInput: `invalid_schema`, for a schema that publish lint refuses.
        NotQuickError: compiling is too much for an event loop.
    """

    def __init__(self, schema: JsonObject, *, quick: bool = False) -> None:
        if quick and not is_quick_to_compile(schema):
            raise NotQuickError
        self.graph: SchemaGraph = build_graph(schema)
        if quick and len(self.graph.nodes) > QUICK_SUBSCHEMAS:
            raise NotQuickError
        self.work: SchemaWork = measure_work(self.graph, QUICK_EFFORT if quick else None)
        if quick and self.work.tangled:
            raise NotQuickError
        if not self.work.per_level or self.work.per_level[0] > MAX_WORK:
            raise InvalidInput("invalid_schema", "validating against this schema would not end; publishing refuses it")
        text = TextBounds(self.graph)
        self._text = text if text.needed else None
        validator = compile_schema(schema)
        self.is_valid = validator.is_valid
        self._validator = validator
        self._schema = schema
        self._parts: jsonschema_rs.ValidatorMap | None = None
        self._factor = evaluation_factor(self.graph)
        self._compares_items = compares_items(self.graph)
        self._compared = compared_characters(self.graph)

    def require_quick(self, value: JsonValue) -> InstanceSize:
        """As `require_bounds`, where an event loop can then wait for `is_valid`.

        Raises:
            OutOfBoundsError: as there.
            NotQuickError: measuring or validating could take longer than that; another process is to be asked.
        """
        size = require_bounds(value, self.work, 0, QUICK)
        if size.work * (size.values + self._factor if self._compares_items else self._factor) > QUICK.work:
            raise NotQuickError
        if self._text is not None:
            self._text.require(value, QUICK)
        return size

    def require_quick_problems(self, value: JsonValue, size: InstanceSize) -> None:
        """Do nothing where an event loop can wait for `problems` as well.

        Raises:
            NotQuickError: it could take longer.
        """
        if size.work > QUICK_EXPLAINED_WORK or _characters(value) * self._compared > QUICK_SIMILARITY:
            raise NotQuickError

    def require_bounds(self, value: JsonValue) -> InstanceSize:
        """Measure a value, which must be done before any other method is asked about it.

        Raises:
            OutOfBoundsError: validating it could take too long, or it is no JSON.
        """
        size = require_bounds(value, self.work)
        if self._text is not None:
            self._text.require(value)
        return size

    def measured(self, value: JsonValue, *, quick: bool) -> InstanceSize:
        """`require_quick` or `require_bounds`."""
        return self.require_quick(value) if quick else self.require_bounds(value)

    def misfits(self, value: JsonValue, size: InstanceSize, *, quick: bool) -> list[Problem]:
        """What is wrong with a measured value; nothing where it fits.

        Raises:
            NotQuickError: with `quick`, something is wrong, and saying what could take too long.
        """
        if self.is_valid(value):
            return []
        if quick:
            self.require_quick_problems(value, size)
        return self.problems(value)

    def problems(self, value: JsonValue) -> list[Problem]:
        """What is wrong with a value that does not fit: at least one problem, at most `MAX_PROBLEMS`."""
        return list(islice(dict.fromkeys(islice(self._search(value), 4 * MAX_PROBLEMS)), MAX_PROBLEMS))

    def _search(self, value: JsonValue) -> Iterator[Problem]:
        """Large values are entered by asking which parts do not fit: errors are collected for small ones only."""
        pending: list[tuple[int, JsonValue, Steps]] = [(0, value, ())]
        visited: set[tuple[int, Steps]] = set()
        while pending:
            number, part, path = pending.pop()
            validator = self._part(number)
            if (number, path) in visited or validator is None:
                continue
            visited.add((number, path))
            if require_bounds(part, self.work, len(path)).work <= MAX_EXPLAINED_WORK:
                explainer = Explainer(self.graph, number, path)
                for error in validator.iter_errors(part):
                    yield from explainer.problems(error)
                continue
            inner = list(islice(self._failing_parts(number, part, path), MAX_PROBLEMS))
            if not inner:
                yield self._unexplained(number, part, path)
            pending += reversed(inner)

    def _part(self, number: int) -> jsonschema_rs.Validator | None:
        """The validator of one subschema; all of them are compiled when the first is asked for."""
        if number == 0:
            return self._validator
        if self._parts is None:
            self._parts = compile_map(self._schema)
        keys = [key.replace("~", "~0").replace("/", "~1") for key in self.graph.nodes[number].pointer]
        return self._parts.get("#" + "".join(f"/{key}" for key in keys))

    def _failing_parts(self, number: int, value: JsonValue, path: Steps) -> Iterator[tuple[int, JsonValue, Steps]]:
        for edge in self.graph.nodes[number].edges:
            places = self._places(number, edge, value)
            validator = self._part(edge.target) if places is not None else None
            if places is None or validator is None:
                continue
            for part, step in places:
                if not validator.is_valid(part):
                    yield edge.target, part, (*path, *step)

    def _places(self, number: int, edge: Edge, value: JsonValue) -> Iterable[tuple[JsonValue, Steps]] | None:
        """Where in `value` the edge's subschema must hold; None for edges that are not followed."""
        if edge.keyword in ("$ref", "allOf"):
            return ((value, ()),)
        if edge.keyword == "properties" and isinstance(value, dict) and edge.label in value:
            return ((value[edge.label], (edge.label,)),)
        if edge.keyword == "items" and isinstance(value, list):
            start = sum(1 for other in self.graph.nodes[number].edges if other.keyword == "prefixItems")
            return ((value[index], (index,)) for index in range(start, len(value)))
        return None

    def _unexplained(self, number: int, value: JsonValue, path: Sequence[str | int]) -> Problem:
        expected = described(self.graph, self.graph.nodes[number])
        where = value_path(path)
        sentence = f"{where}: expected {expected}, got {got(value)}, in which some rule of the schema is broken"
        return Problem(where, "schema", expected, got(value), sentence)


def _characters(value: JsonValue) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _characters(item) for key, item in value.items())
    return sum(map(_characters, value)) if isinstance(value, list) else 0
