"""`tool-server db`: upgrade and check."""

from __future__ import annotations

from pathlib import Path

import click

from tool_server.bootstrap.services import build
from tool_server.cli.context import (
    data_dir_option,
    fail,
    hide_password,
    json_option,
    load_config,
    print_json,
    run_async,
    translated,
)
from tool_server.cli.examples import ExampleCommand, ExampleGroup
from tool_server.errors import Unavailable
from tool_server.services.health import StorageReport


@click.group("db", cls=ExampleGroup, examples="tool-server db check\ntool-server db upgrade")
def database() -> None:
    """Upgrade and check the database and the artifacts."""


@database.command(cls=ExampleCommand, examples="tool-server db upgrade")
@data_dir_option
@translated
def upgrade(data_dir: Path | None) -> None:
    """Bring the database to this version's schema. Every command does so by itself when it opens an older one."""
    config = load_config(data_dir).config

    async def main() -> None:
        async with build(config, load_catalog=False):
            pass

    run_async(main)
    click.echo(f"{hide_password(config.effective_database_url)} is up to date")


@database.command(cls=ExampleCommand, examples="tool-server db check\ntool-server db check --json")
@data_dir_option
@json_option
@translated
def check(data_dir: Path | None, as_json: bool) -> None:
    """Check the database's integrity and hash every artifact again."""
    config = load_config(data_dir).config

    async def main() -> StorageReport:
        async with build(config, load_catalog=False) as services:
            return await services.health.check_storage()

    report = run_async(main)
    problems, remarks = report.problems, report.remarks
    if as_json:
        print_json({"clean": not problems, "problems": problems, "remarks": remarks})
    else:
        for line in remarks:
            click.echo(f"note: {line}")
        if not problems:
            click.echo("clean")
    if problems:
        fail(
            Unavailable("damaged", f"{'; '.join(problems)}. Stop the server and put a backup of the data folder back"),
            printed=True,
        )
