"""The wasm custom section `extism-tools`: a tool's types, carried in the module by `extism-registry build`.

Its content is UTF-8 JSON, `{"tools": {NAME: {title?, description?, input?, output?, annotations?, examples?,
returns?}}}`, each entry as in plugin.json's `tools`, and so are `prompts`, `resources` and `resourceTemplates` beside
them (`schemas/tool-section.schema.json`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import json_path, shown
from tool_server.inspection.manifest_bounds import Bounds
from tool_server.model.item_kind import ItemKind, QuarantinedItem
from tool_server.model.json_value import JsonObject, JsonValue, parse_json
from tool_server.model.manifest import ManifestTool
from tool_server.model.manifest_items import ManifestPrompt, ManifestResource, ManifestResourceTemplate
from tool_server.model.tool import QuarantinedTool

SECTION_NAME = "extism-tools"

_WHAT = f"the custom section '{SECTION_NAME}'"
_BOUNDS = Bounds("invalid_section", _WHAT)
_FIELDS = ("tools", "prompts", "resources", "resourceTemplates")
_RULE = "invalid-section"

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SectionTools:
    """Entries that can be read, and those that cannot."""

    tools: dict[str, ManifestTool]
    quarantined: tuple[QuarantinedTool, ...] = ()
    prompts: Mapping[str, ManifestPrompt] = field(default_factory=dict[str, ManifestPrompt])
    resources: tuple[ManifestResource, ...] = ()
    templates: tuple[ManifestResourceTemplate, ...] = ()
    quarantined_items: tuple[QuarantinedItem, ...] = ()


def read(section: bytes) -> SectionTools:
    """The entries of a section, in order. A malformed entry is quarantined and hides no other.

    Raises:
        InvalidInput: `invalid_json`, or `invalid_section` where the content has another shape as a whole.
    """
    _BOUNDS.require_text(section)
    document = parse_json(section, what=_WHAT)
    if not isinstance(document, dict) or not document.keys() & set(_FIELDS):
        _refuse("$.tools", "an object of tools by name", document.get("tools") if isinstance(document, dict) else None)
    _BOUNDS.require({field: document[field] for field in _FIELDS if field in document})
    reader = _Reader()
    tools = reader.named(ManifestTool, "tools", document.get("tools", {}))
    broken_tools = [QuarantinedTool(name=name, rule=_RULE, reason=reason) for name, reason in reader.take_broken()]
    prompts = reader.named(ManifestPrompt, "prompts", document.get("prompts", {}))
    broken = list(_broken(ItemKind.PROMPT, reader))
    resources = reader.listed(ManifestResource, "resources", "uri", document.get("resources", []))
    broken += _broken(ItemKind.RESOURCE, reader)
    templates = reader.listed(
        ManifestResourceTemplate, "resourceTemplates", "uriTemplate", document.get("resourceTemplates", [])
    )
    broken += _broken(ItemKind.TEMPLATE, reader)
    return SectionTools(tools, tuple(broken_tools), prompts, resources, templates, tuple(broken))


class _Reader:
    """Reads entries, gathering those that cannot be read."""

    def __init__(self) -> None:
        self._broken: list[tuple[str, str]] = []

    def take_broken(self) -> list[tuple[str, str]]:
        """Names and reasons since the last time."""
        broken, self._broken = self._broken, []
        return broken

    def named(self, model: type[T], field: str, entries: JsonValue) -> dict[str, T]:
        """The entries of an object by name."""
        if not isinstance(entries, dict):
            _refuse(f"$.{field}", f"an object of {field} by name", entries)
        read = {name: self._entry(model, name, [field, name], entry) for name, entry in entries.items()}
        return {name: entry for name, entry in read.items() if entry is not None}

    def listed(self, model: type[T], field: str, key: str, entries: JsonValue) -> tuple[T, ...]:
        """The entries of an array, named in reports by their field `key`."""
        if not isinstance(entries, list):
            _refuse(f"$.{field}", "an array", entries)
        read: list[T | None] = []
        for index, entry in enumerate(entries):
            name = entry.get(key) if isinstance(entry, dict) else None
            label = name if isinstance(name, str) else f"{field}[{index}]"
            read.append(self._entry(model, label, [field, index], entry))
        return tuple(entry for entry in read if entry is not None)

    def _entry(self, model: type[T], name: str, place: list[str | int], entry: JsonValue) -> T | None:
        try:
            return model.model_validate_json(json.dumps(entry), strict=True)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            self._broken.append((name, f"in {_WHAT}, {json_path([*place, *detail['loc']])}: {detail['msg']}"))
            return None


def _broken(kind: ItemKind, reader: _Reader) -> Iterable[QuarantinedItem]:
    return (QuarantinedItem(kind=kind, name=name, rule=_RULE, reason=reason) for name, reason in reader.take_broken())


def write(tools: Mapping[str, ManifestTool]) -> bytes:
    """The section's content, which `read` takes back. Equal tools in equal order give equal bytes."""
    entries: JsonObject = {
        name: tool.model_dump(mode="json", exclude_unset=True, by_alias=True) for name, tool in tools.items()
    }
    return json.dumps({"tools": entries}, ensure_ascii=False, separators=(",", ":")).encode()


def _refuse(path: str, expected: str, got: JsonValue) -> NoReturn:
    raise InvalidInput(
        "invalid_section",
        f"{_WHAT}: {path}: expected {expected}, got {shown(got)}",
        {"path": path, "expected": expected, "got": shown(got)},
    )
