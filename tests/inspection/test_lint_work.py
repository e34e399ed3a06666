"""The bound on work, against a count of what a validator without any shortcut would do."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tool_server.inspection.instance_bounds import OutOfBoundsError, require_bounds
from tool_server.inspection.schema_graph import SchemaGraph, build_graph
from tool_server.inspection.schema_work import SATURATION, measure_work
from tool_server.model.json_value import MAX_DEPTH, JsonObject, JsonValue

NAMES = st.sampled_from(["a", "b", "c"])
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/$defs/b"]).map(lambda reference: {"$ref": reference})


def schemas_of(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
    """Schemas that hold other schemas."""
    several = st.lists(inner, min_size=1, max_size=2)
    members = st.dictionaries(NAMES, inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "allOf": several,
            "anyOf": several,
            "not": inner,
            "properties": members,
            "patternProperties": members,
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": several,
            "contains": inner,
            "unevaluatedItems": inner,
            "dependentSchemas": members,
        },
    )  # pyright: ignore[reportReturnType]


SCHEMAS = st.recursive(st.booleans() | REFERENCES | st.just({"type": "string"}), schemas_of, max_leaves=8)  # pyright: ignore
VALUES = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def count_evaluations(graph: SchemaGraph, number: int, value: JsonValue) -> int:
    """Every application of every subschema, as often as it happens."""
    count = 1
    declared = {edge.label for edge in graph.nodes[number].edges if edge.kind == "property"}
    prefix = sum(1 for edge in graph.nodes[number].edges if edge.kind == "prefix_item")
    members = value if isinstance(value, dict) else {}
    items = value if isinstance(value, list) else []
    for edge in graph.nodes[number].edges:
        inner: list[JsonValue] = []
        match edge.kind:
            case "in_place":
                inner = [value]
            case "property":
                inner = [members[edge.label]] if edge.label in members else []
            case "additional":
                inner = [item for key, item in members.items() if key not in declared]
            case "every_property":
                inner = list(members.values())
            case "prefix_item":
                inner = items[int(edge.label) : int(edge.label) + 1]
            case "item":
                inner = items[prefix:]
            case "every_item":
                inner = items
        count += sum(count_evaluations(graph, edge.target, item) for item in inner)
    return count


@settings(max_examples=300)
@given(root=SCHEMAS, first=SCHEMAS, second=SCHEMAS, value=VALUES)
def test_no_validation_takes_more_than_the_bound(
    root: JsonValue, first: JsonValue, second: JsonValue, value: JsonValue
) -> None:
    schema: JsonObject = {"allOf": [root], "$defs": {"a": first, "b": second}}
    graph = build_graph(schema)
    work = measure_work(graph)
    assume(not work.endless and work.worst() < SATURATION and work.worst(4) < 2_000)
    try:
        bound = require_bounds(value, work).work
    except OutOfBoundsError:
        return
    assert count_evaluations(graph, 0, value) <= bound


def work_of(schema: JsonObject, depth: int) -> int:
    """The bound of one level."""
    work = measure_work(build_graph(schema))
    assert len(work.per_level) == MAX_DEPTH + 1
    return work.per_level[depth]


def test_recursion_through_different_members_costs_no_more_with_depth() -> None:
    tree: JsonObject = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "items": {"$ref": "#"}}
    assert work_of(tree, 1) == work_of(tree, 100)


def test_recursion_that_reaches_one_member_by_two_ways_doubles_with_every_level() -> None:
    doubled: JsonObject = {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}
    assert work_of(doubled, 11) >= 2**10
    assert work_of(doubled, MAX_DEPTH) == SATURATION


def test_an_enum_of_objects_costs_a_comparison_each() -> None:
    assert work_of({"enum": [{"a": index} for index in range(500)]}, 0) > 500
    assert work_of({"enum": list(range(500))}, 0) == 1


def test_a_cycle_outside_of_what_the_root_uses_is_reported_too() -> None:
    assert measure_work(build_graph({"$defs": {"a": {"$ref": "#/$defs/a"}}})).endless == (1,)


def test_a_web_of_references_that_cannot_be_analysed_is_called_tangled() -> None:
    definitions: JsonObject = {
        f"d{n}": {"$ref": f"#/$defs/d{n + 1}", "properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(1_000)
    }
    work = measure_work(build_graph({"$ref": "#/$defs/d0", "$defs": {**definitions, "d1000": {}}}))
    assert work.tangled
    assert work.worst(0) == SATURATION
