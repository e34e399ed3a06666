"""Reading a plugin from disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.inspection.conformity import conforms
from tool_server.errors import InvalidInput
from tool_server.inspection import file_references
from tool_server.inspection.manifest_bounds import MAX_TEXT
from tool_server.inspection.manifest_files import LOCAL_VERSION, PluginSource, load_plugin_folder
from tool_server.model.json_value import JsonObject, JsonValue

WASM = b"\0asm\1\0\0\0"


def folder_of(root: Path, manifest: JsonObject, files: dict[str, JsonValue] | None = None) -> Path:
    """A plugin's folder under `root`, with a module."""
    folder = root / "plugin"
    folder.mkdir()
    (folder / "plugin.wasm").write_bytes(WASM)
    for name, content in {"plugin.json": {"name": "a", "version": "1.0.0", **manifest}, **(files or {})}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


def load(path: Path) -> PluginSource:
    return load_plugin_folder(path, max_wasm_bytes=64)


def with_input(schema: JsonValue) -> JsonObject:
    return {"tools": {"t": {"input": schema}}}


def input_of(source: PluginSource) -> JsonObject:
    assert source.manifest.tools is not None
    schema = source.manifest.tools["t"].input
    assert schema is not None
    return schema


@pytest.mark.parametrize("name", ["", "plugin.json"])
def test_a_plugin_is_read_by_its_folder_and_by_its_manifest(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path, {})
    source = load(folder / name)
    assert (source.manifest.name, source.wasm, source.findings, source.folder) == ("a", WASM, (), folder)


def test_the_module_may_lie_in_a_folder_below(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"main": "build/x.wasm"}, {"build/x.json": 1})
    (folder / "build/x.wasm").write_bytes(b"other")
    source = load(folder)
    assert source.wasm == b"other"
    assert [finding.path for finding in source.findings] == ["$.main"]


@pytest.mark.parametrize(
    ("file", "name"),
    [("text-tools.wasm", "text-tools"), ("My Tool_2.wasm", "my-tool-2"), ("7.wasm", "plugin-7"), ("ß.wasm", "plugin")],
)
def test_a_bare_module_gets_a_manifest_of_its_file_name(tmp_path: Path, file: str, name: str) -> None:
    path = folder_of(tmp_path, {}) / file
    path.write_bytes(WASM)
    source = load(path)
    assert (source.manifest.name, source.manifest.version, source.manifest.tools) == (name, LOCAL_VERSION, None)
    assert [finding.rule for finding in source.findings] == ["derived-manifest"]


STRING: JsonObject = {"type": "string"}
POINT: JsonObject = {"type": "object", "properties": {"x": {"type": "number"}}}
LIST: JsonObject = {"$id": "urn:x", "type": "object", "properties": {"next": {"$ref": "#"}, "p": {"$ref": "#/$defs/P"}}}
LIST_FILE: JsonObject = {**LIST, "$defs": {"P": POINT}}

INLINED: list[tuple[JsonValue, dict[str, JsonValue], JsonValue]] = [
    ({"$ref": "./x.json"}, {"x.json": POINT}, POINT),
    ({"$ref": "x.json", "description": "d"}, {"x.json": POINT}, {**POINT, "description": "d"}),
    ({"$ref": "./x.json"}, {"x.json": LIST_FILE}, LIST_FILE),
    ({"$ref": "./x.json#/$defs/P"}, {"x.json": LIST_FILE}, POINT),
    ({"$ref": "./x%20y.json#/a~1b/1"}, {"x y.json": {"a/b": [0, POINT]}}, POINT),
    (
        {"type": "object", "properties": {"a": {"$ref": "./x.json", "title": "A"}}},
        {"x.json": POINT},
        {"type": "object", "properties": {"a": {**POINT, "title": "A"}}},
    ),
    (
        {"type": "object", "properties": {"a": {"$ref": "./x.json", "properties": {}}}},
        {"x.json": POINT},
        {"type": "object", "properties": {"a": {"allOf": [POINT], "properties": {}}}},
    ),
    (
        {"properties": {"a": {"$ref": "./sub/y.json"}}},
        {"sub/y.json": {"items": {"$ref": "z.json"}}, "sub/z.json": STRING},
        {"properties": {"a": {"items": STRING}}},
    ),
    (
        {"properties": {"a": {"$ref": "./x.json"}, "b": {"$ref": "x.json#/$defs/P"}}, "$defs": {"x": STRING}},
        {"x.json": LIST_FILE},
        {
            "properties": {"a": {"$ref": "#/$defs/x_2"}, "b": POINT},
            "$defs": {
                "x": STRING,
                "x_2": {
                    "type": "object",
                    "properties": {"next": {"$ref": "#/$defs/x_2"}, "p": {"$ref": "#/$defs/x_2/$defs/P"}},
                    "$defs": {"P": POINT},
                },
            },
        },
    ),
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, {}, {"properties": {"a": {"$ref": "#/$defs/b"}}}),
    (
        {"properties": {"$ref": {"const": {"$ref": "./no.json"}}}},
        {},
        {"properties": {"$ref": {"const": {"$ref": "./no.json"}}}},
    ),
    ({"properties": {"a": {"$ref": "./t.json"}}}, {"t.json": True}, {"properties": {"a": {"allOf": [True]}}}),
]


