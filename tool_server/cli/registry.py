"""`extism-registry`: author, publish, install."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from tool_server.cli.backend import Backend, Identity, open_backend
from tool_server.cli.context import (
    data_dir_option,
    json_option,
    load_config,
    print_json,
    run_async,
    translated,
)
from tool_server.cli.credentials import (
    Credentials,
    check_token,
    check_url,
    credentials_file,
    forget_credentials,
    save_credentials,
)
from tool_server.cli.examples import ExampleCommand, ExampleGroup
from tool_server.cli.output import first_line, print_findings, print_table, short_time, size_text, working
from tool_server.errors import InvalidInput
from tool_server.inspection.manifest_files import load_plugin_folder
from tool_server.model.names import tool_name
from tool_server.model.release import Release
from tool_server.services.install import Installed
from tool_server.version import VERSION

T = TypeVar("T")


@click.group(
    cls=ExampleGroup,
    examples="extism-registry publish ./my-plugin\nextism-registry install my-plugin\nextism-registry install --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="extism-registry")
def main() -> None:
    """Publish Extism plugins and install them as tools.

    Works on the local data folder, or on a server after 'extism-registry login URL'.
    """


def _with_backend(data_dir: Path | None, work: Callable[[Backend], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_backend(data_dir) as backend:
            return await work(backend)

    return run_async(run)


@main.command(
    cls=ExampleCommand,
    examples="""
    extism-registry login http://127.0.0.1:8000
    echo $TOKEN | extism-registry login https://tools.example.com --token-stdin
    """,
)
@click.argument("url", default="http://127.0.0.1:8000")
@click.option("--token-stdin", is_flag=True, help="Read the token from stdin instead of asking for it.")
@json_option
@translated
def login(url: str, token_stdin: bool, as_json: bool) -> None:
    """Work on the server at URL from now on, with a token from 'tool-server token create'."""
    base = check_url(url)
    if token_stdin:
        token = sys.stdin.readline().strip()
    elif os.environ.get("TOOL_SERVER_TOKEN"):
        token = os.environ["TOOL_SERVER_TOKEN"]
    else:
        token = click.prompt("Token", hide_input=True, default="", show_default=False, err=True).strip()
    credentials = Credentials(url=base, token=check_token(token))

    async def check() -> Identity:
        from tool_server.cli.remote import open_remote

        async with open_remote(credentials) as backend:
            return await backend.whoami()

    identity = run_async(check)
    path = save_credentials(credentials)
    if as_json:
        print_json({"url": base, "name": identity.name, "scopes": identity.scopes})
    else:
        click.echo(f"logged in to {base} as {identity.name} ({', '.join(identity.scopes)}); kept in {path}")


@main.command(cls=ExampleCommand, examples="extism-registry logout")
@translated
def logout() -> None:
    """Forget the login and work on the local data folder again."""
    click.echo("logged out" if forget_credentials() else f"there was no login in {credentials_file()}")
    if os.environ.get("TOOL_SERVER_URL"):
        click.echo("TOOL_SERVER_URL still names a server: unset it to work on the local data folder", err=True)


@main.command(cls=ExampleCommand, examples="extism-registry whoami")
@data_dir_option
@json_option
@translated
def whoami(data_dir: Path | None, as_json: bool) -> None:
    """Show where the commands work and as whom."""
    identity = _with_backend(data_dir, lambda backend: backend.whoami())
    if as_json:
        print_json({"where": identity.where, "name": identity.name, "scopes": identity.scopes})
    else:
        click.echo(f"{identity.name} at {identity.where} ({', '.join(identity.scopes)})")


@main.command(
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
        published = _with_backend(data_dir, lambda backend: backend.publish(source))
    release = published.release
    if as_json:
        print_json({"created": published.created, "release": release.model_dump(mode="json", by_alias=True)})
        return
    print_findings(release.findings)
    word = "published" if published.created else "already published, same bytes:"
    click.echo(f"{word} {release.plugin} {release.version} ({size_text(release.program.size)})")
    for tool in release.tools:
        click.echo(f"  {tool_name(release.plugin, tool.name)}  (types from {tool.source})")
    for held in release.quarantined:
        click.echo(f"  held back: {held.name}: {held.reason}")
    click.echo(f"offer it with: extism-registry install {release.plugin}")


@main.command(
    cls=ExampleCommand,
    examples="""
    extism-registry install text
    extism-registry install text@^1.2
    extism-registry install @acme/text@1.4.0
    """,
)
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def install(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """Install PLUGIN, written NAME or NAME@RANGE: pin the newest version in the range and offer its tools."""
    name, requested = split_requirement(plugin)
    _print_installed(_with_backend(data_dir, lambda backend: backend.install(name, requested)), as_json)


@main.command(cls=ExampleCommand, examples="extism-registry uninstall text")
@click.argument("plugin")
@data_dir_option
@translated
def uninstall(plugin: str, data_dir: Path | None) -> None:
    """Take PLUGIN's tools away; its versions stay published."""
    _with_backend(data_dir, lambda backend: backend.uninstall(plugin))
    click.echo(f"uninstalled {plugin}")


