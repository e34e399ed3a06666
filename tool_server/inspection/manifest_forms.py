"""Reading plugin.json in every form that is in use, as one canonical `Manifest`.

Each rewritten form leaves a note that says which form was meant, so that an author learns the canonical one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from tool_server.errors import InvalidInput
from tool_server.inspection.file_references import is_file_reference
from tool_server.inspection.json_paths import check_plain, json_path
from tool_server.inspection.manifest_bounds import MANIFEST_BOUNDS
from tool_server.inspection.manifest_errors import refuse, refuse_unknown, validate_manifest
from tool_server.inspection.manifest_exports import tools_from_exports
from tool_server.inspection.manifest_limits import asked_limits, resolve_limits
from tool_server.inspection.manifest_mastra import apply_mastra
from tool_server.model.json_value import JsonObject, JsonValue, parse_json
from tool_server.model.manifest import Manifest
from tool_server.model.tool import Finding, Severity

__all__ = ["parse_manifest", "parse_manifest_bytes", "resolve_limits"]

FORM_RULE = "manifest-form"
"""The rule of every note about a rewritten form."""


def parse_manifest_bytes(raw: bytes) -> tuple[Manifest, tuple[Finding, ...]]:
    """`parse_manifest` of strict JSON.

    Raises:
        InvalidInput: `invalid_json`, or what `parse_manifest` raises.
    """
    MANIFEST_BOUNDS.require_text(raw)
    document = parse_json(raw, what="plugin.json")
    if not isinstance(document, dict):
        refuse([], "an object", document)
    MANIFEST_BOUNDS.require(document)
    return _read(document)


def parse_manifest(document: JsonObject) -> tuple[Manifest, tuple[Finding, ...]]:
    """The canonical manifest, and a note for every other form that was rewritten.

    References to files must be inlined already (`manifest_files.load_plugin_folder` does). A null counts as an absent
    field, so that a manifest written by a program reads back.

    Raises:
        InvalidInput: `invalid_manifest`; `data` holds `path`, `expected` and `got`.
    """
    MANIFEST_BOUNDS.require(document)
    # Strict parsing leaves nothing to be found by this, but not every document comes from there.
    check_plain(document, code="invalid_manifest", what="plugin.json")
    return _read(document)


def _read(document: JsonObject) -> tuple[Manifest, tuple[Finding, ...]]:
    forms = _Forms({field: value for field, value in document.items() if value is not None})
    for rewrite in (forms.wasm, forms.exports, forms.mastra, forms.schema, forms.limits, forms.permissions):
        rewrite()
    for rewrite in (forms.people, forms.keywords, forms.language):
        rewrite()
    manifest = validate_manifest(forms.document)
    asked_limits(manifest.limits)
    _refuse_unreadable_permissions(manifest)
    _refuse_file_references(manifest)
    return manifest, tuple(forms.notes)


class _Forms:
    """One document on its way to the canonical form; each method rewrites one group of fields."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document
        self.notes: list[Finding] = []

    def note(self, path: Sequence[str | int], message: str) -> None:
        self.notes.append(
            Finding(severity=Severity.NOTE, rule=FORM_RULE, message=f"plugin.json: {message}", path=json_path(path))
        )

    def move(self, old: str, new: str, value: JsonValue) -> None:
        """Put `value` under `new`, where nothing else may stand."""
        if new in self.document and self.document[new] != value:
            _refuse_both([old], [new])
        self.document[new] = value

    def wasm(self) -> None:
        modules = self.document.get("wasm")
        if isinstance(modules, list):
            self.document["wasm"] = _only_module(modules)
            self.note(["wasm"], f'the list of modules was read as "wasm": "{self.document["wasm"]}"')
        if "main" in self.document:
            main = self.document.pop("main")
            self.move("main", "wasm", main)
            self.note(["main"], '"main" was read as "wasm"')

    def exports(self) -> None:
        if "exports" not in self.document:
            return
        exported = tools_from_exports(self.document.pop("exports"))
        tools = self.document.setdefault("tools", {})
        if not isinstance(tools, dict):
            return
        for name, tool in exported.items():
            if name in tools and tool and tools[name] != tool:
                _refuse_both(["exports"], ["tools", name])
        self.document["tools"] = {**exported, **tools}
        self.note(["exports"], '"exports" was read as "tools"')

    def mastra(self) -> None:
        mastra, tools = self.document.get("mastra"), self.document.get("tools")
        if isinstance(mastra, dict) and isinstance(tools, dict) and tools:
            changed, uses = apply_mastra(tools, mastra)
            self.document["tools"] = changed
            for field, use in uses:
                self.note(["mastra", field], f'"mastra.{field}" was read as {use}')

    def schema(self) -> None:
        if "schema" in self.document:
            schema = self.document.pop("schema")
            if not isinstance(schema, dict):
                refuse(["schema"], 'an XTP schema (the manifest\'s own JSON Schema goes under "$schema")', schema)
            self.move("schema", "xtp", schema)
            self.note(["schema"], '"schema" was read as "xtp", an XTP schema')

    def limits(self) -> None:
        for field, names in (
            ("runtime", {"memory_limit": "memory", "timeout": "timeout"}),
            ("resourceLimits", {"memory": "memory", "cpuTime": "timeout"}),
        ):
            if field not in self.document:
                continue
            group = self.document.pop(field)
            if not isinstance(group, dict):
                refuse([field], f"an object with {' and '.join(names)}", group)
            for name, value in group.items():
                if name not in names:
                    refuse_unknown([field, name], names)
                self._limit([field, name], names[name], value)

    def _limit(self, path: Sequence[str | int], name: str, value: JsonValue) -> None:
        limits = self.document.get("limits", {})
        if not isinstance(limits, dict) or value is None:
            return
        if limits.get(name, value) != value:
            _refuse_both(path, ["limits", name])
        self.document["limits"] = {**limits, name: value}
        unit = "" if isinstance(value, str) else " in bytes" if name == "memory" else " in milliseconds"
        self.note(path, f'"{".".join(map(str, path))}" was read as "limits.{name}"{unit}')

    def permissions(self) -> None:
        for field, kind, expected in (
            ("allowedHosts", "network", "an array of host names"),
            ("allowedPaths", "filesystem", "an array such as ['/data:read']"),
            ("allowedEnv", "environment", "an array of names"),
        ):
            if field not in self.document:
                continue
            values = self._strings(field, expected)
            permissions = self.document.get("permissions", {})
            own = permissions.get(kind, []) if isinstance(permissions, dict) else None
            if isinstance(permissions, dict) and isinstance(own, list):
                merged = [*own, *(value for value in values if value not in own)]
                self.document["permissions"] = {**permissions, kind: merged}
            self.note([field], f'"{field}" was read as "permissions.{kind}"')

    def people(self) -> None:
        author = self.document.get("author")
        if isinstance(author, dict):
            name, email, url = (_text(author, field, ["author"]) for field in ("name", "email", "url"))
            written = [name, f"<{email}>" if email else "", f"({url})" if url else ""]
            self.document["author"] = " ".join(part for part in written if part)
            self.note(["author"], f'the object was read as "author": "{self.document["author"]}"')
        for field, member in (("repository", "url"), ("license", "type")):
            value = self.document.get(field)
            if isinstance(value, dict):
                if not isinstance(value.get(member), str):
                    refuse([field], f"a string, or an object with {member!r}", value)
                self.document[field] = value[member]
                self.note([field, member], f'"{field}.{member}" was read as "{field}"')

    def keywords(self) -> None:
        if "tags" in self.document:
            tags = self._strings("tags", "an array of strings")
            keywords = self.document.get("keywords", [])
            if isinstance(keywords, list):
                self.document["keywords"] = [*keywords, *(tag for tag in tags if tag not in keywords)]
            self.note(["tags"], '"tags" was read as "keywords"')

    def language(self) -> None:
        if "language" not in self.document:
            return
        language = self.document.pop("language")
        build = self.document.setdefault("build", {})
        if isinstance(build, dict):
            if build.get("language", language) != language:
                _refuse_both(["language"], ["build", "language"])
            self.document["build"] = {**build, "language": language}
        self.note(["language"], '"language" was read as "build.language"')

    def _strings(self, field: str, expected: str) -> list[JsonValue]:
        values = self.document.pop(field)
        if not isinstance(values, list):
            refuse([field], expected, values)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                refuse([field, index], "a string", value)
        return values


