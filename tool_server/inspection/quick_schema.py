"""Which schemas an event loop may compile and use by itself, and which are work for another process.

The bounds are far below what publishing takes, and far above what the schemas of ordinary tools need. The costs are
those of jsonschema-rs 0.60.3, measured with the worst operands that were found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tool_server.inspection.schema_graph import SchemaGraph
from tool_server.model.json_value import JsonObject, JsonValue

QUICK_SUBSCHEMAS = 80
"""Some 30 microseconds each, to analyse and to compile."""

QUICK_EFFORT = 1_000
"""See `measure_work`."""

QUICK_EXPLAINED_WORK = 100
"""Evaluations for which the engine may collect errors, 15 microseconds each."""

QUICK_SIMILARITY = 50_000
"""Characters of the instance times characters of the names it may be compared with, 0.1 microseconds each at worst."""

_VALUES = 600
_CHARACTERS = 30_000
_DEPTH = 32

_PATTERN_CHARACTERS = 500
"""Of all patterns together."""
_REPETITIONS = 200
"""Copies of an atom that all counted repetitions together make."""
_COUNTED = re.compile(r"(\)?)\{([0-9]{1,6})(?:,([0-9]{0,6}))?\}")
_PROPERTY_CLASS = re.compile(r"\\[pP]\{")
_COMPARED_CHARACTERS = 100
"""Longer names are not compared."""

_MACHINE_WORD = 2**63


def is_quick_to_compile(schema: JsonObject) -> bool:
    """Whether analysing and compiling the schema takes a few milliseconds at most. The answer takes far less."""
    values = characters = 0
    patterns: list[str] = []
    level: list[JsonObject | list[JsonValue]] = [schema]
    for _ in range(_DEPTH):
        inner: list[JsonObject | list[JsonValue]] = []
        for container in level:
            values += len(container)
            if values > _VALUES:
                return False
            if isinstance(container, dict):
                characters += sum(map(len, container))
                patterns += _patterns_of(container)
            for item in container.values() if isinstance(container, dict) else container:
                if isinstance(item, str):
                    characters += len(item)
                elif isinstance(item, dict | list):
                    inner.append(item)
        if characters > _CHARACTERS:
            return False
        level = inner
        if not level:
            return _are_quick(patterns)
    return False


def _patterns_of(container: JsonObject) -> Iterator[str]:
    pattern, keyed = container.get("pattern"), container.get("patternProperties")
    if isinstance(pattern, str):
        yield pattern
    if isinstance(keyed, dict):
        yield from keyed


def _are_quick(patterns: list[str]) -> bool:
    """Whether compiling the patterns writes out few states. A repeated group repeats all that is in it."""
    if sum(map(len, patterns)) > _PATTERN_CHARACTERS:
        return False
    total = 0
    for pattern in patterns:
        atoms, groups = 1, 1
        for closing, low, high in _COUNTED.findall(pattern):
            count = max(int(low), int(high or 0), 1)
            if closing:
                groups *= count
            else:
                atoms += count
        # A class of Unicode's has hundreds of ranges.
        classes = len(_PROPERTY_CLASS.findall(pattern))
        total += atoms * groups * (1 + 40 * classes)
        if total > _REPETITIONS:
            return False
    return True


def evaluation_factor(graph: SchemaGraph) -> int:
    """What the costliest subschema takes for one value, in the time of an ordinary evaluation (50 nanoseconds)."""
    return max(_factor(node.schema) for node in graph.nodes)


def compares_items(graph: SchemaGraph) -> bool:
    """Whether a rule of the schema looks at all items of an array at once."""
    return any(isinstance(node.schema, dict) and "uniqueItems" in node.schema for node in graph.nodes)


def compared_characters(graph: SchemaGraph) -> int:
    """Characters of all names and choices that a message may look for similar ones among."""
    total = 0
    for node in graph.nodes:
        total += sum(len(e.label) for e in node.edges if len(e.label) <= _COMPARED_CHARACTERS)
        options = node.schema.get("enum") if isinstance(node.schema, dict) else None
        if isinstance(options, list):
            total += sum(len(o) for o in options if isinstance(o, str) and len(o) <= _COMPARED_CHARACTERS)
    return total


def _factor(schema: JsonObject | bool) -> int:
    if not isinstance(schema, dict):
        return 1
    factor = 1
    required, dependent = schema.get("required"), schema.get("dependentRequired")
    if isinstance(required, list):
        factor += len(required) // 8
    if isinstance(dependent, dict):
        factor += sum(1 + len(names) for names in dependent.values() if isinstance(names, list)) // 8
    if "multipleOf" in schema:
        factor += 200
    options = schema.get("enum")
    for option in (*(options if isinstance(options, list) else ()), *_constant(schema)):
        factor += _comparison(option)
    return factor


def _constant(schema: JsonObject) -> tuple[JsonValue, ...]:
    return (schema["const"],) if "const" in schema else ()


def _comparison(option: JsonValue) -> int:
    """Of comparing one value with `option`: machine words and text are looked up, other numbers are compared."""
    if isinstance(option, dict | list):
        inner = option.values() if isinstance(option, dict) else option
        return 4 + sum(4 + _comparison(item) for item in inner)
    if isinstance(option, float) or (isinstance(option, int) and abs(option) >= _MACHINE_WORD):
        return 30
    return 0
