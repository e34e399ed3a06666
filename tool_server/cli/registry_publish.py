"""`extism-registry publish`, `info`, `versions`, `yank` and `unyank`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tool_server.cli.backend import with_backend
from tool_server.cli.context import (
    data_dir_option,
    json_option,
    load_config,
    print_json,
    translated,
)
from tool_server.cli.examples import ExampleCommand
from tool_server.cli.output import first_line, print_findings, print_table, printable, short_time, size_text, working
from tool_server.cli.registry_support import split_requirement
from tool_server.errors import InvalidInput
from tool_server.inspection.manifest_files import load_plugin_folder
from tool_server.model.names import tool_name
from tool_server.model.release import Release


@click.command(
    cls=ExampleCommand,
    examples="""
    extism-registry publish
    extism-registry publish ./my-plugin/plugin.json
    """,
)
@click.argument("path", type=click.Path(path_type=Path), default=Path("plugin.json"))
@data_dir_option
@json_option
@translated
def publish(path: Path, data_dir: Path | None, as_json: bool) -> None:
    """Publish the plugin described by PATH, a plugin.json or its folder."""
    source = load_plugin_folder(path, max_wasm_bytes=load_config(data_dir).config.limits.wasm)
    with working(f"inspecting and compiling {source.manifest.name} {source.manifest.version}"):
        published = with_backend(data_dir, lambda backend: backend.publish(source))
    release = published.release
    if as_json:
        print_json({"created": published.created, "release": release.model_dump(mode="json", by_alias=True)})
        return
    print_findings(release.findings)
    word = "published" if published.created else "already published, same bytes:"
    click.echo(f"{word} {release.plugin} {release.version} ({size_text(release.program.size)})")
    for tool in release.tools:
        click.echo(f"  {tool_name(release.plugin, tool.name)}  (types from {tool.source})")
    for name in _item_names(release):
        click.echo(f"  {printable(name)}")
    for held in (*release.quarantined, *release.quarantined_items):
        click.echo(f"  held back: {held.name}: {held.reason}")
    click.echo(f"offer it with: extism-registry install {release.plugin}")


@click.command(cls=ExampleCommand, examples="extism-registry info text\nextism-registry info text@^1")
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def info(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """Show a published version of PLUGIN (NAME or NAME@RANGE): what it offers, permissions, limits, digest."""
    name, requested = split_requirement(plugin)
    release = with_backend(data_dir, lambda backend: backend.release(name, requested))
    if as_json:
        print_json(release.model_dump(mode="json", by_alias=True))
        return
    _print_release(release)


@click.command(cls=ExampleCommand, examples="extism-registry versions text")
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def versions(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """List all versions of PLUGIN, newest first."""
    found = with_backend(data_dir, lambda backend: backend.versions(plugin))
    if as_json:
        print_json({"items": [item.model_dump(mode="json") for item in found]})
        return
    print_table(
        ("VERSION", "PUBLISHED", "BY", "SIZE", "DIGEST", ""),
        [
            (item.version, short_time(item.published_at), item.publisher, size_text(item.size), item.digest[:12],
             f"yanked: {item.yank_reason or 'no reason given'}" if item.yanked else "")
            for item in found
        ],
        "",
    )  # fmt: skip


@click.command(cls=ExampleCommand, examples="extism-registry yank text@1.2.0 --reason 'wrong rounding'")
@click.argument("version")
@click.option("--reason", help="Shown to whoever lists the versions.")
@data_dir_option
@json_option
@translated
def yank(version: str, reason: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Hide VERSION, written NAME@VERSION, from new installs; whoever has it keeps it."""
    _set_yanked(version, True, reason, data_dir, as_json)


@click.command(cls=ExampleCommand, examples="extism-registry unyank text@1.2.0")
@click.argument("version")
@data_dir_option
@json_option
@translated
def unyank(version: str, data_dir: Path | None, as_json: bool) -> None:
    """Show VERSION, written NAME@VERSION, to new installs again."""
    _set_yanked(version, False, None, data_dir, as_json)


def _set_yanked(version: str, yanked: bool, reason: str | None, data_dir: Path | None, as_json: bool) -> None:
    name, number = split_requirement(version)
    if not number:
        raise InvalidInput("invalid_version", f"say which version: {name}@VERSION")
    release = with_backend(data_dir, lambda backend: backend.set_yanked(name, number, yanked, reason))
    if as_json:
        print_json({"plugin": name, "version": release.version, "yanked": release.yanked})
    else:
        click.echo(f"{'yanked' if release.yanked else 'unyanked'} {name} {release.version}")


def _print_release(release: Release) -> None:
    manifest = release.manifest
    click.echo(f"{release.plugin} {release.version}{'  YANKED' if release.yanked else ''}")
    if manifest.description:
        click.echo(printable(manifest.description))
    facts = {
        "license": manifest.license,
        "author": manifest.author,
        "homepage": manifest.homepage,
        "repository": manifest.repository,
        "published": f"{short_time(release.published_at)} by {release.publisher}",
        "digest": f"sha256:{release.program.digest}",
        "size": size_text(release.program.size),
        "abi": str(release.abi),
        "permissions": ", ".join(
            f"{kind}: {' '.join(items)}" for kind, items in manifest.permissions.model_dump().items() if items
        )
        or "none",
    }
    click.echo("")
    for name, value in facts.items():
        if value:
            click.echo(f"  {name:<12} {printable(value)}")
    click.echo("\ntools")
    for tool in release.tools:
        click.echo(f"  {tool_name(release.plugin, tool.name)}")
        if tool.description:
            click.echo(f"      {first_line(tool.description)}")
    for held in release.quarantined:
        click.echo(f"  held back: {held.name}: {printable(held.reason)}")
    _print_items("prompts", [(tool_name(release.plugin, each.name), each.description) for each in release.prompts])
    _print_items("resources", [(each.uri, each.description) for each in release.resources])
    templates = [(each.uriTemplate, each.description) for each in release.resource_templates]
    _print_items("resource templates", templates)
    for item in release.quarantined_items:
        click.echo(f"  held back: {item.kind} {printable(item.name)}: {printable(item.reason)}")


def _print_items(title: str, items: Sequence[tuple[str, str]]) -> None:
    """Names with the first line of their descriptions, where there are any."""
    if items:
        click.echo(f"\n{title}")
    for name, description in items:
        click.echo(f"  {printable(name)}")
        if description:
            click.echo(f"      {first_line(description)}")


def _item_names(release: Release) -> tuple[str, ...]:
    return (
        *(f"prompt {tool_name(release.plugin, prompt.name)}" for prompt in release.prompts),
        *(f"resource {resource.uri}" for resource in release.resources),
        *(f"resource template {template.uriTemplate}" for template in release.resource_templates),
    )
