"""plugin.json in its canonical form and in the others that are read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.inspection.manifest_errors import ALSO_READ
from tool_server.inspection.manifest_forms import FORM_RULE, parse_manifest, parse_manifest_bytes, resolve_limits
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.limits import Limits
from tool_server.model.manifest import Manifest
from tool_server.model.tool import Severity

BASE: JsonObject = {"name": "text-tools", "version": "1.2.0"}

CANONICAL: JsonObject = {
    **BASE,
    "$schema": "https://example.com/plugin.schema.json",
    "description": "Words.",
    "author": "Ada",
    "license": "MIT",
    "repository": "https://example.com/r",
    "homepage": "https://example.com",
    "keywords": ["text"],
    "wasm": "build/plugin.wasm",
    "tools": {
        "count": {
            "title": "Count",
            "description": "Counts.",
            "input": {"type": "object", "properties": {"text": {"type": "string"}}},
            "output": {"type": "object"},
            "annotations": {"readOnlyHint": True},
            "examples": [{"input": {"text": "a"}, "output": {"n": 1}}],
            "returns": "json",
        }
    },
    "xtp": {"version": "v0", "exports": []},
    "dependencies": {"dictionary": "^1.0.0", "@acme/words": "1.x"},
    "permissions": {
        "network": ["api.example.com"],
        "filesystem": ["/data:read"],
        "environment": ["LANG"],
        "secrets": ["API_KEY"],
        "tools": ["other_tool"],
    },
    "limits": {"memory": "64MiB", "timeout": "5s", "output": 4096, "input": "1KB", "fuel": 1000},
    "build": {"language": "typescript", "entry": "src/index.ts"},
    "mastra": {"icon": "x"},
}

TEXT: JsonObject = {"type": "string"}
WHO: JsonObject = {"type": "object", "properties": {"who": TEXT}, "required": ["who"]}


def dumped(manifest: Manifest) -> JsonObject:
    """The manifest as JSON, without what was not set."""
    return json.loads(manifest.model_dump_json(by_alias=True, exclude_unset=True))


def refusal(document: JsonObject) -> InvalidInput:
    """The error that `document` ends in."""
    with pytest.raises(InvalidInput) as caught:
        parse_manifest(document)
    return caught.value


def test_a_canonical_manifest_is_taken_as_it_is_without_a_note() -> None:
    manifest, findings = parse_manifest_bytes(json.dumps(CANONICAL).encode())
    assert dumped(manifest) == CANONICAL
    assert findings == ()


def test_a_manifest_that_a_program_wrote_with_nulls_reads_back() -> None:
    manifest, _ = parse_manifest(BASE)
    again, findings = parse_manifest(json.loads(manifest.model_dump_json(by_alias=True)))
    assert again == manifest
    assert findings == ()


def test_fields_keep_the_order_of_the_author() -> None:
    names = ["zebra", "ape", "mouse"]
    manifest, _ = parse_manifest({**BASE, "tools": {name: {} for name in names}})
    assert manifest.tools is not None
    assert list(manifest.tools) == names


FORMS: list[tuple[JsonObject, JsonObject, list[str]]] = [
    ({"main": "x.wasm"}, {"wasm": "x.wasm"}, ["$.main"]),
    ({"main": "x.wasm", "wasm": "x.wasm"}, {"wasm": "x.wasm"}, ["$.main"]),
    ({"wasm": [{"path": "x.wasm", "name": "main"}]}, {"wasm": "x.wasm"}, ["$.wasm"]),
    ({"exports": ["hello"]}, {"tools": {"hello": {}}}, ["$.exports"]),
    (
        {"exports": ["hello", "more"], "tools": {"hello": {"title": "Hi"}}},
        {"tools": {"hello": {"title": "Hi"}, "more": {}}},
        ["$.exports"],
    ),
    (
        {
            "exports": [
                {
                    "name": "hello",
                    "description": "Greets.",
                    "inputs": [
                        {"name": "who", "type": "string", "description": "Name."},
                        {"name": "times", "type": "int", "optional": True},
                        {"name": "tags", "type": "string[]", "required": False},
                        {"name": "tone", "enum": ["a"], "default": "a"},
                    ],
                    "outputs": [{"name": "greeting", "type": "string"}],
                }
            ]
        },
        {
            "tools": {
                "hello": {
                    "description": "Greets.",
                    "input": {
                        "type": "object",
                        "properties": {
                            "who": {"type": "string", "description": "Name."},
                            "times": {"type": "integer"},
                            "tags": {"type": "array", "items": {"type": "string"}},
                            "tone": {"type": "string", "enum": ["a"], "default": "a"},
                        },
                        "required": ["who"],
                    },
                    "returns": "text",
                }
            }
        },
        ["$.exports"],
    ),
    (
        {"exports": [{"name": "f", "inputs": [], "outputs": [{"type": "f64"}]}]},
        {"tools": {"f": {"input": {"type": "object", "properties": {}}, "output": {"type": "number"}}}},
        ["$.exports"],
    ),
    (
        {
            "exports": [
                {"name": "f", "outputs": [{"name": "a", "type": "bool"}, {"name": "b", "type": {"type": "null"}}]}
            ]
        },
        {
            "tools": {
                "f": {
                    "output": {
                        "type": "object",
                        "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}},
                        "required": ["a", "b"],
                    }
                }
            }
        },
        ["$.exports"],
    ),
    (
        {"runtime": {"memory_limit": "64MB", "timeout": 5000}},
        {"limits": {"memory": "64MB", "timeout": 5000}},
        ["$.runtime.memory_limit", "$.runtime.timeout"],
    ),
    (
        {"resourceLimits": {"memory": 1 << 20, "cpuTime": "1s"}, "limits": {"fuel": 7}},
        {"limits": {"memory": 1 << 20, "timeout": "1s", "fuel": 7}},
        ["$.resourceLimits.memory", "$.resourceLimits.cpuTime"],
    ),
    ({"runtime": {"timeout": None, "memory_limit": 65536}}, {"limits": {"memory": 65536}}, ["$.runtime.memory_limit"]),
    ({"tags": ["b"], "keywords": ["a", "b"]}, {"keywords": ["a", "b"]}, ["$.tags"]),
    (
        {
            "allowedHosts": ["h"],
            "allowedPaths": ["/data:read"],
            "allowedEnv": ["LANG"],
            "permissions": {"network": ["g"]},
        },
        {"permissions": {"network": ["g", "h"], "filesystem": ["/data:read"], "environment": ["LANG"]}},
        ["$.allowedHosts", "$.allowedPaths", "$.allowedEnv"],
    ),
    ({"author": {"name": "Ada", "email": "a@b.c", "url": "u"}}, {"author": "Ada <a@b.c> (u)"}, ["$.author"]),
    ({"repository": {"type": "git", "url": "u"}}, {"repository": "u"}, ["$.repository.url"]),
    ({"license": {"type": "MIT", "url": "u"}}, {"license": "MIT"}, ["$.license.type"]),
    ({"language": "rust"}, {"build": {"language": "rust"}}, ["$.language"]),
    ({"schema": {"version": "v0"}}, {"xtp": {"version": "v0"}}, ["$.schema"]),
    (
        {"tools": {"hi": {}}, "mastra": {"displayName": "Hi!", "parameters": [{"name": "who", "type": "string"}]}},
        {
            "tools": {"hi": {"title": "Hi!", "input": WHO}},
            "mastra": {"displayName": "Hi!", "parameters": [{"name": "who", "type": "string"}]},
        },
        ["$.mastra.displayName", "$.mastra.parameters"],
    ),
    (
        {
            "tools": {"a": {"input": WHO}, "b": {}},
            "mastra": {"displayName": "x", "parameters": [{"name": "who", "description": "Whom."}]},
        },
        {
            "tools": {
                "a": {"input": {**WHO, "properties": {"who": {"type": "string", "description": "Whom."}}}},
                "b": {},
            },
            "mastra": {"displayName": "x", "parameters": [{"name": "who", "description": "Whom."}]},
        },
        ["$.mastra.parameters"],
    ),
    (
        {"tools": {"hi": {"title": "T"}}, "mastra": {"displayName": "x", "examples": [{"input": {}}]}},
        {
            "tools": {"hi": {"title": "T", "examples": [{"input": {}}]}},
            "mastra": {"displayName": "x", "examples": [{"input": {}}]},
        },
        ["$.mastra.examples"],
    ),
    (
        {"tools": {"hi": {}}, "mastra": {"examples": ["say hi"], "category": "c"}},
        {"tools": {"hi": {}}, "mastra": {"examples": ["say hi"], "category": "c"}},
        [],
    ),
]


@pytest.mark.parametrize(("written", "canonical", "noted"), FORMS)
def test_another_form_is_rewritten_with_a_note_at_its_place(
    written: JsonObject, canonical: JsonObject, noted: list[str]
) -> None:
    manifest, findings = parse_manifest({**BASE, **written})
    assert dumped(manifest) == {**BASE, **canonical}
    assert [finding.path for finding in findings] == noted
    assert {(finding.severity, finding.rule) for finding in findings} <= {(Severity.NOTE, FORM_RULE)}


def test_every_field_that_is_also_read_has_a_rewritten_form_above() -> None:
    assert set(ALSO_READ) <= {field for written, _, _ in FORMS for field in written}


REFUSALS: list[tuple[JsonObject, str, str]] = [
    ({"versoin": "1"}, "$.versoin", "did you mean 'version'?"),
    ({"allowed_hosts": []}, "$.allowed_hosts", "did you mean 'allowedHosts'?"),
    ({"schema_uri": "x"}, "$.schema_uri", "$schema"),
    ({"tools": {"a b": {"inpt": {}}}}, '$.tools["a b"].inpt', "did you mean 'input'?"),
    ({"tools": {"a": {"annotations": {"readonlyhint": True}}}}, "$.tools.a.annotations.readonlyhint", "'readOnlyHint'"),
    ({"tools": {"a": {"annotations": {"readOnlyHint": "yes"}}}}, "$.tools.a.annotations.readOnlyHint", "got 'yes'"),
    ({"tools": {"a": {"examples": [{"inputs": {}}]}}}, "$.tools.a.examples[0].input", "is missing"),
    ({"tools": {"a": {"input": []}}}, "$.tools.a.input", "expected an object, got an array"),
    ({"tools": {"a": {"returns": "xml"}}}, "$.tools.a.returns", "'json', 'text' or 'content'"),
    ({"tools": {"a": {"input": {"$ref": "./a.json"}}}}, "$.tools.a.input", "outside the folder"),
    ({"tools": {"a": "x"}}, "$.tools.a", "expected an object"),
    ({"tools": ["a"]}, "$.tools", "expected an object"),
    ({"tools": ["a"], "exports": ["a"]}, "$.tools", "expected an object"),
    ({"xtp": {"$ref": "./x.json"}}, "$.xtp", "outside the folder"),
    ({"version": "v1"}, "$.version", "1.2.0"),
    ({"name": "Text"}, "$.name", "lower-case"),
    ({"name": 7}, "$.name", "expected a string, got 7"),
    ({"dependencies": {"A": "1"}}, "$.dependencies.A", "not a plugin name"),
    ({"dependencies": {"a": "one"}}, "$.dependencies.a", "not a version range"),
    ({"dependencies": {"a": 1}}, "$.dependencies.a", "expected a string"),
    ({"permissions": {"network": "h"}}, "$.permissions.network", "expected an array"),
    ({"permissions": {"net": []}}, "$.permissions.net", "did you mean 'network'?"),
    ({"limits": {"memory": True}}, "$.limits.memory", "expected a string or an integer, got true"),
    ({"limits": {"memory": "64 bananas"}}, "$.limits.memory", "not a size"),
    ({"limits": {"memory": 64}}, "$.limits.memory", "64MiB"),
    ({"limits": {"timeout": 5}}, "$.limits.timeout", "20ms"),
    ({"limits": {"timeout": 0.5}}, "$.limits.timeout", "expected a string or"),
    ({"limits": {"output": 0}}, "$.limits.output", "at least 1 byte"),
    ({"limits": {"fuel": 0}}, "$.limits.fuel", "greater than or equal to 1"),
    ({"build": {"entry": "x"}}, "$.build.language", "is missing"),
    ({"keywords": ["x" * 51]}, "$.keywords[0]", "at most 50 characters"),
    ({"wasm": []}, "$.wasm", "exactly one module, got 0"),
    ({"wasm": [{"path": "a"}, {"path": "b"}]}, "$.wasm", "exactly one module, got 2"),
    ({"wasm": [{"url": "u"}]}, "$.wasm[0]", "'path'"),
    ({"wasm": [{"path": "a", "hash": "b"}]}, "$.wasm[0].hash", "not a known field"),
    ({"main": "a.wasm", "wasm": "b.wasm"}, "$.main", "keep $.wasm"),
    ({"main": 1}, "$.wasm", "expected a string"),
    ({"exports": "hello"}, "$.exports", "expected an array"),
    ({"exports": ["a", "a"]}, "$.exports[1]", "every export once"),
    ({"exports": [{"inputs": []}]}, "$.exports[0]", "with its name"),
    ({"exports": [{"name": "a", "input": []}]}, "$.exports[0].input", "did you mean 'inputs'?"),
    ({"exports": [{"name": "a", "inputs": {}}]}, "$.exports[0].inputs", "expected an array"),
    ({"exports": [{"name": "a", "inputs": [{"type": "string"}]}]}, "$.exports[0].inputs[0]", "with a name"),
    (
        {"exports": [{"name": "a", "inputs": [{"name": "b", "type": "strng"}]}]},
        "$.exports[0].inputs[0].type",
        "did you mean 'string'?",
    ),
    (
        {"exports": [{"name": "a", "inputs": [{"name": "b", "optional": "yes"}]}]},
        "$.exports[0].inputs[0].optional",
        "true or false",
    ),
    (
        {"exports": [{"name": "a", "inputs": [{"name": "b"}, {"name": "b"}]}]},
        "$.exports[0].inputs[1]",
        "every name once",
    ),
    ({"exports": [{"name": "a", "outputs": []}], "tools": {"a": {"title": "A"}}}, "$.exports", "keep $.tools.a"),
    ({"exports": [{"name": "a", "outputs": {}}]}, "$.exports[0].outputs", "expected an array"),
    ({"exports": [{"name": "a", "outputs": ["string"]}]}, "$.exports[0].outputs[0]", "with a type"),
    ({"exports": [{"name": "a", "outputs": [{"typ": "string"}]}]}, "$.exports[0].outputs[0].typ", "'type'?"),
    ({"exports": [{"name": "a", "outputs": [{"type": 7}]}]}, "$.exports[0].outputs[0].type", "such as 'string'"),
    ({"runtime": {"timeout": "5s"}, "limits": []}, "$.limits", "expected an object"),
    ({"author": {"name": "a", "email": 1}}, "$.author.email", "expected a string"),
    ({"runtime": {"memory": 1}}, "$.runtime.memory", "did you mean 'memory_limit'?"),
    ({"runtime": []}, "$.runtime", "expected an object"),
    ({"runtime": {"timeout": "5s"}, "limits": {"timeout": "6s"}}, "$.runtime.timeout", "keep $.limits.timeout"),
    ({"allowedHosts": {"a": 1}}, "$.allowedHosts", "expected an array"),
    ({"allowedPaths": [1]}, "$.allowedPaths[0]", "expected a string"),
    ({"tags": "a"}, "$.tags", "expected an array"),
    ({"author": {"email": "x"}}, "$.author", "'name'"),
    ({"repository": {"type": "git"}}, "$.repository", "'url'"),
    ({"language": "rust", "build": {"language": "go"}}, "$.language", "keep $.build.language"),
    ({"schema": "https://example.com"}, "$.schema", "$schema"),
    ({"mastra": {"parameters": "x"}, "tools": {"a": {}}}, "$.mastra.parameters", "expected an array"),
    ({"mastra": []}, "$.mastra", "expected an object"),
    ({"description": "\ud800"}, "$.description", "surrogate"),
    ({"mastra": {"\ud800": 1}}, "$.mastra", "surrogate"),
    ({"mastra": {"n": float("inf")}}, "$.mastra.n", "out of range"),
]


@pytest.mark.parametrize(("written", "path", "said"), REFUSALS)
def test_a_wrong_manifest_is_refused_with_path_and_advice(written: JsonObject, path: str, said: str) -> None:
    error = refusal({**BASE, **written})
    assert (error.code, error.data["path"]) == ("invalid_manifest", path)
    assert {"expected", "got"} <= set(error.data) or "surrogate" in said or "range" in said
    assert path in error.message
    assert said in error.message
    json.dumps(error.data).encode()


def test_a_missing_name_is_named() -> None:
    error = refusal({"version": "1.0.0"})
    assert error.message == "plugin.json: $.name is missing: the field is required"


def test_several_errors_are_told_at_once_and_the_rest_is_counted() -> None:
    error = refusal({**BASE, **{f"unknown{number}": 1 for number in range(7)}})
    assert error.message.endswith("(and 2 more)")
    assert len(error.data["errors"]) == 5


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"name": NaN}', b'{"name":"a","name":"b"}', b"\xff", b"[" * 500])
def test_bytes_that_are_no_json_object_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_manifest_bytes(raw)


def test_nesting_without_end_is_refused() -> None:
    deep: JsonValue = {}
    for _ in range(5_000):
        deep = {"a": deep}
    assert "nested deeper" in refusal({**BASE, "mastra": {"x": deep}}).message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from([*CANONICAL, *ALSO_READ])
likely = st.sampled_from(
    list(CANONICAL.values())
    + [value for written, _, _ in FORMS for value in written.values()]
    + [value for written, _, _ in REFUSALS for value in written.values()]
)


@settings(max_examples=150)
@given(st.dictionaries(field_names | st.text(max_size=6), likely | json_values, max_size=6))
def test_any_json_object_is_either_read_or_refused_as_invalid_input(document: JsonObject) -> None:
    try:
        manifest, _ = parse_manifest({**BASE, **document})
    except InvalidInput as error:
        error.message.encode()
        json.dumps(error.data, allow_nan=False).encode()
    else:
        assert parse_manifest(dumped(manifest)) == (manifest, ())


CEILING = Limits(memory_bytes=2**20, timeout_ms=1_000, fuel=500, input_bytes=100, output_bytes=100)
DEFAULTS = Limits(memory_bytes=2**19, timeout_ms=500, input_bytes=50, output_bytes=50)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, DEFAULTS.model_copy(update={"fuel": 500})),
        (
            {"memory": "128KiB", "timeout": "20ms", "output": 1, "input": "60B", "fuel": 3},
            Limits(memory_bytes=2**17, timeout_ms=20, output_bytes=1, input_bytes=60, fuel=3),
        ),
        ({"memory": "900GB", "timeout": "90m", "output": "1GB", "input": "1GB", "fuel": 9_999}, CEILING),
    ],
)
def test_limits_are_what_is_asked_for_up_to_the_ceiling(written: JsonObject, expected: Limits) -> None:
    manifest, _ = parse_manifest({**BASE, "limits": written})
    assert resolve_limits(manifest.limits, DEFAULTS, CEILING) == expected


def test_a_default_beyond_the_ceiling_is_lowered_too() -> None:
    assert resolve_limits(parse_manifest(BASE)[0].limits, CEILING, DEFAULTS) == DEFAULTS.model_copy(
        update={"fuel": 500}
    )


def test_a_limit_that_is_too_small_names_its_field() -> None:
    manifest = Manifest.model_validate({**BASE, "limits": {"timeout": 5}})
    with pytest.raises(InvalidInput, match=r"\$\.limits\.timeout.*20ms") as caught:
        resolve_limits(manifest.limits, DEFAULTS, CEILING)
    assert caught.value.data["path"] == "$.limits.timeout"
