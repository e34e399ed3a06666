"""Data folders with thousands of installed plugins, made in seconds: one real version, stored under many names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, update

from tests.support.guests import guest
from tool_server.config import Config
from tool_server.model.json_value import JsonObject, sha256_hex
from tool_server.model.manifest import Manifest
from tool_server.model.release import Installation, Program, Release
from tool_server.model.tool import Binding, InputForm, OutputForm, ToolDefinition, TypeSource
from tool_server.storage import installations, releases
from tool_server.storage.artifacts import open_artifacts
from tool_server.storage.database import open_database
from tool_server.storage.offer_rows import INSTALLATION_REVISION
from tool_server.storage.tables import (
    counters,
    installation_changes,
    offered_tools,
)
from tool_server.storage.tables import installations as installation_rows
from tool_server.storage.tables import offers as offer_rows
from tool_server.storage.tables import plugins as plugin_rows
from tool_server.storage.tables import versions as version_rows

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What to return, as it is, in the very same words."},
        **{
            f"option_{number}": {"type": "string", "description": f"Option {number}, which changes nothing at all."}
            for number in range(4)
        },
    },
    "required": ["text"],
}
OUTPUT: JsonObject = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

_TABLES = (plugin_rows, version_rows, installation_rows, installation_changes, offer_rows, offered_tools)
_MARK = "plugin-00000"
_ROWS = 2_000
"""Rows of one insert statement."""


def plugin_name(number: int) -> str:
    """The name of the plugin of that number, from 0."""
    return f"plugin-{number:05}"


def make_release(name: str, wasm: bytes, tools: int) -> Release:
    """A version whose tools all echo their arguments; each takes about a kilobyte in a listing."""
    manifest = Manifest(name=name, version="1.0.0", description=f"The plugin {name}")
    return Release(
        manifest=manifest,
        manifest_digest=sha256_hex(name.encode()),
        program=Program(digest=sha256_hex(wasm), size=len(wasm)),
        tools=tuple(
            ToolDefinition(
                name=f"echo_{number}",
                title=f"Echo {number}",
                description="Returns its arguments, so that whoever asked sees what was asked. " * 4,
                input_schema=SCHEMA,
                output_schema=OUTPUT,
                source=TypeSource.MANIFEST,
                binding=Binding(export="echo", input=InputForm.ARGUMENTS, output=OutputForm.JSON),
            )
            for number in range(tools)
        ),
        publisher="local",
        published_at=NOON,
    )


async def fill(data_dir: Path, plugins: int, tools: int = 3) -> None:
    """Publish and install that many plugins into a data folder without any, all on one artifact."""
    config = Config(data_dir=data_dir)
    wasm = guest("echo")
    await open_artifacts(config.effective_artifacts_url).put(wasm)
    async with open_database(config.effective_database_url) as database:
        await database.write(_fill, make_release(_MARK, wasm, tools), plugins)


def _fill(connection: Connection, release: Release, count: int) -> None:
    installation = Installation(plugin=_MARK, version="1.0.0", requested="", installed_at=NOON)
    releases.add_version(connection, release)
    installations.change_installation(connection, _MARK, lambda _: installation)
    for table in _TABLES:
        originals = [dict(row) for row in connection.execute(table.select()).mappings()]
        rows = [_renamed(row, number) for number in range(1, count) for row in originals]
        for start in range(0, len(rows), _ROWS):
            connection.execute(insert(table), rows[start : start + _ROWS])
    connection.execute(update(counters).where(counters.c.name == INSTALLATION_REVISION).values(value=count))


def _renamed(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    renamed = {key: _with_name(value, number) for key, value in row.items()}
    if "installed_at" in renamed:
        renamed["installed_at"] = NOON + timedelta(seconds=number)
    if "revision" in renamed:
        renamed["revision"] = number + 1
    return renamed


def _with_name(value: object, number: int) -> object:
    if isinstance(value, str):
        return value.replace(_MARK, plugin_name(number))
    return value.replace(_MARK.encode(), plugin_name(number).encode()) if isinstance(value, bytes) else value
