"""A JSON Schema as a graph: its subschemas, and which of them apply to the same value or to a value inside it.

Keywords as in JSON Schema 2020-12, core sections 8 (identifiers, references) and 10 (applicators). Nothing is fetched:
a reference that leaves the document is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urljoin

from tool_server.model.json_value import JsonObject, JsonValue

Pointer = tuple[str, ...]
"""A JSON pointer, unescaped: the keys and indices from the root."""

EdgeKind = Literal["in_place", "property", "additional", "every_property", "prefix_item", "item", "every_item"]
"""What an edge applies to: the same value, one named member, the members that `properties` beside it does not name, any
member, the item of one index, the items behind those, any item."""

_SINGLE: dict[str, EdgeKind] = {
    "not": "in_place",
    "if": "in_place",
    "then": "in_place",
    "else": "in_place",
    "additionalProperties": "additional",
    "unevaluatedProperties": "every_property",
    "propertyNames": "every_property",
    "items": "item",
    "contains": "every_item",
    "unevaluatedItems": "every_item",
}
_LISTS: dict[str, EdgeKind] = {
    "allOf": "in_place",
    "anyOf": "in_place",
    "oneOf": "in_place",
    "prefixItems": "prefix_item",
}
_MAPS: dict[str, EdgeKind | None] = {
    "properties": "property",
    "patternProperties": "every_property",
    "dependentSchemas": "in_place",
    "dependencies": "in_place",
    "$defs": None,
    "definitions": None,
}
_SIMPLE_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


@dataclass(frozen=True, slots=True)
class Edge:
    """One application of a subschema. `label` is the property's name or the item's index, `keyword` what applies it."""

    kind: EdgeKind
    keyword: str
    label: str
    target: int


@dataclass(frozen=True, slots=True)
class Node:
    """One subschema. `base` is its base URI, empty where no `$id` gives one."""

    pointer: Pointer
    schema: JsonObject | bool
    base: str
    edges: list[Edge] = field(default_factory=list[Edge])


@dataclass(frozen=True, slots=True)
class ReferenceProblem:
    """A reference that leads nowhere inside the document; `remote` when it names another document."""

    pointer: Pointer
    reference: str
    remote: bool


@dataclass(frozen=True, slots=True)
class SchemaGraph:
    """All subschemas that the document holds or refers to. Node 0 is the root."""

    nodes: list[Node]
    problems: list[ReferenceProblem]


def subschemas(schema: JsonObject) -> Iterator[tuple[EdgeKind | None, str, str, JsonObject | bool]]:
    """Every direct subschema as (edge kind, keyword, key or index, subschema); the kind is None for definitions."""
    for keyword, value in schema.items():
        if keyword in _SINGLE:
            if isinstance(value, dict | bool):
                yield _SINGLE[keyword], keyword, "", value
        elif keyword in _LISTS and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict | bool):
                    yield _LISTS[keyword], keyword, str(index), item
        elif keyword in _MAPS and isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, dict | bool):
                    yield _MAPS[keyword], keyword, key, item


def json_path(pointer: Pointer, root: str = "$") -> str:
    """A pointer as a JSON path, such as `$.properties.a.items`; unusual keys in brackets."""
    parts = [root]
    for key in pointer:
        if key.isascii() and key.isdigit():
            parts.append(f"[{key}]")
        elif _SIMPLE_KEY.fullmatch(key):
            parts.append(f".{key}")
        else:
            parts.append(f"[{key!r}]")
    return "".join(parts)


def build_graph(schema: JsonObject) -> SchemaGraph:
    """The graph of a schema document. Never raises, whatever JSON the document holds."""
    return _Builder(schema).build()


_Pending = tuple[Pointer, JsonObject | bool, str, Node | None, EdgeKind | None]


class _Builder:
    def __init__(self, schema: JsonObject) -> None:
        self._root = schema
        self._nodes: list[Node] = []
        self._index: dict[Pointer, int] = {}
        self._documents: dict[str, Pointer] = {"": ()}
        self._anchors: dict[tuple[str, str], Pointer] = {}
        self._dynamic_anchors: dict[str, list[Pointer]] = {}
        self._problems: list[ReferenceProblem] = []

    def build(self) -> SchemaGraph:
        self._add((), self._root, "")
        at = 0
        # References may reach places that no keyword leads to, so the list grows while it is walked.
        while at < len(self._nodes):
            self._follow_references(self._nodes[at])
            at += 1
        return SchemaGraph(self._nodes, self._problems)

    def _add(self, pointer: Pointer, schema: JsonObject | bool, base: str) -> int:
        if pointer in self._index:
            return self._index[pointer]
        first = len(self._nodes)
        pending: list[_Pending] = [(pointer, schema, base, None, None)]
        while pending:
            here, value, outer, parent, kind = pending.pop()
            number = self._index.get(here)
            if number is None:
                number = self._new_node(here, value, outer)
                if isinstance(value, dict):
                    node = self._nodes[number]
                    for edge_kind, keyword, key, item in reversed(list(subschemas(value))):
                        steps = (keyword, key) if keyword not in _SINGLE else (keyword,)
                        pending.append(((*here, *steps), item, node.base, node, edge_kind))
            if parent is not None and kind is not None:
                keyword, label = here[len(parent.pointer)], here[-1]
                parent.edges.append(Edge(kind, keyword, label, number))
        return first

    def _new_node(self, pointer: Pointer, schema: JsonObject | bool, outer: str) -> int:
        base = outer
        if isinstance(schema, dict):
            identifier = schema.get("$id")
            if isinstance(identifier, str):
                base = _join(outer, identifier.removesuffix("#"))
                self._documents.setdefault(base, pointer)
            for keyword in ("$anchor", "$dynamicAnchor"):
                anchor = schema.get(keyword)
                if isinstance(anchor, str):
                    self._anchors.setdefault((base, anchor), pointer)
                    if keyword == "$dynamicAnchor":
                        self._dynamic_anchors.setdefault(anchor, []).append(pointer)
        number = len(self._nodes)
        self._nodes.append(Node(pointer, schema, base))
        self._index[pointer] = number
        return number

    def _follow_references(self, node: Node) -> None:
        if not isinstance(node.schema, dict):
            return
        for keyword in ("$ref", "$dynamicRef"):
            reference = node.schema.get(keyword)
            if not isinstance(reference, str):
                continue
            targets = self._resolve(node, reference)
            if keyword == "$dynamicRef":
                # Which anchor is meant depends on the path of evaluation: all of them are possible.
                targets += self._dynamic_anchors.get(reference.rpartition("#")[2], [])
            for target in dict.fromkeys(targets):
                value, base = self._at(target)
                if isinstance(value, dict | bool):
                    node.edges.append(Edge("in_place", keyword, "", self._add(target, value, base)))
                else:
                    self._problems.append(ReferenceProblem(node.pointer, reference, remote=False))

    def _resolve(self, node: Node, reference: str) -> list[Pointer]:
        document, _, fragment = reference.partition("#")
        document = _join(node.base, document) if document else node.base
        start = self._documents.get(document)
        if start is None:
            self._problems.append(ReferenceProblem(node.pointer, reference, remote=True))
            return []
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            anchored = self._anchors.get((document, fragment))
            if anchored is None:
                self._problems.append(ReferenceProblem(node.pointer, reference, remote=False))
            return [] if anchored is None else [anchored]
        keys = [key.replace("~1", "/").replace("~0", "~") for key in fragment.split("/")[1:]]
        return [(*start, *keys)]

    def _at(self, pointer: Pointer) -> tuple[JsonValue, str]:
        """The value at a pointer (None where there is nothing) and the base URI there."""
        value: JsonValue = self._root
        base = ""
        for depth, key in enumerate(pointer):
            known = self._index.get(pointer[:depth])
            if known is not None:
                base = self._nodes[known].base
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 9 and int(key) < len(value):
                value = value[int(key)]
            else:
                return None, base
        return value, base


def _join(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference) if base else reference
    except ValueError:  # not a URI at all; then nothing is found under it
        return reference
