"""`tool-server doctor`: settings in force, where they come from, and whether the parts work."""

from __future__ import annotations

import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path

import click

from tool_server.bootstrap.services import Services, build
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
from tool_server.cli.examples import ExampleCommand
from tool_server.cli.output import print_table
from tool_server.config import Config, LoadedConfig, flatten
from tool_server.errors import ToolServerError, Unavailable
from tool_server.model.protection import ProtectionReport
from tool_server.version import VERSION

_PACKAGES = ("mcp", "starlette", "extism", "extism-sys", "jsonschema", "jsonschema-rs", "pydantic", "sqlalchemy")


@click.command(cls=ExampleCommand, examples="tool-server doctor\ntool-server doctor --json")
@data_dir_option
@json_option
@translated
def doctor(data_dir: Path | None, as_json: bool) -> None:
    """Show every setting in force and where it came from, then try storage and sandbox for real.

    The last lines say what keeps the processes that run plugins harmless on this machine, and where something does
    not, why. With the setting sandbox.require the server refuses to start without it.
    """
    loaded = load_config(data_dir)
    settings = _settings(loaded)
    checks, protections = run_async(lambda: _checks(loaded.config))
    failed = [name for name, (good, _) in checks.items() if not good]
    if as_json:
        print_json(
            {
                "version": VERSION,
                "python": platform.python_version(),
                "packages": {name: version(name) for name in _PACKAGES},
                "settings": {name: {"value": value, "origin": origin} for name, value, origin in settings},
                "checks": {name: {"ok": good, "detail": detail} for name, (good, detail) in checks.items()},
                "protections": {
                    str(name): {"in_force": state.in_force, "detail": state.detail}
                    for name, state in protections.items()
                },
            }
        )
    else:
        click.echo(f"tool-server {VERSION}, Python {platform.python_version()}, {platform.platform()}")
        click.echo(", ".join(f"{name} {version(name)}" for name in _PACKAGES) + "\n")
        print_table(("SETTING", "VALUE", "FROM"), settings, "")
        click.echo("")
        for name, (good, detail) in checks.items():
            click.echo(f"{'ok  ' if good else 'FAIL'}  {name}: {detail}")
        for name, state in protections.items():
            click.echo(f"{'on  ' if state.in_force else 'off '}  {name}: {state.detail}")
    if failed:
        reasons = "; ".join(f"{name}: {checks[name][1]}" for name in failed)
        fail(Unavailable("unhealthy", f"not working: {reasons}"), printed=True)


def _settings(loaded: LoadedConfig) -> list[tuple[str, str, str]]:
    values = flatten(loaded.config.model_dump(mode="json"))
    return [(name, hide_password(str(value)), loaded.origins.get(name, "default")) for name, value in values.items()]


async def _try_search(services: Services) -> tuple[bool, str]:
    try:
        await services.search.check()
    except Unavailable as error:
        return False, error.message
    return True, f"SQLite {sqlite3.sqlite_version} has full-text search"


async def _checks(config: Config) -> tuple[dict[str, tuple[bool, str]], ProtectionReport]:
    """Each part with whether it works, and what confines the workers, as far as that was found out."""
    protections: ProtectionReport = {}
    results: dict[str, tuple[bool, str]] = {"python": (sys.version_info >= (3, 11), platform.python_version())}
    try:
        async with build(config, load_catalog=False) as services:
            problems = (await services.health.check_storage()).problems
            results["storage"] = (not problems, "; ".join(problems) or f"{config.data_dir} is clean")
            results["search"] = await _try_search(services)
            results["sandbox"] = (True, await services.health.try_sandbox())
            protections = await services.pool.protections()
    except ToolServerError as error:
        of_sandbox = "storage" in results or error.code == "protection_missing"
        results["sandbox" if of_sandbox else "storage"] = (False, hide_password(error.message))
    return results, protections
