"""A catalogue to search in, and queries whose right answer is known.

The queries were written, and committed, before there was any ranking to look at; they are never changed to please it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice, product
from pathlib import Path
from typing import Any

from tool_server.bootstrap.bundled import bundled_folder
from tool_server.inspection.offering import listing
from tool_server.model.catalog import Catalog, Offer, OfferedTool
from tool_server.model.names import tool_name
from tool_server.model.tool import Binding, ToolAnnotations, ToolDefinition, TypeSource

TOOLS = 5_000

_HERE = Path(__file__).parent

_VERBS = {
    "list": "All {noun}s, newest first, with their status and owner.",
    "get": "One {noun} with all of its fields.",
    "create": "Make a new {noun} and return its identifier.",
    "update": "Change fields of a {noun}.",
    "archive": "Put a {noun} away, so that it is not listed any more.",
    "approve": "Approve a {noun} that waits for somebody's decision.",
    "export": "Write all {noun}s to a file for another system.",
    "count": "How many {noun}s there are, by status and month.",
    "search": "Find {noun}s by words in their title and text.",
}
_SUBJECTS = (
    *("purchase order", "shipment", "warehouse bin", "work permit", "lease agreement", "insurance claim", "audit note"),
    *("training course", "loyalty card", "supplier offer", "patient chart", "laboratory sample", "building permit"),
    *("maintenance job", "vehicle", "fuel receipt", "customs form", "donation", "grant application", "membership"),
    *("survey answer", "press release", "legal contract", "expense report", "cost centre", "time sheet", "job opening"),
)
_SYSTEMS = (
    *("acme", "borealis", "cirrus", "delta", "ember", "fulcrum", "granite", "harbour", "indigo", "juniper"),
    *("kestrel", "lumen", "meridian", "nimbus", "orchid", "pinnacle", "quartz", "ripple", "summit", "tundra"),
)


@dataclass(frozen=True, slots=True)
class HeldPlugin:
    """A plugin by what its manifest says: tools by their own names, as in plugin.json."""

    name: str
    keywords: tuple[str, ...]
    tools: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class HeldQuery:
    """What somebody might type, and the MCP name of the tool that is meant."""

    query: str
    tool: str


@cache
def held_queries() -> tuple[HeldQuery, ...]:
    """The hundred queries."""
    return tuple(HeldQuery(**row) for row in json.loads((_HERE / "held_queries.json").read_text(encoding="utf-8")))


@cache
def held_plugins() -> tuple[HeldPlugin, ...]:
    """The bundled plugins, those in held_catalogue.json, and as many generated ones as make `TOOLS` tools."""
    real = [*_bundled(), *_written()]
    missing = TOOLS - sum(len(plugin.tools) for plugin in real)
    return (*real, *_generated(missing))


@cache
def held_catalog() -> Catalog:
    """The snapshot of a server that has them all installed."""
    return Catalog(1, map(held_offer, held_plugins()))


def held_offer(plugin: HeldPlugin) -> Offer:
    """What such a plugin offers once it is installed."""
    tools: list[OfferedTool] = []
    for position, (name, given) in enumerate(plugin.tools.items()):
        definition = ToolDefinition(
            name=name,
            title=given["title"],
            description=given["description"],
            input_schema=given["input"],
            annotations=ToolAnnotations(**given["annotations"]),
            source=TypeSource.MANIFEST,
            binding=Binding(export=name),
        )
        wire = listing(plugin.name, "1.0.0", definition)
        tools.append(OfferedTool(tool_name(plugin.name, name), plugin.name, "1.0.0", name, position, 1, False, wire))
    return Offer(plugin.name, "1.0.0", datetime(2026, 11, 22, tzinfo=UTC), tuple(tools), (), plugin.keywords)


def _bundled() -> Iterator[HeldPlugin]:
    for path in sorted(bundled_folder().glob("*/plugin.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        yield HeldPlugin(manifest["name"], tuple(manifest["keywords"]), manifest["tools"])


def _written() -> Iterator[HeldPlugin]:
    for plugin in json.loads((_HERE / "held_catalogue.json").read_text(encoding="utf-8"))["plugins"]:
        tools = {tool["name"]: _tool(tool) for tool in plugin["tools"]}
        yield HeldPlugin(plugin["name"], tuple(plugin["keywords"]), tools)


def _tool(written: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": text} for name, text in written["parameters"].items()}
    kept = {key: written[key] for key in ("title", "description", "annotations")}
    return {**kept, "input": {"type": "object", "properties": properties}}


def _generated(count: int) -> Iterator[HeldPlugin]:
    """Tools of office software: their verbs and parameters are those of many a tool that is searched for."""
    plugins: dict[str, dict[str, dict[str, Any]]] = {}
    for system, noun, verb in islice(product(_SYSTEMS, _SUBJECTS, _VERBS), count):
        written = {
            "title": f"{verb.capitalize()} {noun}s",
            "description": _VERBS[verb].format(noun=noun),
            "parameters": {
                f"{noun.replace(' ', '_')}_id": f"Which {noun}",
                "date": "Only since this date",
                "text": "Words to look for, or the text to set",
                "limit": "How many at most",
            },
            "annotations": {"readOnlyHint": verb in ("list", "get", "count", "search", "export")},
        }
        plugins.setdefault(f"{system}-{noun.split()[0]}", {})[f"{verb}_{noun.replace(' ', '_')}"] = _tool(written)
    for name, tools in plugins.items():
        yield HeldPlugin(name, ("office", name.partition("-")[0]), tools)
