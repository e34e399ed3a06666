"""Prompts, resources and templates that a plugin of hyper-mcp v2 tells of itself.

`list_prompts`, `list_resources` and `list_resource_templates` get `{"context": {"id", "_meta"}}` and answer with MCP's
list results. Source: hyper-mcp 0.8 `templates/plugins/rust/src/pdk/types.rs`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from tool_server.errors import InvalidInput, ToolServerError
from tool_server.inspection.json_paths import json_path, shown
from tool_server.model.item_kind import ItemKind, QuarantinedItem
from tool_server.model.json_value import JsonObject, JsonValue, compact_json, parse_json
from tool_server.model.manifest_items import MAX_ITEMS, ManifestPrompt, ManifestResource, ManifestResourceTemplate
from tool_server.model.resource import ContentAnnotations
from tool_server.model.tool import Finding, Severity

DUPLICATE = "duplicate-name"
"""The rule that holds back the second of two items of one name."""

MAX_LABEL = 300
"""Characters of a name in a report."""


@dataclass(frozen=True, slots=True)
class DescribedItems:
    """What a plugin said; entries that cannot be offered are in quarantine."""

    prompts: tuple[tuple[str, ManifestPrompt], ...] = ()
    resources: tuple[ManifestResource, ...] = ()
    templates: tuple[ManifestResourceTemplate, ...] = ()
    quarantined: tuple[QuarantinedItem, ...] = ()
    findings: tuple[Finding, ...] = ()


class _List:
    """One of the three lists: what it is called, and what its entries are."""

    def __init__(self, export: str, field: str, kind: ItemKind, key: str, model: type[BaseModel]) -> None:
        self.export = export
        self.field = field
        self.kind = kind
        self.key = key
        """The field that an entry is known by."""
        self.model = model


_PROMPTS = _List("list_prompts", "prompts", ItemKind.PROMPT, "name", ManifestPrompt)
_RESOURCES = _List("list_resources", "resources", ItemKind.RESOURCE, "uri", ManifestResource)
_TEMPLATES = _List(
    "list_resource_templates", "resourceTemplates", ItemKind.TEMPLATE, "uriTemplate", ManifestResourceTemplate
)
_LISTS = (_PROMPTS, _RESOURCES, _TEMPLATES)

LIST_EXPORTS = tuple(each.export for each in _LISTS)
"""What is run for them, in this order."""


def read_items(outcomes: Sequence[bytes | ToolServerError]) -> DescribedItems:
    """What running `LIST_EXPORTS` gave. A list that is missing is empty; one that failed is, with a warning."""
    reader = _Reader()
    found = [reader.read(each, outcome) for each, outcome in zip(_LISTS, outcomes, strict=False)]
    found += [{}] * (len(_LISTS) - len(found))
    prompts = [(name, entry) for name, entry in found[0].items() if isinstance(entry, ManifestPrompt)]
    resources = [entry for entry in found[1].values() if isinstance(entry, ManifestResource)]
    templates = [entry for entry in found[2].values() if isinstance(entry, ManifestResourceTemplate)]
    return DescribedItems(
        tuple(prompts), tuple(resources), tuple(templates), tuple(reader.quarantined), tuple(reader.findings)
    )


class _Reader:
    """Gathers quarantine and findings over the lists."""

    def __init__(self) -> None:
        self.quarantined: list[QuarantinedItem] = []
        self.findings: list[Finding] = []

    def read(self, wanted: _List, outcome: bytes | ToolServerError) -> dict[str, BaseModel]:
        """The entries of one list, by what they are known by."""
        if not isinstance(outcome, bytes):
            if outcome.code != "missing_export":
                self._failed(wanted, outcome.message)
            return {}
        try:
            document = parse_json(outcome, what=f"the answer of {wanted.export}")
            entries = document.get(wanted.field) if isinstance(document, dict) else None
            if not isinstance(entries, list) or len(entries) > MAX_ITEMS:
                self._failed(
                    wanted, f"expected '{wanted.field}', an array of at most {MAX_ITEMS}, got {shown(entries)}"
                )
                return {}
        except InvalidInput as error:
            self._failed(wanted, error.message)
            return {}
        if isinstance(document, dict) and document.get("nextCursor") is not None:
            message = f"the plugin lists its {wanted.field} in pages: only the first page is offered"
            self.findings.append(Finding(severity=Severity.WARN, rule="more-pages", message=message))
        return self._entries(wanted, entries)

    def _entries(self, wanted: _List, entries: list[JsonValue]) -> dict[str, BaseModel]:
        read: dict[str, BaseModel] = {}
        for index, entry in enumerate(entries):
            name = entry.get(wanted.key) if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(name, str) or not name:
                label = f"{wanted.field}[{index}]"
                self._hold(wanted.kind, label, "invalid-entry", f"expected an object with '{wanted.key}'")
            elif name in read:
                self._hold(wanted.kind, name, DUPLICATE, "it is listed twice: the first is offered")
            else:
                try:
                    read[name] = wanted.model.model_validate_json(compact_json(_known(wanted, entry)), strict=True)
                except ValidationError as error:
                    detail = error.errors(include_url=False)[0]
                    place = f"{json_path([wanted.field, index, *detail['loc']])}: {detail['msg']}"
                    self._hold(wanted.kind, name, "invalid-entry", place)
                except (UnicodeEncodeError, ValueError):
                    self._hold(wanted.kind, name, "invalid-entry", "it holds half of a surrogate pair, or no number")
        return read

    def _hold(self, kind: ItemKind, name: str, rule: str, reason: str) -> None:
        name, reason = (text.encode("utf-8", "replace").decode() for text in (name[:MAX_LABEL], reason))
        self.quarantined.append(QuarantinedItem(kind=kind, name=name, rule=rule, reason=reason))

    def _failed(self, wanted: _List, problem: str) -> None:
        message = f"the plugin's own list ({wanted.export}) gave no {wanted.field}: {problem}"
        self.findings.append(Finding(severity=Severity.WARN, rule="description-failed", message=message))


_NOT_DESCRIBED = frozenset({"export", "text", "blob"})
"""What only an author may say of an entry."""


def _known(wanted: _List, entry: JsonObject) -> JsonObject:
    """An entry without what is null, and without fields that are not MCP's."""
    fields = {field.alias or name for name, field in wanted.model.model_fields.items()} - _NOT_DESCRIBED
    kept: JsonObject = {key: value for key, value in entry.items() if key in fields and value is not None}
    clean: dict[str, Callable[[JsonValue], JsonValue]] = {"annotations": _annotations, "arguments": _arguments}
    for key, read in clean.items():
        if key in kept:
            kept[key] = read(kept[key])
    if wanted is not _PROMPTS and not kept.get("name"):
        kept["name"] = str(entry[wanted.key])[:200]
    return kept


def _annotations(value: JsonValue) -> JsonValue:
    """Hints that can be read; malformed ones are left out."""
    if not isinstance(value, dict):
        return {}
    kept: JsonObject = {}
    for key, hint in value.items():
        try:
            ContentAnnotations.model_validate_json(compact_json({key: hint}), strict=True)
        except ValueError:
            continue
        kept[key] = hint
    return kept


def _arguments(value: JsonValue) -> JsonValue:
    if not isinstance(value, list):
        return value
    known = ("name", "title", "description", "required")
    return [
        {key: item[key] for key in known if item.get(key) is not None} if isinstance(item, dict) else item
        for item in value
    ]


def list_request() -> bytes:
    """What each of `LIST_EXPORTS` reads."""
    return json.dumps({"context": {"id": "describe", "_meta": {}}}).encode()
