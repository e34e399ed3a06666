"""Rules that only warn: schemas that are valid, and that some client or model provider spoils."""

from __future__ import annotations

from collections.abc import Iterator

from tool_server.inspection.lint_report import SchemaReport
from tool_server.inspection.schema_graph import Node, SchemaGraph
from tool_server.inspection.value_words import clean
from tool_server.model.json_value import JsonObject, JsonValue

MAX_SAFE_INTEGER = 2**53
"""Beyond it JavaScript rounds integers (ECMA-262, Number.MAX_SAFE_INTEGER is one less)."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NUMBER_KEYWORDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "enum",
    "const",
    "default",
    "examples",
)


def advise(graph: SchemaGraph, report: SchemaReport) -> None:
    """Warn about what providers lose or clients round, in a schema that is otherwise good."""
    root = graph.nodes[0].schema
    if isinstance(root, dict):
        _dialect(root, report)
    for node in graph.nodes:
        if isinstance(node.schema, dict):
            _large_integers(node, node.schema, report)
            if report.field == "input_schema":
                _maps(node, node.schema, report)
                _const(node, node.schema, report)
    if report.field == "input_schema" and isinstance(root, dict):
        _root_alternatives(root, report)
        _parameter_descriptions(graph, report)


def _dialect(root: JsonObject, report: SchemaReport) -> None:
    dialect = root.get("$schema", DIALECT)
    if isinstance(dialect, str) and dialect.removesuffix("#") != DIALECT:
        report.warn(
            "other-dialect", ("$schema",), f"'{clean(dialect)}' is read as draft 2020-12: drop $schema or say {DIALECT}"
        )


def _large_integers(node: Node, schema: JsonObject, report: SchemaReport) -> None:
    for keyword in _NUMBER_KEYWORDS:
        number = next(_integers_beyond(schema.get(keyword)), None)
        if number is not None:
            words = str(number) if abs(number) < 10**30 else "an integer of more than 30 digits"
            report.warn(
                "integer-beyond-2-53",
                (*node.pointer, keyword),
                f"{words} is rounded by JavaScript clients: use a string for integers beyond 2^53",
            )


def _integers_beyond(value: JsonValue) -> Iterator[int]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, int) and abs(item) > MAX_SAFE_INTEGER:
            yield item
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += item.values()


def _maps(node: Node, schema: JsonObject, report: SchemaReport) -> None:
    for keyword in ("additionalProperties", "patternProperties"):
        if isinstance(schema.get(keyword), dict) and schema[keyword]:
            report.warn(
                "map-lost",
                (*node.pointer, keyword),
                f"some model providers drop {keyword} with a schema: use an array of {{key, value}} objects",
            )


def _const(node: Node, schema: JsonObject, report: SchemaReport) -> None:
    if "const" in schema:
        report.warn(
            "const-instead-of-enum",
            (*node.pointer, "const"),
            "some model providers do not know const: use enum with one value",
        )


def _root_alternatives(root: JsonObject, report: SchemaReport) -> None:
    for keyword in ("oneOf", "anyOf", "allOf"):
        if keyword in root:
            report.warn(
                "root-one-of",
                (keyword,),
                f"some model providers refuse {keyword} at the root: move it into a property, or make several tools",
            )


def _parameter_descriptions(graph: SchemaGraph, report: SchemaReport) -> None:
    for edge in graph.nodes[0].edges:
        if edge.keyword == "properties" and not _has_description(graph, graph.nodes[edge.target]):
            report.warn(
                "no-parameter-description",
                ("properties", edge.label),
                f"'{clean(edge.label)}' has no description: say what it means, with its unit and form, so that a model "
                "can fill it in",
            )


def _has_description(graph: SchemaGraph, node: Node) -> bool:
    places = [node, *(graph.nodes[edge.target] for edge in node.edges if edge.keyword == "$ref")]
    texts = [place.schema.get("description") for place in places if isinstance(place.schema, dict)]
    return any(isinstance(text, str) and text.strip() for text in texts)
