"""`tool-server`: run and operate the server."""

from __future__ import annotations

import importlib
from typing import Any

import click

from tool_server.cli.examples import ExampleGroup
from tool_server.version import VERSION

_COMMANDS = {
    "up": ("tool_server.cli.operate_serve", "up", "Serve MCP and the registry over HTTP."),
    "stdio": ("tool_server.cli.operate_serve", "stdio", "Serve one MCP client over stdin and stdout."),
    "tools": ("tool_server.cli.operate_tools", "tools", "List the tools this server offers."),
    "call": ("tool_server.cli.operate_tools", "call", "Call one tool."),
    "token": ("tool_server.cli.operate_tokens", "token", "Make, list and revoke bearer tokens."),
    "grant": ("tool_server.cli.operate_grants", "grant", "Add, list and remove what plugins are allowed."),
    "secret": ("tool_server.cli.operate_secrets", "secret", "Set, list and remove secrets of plugins' requests."),
    "doctor": ("tool_server.cli.operate_doctor", "doctor", "Show the settings in force and check the installation."),
    "db": ("tool_server.cli.operate_database", "database", "Upgrade and check the database."),
}


class LazyGroup(ExampleGroup):
    """Imports a command's module only when it is used: `stdio` starts in the time that its own imports take."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    examples="tool-server up\ntool-server tools\ntool-server call --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="tool-server")
def main(**_: Any) -> None:
    """Run and operate an agent tool server.

    Extism plugins from the registry become typed MCP tools, validated, sandboxed and recorded.
    Start with 'tool-server up'; publish and install plugins with 'extism-registry'.
    """
