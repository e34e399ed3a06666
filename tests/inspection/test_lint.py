"""Each rule of lint, by a tool that breaks it and by one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.inspection.lint import lint_tool, lint_tools
from tool_server.model.json_value import JsonObject
from tool_server.model.tool import (
    Binding,
    Finding,
    InputForm,
    OutputForm,
    Severity,
    ToolAnnotations,
    ToolDefinition,
    ToolExample,
    TypeSource,
)

TEXT: JsonObject = {"type": "string", "description": "a text"}


def tool(**changes: Any) -> ToolDefinition:
    """A tool that no rule minds, with some fields replaced."""
    fields: dict[str, Any] = {
        "name": "count_words",
        "description": "Counts words.\nBlanks separate them.",
        "input_schema": {"type": "object", "properties": {"text": TEXT}, "required": ["text"]},
        "output_schema": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
        "examples": (ToolExample(input={"text": "a b"}, output={"count": 2}),),
        "source": TypeSource.MANIFEST,
        "binding": Binding(export="count_words", output=OutputForm.JSON),
    }
    return ToolDefinition(**(fields | changes))


def with_input(**keywords: Any) -> ToolDefinition:
    """A tool with these keywords at the root of its input schema."""
    return tool(input_schema={"type": "object", **keywords}, examples=())


def with_property(schema: dict[str, Any], **root: Any) -> ToolDefinition:
    """A tool with one described parameter `p` of this schema."""
    return with_input(properties={"p": {"description": "a parameter"} | schema}, **root)


def found(definition: ToolDefinition, plugin: str = "text") -> list[tuple[str, str, str]]:
    """Severity, rule and path of each finding."""
    return [(finding.severity.value, finding.rule, finding.path) for finding in lint_tool(plugin, definition)]


def nested(levels: int) -> JsonObject:
    """`unevaluatedProperties` beside an `allOf` that holds the same again."""
    schema: JsonObject = {}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": {"type": "integer"}}
    return schema


BOMB: dict[str, Any] = {
    f"d{index}": {"anyOf": [{"$ref": f"#/$defs/d{index + 1}"}, {"$ref": f"#/$defs/d{index + 1}"}]}
    for index in range(40)
} | {"d40": {"type": "string"}}

GOOD: dict[str, ToolDefinition] = {
    "plain": tool(),
    "without parameters": with_input(),
    "recursive": with_property(
        {"$ref": "#/$defs/tree"},
        **{
            "$defs": {
                "tree": {
                    "type": "object",
                    "description": "a tree",
                    "properties": {"left": {"$ref": "#/$defs/tree"}, "all": {"items": {"$ref": "#/$defs/tree"}}},
                }
            }
        },
    ),
    "a filter of three ways": with_property(
        {
            "$ref": "#/$defs/filter",
        },
        **{
            "$defs": {
                "filter": {
                    "anyOf": [
                        {"type": "object", "properties": {"and": {"items": {"$ref": "#/$defs/filter"}}}},
                        {"type": "object", "properties": {"or": {"items": {"$ref": "#/$defs/filter"}}}},
                        {"type": "object", "properties": {"not": {"$ref": "#/$defs/filter"}}},
                    ]
                }
            }
        },
    ),
    "forty definitions that each hold two of the next": with_property(
        {"$ref": "#/$defs/d0"},
        **{
            "$defs": {
                f"d{index}": {
                    "properties": {"a": {"$ref": f"#/$defs/d{index + 1}"}, "b": {"$ref": f"#/$defs/d{index + 1}"}}
                }
                for index in range(40)
            }
            | {"d40": {"type": "string"}}
        },
    ),
    "local references of all kinds": with_input(
        **{
            "$id": "https://example.com/schemas/input",
            "properties": {
                "a": {"$ref": "#/$defs/with~1slash", "description": "x"},
                "b": {"$ref": "#anchor", "description": "x"},
                "c": {"$ref": "other", "description": "x"},
                "d": {"$ref": "https://example.com/schemas/other#/$defs/deep", "description": "x"},
                "e": {"$ref": "#", "description": "x"},
            },
            "$defs": {
                "with/slash": {"type": "string"},
                "anchored": {"$anchor": "anchor"},
                "bundled": {"$id": "other", "$defs": {"deep": {"type": "string"}}},
            },
        }
    ),
    "patterns that look unusual": with_property({"type": "string", "pattern": "^(?<word>[\\p{L}\\d-]+)\\u{20}$"}),
    "a property named like a keyword": with_input(
        properties={"const": TEXT, "pattern": TEXT, "$ref": TEXT, "additionalProperties": TEXT}
    ),
    "line ends in an example": tool(examples=(ToolExample(input={"text": "a\r\n\tb\n"}),)),
    "an example whose plain value is wrapped": tool(
        output_schema={"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]},
        binding=Binding(export="count_words", output=OutputForm.VALUE),
        examples=(ToolExample(input={"text": ""}, output=3), ToolExample(input={"text": ""}, output={"result": 3})),
    ),
    "large numbers that JavaScript keeps": with_property({"type": "number", "maximum": 1e300, "minimum": -(2**53)}),
    "a name of 48 characters": tool(name="n" * 43),
}

REFUSED: dict[str, tuple[ToolDefinition, str, str]] = {
    "49 characters": (tool(name="n" * 44), "name-too-long", "$.name"),
    "no name": (tool(name=" "), "name-empty", "$.name"),
    "no root type": (tool(input_schema={"properties": {}}), "input-not-object", "$.input_schema"),
    "array root": (tool(input_schema={"type": "array"}), "input-not-object", "$.input_schema"),
    "list of types at the root": (tool(input_schema={"type": ["object"]}), "input-not-object", "$.input_schema"),
    "root by reference": (
        tool(input_schema={"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}),
        "input-not-object",
        "$.input_schema",
    ),
    "scalar output": (tool(output_schema={"type": "integer"}), "output-not-object", "$.output_schema"),
    "remote reference": (with_property({"$ref": "https://x.example/y"}), "remote-ref", "$.input_schema.properties.p"),
    "file reference": (with_property({"$ref": "./y.json"}), "remote-ref", "$.input_schema.properties.p"),
    "metaschema reference": (
        with_property({"$ref": "https://json-schema.org/draft/2020-12/schema"}),
        "remote-ref",
        "$.input_schema.properties.p",
    ),
    "dangling pointer": (with_property({"$ref": "#/$defs/q"}), "dangling-ref", "$.input_schema.properties.p"),
    "dangling anchor": (with_property({"$ref": "#q"}), "dangling-ref", "$.input_schema.properties.p"),
    "reference to no schema": (
        with_property({"$ref": "#/properties/p/enum/0", "enum": [3]}),
        "dangling-ref",
        "$.input_schema.properties.p",
    ),
    "unknown type": (with_property({"type": "text"}), "invalid-schema", "$.input_schema"),
    "old tuple form": (with_property({"items": [{}]}), "invalid-schema", "$.input_schema"),
    "required as a flag": (with_property({"required": True}), "invalid-schema", "$.input_schema"),
    "reference to a bad schema that no keyword reaches": (
        with_property({"$ref": "#/x"}, x={"type": "text"}),
        "invalid-schema",
        "$.input_schema",
    ),
    "no regex of JavaScript": (
        with_property({"pattern": "(?P<n>a)"}),
        "not-a-javascript-regex",
        "$.input_schema.properties.p.pattern",
    ),
    "no regex of JavaScript as key": (
        with_property({"patternProperties": {"\\Ax": {}}}),
        "not-a-javascript-regex",
        "$.input_schema.properties.p.patternProperties['\\\\Ax']",
    ),
    "lookahead": (
        with_property({"pattern": "a(?=b)"}),
        "pattern-unsupported",
        "$.input_schema.properties.p.pattern",
    ),
    "back reference": (
        with_property({"pattern": "(a)\\1"}),
        "pattern-unsupported",
        "$.input_schema.properties.p.pattern",
    ),
    "repetition too large to write out": (
        with_property({"pattern": "(?:\\p{L}{1000}){1000}"}),
        "pattern-unsupported",
        "$.input_schema.properties.p.pattern",
    ),
    "hidden in the description": (tool(description="a\u200bb"), "hidden-characters", "$.description"),
    "hidden in the name": (tool(name="a\u00adb"), "hidden-characters", "$.name"),
    "line end in the name": (tool(name="a\nb"), "hidden-characters", "$.name"),
    "hidden in the title": (tool(title="a\u2066b"), "hidden-characters", "$.title"),
    "hidden in an annotation": (
        tool(annotations=ToolAnnotations(title="\x1b[2J")),
        "hidden-characters",
        "$.annotations.title",
    ),
    "hidden in a key": (
        with_input(properties={"a\u200d": TEXT}),
        "hidden-characters",
        "$.input_schema.properties['a\\u200d']",
    ),
    "hidden in an enum": (
        with_property({"enum": ["\U000e0041"]}),
        "hidden-characters",
        "$.input_schema.properties.p.enum[0]",
    ),
    "hidden in a default": (
        with_property({"default": {"x": ["\ufe0f"]}}),
        "hidden-characters",
        "$.input_schema.properties.p.default.x[0]",
    ),
    "hidden in the output schema": (
        tool(output_schema={"type": "object", "title": "\x07"}),
        "hidden-characters",
        "$.output_schema.title",
    ),
    "hidden in an example": (
        tool(examples=(ToolExample(input={"text": "\x9b1m"}),)),
        "hidden-characters",
        "$.examples[0].input.text",
    ),
    "half a surrogate pair": (
        with_property({"default": "\ud800"}),
        "hidden-characters",
        "$.input_schema.properties.p.default",
    ),
    "too many values": (with_property({"enum": list(range(20_000))}), "schema-too-large", "$.input_schema"),
    "too many characters": (with_property({"description": "x" * 500_001}), "schema-too-large", "$.input_schema"),
    "too many subschemas": (
        with_input(properties={f"p{index}": True for index in range(4_000)}),
        "schema-too-large",
        "$.input_schema",
    ),
    "bomb": (with_property({"$ref": "#/$defs/d0"}, **{"$defs": BOMB}), "schema-explodes", "$.input_schema"),
    "bomb of allOf": (
        with_input(
            **{
                "$ref": "#/$defs/d0",
                "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}},
            }
        ),
        "schema-explodes",
        "$.input_schema",
    ),
    "bomb in the output": (
        tool(output_schema={"type": "object", "$ref": "#/$defs/d0", "$defs": BOMB}),
        "schema-explodes",
        "$.output_schema",
    ),
    "bomb of doubled properties": (
        with_input(
            **{
                "$ref": "#/$defs/d0",
                "$defs": {
                    f"d{n}": {"anyOf": [{"properties": {"a": {"$ref": f"#/$defs/d{n + 1}"}}}] * 10} for n in range(40)
                }
                | {"d40": {}},
            }
        ),
        "schema-explodes",
        "$.input_schema",
    ),
    "nested unevaluatedProperties": (
        with_property(nested(12)),
        "schema-explodes",
        "$.input_schema",
    ),
    "cycle that enters nothing": (
        with_property({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        "schema-explodes",
        "$.input_schema",
    ),
    "root that refers to itself": (with_input(**{"$ref": "#"}), "schema-explodes", "$.input_schema"),
    "default that brings in itself": (
        with_input(properties={"a": {"$ref": "#", "description": "x", "default": {}}}),
        "schema-explodes",
        "$.input_schema",
    ),
    "example that breaks the input": (
        tool(examples=(ToolExample(input={"text": "a"}), ToolExample(input={"text": 1}))),
        "example-invalid",
        "$.examples[1].input",
    ),
    "example that breaks the output": (
        tool(examples=(ToolExample(input={"text": "a"}, output={"count": "one"}),)),
        "example-invalid",
        "$.examples[0].output",
    ),
    "example with an output of null": (
        tool(examples=(ToolExample(input={"text": "a"}, output=None),)),
        "example-invalid",
        "$.examples[0].output",
    ),
}

WARNED: dict[str, tuple[ToolDefinition, str, str]] = {
    "map": (
        with_property({"type": "object", "additionalProperties": {"type": "string"}}),
        "map-lost",
        "$.input_schema.properties.p.additionalProperties",
    ),
    "map by pattern": (
        with_property({"type": "object", "patternProperties": {"^x-": {"type": "string"}}}),
        "map-lost",
        "$.input_schema.properties.p.patternProperties",
    ),
    "const": (with_property({"const": 1}), "const-instead-of-enum", "$.input_schema.properties.p.const"),
    "oneOf": (with_input(oneOf=[{}]), "root-one-of", "$.input_schema.oneOf"),
    "anyOf": (with_input(anyOf=[{}]), "root-one-of", "$.input_schema.anyOf"),
    "allOf": (with_input(allOf=[{}]), "root-one-of", "$.input_schema.allOf"),
    "bound": (
        with_property({"maximum": 2**53 + 1}),
        "integer-beyond-2-53",
        "$.input_schema.properties.p.maximum",
    ),
    "enum of integers": (
        with_property({"enum": [1, -(10**400)]}),
        "integer-beyond-2-53",
        "$.input_schema.properties.p.enum",
    ),
    "default": (
        with_property({"default": {"a": [2**60]}}),
        "integer-beyond-2-53",
        "$.input_schema.properties.p.default",
    ),
    "output bound": (
        tool(
            output_schema={"type": "object", "minProperties": 0, "properties": {"n": {"minimum": -(2**60)}}},
            examples=(),
        ),
        "integer-beyond-2-53",
        "$.output_schema.properties.n.minimum",
    ),
    "no description": (tool(description=" \n"), "no-description", "$.description"),
    "parameter without description": (
        with_input(properties={"a": {"type": "string"}}),
        "no-parameter-description",
        "$.input_schema.properties.a",
    ),
    "no output schema": (tool(output_schema=None), "no-output-schema", "$.output_schema"),
    "described content without output schema": (
        tool(
            output_schema=None,
            source=TypeSource.DESCRIBED,
            binding=Binding(export="call", input=InputForm.SERVLET, output=OutputForm.CONTENT),
        ),
        "no-output-schema",
        "$.output_schema",
    ),
    "posix class": (
        with_property({"pattern": "^[[:alpha:]$"}),
        "posix-class",
        "$.input_schema.properties.p.pattern",
    ),
    "other dialect": (
        with_input(**{"$schema": "http://json-schema.org/draft-07/schema#"}),
        "other-dialect",
        "$.input_schema.$schema",
    ),
    "growth": (
        with_property(
            {"$ref": "#/$defs/node"},
            **{
                "$defs": {
                    "node": {
                        "oneOf": [
                            {"properties": {"kind": {"enum": [kind]}, "children": {"items": {"$ref": "#/$defs/node"}}}}
                            for kind in ("row", "column", "stack")
                        ]
                    }
                }
            },
        ),
        "schema-grows",
        "$.input_schema",
    ),
}


@pytest.mark.parametrize("definition", GOOD.values(), ids=GOOD)
def test_a_good_tool_has_no_findings(definition: ToolDefinition) -> None:
    assert found(definition, "text") == []


@pytest.mark.parametrize(("definition", "rule", "path"), REFUSED.values(), ids=REFUSED)
def test_a_tool_that_cannot_be_offered_is_refused_with_rule_and_path(
    definition: ToolDefinition, rule: str, path: str
) -> None:
    assert ("refuse", rule, path) in found(definition, "text")


@pytest.mark.parametrize(("definition", "rule", "path"), WARNED.values(), ids=WARNED)
def test_a_tool_that_some_client_spoils_gets_that_warning_and_no_other(
    definition: ToolDefinition, rule: str, path: str
) -> None:
    assert found(definition, "text") == [("warn", rule, path)]


def test_every_finding_names_its_tool_and_says_what_to_do() -> None:
    findings = [f for definition, *_ in (*REFUSED.values(), *WARNED.values()) for f in lint_tool("text", definition)]
    assert all(finding.tool is not None and len(finding.message) > 30 for finding in findings)
    assert all(finding.message.isprintable() or "\n" in finding.message for finding in findings)


def test_a_schema_of_65_levels_is_refused_and_one_of_64_is_not() -> None:
    def levels(count: int) -> JsonObject:
        schema: JsonObject = {"type": "object", "description": "x"}
        for _ in range(count // 2):
            schema = {"type": "object", "description": "x", "properties": {"a": schema}}
        return schema

    assert found(tool(input_schema=levels(62), examples=())) == []
    assert [rule for _, rule, _ in found(tool(input_schema=levels(64), examples=()))] == ["schema-too-deep"]


def test_names_that_map_to_one_mcp_name_are_refused_for_each_of_the_tools() -> None:
    tools = [tool(name="a b"), tool(name="a.b"), tool(name="other"), tool(name="a_b"), tool(name="A_B")]
    findings = lint_tools("@acme/text", tools)
    assert [(f.severity, f.rule, f.tool) for f in findings] == [
        (Severity.REFUSE, "name-collision", name) for name in ("a b", "a.b", "a_b")
    ]
    assert "acme_text_a_b" in findings[0].message
    assert lint_tools("text", [tool(name="a"), tool(name="b")]) == ()


def test_the_mapped_name_counts_and_not_the_plugin_s_own() -> None:
    assert found(tool(), "@acme/" + "x" * 31) == []
    assert found(tool(), "@acme/" + "x" * 32) == [("refuse", "name-too-long", "$.name")]


def test_a_refusal_is_kept_where_warnings_are_too_many_to_list() -> None:
    properties: dict[str, Any] = {f"p{index}": {"const": index} for index in range(500)}
    properties["last"] = {"pattern": "("}
    findings = lint_tool("text", with_input(properties=properties))
    assert len(findings) <= 200
    assert any(finding.rule == "not-a-javascript-regex" for finding in findings)


KEYWORDS = (
    "$ref $dynamicRef $id $anchor $dynamicAnchor $defs $schema properties patternProperties additionalProperties items "
    "prefixItems contains allOf anyOf oneOf not if then else type enum const default required pattern minimum "
    "unevaluatedProperties unevaluatedItems propertyNames dependentSchemas dependencies description format"
).split()
STRINGS = st.sampled_from(
    ["#", "#/$defs/a", "a", "", "(", "^a$", "object", "string", "http://[", "#/%zz", "#/~2", "\ud800", "urn:x", "date"]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | STRINGS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS) | STRINGS, inner, max_size=4),
    max_leaves=15,
)
ANY_SCHEMA = st.dictionaries(st.sampled_from(KEYWORDS) | STRINGS, ANY_JSON, max_size=6)


@settings(max_examples=200)
@given(input_schema=ANY_SCHEMA, output_schema=ANY_SCHEMA | st.none(), name=st.text(max_size=60), typed=st.booleans())
def test_lint_never_raises_whatever_the_schemas_hold(
    input_schema: JsonObject, output_schema: JsonObject | None, name: str, typed: bool
) -> None:
    root: JsonObject = {"type": "object"} if typed else {}
    definition = tool(name=name, input_schema=input_schema | root, output_schema=output_schema)
    findings = lint_tool("text", definition)
    assert all(isinstance(finding, Finding) and finding.model_dump_json() for finding in findings)