@pytest.mark.parametrize(("written", "files", "inlined"), INLINED)
def test_a_reference_to_a_file_is_replaced_by_its_content(
    tmp_path: Path, written: JsonValue, files: dict[str, JsonValue], inlined: JsonValue
) -> None:
    assert input_of(load(folder_of(tmp_path, with_input(written), files))) == inlined


def test_a_carried_file_keeps_its_meaning(tmp_path: Path) -> None:
    written: JsonObject = {"type": "object", "properties": {"a": {"$ref": "./x.json"}}}
    schema = input_of(load(folder_of(tmp_path, with_input(written), {"x.json": LIST_FILE})))
    assert conforms(schema, {"a": {"next": {"next": {"p": {"x": 1}}}}})
    assert not conforms(schema, {"a": {"next": {"next": {"p": {"x": "one"}}}}})


@pytest.mark.parametrize("field", ["xtp", "schema"])
def test_an_xtp_schema_is_taken_from_its_file_with_its_own_pointers(tmp_path: Path, field: str) -> None:
    xtp: JsonObject = {"version": "v1-draft", "exports": {"a": {"input": {"$ref": "#/components/schemas/A"}}}}
    source = load(folder_of(tmp_path, {field: {"$ref": "./s.json"}}, {"s.json": xtp}))
    assert source.manifest.xtp == xtp


REFUSED: list[tuple[JsonValue, dict[str, JsonValue], str, str]] = [
    ({"$ref": "https://example.com/x.json"}, {}, "invalid_reference", "never fetched"),
    ({"$ref": "//example.com/x.json"}, {}, "invalid_reference", "never fetched"),
    ({"$ref": "file:///etc/passwd"}, {}, "invalid_reference", "never fetched"),
    ({"$ref": "/etc/passwd"}, {}, "invalid_reference", "inside the plugin's folder"),
    ({"$ref": "../x.json"}, {}, "invalid_reference", "inside the plugin's folder"),
    ({"$ref": "a/%2e%2e/x.json"}, {}, "invalid_reference", "inside the plugin's folder"),
    ({"$ref": "..\\x.json"}, {}, "invalid_reference", "inside the plugin's folder"),
    ({"$ref": "./%00.json"}, {}, "unsafe_path", "inside the plugin's folder"),
    ({"$ref": "./no.json"}, {}, "missing_file", "'no.json'"),
    ({"$ref": "./x.yaml"}, {}, "invalid_reference", "convert it to JSON"),
    ({"$ref": "./x.json#name"}, {"x.json": {}}, "invalid_reference", "JSON Pointer"),
    ({"$ref": "./x.json#/no"}, {"x.json": {}}, "invalid_reference", "there is no 'no'"),
    ({"$ref": "./x.json"}, {"x.json": [1]}, "invalid_reference", "no schema"),
    ({"$ref": "./x.json"}, {"x.json": {"$ref": "x.json"}}, "invalid_reference", "x.json -> x.json"),
    (
        {"items": {"$ref": "./x.json"}},
        {"x.json": {"items": {"$ref": "y.json"}}, "y.json": {"items": {"$ref": "x.json"}}},
        "invalid_reference",
        "x.json -> y.json -> x.json",
    ),
    (
        {"$ref": "./0.json"},
        {f"{number}.json": {"items": {"$ref": f"{number + 1}.json"}} for number in range(20)},
        "invalid_reference",
        "more than 16 files",
    ),
    ({"$ref": "./sub"}, {"sub/x.json": 1}, "unreadable_file", "no regular file"),
]