def _only_module(modules: list[JsonValue]) -> JsonValue:
    if len(modules) != 1:
        raise InvalidInput(
            "invalid_manifest",
            f"plugin.json: $.wasm: expected exactly one module, got {len(modules)}: link the modules into one before "
            'publishing, and write "wasm": "plugin.wasm"',
            {"path": "$.wasm", "expected": "one module", "got": f"an array of {len(modules)} entries"},
        )
    module = modules[0]
    if not isinstance(module, dict) or not isinstance(module.get("path"), str):
        refuse(["wasm", 0], "an object with the module's 'path'", module)
    for field in module:
        if field not in ("path", "name"):
            refuse_unknown(["wasm", 0, field], ("path", "name"))
    return module["path"]


def _text(value: JsonObject, field: str, path: Sequence[str | int]) -> str:
    text = value.get(field)
    if text is not None and not isinstance(text, str):
        refuse([*path, field], "a string", text)
    if field == "name" and not text:
        refuse(path, "a string, or an object with 'name'", value)
    return text or ""


def _refuse_both(old: Sequence[str | int], new: Sequence[str | int]) -> NoReturn:
    first, second = json_path(old), json_path(new)
    raise InvalidInput(
        "invalid_manifest",
        f"plugin.json: {first} and {second} say different things: keep {second} and remove {first}",
        {"path": first, "expected": f"only {second}", "got": "both"},
    )


def _refuse_unreadable_permissions(manifest: Manifest) -> None:
    try:
        manifest.permissions.check_requested()
    except InvalidInput as error:
        place = json_path(["permissions", *(error.data[key] for key in ("kind", "index") if key in error.data)])
        raise InvalidInput(
            "invalid_manifest",
            f"plugin.json: {place}: {error.message}",
            {"path": place, "expected": error.code.removeprefix("invalid_"), "got": error.data.get("item")},
        ) from error


def _refuse_file_references(manifest: Manifest) -> None:
    places: list[tuple[Sequence[str | int], JsonValue]] = [(["xtp"], manifest.xtp)]
    for name, tool in (manifest.tools or {}).items():
        places += [(["tools", name, "input"], tool.input), (["tools", name, "output"], tool.output)]
    for path, schema in places:
        if isinstance(schema, dict) and is_file_reference(schema):
            refuse(path, "the schema itself: a reference to a file means nothing outside the folder", schema["$ref"])
