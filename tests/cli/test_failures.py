"""The command line's translation table: one exit code for each class of error, one line on standard error."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from tool_server.cli.context import hide_password, json_option, translated
from tool_server.cli.output import first_line, printable, size_text
from tool_server.errors import CallFailed, Conflict, Denied, InvalidInput, NotFound, ToolServerError, Unavailable


def failing(error: Callable[[], BaseException]) -> click.Command:
    """A command that does nothing but fail."""

    @click.command()
    @json_option
    @translated
    def command(as_json: bool) -> None:
        raise error()

    return command


def in_groups(error: BaseException, depth: int) -> BaseException:
    """As so many nested task groups raise it."""
    return error if depth == 0 else BaseExceptionGroup("tasks", [in_groups(error, depth - 1)])


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        *((ToolServerError, 1), (InvalidInput, 3), (NotFound, 4), (Conflict, 5), (Denied, 6), (CallFailed, 7)),
        (Unavailable, 8),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_each_class_has_an_exit_code_also_inside_of_exception_groups(
    kind: type[ToolServerError], exit_code: int, depth: int
) -> None:
    def error() -> BaseException:
        return in_groups(kind("some_code", "what to do next", {"path": "$.a"}), depth)

    plain = CliRunner().invoke(failing(error))
    as_json = CliRunner().invoke(failing(error), ["--json"])
    assert (plain.exit_code, plain.stdout, plain.stderr) == (exit_code, "", "error: what to do next\n")
    assert (as_json.exit_code, as_json.stderr) == (exit_code, "error: what to do next\n")
    assert json.loads(as_json.stdout) == {
        "error": {"code": "some_code", "message": "what to do next", "data": {"path": "$.a"}}
    }


@pytest.mark.parametrize(
    "error",
    [
        lambda: ValueError("a secret"),
        lambda: OSError("a secret"),
        lambda: ExceptionGroup("a secret", [NotFound("a", "a secret"), NotFound("b", "a secret")]),
    ],
)
def test_what_nobody_foresaw_is_an_internal_error_that_tells_nothing_but_its_class(
    error: Callable[[], BaseException],
) -> None:
    done = CliRunner().invoke(failing(error), ["--json"], env={"TOOL_SERVER_DEBUG": None})
    assert done.exit_code == 1
    assert done.stderr.startswith("error: internal error ")
    assert type(error()).__name__ in done.stderr
    assert "TOOL_SERVER_DEBUG=1" in done.stderr
    assert "a secret" not in done.output
    assert json.loads(done.stdout)["error"]["code"] == "internal_error"
    debugged = CliRunner().invoke(failing(error), env={"TOOL_SERVER_DEBUG": "1"})
    assert debugged.exit_code == 1
    assert "Traceback" in debugged.stderr
    assert "raise error()" in debugged.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï ✓", "plain ünï ✓"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("\u202eback", "\\u202eback"),
        ("[bold]:smile:", "[bold]:smile:"),
    ],
)
def test_nothing_in_a_table_steers_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(("text", "line"), [("\n  \n", ""), (" one \n two", "one "), ("x" * 200, "x" * 100)])
def test_a_list_shows_the_first_line_of_a_description(text: str, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:se:cret@host/db", "postgresql://user:***@host/db"),
        ("s3://:secret@bucket", "s3://:***@bucket"),
        ("sqlite:////data/tool-server.db", "sqlite:////data/tool-server.db"),
        ("http://host:8000/@scope", "http://host:8000/@scope"),
    ],
)
def test_a_password_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (2**20 - 1, "1024.0 KiB"), (2**22, "4.0 MiB")]
)
def test_sizes_have_units(size: int, text: str) -> None:
    assert size_text(size) == text
