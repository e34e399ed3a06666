"""Rules about one schema that decide whether a tool can be offered at all."""

from __future__ import annotations

from tool_server.errors import InvalidInput
from tool_server.inspection.defaults import DefaultFiller, TooManyDefaultsError
from tool_server.inspection.instance_bounds import MAX_WORK
from tool_server.inspection.javascript_regex import check_javascript_regex, has_posix_class
from tool_server.inspection.lint_report import SchemaReport
from tool_server.inspection.schema_check import check_schema
from tool_server.inspection.schema_engine import compile_schema, pattern_size
from tool_server.inspection.schema_graph import Node, SchemaGraph, build_graph
from tool_server.inspection.schema_work import SchemaWork, measure_work
from tool_server.inspection.value_words import clean
from tool_server.model.json_value import JsonObject, JsonValue

MAX_SCHEMA_VALUES = 20_000
"""JSON values in one schema."""

MAX_SCHEMA_CHARACTERS = 500_000
"""Characters of all strings and keys in one schema."""

MAX_SCHEMA_DEPTH = 64
"""Arrays and objects that may enclose one another in a schema."""

MAX_SUBSCHEMAS = 4_000

MAX_WORK_PER_VALUE = 10_000
"""Subschema evaluations that one value may cause. Work through `allOf`, `anyOf`, `$ref` … multiplies: 40 definitions
that each refer twice to the next make 2^40."""

COMMON_DEPTH = 6
"""Levels of nesting that must be possible within `MAX_WORK_PER_VALUE`. What grows beyond is stopped at call time."""


def is_measurable(schema: JsonObject, report: SchemaReport) -> bool:
    """Whether the schema is small enough for all other rules to look at it; reports when it is not."""
    level: list[JsonObject | list[JsonValue]] = [schema]
    values = characters = 0
    for _ in range(MAX_SCHEMA_DEPTH):
        inner: list[JsonObject | list[JsonValue]] = []
        for container in level:
            if isinstance(container, dict):
                characters += sum(map(len, container))
            for item in container.values() if isinstance(container, dict) else container:
                values += 1
                if isinstance(item, str):
                    characters += len(item)
                elif isinstance(item, dict | list):
                    inner.append(item)
        if values > MAX_SCHEMA_VALUES or characters > MAX_SCHEMA_CHARACTERS:
            report.refuse(
                "schema-too-large",
                (),
                f"the {report.name} holds more than {MAX_SCHEMA_VALUES:,} values or {MAX_SCHEMA_CHARACTERS:,} "
                "characters: split the tool, or move data out of the schema",
            )
            return False
        level = inner
        if not level:
            return True
    report.refuse(
        "schema-too-deep",
        (),
        f"the {report.name} is nested deeper than {MAX_SCHEMA_DEPTH} levels: move parts to $defs and refer to them",
    )
    return False


def lint_schema(schema: JsonObject, report: SchemaReport) -> SchemaGraph | None:
    """Report what makes the schema unusable; returns its graph, or None where something does.

    The schema must be measurable. The last rule compiles it as calls do, so what passes here works there.
    """
    graph = build_graph(schema)
    if len(graph.nodes) > MAX_SUBSCHEMAS:
        report.refuse(
            "schema-too-large", (), f"the {report.name} has more than {MAX_SUBSCHEMAS:,} subschemas: split it"
        )
        return None
    passed = [
        _references(graph, report),
        _meta_schema(schema, report),
        _root_type(schema, report),
        *[_patterns(node, report) for node in graph.nodes],
        _work(graph, report),
    ]
    if not all(passed):
        return None
    try:
        compile_schema(schema)
    except InvalidInput as error:
        report.refuse("invalid-schema", (), f"{error.message}: correct it")
        return None
    return graph


