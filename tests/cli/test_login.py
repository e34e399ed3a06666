"""Logging in, staying logged in, and every way in which a server cannot be used."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Site
from tests.cli.workplace import Workplace


def credentials_of(workplace: Workplace) -> Path:
    """The file that `login` writes."""
    return workplace.home / "config" / "tool-server" / "credentials.json"


@contextmanager
def answering(status: int, body: bytes) -> Generator[str]:
    """An HTTP server of another kind: it answers everything in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_login_lasts_until_the_logout_in_a_file_for_its_owner_alone(site: Site, alone: Workplace) -> None:
    secret = site.token("lasting", "read")
    login = alone.extism_registry("login", f"{site.url}/mcp", "--token-stdin", "--json", stdin=f" {secret}\n")
    assert login.json == {"url": site.url, "name": "lasting", "scopes": ["read"]}
    path = credentials_of(alone)
    assert json.loads(path.read_text()) == {"url": site.url, "token": secret}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["credentials.json"]
    assert alone.extism_registry("whoami", "--json").json["where"] == site.url
    # An explicit data folder is local work all the same.
    assert alone.extism_registry("whoami", "--data-dir", alone.data, "--json").json["name"] == "local"
    path.chmod(0o644)
    alone.extism_registry("login", site.url, "--token-stdin", stdin=secret)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert alone.extism_registry("logout").stdout == "logged out\n"
    assert not path.exists()
    assert alone.extism_registry("whoami", "--json").json["name"] == "local"
    assert "there was no login" in alone.extism_registry("logout").stdout


def test_login_asks_for_the_token_without_showing_it(site: Site, alone: Workplace) -> None:
    secret = site.token("asked", "call")
    login = alone.extism_registry("login", site.url, stdin=f"{secret}\n")
    assert "as asked (call)" in login.stdout
    assert "Token: " in login.stderr
    assert secret not in login.stdout + login.stderr
    given = alone.extism_registry("login", site.url, TOOL_SERVER_TOKEN=site.token("given", "call"))
    assert "as given (call)" in given.stdout


def test_the_environment_can_name_the_server_and_logout_says_that_it_still_does(site: Site, alone: Workplace) -> None:
    secret = site.token("script", "read")
    shown = alone.extism_registry("whoami", "--json", TOOL_SERVER_URL=site.url, TOOL_SERVER_TOKEN=secret)
    assert shown.json["name"] == "script"
    assert not credentials_of(alone).exists()
    assert "TOOL_SERVER_URL" in alone.extism_registry("logout", TOOL_SERVER_URL=site.url).stderr


def test_without_a_token_this_machine_may_call_and_no_more(site: Site, alone: Workplace) -> None:
    assert "as anonymous" in alone.extism_registry("login", site.url, "--token-stdin", stdin="").stdout
    alone.tool_server("tools")
    assert "token" in alone.extism_registry("publish", alone.plugin("unasked", "1.0.0"), exits=6).stderr


@pytest.mark.parametrize(
    ("scope", "command"),
    [
        ("call", "extism-registry install some"),
        ("read", "extism-registry publish FOLDER"),
        ("publish", "extism-registry uninstall some"),
        ("publish", "tool-server token list"),
        ("read", "extism-registry yank some@1.0.0"),
    ],
)
def test_what_the_token_does_not_allow_is_denied(site: Site, alone: Workplace, scope: str, command: str) -> None:
    secret = site.token(f"{scope}-{command.split()[1]}", scope)
    program, *args = command.replace("FOLDER", str(alone.plugin("some", "1.0.0"))).split()
    run = alone.tool_server if program == "tool-server" else alone.extism_registry
    denied = run(*args, exits=6, TOOL_SERVER_URL=site.url, TOOL_SERVER_TOKEN=secret)
    assert "scope" in denied.stderr


def test_an_unknown_or_revoked_token_is_denied_and_not_kept(site: Site, alone: Workplace) -> None:
    unknown = f"ts_{'0' * 12}_{'x' * 43}"
    assert "not known" in alone.extism_registry("login", site.url, "--token-stdin", stdin=unknown, exits=6).stderr
    assert not credentials_of(alone).exists()
    revoked = site.token("short-lived", "read")
    site.operator.tool_server("token", "revoke", "short-lived")
    assert "revoked" in alone.extism_registry("login", site.url, "--token-stdin", stdin=revoked, exits=6).stderr


@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8000", "ftp://host", "http://", "http://[::1", "http://host:port", "http://host:99999", ""),
        *("http://user:secret@host", "http://:secret@host", "http://host/?q=1", "http://host/#part", "http://ho\x00st"),
    ],
)
def test_what_is_no_address_is_refused_with_the_way_to_write_one(alone: Workplace, url: str) -> None:
    for refused in (
        alone.extism_registry("login", url, "--token-stdin", stdin="", exits=3),
        *([alone.extism_registry("whoami", TOOL_SERVER_URL=url, exits=3)] if url and "\x00" not in url else []),
    ):
        assert "http://127.0.0.1:8000" in refused.stderr


@pytest.mark.parametrize("token", ["tökén", "two words", "a\tb", "x" * 501])
def test_what_no_header_can_carry_is_no_token(alone: Workplace, token: str) -> None:
    refused = alone.extism_registry("login", "http://127.0.0.1:9", "--token-stdin", stdin=token, exits=3)
    assert "tool-server token create" in refused.stderr
    assert token not in refused.stderr


def test_a_server_that_is_not_there_is_unavailable_and_the_message_leads_back(alone: Workplace) -> None:
    with answering(200, b"") as url:
        pass
    gone = alone.extism_registry("list", TOOL_SERVER_URL=url, exits=8)
    for expected in (url, "tool-server up", "extism-registry logout"):
        assert expected in gone.stderr


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>hello</html>"),
        (200, b"{}"),
        (200, b"[]"),
        (200, b'"text"'),
        (200, b"\xff\xfe"),
        (301, b""),
        (404, b"not found"),
        (404, b"[]"),
        (500, b'{"kind": "unavailable"}'),
        (500, b'{"kind": "unavailable", "code": "x", "detail": "y", "data": 7}'),
    ],
)
def test_another_kind_of_server_is_told_apart(alone: Workplace, status: int, body: bytes) -> None:
    with answering(status, body) as url:
        for done in (
            alone.extism_registry("login", url, "--token-stdin", stdin="", exits=8),
            alone.extism_registry("versions", "some", TOOL_SERVER_URL=url, exits=8),
        ):
            assert "check the address" in done.stderr
    assert not credentials_of(alone).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 7}', '{"url": "http://x", "more": 1}'])
def test_a_damaged_login_says_how_to_mend_it(alone: Workplace, content: str) -> None:
    path = credentials_of(alone)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    damaged = alone.extism_registry("list", exits=3)
    assert str(path) in damaged.stderr
    assert "extism-registry login" in damaged.stderr
    alone.extism_registry("logout")
    alone.extism_registry("list")


def test_a_login_that_cannot_be_kept_says_where(site: Site, alone: Workplace) -> None:
    (alone.home / "config").write_text("a file where a folder is needed")
    refused = alone.extism_registry("login", site.url, "--token-stdin", stdin="", exits=8)
    assert str(credentials_of(alone)) in refused.stderr
    assert "there was no login" in alone.extism_registry("logout").stdout
