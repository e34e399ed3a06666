"""`tool-server token`: make, list and revoke."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from tool_server.cli.backend import with_backend
from tool_server.cli.context import (
    data_dir_option,
    json_option,
    print_json,
    translated,
)
from tool_server.cli.examples import ExampleCommand, ExampleGroup
from tool_server.cli.output import print_table, short_time
from tool_server.cli.views import make_view, only_option, view_option, view_words
from tool_server.errors import InvalidInput
from tool_server.model.caller import Scope, TokenRecord

_LIFETIME = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.group(cls=ExampleGroup, examples="tool-server token create mastra --scope call\ntool-server token list")
def token() -> None:
    """Make, list and revoke the bearer tokens of clients."""


@token.command(
    cls=ExampleCommand,
    examples="""
    tool-server token create mastra --scope call
    tool-server token create ci --scope publish --expires 90d
    tool-server token create writer --view search --only plugin:text --only tool:hash_digest
    """,
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    default=("call",),
    show_default=True,
    help="What the token allows; may be given more than once.",
)
@click.option("--expires", help="Lifetime, such as 12h or 90d.  [default: until revoked]")
@view_option
@only_option
@data_dir_option
@json_option
@translated
def create(
    name: str,
    scopes: tuple[str, ...],
    expires: str | None,
    view: str,
    only: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Make a token named NAME. It is shown once and stored only as a hash.

    With --only there are no other tools for it, in listings and calls, over MCP and REST. A client may choose the other
    view by its URL, /mcp?view=search or /mcp?view=all; it never sees more tools that way.
    """
    lifetime = None if expires is None else _lifetime(expires)
    seen = make_view(view, only)
    granted = tuple(Scope(scope) for scope in scopes)
    made = with_backend(data_dir, lambda backend: backend.create_token(name, granted, lifetime, seen))
    if as_json:
        print_json({"token": _shown(made.record), "secret": made.secret})
        return
    click.echo(made.secret)
    click.echo("Keep it now: it is not shown again. Send it as 'Authorization: Bearer ...'.", err=True)


@token.command("list", cls=ExampleCommand, examples="tool-server token list")
@data_dir_option
@json_option
@translated
def list_tokens(data_dir: Path | None, as_json: bool) -> None:
    """List all tokens, newest first."""
    records = with_backend(data_dir, lambda backend: backend.list_tokens())
    if as_json:
        print_json({"items": [_shown(record) for record in records]})
        return
    print_table(
        ("ID", "NAME", "SCOPES", "SEES", "CREATED", "STATE"),
        [
            (
                *(record.id, record.name, ", ".join(record.scopes), view_words(record.view)),
                *(short_time(record.created_at), _state(record)),
            )
            for record in records
        ],
        "No tokens: make one with 'tool-server token create NAME'.",
    )


@token.command(cls=ExampleCommand, examples="tool-server token revoke mastra")
@click.argument("name_or_id")
@data_dir_option
@json_option
@translated
def revoke(name_or_id: str, data_dir: Path | None, as_json: bool) -> None:
    """End a token, by its name or id, at once."""
    record = with_backend(data_dir, lambda backend: backend.revoke_token(name_or_id))
    if as_json:
        print_json(_shown(record))
    else:
        click.echo(f"revoked {record.name} ({record.id})")


def _shown(record: TokenRecord) -> dict[str, object]:
    return record.model_dump(mode="json", exclude={"secret_hash"})


def _state(record: TokenRecord) -> str:
    if record.revoked_at is not None:
        return f"revoked {short_time(record.revoked_at)}"
    if record.expires_at is None:
        return "valid"
    word = "expired" if record.expires_at <= datetime.now(UTC) else "valid until"
    return f"{word} {short_time(record.expires_at)}"


def _lifetime(text: str) -> timedelta:
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise InvalidInput("invalid_lifetime", f"{text[:40]!r} is not a lifetime: write 45m, 12h or 90d")
    return timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
