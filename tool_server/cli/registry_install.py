"""`extism-registry install`, `uninstall`, `update`, `rollback` and `list`."""

from __future__ import annotations

from pathlib import Path

import click

from tool_server.cli.backend import Backend, with_backend
from tool_server.cli.context import (
    data_dir_option,
    json_option,
    print_json,
    translated,
)
from tool_server.cli.examples import ExampleCommand
from tool_server.cli.grants import GRANT_HELP, grants_json, print_grants, print_missing
from tool_server.cli.output import print_table
from tool_server.cli.registry_support import split_requirement
from tool_server.model.permission import Permissions
from tool_server.services.grants import PluginGrants
from tool_server.services.install import Installed


@click.command(
    cls=ExampleCommand,
    examples="""
    extism-registry install text
    extism-registry install text@^1.2
    extism-registry install @acme/text@1.4.0
    extism-registry install weather --grant network=api.example.com --grant secrets=API_KEY
    extism-registry install weather --prefix ''
    """,
)
@click.argument("plugin")
@click.option("--grant", "grants", multiple=True, metavar="KIND=VALUE", help=f"Grant at once. {GRANT_HELP}.")
@click.option(
    "--prefix",
    metavar="TEXT",
    help="Name its tools TEXT_tool instead of PLUGIN_tool; with '' by their own names alone. Stays until set again.",
)
@data_dir_option
@json_option
@translated
def install(plugin: str, grants: tuple[str, ...], prefix: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Install PLUGIN, written NAME or NAME@RANGE: pin the newest version in the range and offer its tools.

    Shows what the plugin requests and what of it is granted; 'tool-server grant' grants more later.
    """
    name, requested = split_requirement(plugin)
    wanted = Permissions.parse(grants)

    async def work(backend: Backend) -> tuple[Installed, PluginGrants]:
        installed = await backend.install(name, requested, prefix)
        if wanted.empty:
            return installed, await backend.show_grants(name)
        return installed, (await backend.add_grants(name, wanted)).grants

    installed, allowed = with_backend(data_dir, work)
    if as_json:
        pin = installed.installation.model_copy(update={"granted": allowed.granted})
        print_json({**_installed_json(Installed(pin, installed.changed)), "grants": grants_json(allowed)})
        return
    _print_installed(installed, as_json=False)
    if not (allowed.requested.empty and allowed.granted.empty):
        print_grants(allowed, data_dir)


@click.command(cls=ExampleCommand, examples="extism-registry uninstall text")
@click.argument("plugin")
@data_dir_option
@translated
def uninstall(plugin: str, data_dir: Path | None) -> None:
    """Take PLUGIN's tools away; its versions stay published."""
    with_backend(data_dir, lambda backend: backend.uninstall(plugin))
    click.echo(f"uninstalled {plugin}")


@click.command(cls=ExampleCommand, examples="extism-registry update text\nextism-registry update")
@click.argument("plugin", required=False)
@data_dir_option
@json_option
@translated
def update(plugin: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Move PLUGIN (without one: every installation) to the newest version in its range."""

    async def work(backend: Backend) -> tuple[tuple[Installed, PluginGrants], ...]:
        names = [item.installation.plugin for item in await backend.installed()] if plugin is None else [plugin]
        return tuple([(await backend.update(name), await backend.show_grants(name)) for name in names])

    results = with_backend(data_dir, work)
    if as_json:
        print_json({"items": [_installed_json(result) for result, _ in results]})
        return
    for result, allowed in results:
        _print_installed(result, as_json=False)
        if result.changed:
            print_missing(allowed, data_dir)
    if not results:
        click.echo("nothing is installed")


@click.command(cls=ExampleCommand, examples="extism-registry rollback text")
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def rollback(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """Return PLUGIN to the version that was pinned before."""
    _print_installed(with_backend(data_dir, lambda backend: backend.rollback(plugin)), as_json)


@click.command("list", cls=ExampleCommand, examples="extism-registry list\nextism-registry list --published")
@click.option("--published", is_flag=True, help="List what is in the registry instead of what is installed.")
@data_dir_option
@json_option
@translated
def list_plugins(published: bool, data_dir: Path | None, as_json: bool) -> None:
    """List the installed plugins with their tools."""
    if published:
        _list_published(data_dir, as_json)
        return
    found = with_backend(data_dir, lambda backend: backend.installed())
    if as_json:
        print_json(
            {"items": [{**item.installation.model_dump(mode="json"), "tools": list(item.tools)} for item in found]}
        )
        return
    print_table(
        ("PLUGIN", "VERSION", "RANGE", "TOOLS"),
        [
            (item.installation.plugin, item.installation.version, item.installation.requested or "latest",
             ", ".join(item.tools))
            for item in found
        ],
        "Nothing is installed: 'extism-registry list --published' shows what could be.",
    )  # fmt: skip


def _list_published(data_dir: Path | None, as_json: bool) -> None:
    found = with_backend(data_dir, lambda backend: backend.plugins(""))
    if as_json:
        print_json({"items": [item.model_dump(mode="json") for item in found]})
        return
    print_table(
        ("PLUGIN", "LATEST", "VERSIONS", "OWNER", "DESCRIPTION"),
        [(item.name, item.latest or "-", str(item.versions), item.owner, item.description[:80]) for item in found],
        "The registry is empty: publish a plugin with 'extism-registry publish'.",
    )


def _installed_json(result: Installed) -> dict[str, object]:
    return {"installation": result.installation.model_dump(mode="json"), "changed": result.changed}


def _print_installed(result: Installed, as_json: bool) -> None:
    if as_json:
        print_json(_installed_json(result))
        return
    pin = result.installation
    word = "is now at" if result.changed else "stays at"
    previous = f" (before: {pin.previous})" if result.changed and pin.previous else ""
    click.echo(f"{pin.plugin} {word} {pin.version}{previous}")