@main.command(cls=ExampleCommand, examples="extism-registry update text\nextism-registry update")
@click.argument("plugin", required=False)
@data_dir_option
@json_option
@translated
def update(plugin: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Move PLUGIN (without one: every installation) to the newest version in its range."""

    async def work(backend: Backend) -> tuple[Installed, ...]:
        names = [item.installation.plugin for item in await backend.installed()] if plugin is None else [plugin]
        return tuple([await backend.update(name) for name in names])

    results = _with_backend(data_dir, work)
    if as_json:
        print_json({"items": [_installed_json(result) for result in results]})
        return
    for result in results:
        _print_installed(result, as_json=False)
    if not results:
        click.echo("nothing is installed")


@main.command(cls=ExampleCommand, examples="extism-registry rollback text")
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def rollback(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """Return PLUGIN to the version that was pinned before."""
    _print_installed(_with_backend(data_dir, lambda backend: backend.rollback(plugin)), as_json)


@main.command("list", cls=ExampleCommand, examples="extism-registry list\nextism-registry list --published")
@click.option("--published", is_flag=True, help="List what is in the registry instead of what is installed.")
@data_dir_option
@json_option
@translated
def list_plugins(published: bool, data_dir: Path | None, as_json: bool) -> None:
    """List the installed plugins with their tools."""
    if published:
        _list_published(data_dir, as_json)
        return
    found = _with_backend(data_dir, lambda backend: backend.installed())
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
    found = _with_backend(data_dir, lambda backend: backend.plugins(""))
    if as_json:
        print_json({"items": [item.model_dump(mode="json") for item in found]})
        return
    print_table(
        ("PLUGIN", "LATEST", "VERSIONS", "OWNER", "DESCRIPTION"),
        [(item.name, item.latest or "-", str(item.versions), item.owner, item.description[:80]) for item in found],
        "The registry is empty: publish a plugin with 'extism-registry publish'.",
    )


@main.command(cls=ExampleCommand, examples="extism-registry info text\nextism-registry info text@^1")
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def info(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """Show a published version of PLUGIN (NAME or NAME@RANGE): tools, permissions, limits, digest."""
    name, requested = split_requirement(plugin)
    release = _with_backend(data_dir, lambda backend: backend.release(name, requested))
    if as_json:
        print_json(release.model_dump(mode="json", by_alias=True))
        return
    _print_release(release)


@main.command(cls=ExampleCommand, examples="extism-registry versions text")
@click.argument("plugin")
@data_dir_option
@json_option
@translated
def versions(plugin: str, data_dir: Path | None, as_json: bool) -> None:
    """List all versions of PLUGIN, newest first."""
    found = _with_backend(data_dir, lambda backend: backend.versions(plugin))
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


@main.command(cls=ExampleCommand, examples="extism-registry yank text@1.2.0 --reason 'wrong rounding'")
@click.argument("version")
@click.option("--reason", help="Shown to whoever lists the versions.")
@data_dir_option
@json_option
@translated
def yank(version: str, reason: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Hide VERSION, written NAME@VERSION, from new installs; whoever has it keeps it."""
    _set_yanked(version, True, reason, data_dir, as_json)


@main.command(cls=ExampleCommand, examples="extism-registry unyank text@1.2.0")
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
    release = _with_backend(data_dir, lambda backend: backend.set_yanked(name, number, yanked, reason))
    if as_json:
        print_json({"plugin": name, "version": release.version, "yanked": release.yanked})
    else:
        click.echo(f"{'yanked' if release.yanked else 'unyanked'} {name} {release.version}")


def split_requirement(text: str) -> tuple[str, str]:
    """Name and range of `NAME`, `NAME@RANGE`, `@scope/NAME` or `@scope/NAME@RANGE`."""
    name, _, requested = text[1:].partition("@")
    return text[:1] + name, requested


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


def _print_release(release: Release) -> None:
    manifest = release.manifest
    click.echo(f"{release.plugin} {release.version}{'  YANKED' if release.yanked else ''}")
    if manifest.description:
        click.echo(f"{manifest.description}")
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
            click.echo(f"  {name:<12} {value}")
    click.echo("\ntools")
    for tool in release.tools:
        click.echo(f"  {tool_name(release.plugin, tool.name)}")
        if tool.description:
            click.echo(f"      {first_line(tool.description)}")
    for held in release.quarantined:
        click.echo(f"  held back: {held.name}: {held.reason}")


if __name__ == "__main__":
    main()
