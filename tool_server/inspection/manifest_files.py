"""Reading a plugin from disk: plugin.json, the files its schemas refer to, and the module.

Nothing outside the plugin's folder is ever read, whatever the manifest says.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from tool_server.errors import InvalidInput
from tool_server.inspection.file_references import FileReferences, is_file_reference
from tool_server.inspection.json_paths import json_path
from tool_server.inspection.manifest_bounds import MANIFEST_BOUNDS, MAX_TEXT
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.model.json_value import JsonObject, JsonValue, parse_json
from tool_server.model.manifest import Manifest
from tool_server.model.names import MAX_PLUGIN_NAME
from tool_server.model.tool import Finding, Severity

MANIFEST_NAME = "plugin.json"

LOCAL_VERSION = "0.0.0-local"
"""Version of a module without a plugin.json: a pre-release, so that no range ever prefers it."""

_OUTSIDE_PLUGIN_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class PluginSource:
    """A plugin as it stands on disk."""

    manifest: Manifest
    wasm: bytes
    findings: tuple[Finding, ...]
    folder: Path


def load_plugin_folder(path: Path, *, max_wasm_bytes: int) -> PluginSource:
    """Read the plugin at `path`: its folder, its plugin.json, or a bare `.wasm` file.

    A bare module gets a manifest of its file name (`My Tool.wasm` is `my-tool`) and the version `0.0.0-local`, even
    where a plugin.json stands beside it.

    Raises:
        InvalidInput: `missing_file`, `unsafe_path`, `unreadable_file`, `file_too_large`, `invalid_reference`,
            `invalid_json`, or what `parse_manifest` raises.
    """
    if path.suffix == ".wasm":
        return _bare_module(path, max_wasm_bytes)
    is_folder = os.path.isdir(path)
    folder = path if is_folder else path.parent
    file = path / MANIFEST_NAME if is_folder else path
    text = read_file(file, MAX_TEXT, file.name)
    MANIFEST_BOUNDS.require_text(text)
    document = parse_json(text, what=file.name)
    if not isinstance(document, dict):
        raise InvalidInput("invalid_manifest", f'{file.name}: expected an object, such as {{"name": …}}')
    manifest, findings = parse_manifest(inline_files(document, folder))
    wasm = _read_inside(
        folder, manifest.wasm, max_wasm_bytes, "$.wasm", "run 'extism-registry build' first, or correct \"wasm\""
    )
    return PluginSource(manifest, wasm, findings, folder)


def inline_files(document: JsonObject, folder: Path) -> JsonObject:
    """`document`, a plugin.json, with the files that its schemas refer to in place of the references.

    That is `tools.*.input`, `tools.*.output` (anywhere inside), and `xtp` or `schema` as a whole.

    Raises:
        InvalidInput: as for `load_plugin_folder`.
    """

    def read(name: str) -> JsonValue:
        if name.endswith((".yaml", ".yml")):
            raise InvalidInput("invalid_reference", f"{MANIFEST_NAME} refers to {name!r}: convert it to JSON")
        return parse_json(_read_inside(folder, name, MAX_TEXT, "a '$ref'", "correct the '$ref'"), what=name)

    files = FileReferences(read)
    result = dict(document)
    for field in ("xtp", "schema"):
        value = result.get(field)
        if isinstance(value, dict) and is_file_reference(value):
            result[field] = files.document(str(value["$ref"]), place=f"{MANIFEST_NAME} $.{field}")
    tools = result.get("tools")
    if isinstance(tools, dict):
        result["tools"] = {name: _inline_tool(name, tool, files) for name, tool in tools.items()}
    return result


def _inline_tool(name: str, tool: JsonValue, files: FileReferences) -> JsonValue:
    if not isinstance(tool, dict):
        return tool
    copy = dict(tool)
    for field in ("input", "output"):
        schema = copy.get(field)
        if isinstance(schema, dict):
            place = f"{MANIFEST_NAME} {json_path(['tools', name, field])}"
            copy[field] = files.inline(schema, place=place)
    return copy


def _bare_module(path: Path, max_wasm_bytes: int) -> PluginSource:
    stem = _OUTSIDE_PLUGIN_NAME.sub("-", path.stem.lower()).strip("-")
    name = (stem if stem[:1].isalpha() else f"plugin-{stem}".rstrip("-"))[:MAX_PLUGIN_NAME]
    wasm = read_file(path, max_wasm_bytes, str(path))
    note = Finding(
        severity=Severity.NOTE,
        rule="derived-manifest",
        message=f"{path.name} came without plugin.json: it is called '{name}', version {LOCAL_VERSION}",
    )
    return PluginSource(Manifest(name=name, version=LOCAL_VERSION, wasm=path.name), wasm, (note,), path.parent)


def check_inner_path(relative: str, field: str) -> None:
    """Do nothing where `relative`, the value of `field`, is a path inside the plugin's folder by its spelling.

    Raises:
        InvalidInput: `unsafe_path`.
    """
    parts = relative.split("/")
    if not relative or relative.startswith("/") or "\\" in relative or ".." in parts or not relative.isprintable():
        raise InvalidInput(
            "unsafe_path",
            f"{MANIFEST_NAME}: {field} names {relative[:200]!r}: write a path inside the plugin's folder, with '/' "
            "between its parts and without '..'",
            {"path": relative[:200]},
        )


def _read_inside(folder: Path, relative: str, limit: int, field: str, remedy: str) -> bytes:
    check_inner_path(relative, field)
    root, target = _resolved(folder, relative, field)
    if not target.is_relative_to(root):
        raise InvalidInput(
            "unsafe_path",
            f"{MANIFEST_NAME}: {field} names {relative[:200]!r}, a link that leads out of the plugin's folder: copy "
            "the file into the folder",
            {"path": relative[:200]},
        )
    return read_file(target, limit, relative, f"{field} names it: {remedy}")


def _resolved(folder: Path, relative: str, field: str) -> tuple[Path, Path]:
    try:
        root = folder.resolve()
        return root, (root / relative).resolve()
    except (OSError, RuntimeError) as error:  # a circle of links is a RuntimeError before Python 3.13
        raise InvalidInput(
            "unsafe_path", f"{MANIFEST_NAME}: {field} names {relative[:200]!r}, a link that leads nowhere"
        ) from error


def read_file(path: Path, limit: int, what: str, remedy: str = "check the path") -> bytes:
    """The bytes of a regular file.

    Args:
        path: where it is.
        limit: the most bytes that are read.
        what: how messages name it.
        remedy: what they say to do where it is not there.

    Raises:
        InvalidInput: `missing_file`, `unreadable_file`, `file_too_large`.
    """
    # Opened without blocking and looked at by descriptor, so that a pipe or a device cannot hold up the reader.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise InvalidInput(
            "missing_file", f"there is no file {what[:300]!r}; {remedy}", {"path": what[:300]}
        ) from error
    except OSError as error:
        raise InvalidInput("unreadable_file", f"cannot read {what[:300]!r}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInput("unreadable_file", f"{what[:300]!r} is no regular file; {remedy}", {"path": what[:300]})
    with open(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidInput(
            "file_too_large",
            f"{what[:300]!r} is larger than {limit} bytes, the most that is read",
            {"path": what[:300], "limit": limit},
        )
    return data
