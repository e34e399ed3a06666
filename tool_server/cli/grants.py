"""How grants are read from and shown on the command line, for both commands."""

from __future__ import annotations

import shlex

import click

from tool_server.cli.output import printable
from tool_server.services.grants import PluginGrants

GRANT_HELP = (
    "KIND=VALUE: network=[METHODS ]HOST[:PORT], filesystem=PATH:read|write, environment=NAME, secrets=NAME, tools=NAME"
)


def grants_json(grants: PluginGrants) -> dict[str, object]:
    """For `--json`."""
    return {
        "plugin": grants.plugin,
        "version": grants.version,
        **{
            name: permissions.model_dump(mode="json")
            for name, permissions in (
                ("requested", grants.requested),
                ("granted", grants.granted),
                ("effective", grants.effective),
                ("missing", grants.missing),
            )
        },
        "notes": list(grants.notes),
    }


def print_grants(grants: PluginGrants) -> None:
    """What a plugin requests, is granted and so gets; notes, and how to grant the rest, on stderr."""
    for label, permissions in (
        ("requests", grants.requested),
        ("granted", grants.granted),
        ("effective", grants.effective),
    ):
        click.echo(f"  {label + ':':<10} {printable(', '.join(permissions.items())) or 'nothing'}")
    for note in grants.notes:
        click.echo(f"note: {printable(note)}", err=True)
    if not grants.missing.empty:
        click.echo(f"To grant what is missing: {grant_command(grants)}", err=True)


def grant_command(grants: PluginGrants) -> str:
    """The command that grants what is missing, to be pasted into a shell."""
    items = (shlex.quote(printable(item)) for item in grants.missing.items())
    return f"tool-server grant add {grants.plugin} {' '.join(items)}"
