"""Plugins for the end-to-end tests: folders with a plugin.json and a module, ready to publish."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.guest_sources import C_SOURCES
from tests.support.guests import compile_c, extism_wat, guest
from tests.support.server import REPOSITORY
from tool_server.model.names import tool_name

Json = dict[str, Any]

NOTE: Json = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 200},
        "day": {"type": "string", "format": "date"},
        "count": {"type": "integer", "minimum": 1, "default": 3},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["text"],
    "additionalProperties": False,
}

TRIAL_SOURCE = "\n".join(C_SOURCES[name] for name in ("echo", "greet", "add", "words", "error", "not_json", "image"))
TRIAL_TOOLS: Json = {
    "echo": {"title": "Echo", "description": "Returns its arguments", "input": NOTE, "output": NOTE},
    "greet": {
        "description": "Greets somebody",
        "input": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "output": {"type": "object", "properties": {"greeting": {"type": "string"}}, "required": ["greeting"]},
        "annotations": {"readOnlyHint": True},
    },
    "add": {
        "description": "Adds two integers",
        "input": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
        "output": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
    },
    "words": {
        "description": "Counts words; answers in plain text",
        "input": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
    "error": {"description": "Fails with a reason of its own", "input": {"type": "object"}},
    "trap": {"description": "Crashes", "input": {"type": "object"}},
    "not_json": {
        "description": "Breaks the promise of its output schema",
        "input": {"type": "object"},
        "output": {"type": "object"},
    },
    "image": {"description": "Draws one pixel", "input": {"type": "object"}, "returns": "content"},
}
SPIN_TOOLS: Json = {"spin": {"description": "Never ends by itself", "input": {"type": "object"}}}


@dataclass(frozen=True, slots=True)
class BundledTool:
    """One tool of a plugin that ships with the product, as its plugin.json declares it."""

    name: str
    """The MCP name."""
    declared: Json


def write_plugin(folder: Path, name: str, wasm: bytes, tools: Json, **fields: object) -> Path:
    """Make a folder that can be published, and return it; `fields` are further keys of plugin.json."""
    folder.mkdir(parents=True)
    manifest = {"name": name, "version": "1.0.0", "description": f"The plugin {name}", "tools": tools, **fields}
    (folder / "plugin.json").write_text(json.dumps(manifest))
    (folder / "plugin.wasm").write_bytes(wasm)
    return folder


def trial_plugins(folder: Path) -> list[Path]:
    """Plugins whose tools work, fail, crash, and never end (stopped after 0.3 s, or only after a minute)."""
    trial = compile_c(f"{TRIAL_SOURCE}\nEXPORT(trap) {{ __builtin_trap(); }}")
    return [
        write_plugin(folder / "trial", "trial", trial, TRIAL_TOOLS),
        write_plugin(folder / "brief", "brief", guest("spin"), SPIN_TOOLS, limits={"timeout": "300ms"}),
        write_plugin(folder / "endless", "endless", guest("spin"), SPIN_TOOLS, limits={"timeout": "60s"}),
    ]


def wide_plugin(folder: Path, name: str, tools: int) -> Path:
    """A plugin of many tools that all answer with nothing."""
    names = [f"t{number:04}" for number in range(tools)]
    exports = " ".join(f'(export "{tool}" (func $nothing))' for tool in names)
    wasm = extism_wat(f"(func $nothing (result i32) (i32.const 0)) {exports}")
    declared: Json = {tool: {"description": f"Tool {tool}", "input": {"type": "object"}} for tool in names}
    return write_plugin(folder, name, wasm, declared)


def bundled_tools() -> list[BundledTool]:
    """Every tool that a plugin.json under `plugins/` declares."""
    found: list[BundledTool] = []
    for path in sorted((REPOSITORY / "plugins").glob("*/plugin.json")):
        manifest = json.loads(path.read_text())
        found += [
            BundledTool(tool_name(manifest["name"], tool), declared)
            for tool, declared in manifest.get("tools", {}).items()
        ]
    return found
