"""`tool-server up` and `tool-server stdio`."""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from tool_server.cli.context import (
    configure_logging,
    data_dir_option,
    load_config,
    run_async,
    translated,
)
from tool_server.cli.examples import ExampleCommand
from tool_server.cli.views import make_view, only_option, view_option


@click.command(
    cls=ExampleCommand,
    examples="""
    tool-server up
    tool-server up --port 9000 --data-dir ./data
    tool-server up --host 0.0.0.0  # needs a token: tool-server token create NAME --scope call
    """,
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@data_dir_option
@click.option("--no-bundled", is_flag=True, help="Do not install the plugins that ship with the server.")
@click.option("--insecure", is_flag=True, help="Let everybody who can connect call the tools, without a token.")
@click.option("--json", "as_json", is_flag=True, help="Announce the URLs as one JSON line.")
@translated
def up(
    host: str | None, port: int | None, data_dir: Path | None, no_bundled: bool, insecure: bool, as_json: bool
) -> None:
    """Serve MCP and the registry over HTTP until Ctrl-C."""
    from tool_server.cli.serve import announce_json, announce_text, serve

    config = load_config(data_dir, host=host, port=port).config
    configure_logging(config)
    announce = announce_json if as_json else announce_text

    async def main() -> None:
        await serve(config, bundled=not no_bundled, insecure=insecure, announce=announce)

    run_async(main)


@click.command(
    cls=ExampleCommand,
    examples="""
    tool-server stdio
    tool-server stdio --data-dir ./data
    tool-server stdio --view search --only plugin:text
    """,
)
@data_dir_option
@click.option("--no-bundled", is_flag=True, help="Do not install the plugins that ship with the server.")
@view_option
@only_option
@translated
def stdio(data_dir: Path | None, no_bundled: bool, view: str, only: tuple[str, ...]) -> None:
    """Serve one MCP client over stdin and stdout.

    The client starts this command itself; the log goes to stderr.
    """
    from tool_server.bootstrap.stdio import serve_stdio
    from tool_server.cli.signals import on_stop_signal

    config = load_config(data_dir).config
    seen = make_view(view, only)
    configure_logging(config)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(on_stop_signal, tasks.cancel_scope.cancel)
            await serve_stdio(config, bundled=not no_bundled, view=seen)
            tasks.cancel_scope.cancel()

    run_async(main)
