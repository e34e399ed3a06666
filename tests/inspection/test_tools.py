"""Which tools a plugin has, and where their types come from."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from tool_server.errors import CallFailed
from tool_server.inspection import tool_section, xtp
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.inspection.servlets import Described, read_outcomes, tools_described
from tool_server.inspection.tools import DerivedTools, derive_tools
from tool_server.inspection.wasm.custom_sections import append_custom_section
from tool_server.inspection.wasm.module import Module
from tool_server.inspection.wasm.parser import parse_module
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.release import Abi
from tool_server.model.tool import InputForm, OutputForm, Severity, TaskSupport, ToolDefinition, TypeSource

PLAIN = "(result i32) (i32.const 0)"
OBJECT: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}}
OTHER: JsonObject = {"type": "object", "properties": {"b": {"type": "string"}}}
THIRD: JsonObject = {"type": "object", "properties": {"c": {"type": "string"}}}
PLAIN_INPUT = xtp.plain_text_input()


def module_of(*exports: str, **sections: bytes) -> Module:
    """A real module with exported functions and custom sections (`extism_tools` is `extism-tools`)."""
    return module_with(dict.fromkeys(exports, PLAIN), **sections)


def module_with(bodies: Mapping[str, str], **sections: bytes) -> Module:
    """The same, with the signature and body of each function."""
    functions = " ".join(f'(func (export "{name}") {body})' for name, body in bodies.items())
    data = bytes(wat2wasm(f'(module {functions} (memory (export "memory") 1))'))
    for name, content in sections.items():
        data = append_custom_section(data, name.replace("_", "-"), content)
    return parse_module(data)


def derive(
    module: Module, tools: JsonValue = None, described: Described | None = None, schema: JsonObject | None = None
) -> DerivedTools:
    """What a module offers under a manifest of `tools` and an XTP `schema`."""
    manifest, _ = parse_manifest({"name": "p", "version": "1.0.0", "tools": tools, "xtp": schema})
    return derive_tools(manifest, module, described)


def section(**tools: JsonValue) -> bytes:
    return json.dumps({"tools": tools}).encode()


def xtp_schema(*names: str, properties: JsonValue = None) -> JsonObject:
    parameter: JsonObject = {"contentType": "application/json", "properties": properties or {"c": {"type": "string"}}}
    exports: JsonObject = {name: {"description": "From XTP.", "input": parameter} for name in names}
    return {"version": "v1-draft", "exports": exports}


def servlet(*names: str, abi: Abi = Abi.SERVLET) -> Described:
    tools: list[JsonValue] = [{"name": name, "description": "Described.", "inputSchema": OTHER} for name in names]
    return tools_described(abi, json.dumps({"tools": tools}).encode())


def one(derived: DerivedTools) -> ToolDefinition:
    (tool,) = derived.tools
    return tool


def test_a_plain_export_is_a_tool_of_text() -> None:
    derived = derive(module_of("hello", "_start", "_initialize", "__wasm_call_ctors", "malloc"))
    tool = one(derived)
    assert (tool.name, tool.input_schema, tool.output_schema) == ("hello", PLAIN_INPUT, None)
    assert (tool.source, tool.binding.export) == (TypeSource.EXPORT, "hello")
    assert (tool.binding.input, tool.binding.output) == (InputForm.TEXT, OutputForm.TEXT)
    assert (derived.abi, derived.findings, derived.quarantined) == (Abi.EXTISM, (), ())


PRECEDENCE: list[tuple[set[str], TypeSource, JsonObject]] = [
    (set(), TypeSource.EXPORT, PLAIN_INPUT),
    ({"described"}, TypeSource.DESCRIBED, OTHER),
    ({"xtp", "described"}, TypeSource.XTP, THIRD),
    ({"xtp-section", "described"}, TypeSource.XTP, THIRD),
    ({"section", "xtp", "described"}, TypeSource.SECTION, {"type": "object", "title": "section"}),
    ({"section without input", "xtp"}, TypeSource.XTP, THIRD),
    ({"manifest", "section", "xtp", "described"}, TypeSource.MANIFEST, OBJECT),
    ({"manifest without input", "section", "xtp"}, TypeSource.SECTION, {"type": "object", "title": "section"}),
    ({"manifest without input", "section without input", "xtp"}, TypeSource.XTP, THIRD),
    ({"manifest without input", "described"}, TypeSource.DESCRIBED, OTHER),
    ({"manifest without input"}, TypeSource.EXPORT, PLAIN_INPUT),
]


@pytest.mark.parametrize(("sources", "source", "schema"), PRECEDENCE)
def test_the_strongest_source_with_an_input_gives_the_types(
    sources: set[str], source: TypeSource, schema: JsonObject
) -> None:
    sections: dict[str, bytes] = {}
    tools: JsonObject | None = None
    if "section" in sources:
        sections["extism_tools"] = section(f={"input": {"type": "object", "title": "section"}})
    if "section without input" in sources:
        sections["extism_tools"] = section(f={"title": "T"})
    if "xtp-section" in sources:
        sections["xtp"] = json.dumps(xtp_schema("f")).encode()
    if "manifest" in sources:
        tools = {"f": {"input": OBJECT}}
    if "manifest without input" in sources:
        tools = {"f": {"description": "Mine."}}
    described = servlet("f") if "described" in sources else None
    schema_given = xtp_schema("f") if "xtp" in sources else None
    module = module_of("f", *(("call", "describe") if described else ()), **sections)
    tool = one(derive(module, tools, described, schema_given))
    assert (tool.source, tool.input_schema) == (source, schema)
    if "manifest without input" in sources:
        assert tool.description == "Mine."
    if "section without input" in sources:
        assert tool.title == "T"


def test_every_tool_has_its_own_best_source_in_the_order_of_the_sources() -> None:
    module = module_of("plain", "typed", "declared", extism_tools=section(typed={"input": OBJECT}))
    derived = derive(module, {"declared": {"input": OBJECT}}, schema=xtp_schema("plain"))
    assert [(tool.name, tool.source) for tool in derived.tools] == [
        ("declared", TypeSource.MANIFEST),
        ("typed", TypeSource.SECTION),
        ("plain", TypeSource.XTP),
    ]


def test_a_stronger_source_overlays_what_it_says_and_no_more() -> None:
    weak: JsonObject = {
        "title": "Weak",
        "description": "Weak.",
        "input": OBJECT,
        "output": OTHER,
        "annotations": {"readOnlyHint": True, "title": "W"},
        "examples": [{"input": {"a": "x"}}],
    }
    module = module_of("f", extism_tools=section(f=weak))
    tool = one(derive(module, {"f": {"description": "Strong.", "annotations": {"title": "S"}}}))
    assert (tool.title, tool.description, tool.output_schema) == ("Weak", "Strong.", OTHER)
    assert tool.annotations.model_dump(exclude_none=True) == {"readOnlyHint": True, "title": "S"}
    assert [example.input for example in tool.examples] == [{"a": "x"}]
    retyped = one(derive(module, {"f": {"input": THIRD}}))
    assert (retyped.description, retyped.input_schema) == ("Weak.", THIRD)
    assert (retyped.output_schema, retyped.examples, retyped.binding.output) == (None, (), OutputForm.TEXT)


def test_whether_calls_may_become_tasks_is_said_by_the_strongest_source_that_says_it() -> None:
    module = module_of("f", "g", "h", extism_tools=section(f={"task": "required"}, g={"task": "optional"}))
    derived = derive(module, {"f": {"description": "Strong."}, "g": {"task": "forbidden"}, "h": {}})
    assert {tool.name: tool.task for tool in derived.tools} == {
        "f": TaskSupport.REQUIRED,
        "g": TaskSupport.FORBIDDEN,
        "h": TaskSupport.FORBIDDEN,
    }
    described = one(derive(module_of("call", "describe"), {"count": {"task": "after-input"}}, servlet("count")))
    assert described.task is TaskSupport.AFTER_INPUT


STRING: JsonObject = {"type": "string", "enum": ["a"]}


def wrapped(schema: JsonValue) -> JsonObject:
    return {"type": "object", "properties": {"result": schema}, "required": ["result"]}


OUTPUTS: list[tuple[JsonObject, OutputForm, JsonObject | None, int]] = [
    ({}, OutputForm.TEXT, None, 0),
    ({"output": OBJECT}, OutputForm.JSON, OBJECT, 0),
    ({"output": {"properties": {}}}, OutputForm.JSON, {"type": "object", "properties": {}}, 0),
    ({"output": {"type": "integer"}}, OutputForm.VALUE, wrapped({"type": "integer"}), 0),
    ({"output": {"type": ["object", "null"]}}, OutputForm.VALUE, wrapped({"type": ["object", "null"]}), 0),
    ({"output": {}}, OutputForm.VALUE, wrapped({}), 0),
    (
        {"output": {"type": "array", "items": {"$ref": "#"}}},
        OutputForm.VALUE,
        wrapped({"type": "array", "items": {"$ref": "#/properties/result"}}),
        0,
    ),
    ({"returns": "json"}, OutputForm.VALUE, wrapped({}), 0),
    ({"returns": "json", "output": OBJECT}, OutputForm.JSON, OBJECT, 0),
    ({"returns": "text"}, OutputForm.TEXT, None, 0),
    ({"returns": "text", "output": STRING}, OutputForm.TEXT_VALUE, wrapped(STRING), 0),
    ({"returns": "text", "output": OBJECT}, OutputForm.TEXT, None, 1),
    ({"returns": "content"}, OutputForm.CONTENT, None, 0),
    ({"returns": "content", "output": OBJECT}, OutputForm.CONTENT, OBJECT, 0),
    ({"returns": "content", "output": STRING}, OutputForm.CONTENT, None, 1),
]


@pytest.mark.parametrize("declared_input", [{"input": OBJECT}, {}])
@pytest.mark.parametrize(("entry", "form", "schema", "warnings"), OUTPUTS)
def test_an_output_is_carried_by_its_schema_and_by_returns(
    entry: JsonObject, form: OutputForm, schema: JsonObject | None, warnings: int, declared_input: JsonObject
) -> None:
    derived = derive(module_of("f"), {"f": {**declared_input, **entry}})
    tool = one(derived)
    assert (tool.binding.output, tool.output_schema) == (form, schema)
    assert tool.binding.input == (InputForm.ARGUMENTS if declared_input else InputForm.TEXT)
    assert [finding.severity for finding in derived.findings] == [Severity.WARN] * warnings


def test_an_input_without_a_type_gets_the_type_of_an_object() -> None:
    tool = one(derive(module_of("f"), {"f": {"input": {"properties": {"a": {}}}}}))
    assert tool.input_schema == {"type": "object", "properties": {"a": {}}}


def test_xtp_forms_reach_the_binding() -> None:
    schema: JsonObject = {
        "version": "v1-draft",
        "exports": {
            "f": {
                "input": {"contentType": "application/x-binary", "type": "buffer"},
                "output": {"contentType": "application/json", "type": "integer"},
            }
        },
    }
    tool = one(derive(module_of("f"), schema=schema))
    assert (tool.binding.input, tool.binding.output) == (InputForm.BYTES, OutputForm.VALUE)


@pytest.mark.parametrize("where", ["manifest", "section", "xtp"])
def test_a_tool_without_its_export_is_quarantined_and_hides_no_other(where: str) -> None:
    sections = {"extism_tools": section(helo={"input": OBJECT})} if where == "section" else {}
    schema = xtp_schema("helo") if where == "xtp" else None
    derived = derive(module_of("hello", **sections), {"helo": {}} if where == "manifest" else None, schema=schema)
    assert [tool.name for tool in derived.tools] == ["hello"]
    assert [(tool.name, tool.rule) for tool in derived.quarantined] == [("helo", "missing-export")]
    (finding,) = derived.findings
    assert finding.severity == (Severity.WARN if where == "xtp" else Severity.REFUSE)
    assert "did you mean 'hello'?" in finding.message


@pytest.mark.parametrize("body", ["(param i32)", "(result i64) (i64.const 0)"])
def test_an_export_that_extism_cannot_call_is_no_tool(body: str) -> None:
    module = module_with({"f": PLAIN, "g": body})
    assert [tool.name for tool in derive(module).tools] == ["f"]
    derived = derive(module, {"g": {"input": OBJECT}})
    assert [(tool.name, tool.rule) for tool in derived.quarantined] == [("g", "not-callable")]
    assert "i32" in derived.quarantined[0].reason


def test_an_export_without_a_result_is_a_tool_when_it_is_declared() -> None:
    module = module_with({"g": ""})
    assert derive(module).tools == ()
    assert one(derive(module, {"g": {"input": OBJECT}})).name == "g"


@pytest.mark.parametrize("name", ["memory", "nothing"])
def test_what_is_no_function_is_no_tool(name: str) -> None:
    assert [tool.rule for tool in derive(module_of("f"), {name: {}}).quarantined] == ["missing-export"]


def test_a_malformed_section_entry_is_quarantined_and_not_offered_as_text() -> None:
    module = module_of("bad", "good", extism_tools=section(bad={"input": 1}, good={"input": OBJECT}))
    derived = derive(module)
    assert [tool.name for tool in derived.tools] == ["good"]
    assert [(tool.name, tool.rule) for tool in derived.quarantined] == [("bad", "invalid-section")]
    overridden = derive(module, {"bad": {"input": OTHER}})
    assert [tool.name for tool in overridden.tools] == ["bad", "good"]
    assert overridden.quarantined == ()


@pytest.mark.parametrize(
    ("sections", "schema", "rule"),
    [
        ({"extism_tools": b"{"}, None, "invalid-section"),
        ({"extism_tools": b"[]"}, None, "invalid-section"),
        ({"xtp": b"version: v1-draft"}, None, "invalid-xtp"),
        ({"xtp": b"[]"}, None, "invalid-xtp"),
        ({}, {"version": "v7"}, "invalid-xtp"),
    ],
)
def test_a_source_that_cannot_be_read_stops_a_publish(
    sections: dict[str, bytes], schema: JsonObject | None, rule: str
) -> None:
    derived = derive(module_of("f", **sections), schema=schema)
    assert [(finding.severity, finding.rule) for finding in derived.findings] == [(Severity.REFUSE, rule)]


def test_the_manifests_xtp_schema_wins_over_the_modules() -> None:
    module = module_of("f", xtp=json.dumps(xtp_schema("f", properties={"z": {"type": "string"}})).encode())
    assert one(derive(module, schema=xtp_schema("f"))).input_schema == THIRD


@pytest.mark.parametrize(
    ("abi", "exports", "export", "form"),
    [
        (Abi.SERVLET, ("call", "describe"), "call", InputForm.SERVLET),
        (Abi.HYPER_V2, ("call_tool", "list_tools", "complete"), "call_tool", InputForm.HYPER_V2),
    ],
)
def test_a_plugin_that_describes_itself_offers_what_it_describes(
    abi: Abi, exports: tuple[str, ...], export: str, form: InputForm
) -> None:
    derived = derive(module_of(*exports, "hidden"), None, servlet("count", abi=abi))
    tool = one(derived)
    assert (tool.name, tool.source, tool.input_schema) == ("count", TypeSource.DESCRIBED, OTHER)
    assert (tool.binding.export, tool.binding.input, tool.binding.output) == (export, form, OutputForm.CONTENT)
    assert derived.abi is abi


def test_a_described_tool_keeps_its_convention_under_declared_types() -> None:
    entry: JsonObject = {"input": OBJECT, "output": OTHER, "description": "Mine."}
    tool = one(derive(module_of("call", "describe"), {"count": entry}, servlet("count")))
    assert (tool.source, tool.input_schema, tool.output_schema) == (TypeSource.MANIFEST, OBJECT, OTHER)
    assert (tool.binding.export, tool.binding.output) == ("call", OutputForm.CONTENT)


@pytest.mark.parametrize("entry", [{"returns": "text"}, {"output": {"type": "integer"}}])
def test_what_a_convention_cannot_return_is_left_out_with_a_warning(entry: JsonObject) -> None:
    derived = derive(module_of("call", "describe"), {"count": entry}, servlet("count"))
    assert (one(derived).output_schema, one(derived).binding.output) == (None, OutputForm.CONTENT)
    assert [finding.rule for finding in derived.findings] == ["output-left-out"]


def test_a_tool_that_is_neither_exported_nor_described_is_refused() -> None:
    derived = derive(module_of("call", "describe"), {"cuont": {}}, servlet("count"))
    assert [(tool.name, tool.rule) for tool in derived.quarantined] == [("cuont", "missing-export")]
    assert "did you mean 'count'?" in derived.quarantined[0].reason


def test_the_exports_of_a_convention_are_no_tools() -> None:
    derived = derive(
        module_of("call", "describe"),
        {"call": {"input": OBJECT}},
        servlet("count"),
        schema=xtp_schema("call", "describe"),
    )
    assert [tool.name for tool in derived.tools] == ["count"]
    assert [(tool.name, tool.rule) for tool in derived.quarantined] == [("call", "convention-export")]


def test_a_described_tool_may_have_the_name_of_the_conventions_export() -> None:
    tool = one(derive(module_of("call", "describe"), {"call": {"title": "T"}}, servlet("call")))
    assert (tool.title, tool.binding.input) == ("T", InputForm.SERVLET)


def test_quarantined_entries_of_a_description_are_passed_on() -> None:
    described = tools_described(Abi.SERVLET, b'{"tools": [{"name": "bad", "inputSchema": 1}], "nextCursor": "x"}')
    derived = derive(module_of("call", "describe", "bad"), {"bad": {"title": "T"}}, described)
    assert derived.tools == ()
    assert [(tool.name, tool.rule) for tool in derived.quarantined] == [("bad", "input-not-object")]
    assert [finding.rule for finding in derived.findings] == ["more-pages"]


def test_a_failed_description_offers_nothing_of_the_convention() -> None:
    failed = read_outcomes(Abi.SERVLET, [CallFailed("trap", "unreachable")])
    derived = derive(module_of("call", "describe"), None, failed)
    assert derived.tools == ()
    assert [finding.rule for finding in derived.findings] == ["description-failed"]
    assert derive(module_of("call", "describe")).tools == ()


def test_an_author_may_say_that_call_and_describe_are_ordinary_exports() -> None:
    failed = read_outcomes(Abi.SERVLET, [b"a red house"])
    derived = derive(module_of("call", "describe", "paint"), {"describe": {"input": OBJECT}}, failed)
    assert [(tool.name, tool.source) for tool in derived.tools] == [
        ("describe", TypeSource.MANIFEST),
        ("paint", TypeSource.EXPORT),
    ]
    assert (derived.abi, derived.findings) == (Abi.EXTISM, ())


def test_the_section_that_the_build_writes_gives_the_tools_back() -> None:
    manifest, _ = parse_manifest({"name": "p", "version": "1.0.0", "tools": {"f": {"input": OBJECT, "output": OTHER}}})
    assert manifest.tools is not None
    built = derive(module_of("f", extism_tools=tool_section.write(manifest.tools)))
    declared = derive_tools(manifest, module_of("f"), None)
    assert one(built).model_copy(update={"source": TypeSource.MANIFEST}) == one(declared)


NAMES = ("f", "g", "call", "describe", "absent")
names = st.sets(st.sampled_from(NAMES))
entries = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from([{}, {"input": OBJECT}, {"output": STRING}, {"returns": "text"}, {"returns": "content"}]),
)
malformed = st.dictionaries(st.sampled_from(NAMES), st.just({"input": 1}), max_size=2)


@settings(max_examples=60)
@given(names, entries, entries, malformed, names, names)
def test_every_name_is_offered_or_explained_whatever_the_sources_say(
    exports: set[str],
    tools: dict[str, JsonValue],
    typed: dict[str, JsonValue],
    bad: dict[str, JsonValue],
    of_xtp: set[str],
    described: set[str],
) -> None:
    module = module_of(*sorted(exports), extism_tools=section(**{**typed, **bad}))
    derived = derive(
        module, dict(tools), servlet(*sorted(described)) if described else None, xtp_schema(*sorted(of_xtp))
    )
    offered = [tool.name for tool in derived.tools]
    quarantined = {tool.name for tool in derived.quarantined}
    assert len(set(offered)) == len(offered)
    assert not set(offered) & quarantined
    assert set(tools) <= set(offered) | quarantined
    assert described <= set(offered) | set(bad)
    assert all(tool.binding.export in exports or tool.name in described for tool in derived.tools)
    assert all(tool.input_schema["type"] == "object" for tool in derived.tools)
