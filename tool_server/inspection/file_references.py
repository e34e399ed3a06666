"""Inlining `{"$ref": "./x.json"}`, so that a schema stands on its own once it leaves its folder.

A referenced file is read as a document of its own: its `#/…` pointers mean itself. A part that has no such pointers
is copied in place; one that has is carried under the root's `$defs`, its pointers moved with it.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import check_plain
from tool_server.inspection.local_references import is_pointer, map_schemas, move_pointers, references, resolve_pointer
from tool_server.model.json_value import JsonObject, JsonValue

MAX_INLINED = 4 * 2**20
"""Characters of JSON that references may bring into one plugin."""

MAX_CHAIN = 16
"""Files that may refer to one another in a row."""

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_OUTSIDE_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"})


@dataclass(frozen=True, slots=True)
class _Document:
    value: JsonValue
    size: int


def is_file_reference(value: JsonValue) -> bool:
    """Whether `value` is an object whose `$ref` leads out of its document."""
    return isinstance(value, dict) and isinstance(value.get("$ref"), str) and not str(value["$ref"]).startswith("#")


class FileReferences:
    """Inlines references of one plugin's documents.

    Args:
        read: gives the parsed content of a file by its normal path, relative to the plugin's folder.
    """

    def __init__(self, read: Callable[[str], JsonValue]) -> None:
        self._read = read
        self._documents: dict[str, _Document] = {}
        self._left = MAX_INLINED

    def inline(self, schema: JsonObject, *, place: str) -> JsonObject:
        """`schema` without references to files.

        Args:
            place: how messages name where the schema stands, such as `plugin.json $.tools.greet.input`.

        Raises:
            InvalidInput: `invalid_reference` (remote, unsafe, cyclic, dangling, too much in all), or as `read` does.
        """
        return cast(JsonObject, self._expand(schema, place, "", ()))  # an object stays an object

    def document(self, reference: str, *, place: str) -> JsonValue:
        """What `reference` names, as it stands in its file.

        Raises:
            InvalidInput: as for `inline`.
        """
        path, pointer = _split(reference, place, "")
        return _target(self._read(path), pointer, reference, place)

    def _load(self, path: str, place: str, chain: tuple[str, ...]) -> _Document:
        if path in chain:
            circle = " -> ".join([*chain[chain.index(path) :], path])
            raise InvalidInput(
                "invalid_reference",
                f"{place}: files refer to one another in a circle ({circle}): keep what is recursive in one file and "
                "refer to it with '#/$defs/NAME'",
            )
        if len(chain) >= MAX_CHAIN:
            raise InvalidInput(
                "invalid_reference", f"{place}: more than {MAX_CHAIN} files refer to one another in a row"
            )
        if path not in self._documents:
            raw = self._read(path)
            value = self._expand(raw, path, posixpath.dirname(path), (*chain, path))
            self._documents[path] = _Document(value, len(json.dumps(value)))
        return self._documents[path]

    def _expand(self, value: JsonValue, place: str, folder: str, chain: tuple[str, ...]) -> JsonValue:
        outside = [reference for reference in references(value) if not reference.startswith("#")]
        for reference in outside:
            self._load(_split(reference, place, folder)[0], place, chain)
        if not outside:
            return value
        carried: dict[str, str] = {}
        own = value.get("$defs") if isinstance(value, dict) else None
        taken = set(own) if isinstance(own, dict) else set[str]()
        if isinstance(value, dict) and is_file_reference(value):
            value = self._as_root(value, place, folder)
        expanded = map_schemas(value, lambda subschema: self._replace(subschema, place, folder, carried, taken))
        if carried and isinstance(expanded, dict):
            definitions = expanded.get("$defs")
            added: JsonObject = {
                name: _without_identity(move_pointers(self._documents[path].value, f"/$defs/{name}"))
                for path, name in carried.items()
            }
            expanded["$defs"] = {**definitions, **added} if isinstance(definitions, dict) else added
        check_plain(expanded, code="invalid_reference", what=f"{place}, with its references")
        return expanded

    def _as_root(self, schema: JsonObject, place: str, folder: str) -> JsonObject:
        # A whole file that replaces the root keeps its own pointers: its root is the root now.
        reference = str(schema["$ref"])
        path, pointer = _split(reference, place, folder)
        document = self._documents[path].value
        siblings = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        if pointer or not isinstance(document, dict) or not set(siblings) <= _ANNOTATIONS:
            return schema
        self._spend(path, place)
        return {**document, **siblings}

    def _replace(
        self, schema: JsonObject, place: str, folder: str, carried: dict[str, str], taken: set[str]
    ) -> JsonObject:
        reference = schema.get("$ref")
        if not isinstance(reference, str) or reference.startswith("#"):
            return schema
        path, pointer = _split(reference, place, folder)
        target = _target(self._documents[path].value, pointer, reference, place)
        if not isinstance(target, dict | bool):
            raise InvalidInput("invalid_reference", f"{place} refers to {reference[:200]!r}, which holds no schema")
        siblings = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        if any(is_pointer(local) for local in references(target)):
            if path not in carried:
                self._spend(path, place)
                carried[path] = _free_name(path, taken)
            return {"$ref": f"#/$defs/{carried[path]}{pointer}", **siblings}
        self._spend(path, place)
        target = _without_identity(target)
        if isinstance(target, dict) and (not set(target) & set(siblings) or set(siblings) <= _ANNOTATIONS):
            return {**target, **siblings}
        return {"allOf": [target], **siblings}

    def _spend(self, path: str, place: str) -> None:
        self._left -= self._documents[path].size
        if self._left < 0:
            raise InvalidInput(
                "invalid_reference",
                f"{place}: the files referred to add up to more than {MAX_INLINED} characters: refer to shared parts "
                "within one file by '#/$defs/NAME'",
            )


def _split(reference: str, place: str, folder: str) -> tuple[str, str]:
    if _REMOTE.match(reference):
        raise InvalidInput(
            "invalid_reference",
            f"{place} refers to {reference[:200]!r}: schemas are never fetched, put the file into the plugin's folder "
            "and write './NAME.json'",
        )
    path, _, pointer = reference.partition("#")
    if pointer and not pointer.startswith("/"):
        raise InvalidInput(
            "invalid_reference",
            f"{place} refers to {reference[:200]!r}: after '#' write a JSON Pointer such as '/$defs/NAME'",
        )
    path = unquote(path)
    if path.startswith("/") or "\\" in path or ".." in path.split("/"):
        raise InvalidInput(
            "invalid_reference",
            f"{place} refers to {reference[:200]!r}: only files inside the plugin's folder can be referred to, "
            "as './NAME.json'",
        )
    return posixpath.normpath(posixpath.join(folder, path)), pointer


def _target(document: JsonValue, pointer: str, reference: str, place: str) -> JsonValue:
    try:
        return resolve_pointer(document, pointer)
    except InvalidInput as error:
        raise InvalidInput("invalid_reference", f"{place} refers to {reference[:200]!r}: {error.message}") from error


def _without_identity(schema: JsonValue) -> JsonValue:
    # `$id` would make the copy a resource of its own, whose pointers no longer start at the new root.
    if not isinstance(schema, dict):
        return schema
    return {keyword: value for keyword, value in schema.items() if keyword not in ("$id", "$schema")}


def _free_name(path: str, taken: set[str]) -> str:
    stem = _OUTSIDE_NAME.sub("_", posixpath.splitext(posixpath.basename(path))[0]) or "file"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    taken.add(name)
    return name
