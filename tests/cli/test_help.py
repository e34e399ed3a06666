"""Every command explains itself, with examples that are commands of today."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Generator

import click
import pytest

from tests.cli.workplace import COMMANDS, Workplace
from tests.support.plugins import bundled_tools
from tool_server.version import VERSION

WITHOUT_JSON = {"stdio", "logout", "uninstall", "upgrade"}
"""Commands that print no data."""


def context_of(command: click.Command) -> click.Context:
    """A context as `main()` makes it; click keeps the first help option that it makes for a command."""
    return click.Context(command, help_option_names=["-h", "--help"])


def commands(name: str, command: click.Command) -> Generator[tuple[str, click.Command]]:
    """The command and all below it, by the words that a user types."""
    yield name, command
    if isinstance(command, click.Group):
        with context_of(command) as context:
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                yield from commands(f"{name} {child}", found)


ALL = {name: command for program, main in COMMANDS.items() for name, command in commands(program, main)}


def examples_in(help_text: str) -> list[str]:
    """The lines below the heading `Examples:`."""
    _, heading, below = help_text.partition("\nExamples:\n")
    return [line.strip() for line in below.splitlines() if line.strip()] if heading else []


def resolved(words: list[str]) -> str:
    """Let click parse a command line without running it; returns the command's words."""
    name, *rest = words
    command = COMMANDS[name]
    with context_of(command) as context:
        while isinstance(command, click.Group):
            child = command.get_command(context, rest[0])
            assert child is not None, words
            name, command, rest = f"{name} {rest[0]}", child, rest[1:]
        # `--help` itself ends the parsing.
        with contextlib.suppress(click.exceptions.Exit):
            command.make_context(name, rest, parent=context).close()
    return name


def test_the_commands_are_those_that_were_promised() -> None:
    listed = {
        program: [name.split()[1] for name in ALL if name.startswith(f"{program} ") and name.count(" ") == 1]
        for program in COMMANDS
    }
    assert listed == {
        "tool-server": "up stdio tools call token grant secret doctor db".split(),
        "extism-registry": sorted(
            "publish install uninstall update rollback list info versions yank unyank login logout whoami "
            "import-config".split()
        ),
    }
    assert {"tool-server token create", "tool-server token list", "tool-server token revoke"} <= ALL.keys()
    assert {"tool-server secret set", "tool-server secret list", "tool-server secret remove"} <= ALL.keys()
    assert {"tool-server db upgrade", "tool-server db check"} <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_help_says_what_the_command_does_with_examples_that_parse(name: str, alone: Workplace) -> None:
    program, *words = name.split()
    run = alone.tool_server if program == "tool-server" else alone.extism_registry
    shown = run(*words, "--help").stdout
    assert run(*words, "-h").stdout == shown
    assert shown.startswith(f"Usage: {name} ")
    assert ALL[name].get_short_help_str()
    examples = examples_in(shown)
    assert examples
    for example in examples:
        *_, last_of_pipe = shlex.join(shlex.split(example, comments=True)).split(" '|' ")
        command = resolved(shlex.split(last_of_pipe))
        assert command == name if not isinstance(ALL[name], click.Group) else command.startswith(name)
    assert not alone.data.exists()


@pytest.mark.parametrize("name", [name for name, command in ALL.items() if not isinstance(command, click.Group)])
def test_whatever_prints_data_can_print_json(name: str) -> None:
    options = {option for parameter in ALL[name].params for option in parameter.opts}
    assert ("--json" in options) is (name.split()[-1] not in WITHOUT_JSON)


def test_the_tools_in_examples_exist() -> None:
    tools = {tool.name for tool in bundled_tools()}
    lines = [line for command in ALL.values() for line in getattr(command, "examples", ()) if " call " in line]
    called = [words[words.index("call") + 1] for words in map(shlex.split, lines)]
    assert len(called) > 2
    assert {tool for tool in called if not tool.startswith("-")} <= tools


def test_the_list_of_commands_is_the_one_that_can_be_run(alone: Workplace) -> None:
    for program, main in COMMANDS.items():
        run = alone.tool_server if program == "tool-server" else alone.extism_registry
        _, _, below = run("--help").stdout.partition("\nCommands:\n")
        shown = [line.split()[0] for line in below.partition("\n\n")[0].splitlines() if line[2:3].strip()]
        with context_of(main) as context:
            assert shown == main.list_commands(context)
        assert run("--version").stdout == f"{program}, version {VERSION}\n"
        assert "Usage:" in run(exits=2).stderr


@pytest.mark.parametrize("program", COMMANDS)
def test_an_unknown_command_or_option_is_a_usage_error(program: str, alone: Workplace) -> None:
    run = alone.tool_server if program == "tool-server" else alone.extism_registry
    assert "No such command 'fly'" in run("fly", exits=2).stderr
    assert "--nowhere" in run("--nowhere", exits=2).stderr
