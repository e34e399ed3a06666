"""`extism-registry login`, `logout` and `whoami`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tool_server.cli.backend import Identity, with_backend
from tool_server.cli.context import (
    data_dir_option,
    json_option,
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
from tool_server.cli.examples import ExampleCommand


@click.command(
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


@click.command(cls=ExampleCommand, examples="extism-registry logout")
@translated
def logout() -> None:
    """Forget the login and work on the local data folder again."""
    click.echo("logged out" if forget_credentials() else f"there was no login in {credentials_file()}")
    if os.environ.get("TOOL_SERVER_URL"):
        click.echo("TOOL_SERVER_URL still names a server: unset it to work on the local data folder", err=True)


@click.command(cls=ExampleCommand, examples="extism-registry whoami")
@data_dir_option
@json_option
@translated
def whoami(data_dir: Path | None, as_json: bool) -> None:
    """Show where the commands work and as whom."""
    identity = with_backend(data_dir, lambda backend: backend.whoami())
    if as_json:
        print_json({"where": identity.where, "name": identity.name, "scopes": identity.scopes})
    else:
        click.echo(f"{identity.name} at {identity.where} ({', '.join(identity.scopes)})")
