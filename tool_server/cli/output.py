"""Tables and progress for people; nothing here runs under `--json`."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tool_server.model.tool import Finding, Severity


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """A table on stdout, or the sentence `empty` where there are no rows."""
    rows = list(rows)
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    # A pipe has no width: never fold what a program reads.
    console = Console(width=100_000, color_system=None)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


@contextmanager
def working(message: str) -> Generator[None]:
    """A spinner on stderr while the block runs, when there is a terminal to see it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(message):
        yield


def print_findings(findings: Iterable[Finding]) -> None:
    """Warnings and notes on stderr, one a line."""
    for finding in findings:
        if finding.severity is Severity.REFUSE:
            continue
        place = f"{finding.tool}: " if finding.tool else ""
        click.echo(f"{finding.severity}: {place}{finding.message} [{finding.rule}]", err=True)


def short_time(moment: datetime) -> str:
    """To the minute, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M")


def size_text(size: int) -> str:
    """Bytes for people: `213 B`, `4.4 MiB`."""
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


def first_line(text: str) -> str:
    """The beginning of a description, for a list."""
    return printable(text.strip().partition("\n")[0])[:100]


def printable(text: str) -> str:
    """One line that cannot steer a terminal: control and direction characters are shown as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
