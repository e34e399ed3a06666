"""Commands whose help ends in examples. Imports nothing heavy, so that `--help` and `--version` answer at once."""

from __future__ import annotations

from typing import Any

import click


class _Examples(click.Command):
    def __init__(self, *args: Any, examples: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(line.strip() for line in examples.strip().splitlines())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples verbatim."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"  {line}\n")


class ExampleCommand(_Examples):
    """A command whose help ends in examples that can be pasted, one a line."""


class ExampleGroup(_Examples, click.Group):
    """A group of commands with examples of its own."""
