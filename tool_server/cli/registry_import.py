"""`extism-registry import-config`: the plugins of another host's configuration file, published and installed here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import click

from tool_server.cli.backend import Backend, with_backend
from tool_server.cli.context import data_dir_option, fail, json_option, load_config, print_json, translated
from tool_server.cli.examples import ExampleCommand
from tool_server.cli.output import printable, working
from tool_server.errors import Conflict, InvalidInput, NotFound, ToolServerError
from tool_server.inspection.foreign.host_config import MAX_CONFIG_BYTES, read_host_config
from tool_server.inspection.foreign.import_plan import (
    IMPORTED_VERSION,
    ImportPlan,
    Mapped,
    ReportLine,
    about_file,
    imported_source,
    plan,
    taken_names,
)
from tool_server.inspection.manifest_files import PluginSource, read_file
from tool_server.inspection.tool_filter import ToolFilter
from tool_server.model.names import check_plugin_name, tool_name
from tool_server.model.release import Release

_NOT_READ = {
    "http": "download it, and write the file's path as its url",
    "https": "download it, and write the file's path as its url",
    "oci": "images are not read: copy plugin.wasm out of the image, and write the file's path as its url",
    "s3": "buckets are not read: copy the module here, and write the file's path as its url",
}


@dataclass(slots=True)
class _Import:
    """One plugin on its way."""

    plan: ImportPlan
    source: PluginSource | None = None
    release: Release | None = None
    error: ToolServerError | None = None
    offered: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    lines: list[ReportLine] = field(default_factory=list[ReportLine])


@click.command(
    "import-config",
    cls=ExampleCommand,
    examples="""
    extism-registry import-config ~/.config/hyper-mcp/config.json --dry-run
    extism-registry import-config config.yaml --rename hash=other-hash
    """,
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Only say what would be done: nothing is published, installed or granted."
)
@click.option("--rename", "renames", multiple=True, metavar="NAME=NEW", help="Call the file's plugin NAME NEW here.")
@data_dir_option
@json_option
@translated
def import_config(file: Path, dry_run: bool, renames: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """Publish and install the plugins of FILE, a configuration of hyper-mcp (JSON, YAML or TOML).

    What the file allows a plugin is requested and granted here. Prints what became of each setting. Modules are read
    from files alone. Importing a file again replaces what it says. Ends with the first failure's exit code.
    """
    data = read_file(file, MAX_CONFIG_BYTES, str(file))
    config = read_host_config(data, file.suffix.lower(), os.environ)
    names = taken_names([plugin.name for plugin in config.plugins], _renamed(renames))
    imports = [_Import(plan(plugin, names[plugin.name])) for plugin in config.plugins]
    max_wasm_bytes = load_config(data_dir).config.limits.wasm
    for item in imports:
        _read_module(item, file.parent, max_wasm_bytes)

    async def work(backend: Backend) -> None:
        for item in imports:
            if item.error is None:
                await _carry_out(item, backend, dry_run=dry_run)

    with working(f"importing {len(imports)} plugins"):
        with_backend(data_dir, work)
    about = about_file(config.others)
    if as_json:
        print_json(_json(file, imports, about, dry_run=dry_run))
    else:
        _print(imports, about, dry_run=dry_run)
    failed = next((item.error for item in imports if item.error is not None), None)
    if failed is not None:
        fail(failed, printed=True)


def _renamed(renames: tuple[str, ...]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for item in renames:
        before, equals, after = item.partition("=")
        if not equals:
            raise click.UsageError(f"{item!r} is no NAME=NEW")
        found[before] = check_plugin_name(after)
    return found


def _read_module(item: _Import, folder: Path, max_wasm_bytes: int) -> None:
    try:
        path = folder / _path_of(item.plan.url)
        source = PluginSource(
            item.plan.manifest,
            read_file(path, max_wasm_bytes, str(path), "write the module's path as its url"),
            (),
            folder,
        )
        item.source = imported_source(item.plan, source)
    except InvalidInput as error:
        item.error = error


def _path_of(url: str) -> str:
    """The file that a `url` names, which may be a path, relative to the configuration file."""
    if "://" not in url:
        return url
    scheme = url.partition("://")[0].lower()
    if scheme != "file":
        _refuse_url(url, _NOT_READ.get(scheme, "write the file's path as its url"))
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse_url(url, "it is no URL")
    if parts.netloc not in ("", "localhost"):
        _refuse_url(url, "it names another machine")
    return unquote(parts.path)


def _refuse_url(url: str, reason: str) -> NoReturn:
    shown = url.partition("?")[0][:200]
    raise InvalidInput("unsupported_source", f"the module at {shown} was not read: {reason}", {"url": shown})


async def _carry_out(item: _Import, backend: Backend, *, dry_run: bool) -> None:
    source = item.source
    if source is None:
        return
    name = item.plan.manifest.name
    try:
        await _require_own_name(backend, name, item.plan.source)
        if dry_run:
            return
        item.release = (await backend.publish(source)).release
        await backend.install_as(name, source.manifest.version, item.plan.granted, item.plan.settings)
    except ToolServerError as error:
        item.error = error
        return
    _note_tools(item, item.release)


async def _require_own_name(backend: Backend, name: str, source: str) -> None:
    """An import never moves a plugin that came here by another way."""
    try:
        versions = await backend.versions(name)
    except NotFound:
        return
    if any(not version.version.startswith(IMPORTED_VERSION) for version in versions):
        raise Conflict(
            "name_taken",
            f"a plugin {name} is here already that was not imported: choose another name with --rename {source}=NAME",
            {"plugin": name},
        )


def _note_tools(item: _Import, release: Release) -> None:
    settings = item.plan.settings
    tools = [tool.name for tool in release.tools]
    skipped = _skipped(item, "skip_tools", settings.skip_tools, "the name of no tool", tools)
    item.offered = tuple(tool_name(release.plugin, name) for name in tools if name not in skipped)
    item.skipped = (
        *skipped,
        *_skipped(
            *(item, "skip_prompts", settings.skip_prompts, "the name of no prompt"),
            [prompt.name for prompt in release.prompts],
        ),
        *_skipped(
            *(item, "skip_resources", settings.skip_resources, "the URI of no resource"),
            [resource.uri for resource in release.resources],
        ),
        *_skipped(
            *(item, "skip_resource_templates", settings.skip_resource_templates, "no template"),
            [template.uriTemplate for template in release.resource_templates],
        ),
    )
    for held in release.quarantined:
        item.lines.append(ReportLine("tool", Mapped.NOT_MAPPED, f"{held.name} is held back: {held.reason}"))
    for other in release.quarantined_items:
        item.lines.append(ReportLine(other.kind, Mapped.NOT_MAPPED, f"{other.name} is held back: {other.reason}"))


def _skipped(
    item: _Import, setting: str, patterns: Sequence[str], missing: str, names: Sequence[str]
) -> tuple[str, ...]:
    """The names that patterns leave out; a pattern that leaves out none is told."""
    for pattern in patterns:
        if not any(map(ToolFilter([pattern]).skips, names)):
            item.lines.append(ReportLine(setting, Mapped.PARTLY, f"{pattern[:120]!r} is {missing}"))
    skips = ToolFilter(patterns).skips
    return tuple(name for name in names if skips(name))


def _json(file: Path, imports: list[_Import], about: tuple[ReportLine, ...], *, dry_run: bool) -> dict[str, object]:
    return {
        "file": str(file),
        "format": "hyper-mcp",
        "dry_run": dry_run,
        "plugins": [
            {
                "source": item.plan.source,
                "plugin": item.plan.manifest.name,
                "version": None if item.source is None else item.source.manifest.version,
                "imported": item.error is None and not dry_run,
                "tools": list(item.offered),
                "skipped": list(item.skipped),
                "lines": [_line_json(line) for line in (*item.plan.lines, *item.lines)],
                "error": None if item.error is None else {"code": item.error.code, "message": item.error.message},
            }
            for item in imports
        ],
        "lines": [_line_json(line) for line in about],
    }


def _line_json(line: ReportLine) -> dict[str, str]:
    return {"setting": line.setting, "status": str(line.status), "text": line.text}


def _print(imports: list[_Import], about: tuple[ReportLine, ...], *, dry_run: bool) -> None:
    for item in imports:
        click.echo(f"{printable(item.plan.source)}: {_became(item, dry_run=dry_run)}")
        _print_lines((*item.plan.lines, *item.lines))
        if item.offered:
            click.echo(f"  offers: {', '.join(item.offered)}")
        if item.skipped:
            click.echo(f"  left out: {printable(', '.join(item.skipped))}")
    click.echo("the file")
    _print_lines(about)


def _became(item: _Import, *, dry_run: bool) -> str:
    if item.error is not None:
        return f"not imported: {printable(item.error.message)}"
    version = "" if item.source is None else item.source.manifest.version
    return f"{'would be imported' if dry_run else 'imported'} as {item.plan.manifest.name} {version}"


def _print_lines(lines: tuple[ReportLine, ...]) -> None:
    for line in lines:
        click.echo(f"  {line.status:<11} {printable(line.setting)}: {printable(line.text)}")
