"""Sentences for validation errors: where, what was expected, what was got, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from tool_server.inspection.schema_graph import Node, SchemaGraph
from tool_server.inspection.value_words import (
    MAX_CHOICES,
    choices,
    clean,
    described,
    expected_words,
    format_words,
    got,
    names,
    one_of,
    shown,
    types,
)
from tool_server.model.json_value import JsonObject, JsonValue

Steps = Sequence[str | int]

_LABELLED = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependencies", "allOf", "anyOf", "oneOf", "prefixItems"}
)
_MAX_ALTERNATIVES_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule. `sentence` begins with the path; `as_data()` is its form for programs."""

    path: str
    keyword: str
    expected: str
    got: str
    sentence: str

    def as_data(self) -> JsonObject:
        """`{"path", "expected", "got", "keyword"}`."""
        return {"path": self.path, "expected": self.expected, "got": self.got, "keyword": self.keyword}


def value_path(steps: Steps) -> str:
    """The JSON path of a place in a value, such as `$.items[2].name`."""
    parts = ["$"]
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step.isidentifier() and len(step) <= 100:
            parts.append(f".{step}")
        else:
            parts.append(f"[{shown(step, 100)}]")
    return "".join(parts)


class Explainer:
    """Turns the engine's errors into problems.

    Args:
        graph: the schema's graph, for descriptions and names.
        start: the node whose validator gave the errors.
        prefix: where the validated value lies in the whole.
    """

    def __init__(self, graph: SchemaGraph, start: int = 0, prefix: Steps = ()) -> None:
        self._graph = graph
        self._start = start
        self._prefix = tuple(prefix)

    def problems(self, error: ValidationError, depth: int = 0) -> Iterator[Problem]:
        """One error may be several problems: each unknown property is one."""
        steps = (*self._prefix, *error.instance_path)
        value = cast(JsonValue, error.instance)
        match error.kind:
            case Kind.Required(name):
                yield self._required(error, steps, name)
            case Kind.AdditionalProperties(unexpected) | Kind.UnevaluatedProperties(unexpected):
                for name in unexpected:
                    yield self._unknown_property(error, steps, name, value)
            case Kind.AnyOf(context) | Kind.OneOfNotValid(context) if context:
                yield from self._alternatives(error, context, steps, value, depth)
            case Kind.PropertyNames(inner):
                yield self._property_name(error, steps, inner)
            case Kind.FalseSchema():
                yield self._forbidden(error, steps, value)
            case _:
                expected = self._expected(error, value)
                yield self._problem(error, steps, expected, self._got(error, value), self._hint(error, value))

    def _problem(self, error: ValidationError, steps: Steps, expected: str, found: str, hint: str = "") -> Problem:
        path = value_path(steps)
        return Problem(path, error.kind.name, expected, found, f"{path}: expected {expected}, got {found}{hint}")

    def _node(self, error: ValidationError) -> Node:
        """The subschema whose keyword the error is about, found by the path that the evaluation took."""
        node = self._graph.nodes[self._start]
        steps = list(error.evaluation_path[:-1])
        while steps:
            keyword = str(steps.pop(0))
            label = str(steps[0]) if keyword in _LABELLED and steps else ""
            edge = next((e for e in node.edges if e.keyword == keyword and (not label or e.label == label)), None)
            if edge is None:
                break
            if label:
                steps.pop(0)
            node = self._graph.nodes[edge.target]
        return node

    def _required(self, error: ValidationError, steps: Steps, name: str) -> Problem:
        path = value_path((*steps, name))
        node = self._node(error)
        edge = next((e for e in node.edges if e.keyword == "properties" and e.label == name), None)
        expected = described(self._graph, self._graph.nodes[edge.target]) if edge else "a value"
        condition = ""
        if "dependentRequired" in error.evaluation_path[-1:] and isinstance(error.instance, dict):
            condition = " as soon as the properties that depend on it are given"
        return Problem(path, "required", expected, "nothing", f"{path} is required{condition}: {expected}")

    def _unknown_property(self, error: ValidationError, steps: Steps, name: str, value: JsonValue) -> Problem:
        path = value_path((*steps, name))
        known = self._known_properties(self._node(error))
        absent = [key for key in known if not isinstance(value, dict) or key not in value]
        close = difflib.get_close_matches(name[:100], [key for key in absent[:500] if len(key) <= 100], n=1)
        advice = f"did you mean '{clean(close[0])}'? " if close else ""
        advice += f"known here: {names(known)}" if known else "no properties are taken here: leave it out"
        expected = f"one of {names(known)}" if known else "no properties"
        return Problem(path, error.kind.name, expected, f"'{clean(name)}'", f"{path} is not a known property: {advice}")

    def _known_properties(self, node: Node) -> list[str]:
        """The names that a subschema and what applies beside it declare."""
        found: dict[str, None] = {}
        seen: set[int] = set()
        pending = [node]
        while pending and len(found) < 1_000:
            current = pending.pop()
            for edge in current.edges:
                if edge.keyword == "properties":
                    if self._graph.nodes[edge.target].schema is not False:
                        found[edge.label] = None
                elif edge.kind == "in_place" and edge.keyword != "not" and edge.target not in seen:
                    seen.add(edge.target)
                    pending.append(self._graph.nodes[edge.target])
        return list(found)

    def _forbidden(self, error: ValidationError, steps: Steps, value: JsonValue) -> Problem:
        path = value_path(steps)
        sentence = f"{path} is not allowed here: leave it out (got {got(value)})"
        return Problem(path, error.kind.name, "nothing", got(value), sentence)

    def _property_name(self, error: ValidationError, steps: Steps, inner: ValidationError) -> Problem:
        path = value_path(steps)
        name = cast(JsonValue, inner.instance)
        expected = self._expected(inner, name)
        return Problem(
            path,
            "propertyNames",
            f"property names that are {expected}",
            shown(name),
            f"{path}: the property name {shown(name)} is not allowed: expected {expected}",
        )

    def _alternatives(
        self, error: ValidationError, context: list[list[ValidationError]], steps: Steps, value: JsonValue, depth: int
    ) -> Iterator[Problem]:
        """The errors of the one branch that was meant, where that can be told, else what all branches expect."""
        place = len(error.instance_path)
        meant = [branch for branch in context if branch and not any(_excludes(inner, place) for inner in branch)]
        if len(meant) == 1 and depth < _MAX_ALTERNATIVES_DEPTH:
            for inner in meant[0]:
                yield from self.problems(inner, depth + 1)
            return
        node = self._node(error)
        branches = [
            expected_words(self._graph, self._graph.nodes[edge.target])
            for edge in node.edges
            if edge.keyword == error.kind.name
        ]
        listed = list(dict.fromkeys(branches))[:MAX_CHOICES]
        if len(listed) == 1:
            expected = f"{listed[0]} that fits one of {len(branches)} alternatives"
        else:
            expected = one_of(listed) or "one of the alternatives"
        yield self._problem(error, steps, expected, got(value))

    def _expected(self, error: ValidationError, value: JsonValue) -> str:
        kind = error.kind
        match kind:
            case Kind.Type(allowed):
                return types(allowed)
            case Kind.Enum(options):
                return f"one of {choices(cast(list[JsonValue], options))}"
            case Kind.Constant(constant):
                return shown(cast(JsonValue, constant))
            case Kind.Pattern(pattern):
                return f"a string that matches the regular expression {clean(pattern, 200)}"
            case Kind.Format(name):
                return format_words(name)
            case Kind.MultipleOf(step):
                return f"a multiple of {step}"
            case _:
                return self._expected_whole(error) or _bound(error)

    def _expected_whole(self, error: ValidationError) -> str:
        """For the keywords about a value as a whole; empty for others."""
        match error.kind:
            case Kind.UniqueItems():
                return "items that all differ"
            case Kind.OneOfMultipleValid(context):
                fitting = [str(index + 1) for index, branch in enumerate(context) if not branch]
                return f"a value that fits exactly one of {len(context)} alternatives, not {one_of(fitting, 'and')}"
            case Kind.Not():
                return f"anything but {self._inner_words(error, 'not')}"
            case Kind.Contains():
                return self._contains(error)
            case Kind.UnevaluatedItems() | Kind.AdditionalItems():
                return "no further items"
            case _:
                return ""

    def _inner_words(self, error: ValidationError, keyword: str) -> str:
        edge = next((e for e in self._node(error).edges if e.keyword == keyword), None)
        return expected_words(self._graph, self._graph.nodes[edge.target]) if edge else "this"

    def _contains(self, error: ValidationError) -> str:
        schema = self._node(error).schema
        given = schema if isinstance(schema, dict) else {}
        low, high = given.get("minContains", 1), given.get("maxContains")
        number = f"at least {low}" if high is None else f"from {low} to {high}"
        return f"an array in which {number} of the items is or are {self._inner_words(error, 'contains')}"

    def _got(self, error: ValidationError, value: JsonValue) -> str:
        match error.kind:
            case Kind.MinLength() | Kind.MaxLength() if isinstance(value, str):
                return f"{shown(value)} ({_count(len(value), 'character')})"
            case Kind.MinItems() | Kind.MaxItems() if isinstance(value, list):
                return f"{shown(value)} ({_count(len(value), 'item')})"
            case Kind.MinProperties() | Kind.MaxProperties() if isinstance(value, dict):
                return f"{shown(value)} ({_count(len(value), 'property', 'properties')})"
            case _:
                return got(value)

    def _hint(self, error: ValidationError, value: JsonValue) -> str:
        match error.kind:
            case Kind.Enum(options) if isinstance(value, str):
                texts = [option for option in options[:500] if isinstance(option, str) and len(option) <= 100]
                close = difflib.get_close_matches(value[:100], texts, n=1)
                return f": did you mean {shown(close[0])}?" if close else ""
            case Kind.Type(allowed) if isinstance(value, str) and {"object", "array"} & set(allowed):
                return ": send the JSON value itself, not a string of it" if value.strip()[:1] in ("{", "[") else ""
            case _:
                return ""


