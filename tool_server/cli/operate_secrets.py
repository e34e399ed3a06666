"""`tool-server secret`: set, list and remove. A value is never an argument, where other users' `ps` would show it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tool_server.cli.backend import with_backend
from tool_server.cli.context import data_dir_option, json_option, print_json, translated
from tool_server.cli.examples import ExampleCommand, ExampleGroup
from tool_server.cli.output import print_table, short_time
from tool_server.errors import InvalidInput
from tool_server.model.secret import MAX_SECRET_BYTES, SecretRecord


@click.group(
    cls=ExampleGroup,
    examples="tool-server secret set WEATHER_KEY --host api.example.com\ntool-server secret list",
)
def secret() -> None:
    """Set, list and remove what the server puts into plugins' HTTP requests.

    A plugin writes ${secret:NAME} in a header's value or in the query of a URL; the server puts the value in after it
    has allowed the request, and takes it out of everything that comes back.
    """


@secret.command(
    "set",
    cls=ExampleCommand,
    examples="""
    tool-server secret set WEATHER_KEY --host api.example.com
    cat key.txt | tool-server secret set WEATHER_KEY --host api.example.com --host *.example.org
    """,
)
@click.argument("name")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="Where it may be sent: HOST, *.HOST or HOST:PORT; may be given more than once.  "
    "[default: hosts that a plugin's network permission names exactly]",
)
@click.option("--plain-http", is_flag=True, help="Allow it to be sent without TLS.")
@data_dir_option
@json_option
@translated
def set_secret(name: str, hosts: tuple[str, ...], plain_http: bool, data_dir: Path | None, as_json: bool) -> None:
    """Store the value that stdin gives, or that is typed at the hidden prompt, as NAME."""
    value = _read_value(name)

    record = with_backend(data_dir, lambda backend: backend.set_secret(name, value, hosts, plain_http))
    if as_json:
        print_json(_shown(record))
    else:
        click.echo(f"{record.name} is set, to be sent to {_places(record)}")


@secret.command("list", cls=ExampleCommand, examples="tool-server secret list")
@data_dir_option
@json_option
@translated
def list_secrets(data_dir: Path | None, as_json: bool) -> None:
    """List all secrets by name; their values are never shown."""
    records = with_backend(data_dir, lambda backend: backend.list_secrets())
    if as_json:
        print_json({"items": [_shown(record) for record in records]})
        return
    print_table(
        ("NAME", "HOSTS", "CREATED", "CHANGED"),
        [
            (record.name, _places(record), short_time(record.created_at), short_time(record.updated_at))
            for record in records
        ],
        "No secrets: set one with 'tool-server secret set NAME'.",
    )


@secret.command(cls=ExampleCommand, examples="tool-server secret remove WEATHER_KEY")
@click.argument("name")
@data_dir_option
@json_option
@translated
def remove(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Forget NAME; plugins' requests that refer to it fail from now on."""
    with_backend(data_dir, lambda backend: backend.remove_secret(name))
    if as_json:
        print_json({"removed": name})
    else:
        click.echo(f"removed {name}")


def _read_value(name: str) -> str:
    if sys.stdin.isatty():
        typed: str = click.prompt(f"Value of {name}", hide_input=True, err=True)
        return typed
    raw = sys.stdin.buffer.read(MAX_SECRET_BYTES + 2)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("invalid_secret_value", "the value on stdin is not UTF-8 text") from error
    # The line break that `echo` and editors add is no part of it.
    return text.removesuffix("\n").removesuffix("\r")


def _shown(record: SecretRecord) -> dict[str, object]:
    return record.model_dump(mode="json")


def _places(record: SecretRecord) -> str:
    hosts = ", ".join(record.hosts) or "hosts that a plugin's permission names exactly"
    return f"{hosts} (also without TLS)" if record.plain_http else hosts
