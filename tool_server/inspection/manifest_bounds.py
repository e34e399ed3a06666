"""How much a manifest may hold, counted before anything else looks at it.

Rewriting, checking and wording take time for every value, field and error, and the C code in them holds the interpreter
as long: a megabyte of fields that no manifest has kept all other callers of a server waiting for a third of a second.
Counting takes a few milliseconds, whatever there is to count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import json_path, shown
from tool_server.inspection.manifest_errors import known_fields
from tool_server.model.icon import MAX_ICONS
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.manifest import MAX_DEPENDENCIES, MAX_EXAMPLES, MAX_KEYWORDS, MAX_TOOLS
from tool_server.model.manifest_items import MAX_ITEMS as MAX_OFFERED
from tool_server.model.permission import MAX_ITEMS
from tool_server.model.prompt import MAX_ARGUMENTS

MAX_TEXT = 4 * 2**20
"""Bytes of JSON. The REST API takes less of a manifest."""

MAX_VALUES = 100_000
"""Values at every depth, schemas and all. A thousand tools of a hundred values each are within it."""

MAX_CONTAINERS = 50_000
"""How many of the values may be objects and arrays, which cost several times as much to make and to free."""

MAX_UNKNOWN = 200
"""Fields that no manifest has, in the whole file: each of them is an error, which takes time to find and to word."""

MAX_PARAMETERS = 1_000
"""Of one export, or in one field of `mastra`."""

MAX_RANGES = 32 * 1024
"""Characters of all version ranges together: reading them takes microseconds for each."""

_ENTRIES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "tools": (MAX_TOOLS, "tools"),
        "prompts": (MAX_OFFERED, "prompts"),
        "resources": (MAX_OFFERED, "resources"),
        "resourceTemplates": (MAX_OFFERED, "resource templates"),
        "exports": (MAX_TOOLS, "exports"),
        "dependencies": (MAX_DEPENDENCIES, "dependencies"),
        "keywords": (MAX_KEYWORDS, "keywords"),
        "tags": (MAX_KEYWORDS, "tags"),
        "allowedHosts": (MAX_ITEMS, "hosts"),
        "allowedPaths": (MAX_ITEMS, "folders"),
        "allowedEnv": (MAX_ITEMS, "names"),
    }
)

_Path = tuple[str | int, ...]


class Bounds:
    """The bounds, and how their errors name what is out of them.

    Args:
        code: of the errors.
        what: the document, such as `plugin.json`.
    """

    def __init__(self, code: str, what: str) -> None:
        self._code = code
        self._what = what

    def require_text(self, raw: bytes) -> None:
        """Do nothing where the JSON text `raw` holds no more than it may; what is no JSON may pass, too.

        Asked before parsing, since making and freeing very many values holds the interpreter already.

        Raises:
            InvalidInput: with the code of these bounds.
        """
        if len(raw) > MAX_TEXT:
            self._refuse((), f"at most {MAX_TEXT} bytes", f"{len(raw)}")
        containers = raw.count(b"[") + raw.count(b"{")
        if containers > MAX_CONTAINERS or raw.count(b",") + containers > MAX_VALUES:
            self._require_count(*count_in_text(raw))

    def require(self, document: JsonObject) -> None:
        """Do nothing where a manifest in any form is small enough to be looked at closely.

        Raises:
            InvalidInput: with the code of these bounds; it names what there is too much of.
        """
        self._require_values(document)
        for path, value, most, what in _collections(document):
            if isinstance(value, dict | list) and len(value) > most:
                self._refuse(path, f"at most {most} {what}", shown(value))
        unknown = 0
        for path, fields in _objects(document):
            unknown += len(fields.keys() - known_fields((*path, "")))
            if unknown > MAX_UNKNOWN:
                self._refuse(path, f"at most {MAX_UNKNOWN} fields in all that are not known", shown(fields))
        ranges = sum(len(text) for _, text in _members(document.get("dependencies")) if isinstance(text, str))
        if ranges > MAX_RANGES:
            self._refuse(("dependencies",), f"at most {MAX_RANGES} characters of version ranges", f"{ranges}")

    def _require_values(self, document: JsonObject) -> None:
        values = containers = 0
        level: list[JsonObject | list[JsonValue]] = [document]
        while level:
            values += sum(map(len, level))
            containers += len(level)
            self._require_count(values, containers)
            level = [
                value
                for container in level
                for value in (container.values() if isinstance(container, dict) else container)
                if isinstance(value, dict | list)
            ]

    def _require_count(self, values: int, containers: int) -> None:
        if values > MAX_VALUES:
            self._refuse((), f"at most {MAX_VALUES} values", f"{values}")
        if containers > MAX_CONTAINERS:
            self._refuse((), f"at most {MAX_CONTAINERS} objects and arrays", f"{containers}")

    def _refuse(self, path: _Path, expected: str, got: str) -> NoReturn:
        place = json_path(path)
        raise InvalidInput(
            self._code,
            f"{self._what}: {place}: expected {expected}, got {got}",
            {"path": place, "expected": expected, "got": got},
        )


MANIFEST_BOUNDS = Bounds("invalid_manifest", "plugin.json")


def count_in_text(raw: bytes) -> tuple[int, int]:
    """How many values a JSON text holds at every depth, and how many objects and arrays, itself among them."""
    # What stands in strings separates nothing: without escapes, every second part between quotes is outside of them.
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b'"'.join(plain.split(b'"')[::2]).translate(None, b" \t\r\n")
    containers = outside.count(b"[") + outside.count(b"{")
    empty = outside.count(b"[]") + outside.count(b"{}")
    return outside.count(b",") + containers - empty, containers


def _collections(document: JsonObject) -> Iterator[tuple[_Path, JsonValue, int, str]]:
    """Every list, and every object by names of the author's, with how many entries it may have and what they are."""
    for field, (most, what) in _ENTRIES.items():
        yield (field,), document.get(field), most, what
    for kind, items in _members(document.get("permissions")):
        yield ("permissions", kind), items, MAX_ITEMS, "permissions of a kind"
    for field, value in _members(document.get("mastra")):
        yield ("mastra", field), value, MAX_PARAMETERS, "entries"
    exports = document.get("exports")
    for index, export in enumerate(exports if isinstance(exports, list) else ()):
        for field, value in _members(export):
            yield ("exports", index, field), value, MAX_PARAMETERS, "entries"
    for name, tool in _members(document.get("tools")):
        if isinstance(tool, dict):
            yield ("tools", name, "examples"), tool.get("examples"), MAX_EXAMPLES, "examples"
            yield ("tools", name, "icons"), tool.get("icons"), MAX_ICONS, "icons"
    for path, item in _items(document):
        yield (*path, "arguments"), item.get("arguments"), MAX_ARGUMENTS, "arguments"
        yield (*path, "icons"), item.get("icons"), MAX_ICONS, "icons"


