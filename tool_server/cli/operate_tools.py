"""`tool-server tools` and `tool-server call`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import click

from tool_server.cli.backend import with_backend
from tool_server.cli.context import (
    data_dir_option,
    fail,
    json_option,
    print_json,
    translated,
)
from tool_server.cli.examples import ExampleCommand
from tool_server.cli.output import first_line, print_table
from tool_server.errors import CallFailed, InvalidInput
from tool_server.model.call import ToolResult
from tool_server.model.json_value import JsonObject, json_type, parse_json


@click.command(cls=ExampleCommand, examples="tool-server tools\ntool-server tools --json")
@data_dir_option
@json_option
@translated
def tools(data_dir: Path | None, as_json: bool) -> None:
    """List the tools that clients of this server see."""
    offered = with_backend(data_dir, lambda backend: backend.offered())
    if as_json:
        print_json(
            {
                "items": [
                    {
                        "name": tool.name,
                        "plugin": tool.plugin,
                        "version": tool.version,
                        "title": tool.title,
                        "description": tool.description,
                        "inputSchema": tool.input_schema,
                        "outputSchema": tool.output_schema,
                    }
                    for tool in offered.tools
                ],
                "quarantined": [{"plugin": plugin, **tool.model_dump()} for plugin, tool in offered.quarantined],
            }
        )
        return
    print_table(
        ("TOOL", "PLUGIN", "DESCRIPTION"),
        [(tool.name, f"{tool.plugin} {tool.version}", first_line(tool.description)) for tool in offered.tools],
        "No tools yet: install a plugin with 'extism-registry install NAME', or start 'tool-server up' once, which "
        "installs the bundled ones.",
    )
    for plugin, tool in offered.quarantined:
        click.echo(f"held back: {plugin} {tool.name}: {tool.reason} [{tool.rule}]", err=True)


@click.command(
    cls=ExampleCommand,
    examples="""
    tool-server call hash_digest '{"data": "hello"}'
    echo '{"data": "hello"}' | tool-server call hash_digest -
    tool-server call hash_digest '{"data": "hello"}' --json
    """,
)
@click.argument("tool")
@click.argument("arguments", default="{}")
@data_dir_option
@json_option
@translated
def call(tool: str, arguments: str, data_dir: Path | None, as_json: bool) -> None:
    """Call TOOL with ARGUMENTS, a JSON object (or - to read it from stdin)."""
    given = parse_json(sys.stdin.buffer.read() if arguments == "-" else arguments, what="ARGUMENTS")
    if not isinstance(given, dict):
        raise InvalidInput(
            "invalid_arguments",
            f'ARGUMENTS must be a JSON object such as \'{{"text": "hello"}}\', got {json_type(given)}',
        )

    result = with_backend(data_dir, lambda backend: backend.call(tool, given))
    if as_json:
        print_json(_as_json(result))
    else:
        _print(result)
    if result.is_error:
        fail(CallFailed("tool_error", f"{tool} answered with an error: its result says why"), printed=True)


def _as_json(result: ToolResult) -> JsonObject:
    shown: JsonObject = {"content": list(cast(Any, result.content)), "isError": result.is_error}
    if result.structured is not None:
        shown["structuredContent"] = result.structured
    return shown


def _print(result: ToolResult) -> None:
    if result.structured is not None:
        print_json(result.structured)
        return
    for block in result.content:
        text = block.get("text")
        if isinstance(text, str):
            click.echo(text)
        else:
            data = block.get("data")
            size = f", {len(data)} characters of base64" if isinstance(data, str) else ""
            click.echo(f"[{block.get('type')} {block.get('mimeType', '')}{size}; --json shows it]")