def _references(graph: SchemaGraph, report: SchemaReport) -> bool:
    for problem in graph.problems:
        reference = clean(problem.reference)
        if problem.remote:
            report.refuse(
                "remote-ref",
                problem.pointer,
                f"'{reference}' refers to another document, and nothing is fetched: copy it under $defs and refer to "
                "'#/$defs/NAME'",
            )
        else:
            report.refuse(
                "dangling-ref",
                problem.pointer,
                f"'{reference}' leads to no schema in this document: add the definition or correct the reference",
            )
    return not graph.problems


def _meta_schema(schema: JsonObject, report: SchemaReport) -> bool:
    try:
        check_schema(schema, where=f"the {report.name}")
    except InvalidInput as error:
        report.refuse("invalid-schema", (), f"{error.message}: correct the schema there")
        return False
    return True


def _root_type(schema: JsonObject, report: SchemaReport) -> bool:
    if schema.get("type") == "object":
        return True
    rule = "input-not-object" if report.field == "input_schema" else "output-not-object"
    # Clients look at the root only, so a `$ref` to an object, or a list of types, does not do.
    advice = "wrap the value in an object, such as {'result': …}" if "type" in schema and "$ref" not in schema else ""
    report.refuse(
        rule,
        (),
        f'the {report.name} must say "type": "object" at its root, as MCP demands: {advice or "add it there"}',
    )
    return False


def _patterns(node: Node, report: SchemaReport) -> bool:
    if not isinstance(node.schema, dict):
        return True
    single = node.schema.get("pattern")
    keyed = node.schema.get("patternProperties")
    found = [(("pattern",), single)] if isinstance(single, str) else []
    if isinstance(keyed, dict):
        found += [(("patternProperties", key), key) for key in keyed]
    passed = [_pattern((*node.pointer, *steps), pattern, report) for steps, pattern in found]
    return all(passed)


def _pattern(pointer: tuple[str, ...], pattern: str, report: SchemaReport) -> bool:
    if has_posix_class(pattern):
        report.warn(
            "posix-class",
            pointer,
            "JavaScript reads a class such as [:alpha:] as plain characters: use \\p{L}, \\p{N}, \\s or a range",
        )
    try:
        check_javascript_regex(pattern)
    except InvalidInput as error:
        report.refuse(
            "not-a-javascript-regex", pointer, f"'{clean(pattern)}' is no JavaScript pattern: {error.message}"
        )
        return False
    if pattern_size(pattern) is None:
        report.refuse(
            "pattern-unsupported",
            pointer,
            f"'{clean(pattern)}' cannot be matched in linear time: write it without lookaround, back references, empty "
            "classes and large repetitions (lengths belong in minLength and maxLength)",
        )
        return False
    return True


def _work(graph: SchemaGraph, report: SchemaReport) -> bool:
    work = measure_work(graph)
    reason = _explosion(graph, work)
    if reason:
        report.refuse("schema-explodes", (), f"validating against the {report.name} can take too long: {reason}")
        return False
    deepest = next((depth for depth, count in enumerate(work.per_level) if count > MAX_WORK), None)
    if deepest is not None:
        report.warn(
            "schema-grows",
            (),
            f"the work of validating multiplies with each level, so values nested {deepest} levels are refused: let "
            "the alternatives that recurse use different property names, or put the recursive property beside them",
        )
    return True


def _explosion(graph: SchemaGraph, work: SchemaWork) -> str:
    if work.endless:
        node = graph.nodes[work.endless[0]]
        place = "/".join(node.pointer) or "the root"
        return f"'{clean(place)}' leads back to itself without entering a property or item: break the cycle of $ref"
    if work.tangled:
        return "too many definitions refer to one another: simplify it"
    if work.worst(COMMON_DEPTH) > MAX_WORK_PER_VALUE:
        return (
            f"one value can be checked more than {MAX_WORK_PER_VALUE:,} times: do not refer to a definition twice from "
            "definitions that are themselves referred to twice, and do not nest anyOf, oneOf or unevaluatedProperties"
        )
    try:
        DefaultFiller(graph).fill({})
    except TooManyDefaultsError as error:
        return f"{error}: drop the default that brings in itself"
    return ""
