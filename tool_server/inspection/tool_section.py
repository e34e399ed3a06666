"""The wasm custom section `extism-tools`: a tool's types, carried in the module by `extism-registry build`.

Its content is UTF-8 JSON, `{"tools": {NAME: {title?, description?, input?, output?, annotations?, examples?,
returns?}}}`, each entry as in plugin.json's `tools` (`schemas/tool-section.schema.json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from pydantic import ValidationError

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import json_path, shown
from tool_server.inspection.manifest_bounds import Bounds
from tool_server.model.json_value import JsonObject, JsonValue, parse_json
from tool_server.model.manifest import ManifestTool
from tool_server.model.tool import QuarantinedTool

SECTION_NAME = "extism-tools"

_WHAT = f"the custom section '{SECTION_NAME}'"
_BOUNDS = Bounds("invalid_section", _WHAT)


@dataclass(frozen=True, slots=True)
class SectionTools:
    """Entries that can be read, and those that cannot."""

    tools: dict[str, ManifestTool]
    quarantined: tuple[QuarantinedTool, ...] = ()


def read(section: bytes) -> SectionTools:
    """The entries of a section, in order. A malformed entry is quarantined and hides no other.

    Raises:
        InvalidInput: `invalid_json`, or `invalid_section` where the content has another shape as a whole.
    """
    _BOUNDS.require_text(section)
    document = parse_json(section, what=_WHAT)
    entries = document.get("tools") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        _refuse("$.tools", "an object of tools by name", entries)
    _BOUNDS.require({"tools": entries})
    tools: dict[str, ManifestTool] = {}
    quarantined: list[QuarantinedTool] = []
    for name, entry in entries.items():
        try:
            tools[name] = ManifestTool.model_validate_json(json.dumps(entry), strict=True)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            place = json_path(["tools", name, *detail["loc"]])
            reason = f"in {_WHAT}, {place}: {detail['msg']}"
            quarantined.append(QuarantinedTool(name=name, rule="invalid-section", reason=reason))
    return SectionTools(tools, tuple(quarantined))


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