def _excludes(error: ValidationError, place: int) -> bool:
    """Whether the error says that its branch was not meant: another type, or another constant in a member."""
    distance = len(error.instance_path) - place
    match error.kind:
        case Kind.Type():
            return distance == 0
        case Kind.Constant() | Kind.Enum() | Kind.FalseSchema():
            return distance <= 1
        case _:
            return False


def _bound(error: ValidationError) -> str:
    match error.kind:
        case Kind.Minimum(limit):
            return f"a number of at least {limit}"
        case Kind.Maximum(limit):
            return f"a number of at most {limit}"
        case Kind.ExclusiveMinimum(limit):
            return f"a number greater than {limit}"
        case Kind.ExclusiveMaximum(limit):
            return f"a number less than {limit}"
        case _:
            return _size_bound(error)


def _size_bound(error: ValidationError) -> str:
    match error.kind:
        case Kind.MinLength(limit):
            return f"at least {_count(limit, 'character')}"
        case Kind.MaxLength(limit):
            return f"at most {_count(limit, 'character')}"
        case Kind.MinItems(limit):
            return f"at least {_count(limit, 'item')}"
        case Kind.MaxItems(limit):
            return f"at most {_count(limit, 'item')}"
        case Kind.MinProperties(limit):
            return f"at least {_count(limit, 'property', 'properties')}"
        case Kind.MaxProperties(limit):
            return f"at most {_count(limit, 'property', 'properties')}"
        case _:
            return f"a value for which this does not hold: {clean(error.message, 200)}"


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