def _objects(document: JsonObject) -> Iterator[tuple[_Path, JsonObject]]:
    """Every object of which a manifest knows the fields."""
    yield (), document
    for field in ("permissions", "limits", "build"):
        value = document.get(field)
        if isinstance(value, dict):
            yield (field,), value
    for name, tool in _members(document.get("tools")):
        if isinstance(tool, dict):
            yield ("tools", name), tool
            yield from _objects_inside(("tools", name), tool)
    for path, item in _items(document):
        yield path, item
        yield from _objects_inside(path, item)


def _objects_inside(path: _Path, item: JsonObject) -> Iterator[tuple[_Path, JsonObject]]:
    annotations = item.get("annotations")
    if isinstance(annotations, dict):
        yield (*path, "annotations"), annotations
    for field in ("examples", "arguments", "icons"):
        entries = item.get(field)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield (*path, field, index), entry


def _items(document: JsonObject) -> Iterator[tuple[_Path, JsonObject]]:
    """Every prompt, resource and template."""
    for name, prompt in _members(document.get("prompts")):
        if isinstance(prompt, dict):
            yield ("prompts", name), prompt
    for field in ("resources", "resourceTemplates"):
        entries = document.get(field)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield (field, index), entry


def _members(value: JsonValue) -> Sequence[tuple[str, JsonValue]]:
    return tuple(value.items()) if isinstance(value, dict) else ()