@pytest.mark.parametrize(("written", "files", "code", "said"), REFUSED)
def test_a_reference_that_cannot_be_followed_is_refused(
    tmp_path: Path, written: JsonValue, files: dict[str, JsonValue], code: str, said: str
) -> None:
    folder = folder_of(tmp_path, with_input(written), files)
    with pytest.raises(InvalidInput) as caught:
        load(folder)
    assert caught.value.code == code
    assert said in caught.value.message


def test_files_that_multiply_when_inlined_are_stopped(tmp_path: Path) -> None:
    files: dict[str, JsonValue] = {
        f"{level}.json": {"properties": {str(copy): {"$ref": f"{level + 1}.json"} for copy in range(10)}}
        for level in range(9)
    }
    files["9.json"] = STRING
    with pytest.raises(InvalidInput, match=f"more than {file_references.MAX_INLINED}"):
        load(folder_of(tmp_path, with_input({"$ref": "./0.json"}), files))


def test_files_that_nest_too_deep_together_are_stopped(tmp_path: Path) -> None:
    def deep(leaf: JsonObject) -> JsonObject:
        for _ in range(90):
            leaf = {"items": leaf}
        return leaf

    files: dict[str, JsonValue] = {"x.json": deep({"$ref": "y.json"}), "y.json": deep(STRING)}
    with pytest.raises(InvalidInput, match="nested deeper"):
        load(folder_of(tmp_path, with_input({"$ref": "./x.json"}), files))


@pytest.mark.parametrize(
    ("wasm", "code", "said"),
    [
        ("no.wasm", "missing_file", "'no.wasm'"),
        ("no.wasm", "missing_file", "extism-registry build"),
        ("../plugin.wasm", "unsafe_path", "without '..'"),
        ("/etc/hostname", "unsafe_path", "inside the plugin's folder"),
        ("a\\b.wasm", "unsafe_path", "between its parts"),
        ("", "unsafe_path", "inside the plugin's folder"),
        (".", "unreadable_file", "no regular file"),
        ("big.wasm", "file_too_large", "64 bytes"),
        ("plugin.json/x.wasm", "unreadable_file", "cannot read"),
        ("outside.wasm", "unsafe_path", "link that leads out"),
        ("circle.wasm", "unsafe_path|unreadable_file", "circle.wasm"),
        ("pipe.wasm", "unreadable_file", "no regular file"),
    ],
)
def test_a_module_that_cannot_be_taken_is_refused(tmp_path: Path, wasm: str, code: str, said: str) -> None:
    folder = folder_of(tmp_path, {"wasm": wasm})
    (folder / "big.wasm").write_bytes(bytes(65))
    (tmp_path / "outside.wasm").write_bytes(WASM)
    (folder / "outside.wasm").symlink_to(tmp_path / "outside.wasm")
    (folder / "circle.wasm").symlink_to("circle.wasm")
    os.mkfifo(folder / "pipe.wasm")
    with pytest.raises(InvalidInput) as caught:
        load(folder)
    assert caught.value.code in code.split("|")
    assert said in caught.value.message


def test_a_module_of_the_greatest_size_is_taken(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {})
    (folder / "plugin.wasm").write_bytes(bytes(64))
    assert len(load(folder).wasm) == 64


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"wasm": "latest.wasm"})
    (folder / "latest.wasm").symlink_to("plugin.wasm")
    assert load(folder).wasm == WASM


def test_a_referenced_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, with_input({"$ref": "./x.json"}))
    (tmp_path / "secret.json").write_text("{}")
    (folder / "x.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InvalidInput, match="leads out"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "missing_file"),
        (b"[]", "invalid_manifest"),
        (b"{", "invalid_json"),
        (b" " * MAX_TEXT + b"{}", "file_too_large"),
        (b'{"name": [' + b"1," * 100_000 + b"1]}", "invalid_manifest"),
    ],
)
def test_a_manifest_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / "plugin.json").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path)
    assert caught.value.code == code


def test_tools_of_a_wrong_shape_are_left_to_validation(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\$\.tools\.t: expected an object"):
        load(folder_of(tmp_path, {"tools": {"t": ["x"]}}))
