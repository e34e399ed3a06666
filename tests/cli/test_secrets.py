"""`tool-server secret`, on the local data folder and on a server: the value goes in by stdin and never comes out."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys

import pytest

from tests.cli.workplace import Workplace
from tests.support.server import REPOSITORY


def test_secrets_are_set_listed_and_removed(place: Workplace) -> None:
    done = place.tool_server(
        "secret", "set", "KEY", "--host", "a.example", "--host", "*.b.example", stdin="the-value\n"
    )
    assert done.stdout == "KEY is set, to be sent to a.example, *.b.example\n"
    made = place.tool_server("secret", "set", "OTHER", "--plain-http", "--json", stdin="the-value").json
    assert (made["name"], made["hosts"], made["plain_http"]) == ("OTHER", [], True)
    shown = place.tool_server("secret", "list").stdout
    assert "a.example, *.b.example" in shown
    assert "hosts that a plugin's permission names exactly (also without TLS)" in shown
    listed = place.tool_server("secret", "list", "--json").json["items"]
    assert [item["name"] for item in listed] == ["KEY", "OTHER"]
    assert place.tool_server("secret", "remove", "KEY").stdout == "removed KEY\n"
    assert place.tool_server("secret", "remove", "OTHER", "--json").json == {"removed": "OTHER"}
    assert "No secrets" in place.tool_server("secret", "list").stdout
    assert "unknown" not in place.tool_server("secret", "remove", "KEY", exits=4).stdout
    assert "the-value" not in f"{done}{made}{shown}{listed}"


@pytest.mark.parametrize(
    ("args", "stdin", "says"),
    [
        (("KEY",), "", "1 to 65536 bytes"),
        (("KEY",), "\n", "1 to 65536 bytes"),
        (("KEY",), "x" * 65_538, "1 to 65536 bytes"),
        (("a b",), "x", "is not a secret's name"),
        (("KEY", "--host", "https://a.example"), "x", "is no host"),
    ],
)
def test_what_is_not_valid_is_refused(place: Workplace, args: tuple[str, ...], stdin: str, says: str) -> None:
    if place.tool_server("secret", "list", "--json").json["items"]:
        pytest.fail("nothing was to be stored")
    refused = place.tool_server("secret", "set", *args, stdin=stdin, exits=3)
    assert says in refused.stderr or "$.value" in refused.stderr


def test_the_value_is_no_argument(alone: Workplace) -> None:
    assert "unexpected extra argument" in alone.tool_server("secret", "set", "KEY", "the-value", exits=2).stderr


def test_the_key_is_made_beside_the_database_and_is_private(alone: Workplace) -> None:
    alone.tool_server("secret", "set", "KEY", stdin="the-value")
    key = alone.data / "secrets.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    lost = alone.tool_server("secret", "set", "TWO", stdin="x", exits=8)
    assert "restore it from a backup" in lost.stderr


def test_a_wrong_key_is_an_error_that_says_so_and_doctor_does_not_show_it(alone: Workplace) -> None:
    right, wrong = "ab" * 32, "cd" * 32
    alone.tool_server("secret", "set", "KEY", stdin="the-value", TOOL_SERVER_SECRETS_KEY=right)
    refused = alone.tool_server("secret", "set", "TWO", stdin="x", exits=8, TOOL_SERVER_SECRETS_KEY=wrong)
    assert "another key" in refused.stderr
    bad = alone.tool_server("secret", "set", "TWO", stdin="x", exits=3, TOOL_SERVER_SECRETS_KEY="short")
    assert "64 hexadecimal digits" in bad.stderr
    shown = alone.tool_server("doctor", TOOL_SERVER_SECRETS_KEY=right)
    assert "secrets_key" in shown.stdout
    assert right not in f"{shown}{refused}{bad}"


def test_at_a_terminal_the_value_is_typed_unseen(alone: Workplace) -> None:
    environment = {**os.environ, **alone.environment, "PYTHONPATH": str(REPOSITORY)}
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        (sys.executable, "-m", "tool_server", "secret", "set", "KEY"),
        env=environment,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    shown = b""
    while b"Value of KEY:" not in shown:
        shown += os.read(terminal, 1_000)
    os.write(terminal, b"the-value\n")
    try:
        while chunk := os.read(terminal, 1_000):
            shown += chunk
    except OSError:  # how a terminal says that nobody is at its other end any more
        pass
    assert process.wait(60) == 0, shown
    os.close(terminal)
    assert b"KEY is set" in shown
    assert b"the-value" not in shown
