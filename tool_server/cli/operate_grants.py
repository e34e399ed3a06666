"""`tool-server grant`: allow plugins what they request, look at it, take it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from tool_server.cli.backend import Backend, with_backend
from tool_server.cli.context import data_dir_option, json_option, print_json, translated
from tool_server.cli.examples import ExampleCommand, ExampleGroup
from tool_server.cli.grants import grants_json, print_grants
from tool_server.cli.output import print_table, printable
from tool_server.model.permission import Permissions
from tool_server.services.grants import GrantChange, PluginGrants


@click.group(
    cls=ExampleGroup,
    examples="""
    tool-server grant list
    tool-server grant add weather network=api.example.com secrets=API_KEY
    tool-server grant remove weather --all
    """,
)
def grant() -> None:
    """Allow plugins what they request. A plugin gets what it requests and is granted, nothing by default."""


@grant.command(
    cls=ExampleCommand,
    examples="""
    tool-server grant add weather network=api.example.com secrets=API_KEY
    tool-server grant add weather 'network=GET,HEAD *.example.com:8443'
    tool-server grant add notes filesystem=/data/notes:write environment=LANG
    """,
)
@click.argument("plugin")
@click.argument("grants", nargs=-1, required=True, metavar="KIND=VALUE...")
@data_dir_option
@json_option
@translated
def add(plugin: str, grants: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """Grant PLUGIN each KIND=VALUE.

    Kinds: network ([METHODS ]HOST[:PORT], HOST may be '*.example.com' or '*'), filesystem (PATH:read or PATH:write),
    environment, secrets and tools (a name, or '*').
    """
    wanted = Permissions.parse(grants)
    _change(data_dir, as_json, lambda backend: backend.add_grants(plugin, wanted))


@grant.command(
    cls=ExampleCommand,
    examples="""
    tool-server grant remove weather secrets=API_KEY
    tool-server grant remove weather --all
    """,
)
@click.argument("plugin")
@click.argument("grants", nargs=-1, metavar="[KIND=VALUE]...")
@click.option("--all", "everything", is_flag=True, help="Take back every grant.")
@data_dir_option
@json_option
@translated
def remove(plugin: str, grants: tuple[str, ...], everything: bool, data_dir: Path | None, as_json: bool) -> None:
    """Take each KIND=VALUE back from PLUGIN, as it was granted; calls that run already go on."""
    if everything == bool(grants):
        raise click.UsageError("name the grants to take back, or say --all")
    unwanted = Permissions.parse(grants)

    def work(backend: Backend) -> Awaitable[GrantChange]:
        return backend.clear_grants(plugin) if everything else backend.remove_grants(plugin, unwanted)

    _change(data_dir, as_json, work)


@grant.command("list", cls=ExampleCommand, examples="tool-server grant list\ntool-server grant list weather --json")
@click.argument("plugin", required=False)
@data_dir_option
@json_option
@translated
def list_grants(plugin: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Show what PLUGIN (without one: each installed plugin) requests, is granted, and so gets."""

    async def read(backend: Backend) -> tuple[PluginGrants, ...]:
        return await backend.list_grants() if plugin is None else (await backend.show_grants(plugin),)

    found = with_backend(data_dir, read)
    if as_json:
        print_json({"items": [grants_json(item) for item in found]})
        return
    if plugin is not None:
        click.echo(f"{found[0].plugin} {found[0].version}")
        print_grants(found[0], data_dir)
        return
    print_table(
        ("PLUGIN", "REQUESTS", "GRANTED", "EFFECTIVE"),
        [
            (item.plugin, *(_cell(each) for each in (item.requested, item.granted, item.effective)))
            for item in found
            if not (item.requested.empty and item.granted.empty)
        ],
        "No installed plugin requests anything.",
    )


def _cell(permissions: Permissions) -> str:
    return ", ".join(permissions.items()) or "-"


def _change(data_dir: Path | None, as_json: bool, work: Callable[[Backend], Awaitable[GrantChange]]) -> None:
    change = with_backend(data_dir, work)
    if as_json:
        print_json({"grants": grants_json(change.grants), "changed": change.changed})
        return
    word = "changed" if change.changed else "unchanged"
    click.echo(f"{printable(change.grants.plugin)} {change.grants.version}: grants {word}")
    print_grants(change.grants, data_dir)
