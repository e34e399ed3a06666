"""How grants are read from and shown on the command line, for both commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from tool_server.cli.output import printable
from tool_server.services.grants import PluginGrants

GRANT_HELP = (
    "KIND=VALUE: network=[METHODS ]HOST[:PORT], filesystem=PATH:read|write, environment=NAME, secrets=NAME, "
    "tools=NAME, functions=NAMESPACE.NAME"
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


def print_grants(grants: PluginGrants, data_dir: Path | None) -> None:
    """What a plugin requests, is granted and so gets; notes, and how to grant the rest, on stderr."""
    for label, permissions in (
        ("requests", grants.requested),
        ("granted", grants.granted),
        ("effective", grants.effective),
    ):
        click.echo(f"  {label + ':':<10} {printable(', '.join(permissions.items())) or 'nothing'}")
    for note in grants.notes:
        click.echo(f"note: {printable(note)}", err=True)
    print_missing(grants, data_dir)


def print_missing(grants: PluginGrants, data_dir: Path | None) -> None:
    """On stderr, the command that grants what is requested and missing, to be pasted into a shell."""
    if grants.missing.empty:
        return
    place = () if data_dir is None else ("--data-dir", str(data_dir))
    words = ("tool-server", "grant", "add", *place, grants.plugin, *map(printable, grants.missing.items()))
    click.echo(f"To grant what is missing: {shlex.join(words)}", err=True)
