"""The commands as processes: signals, pipes that close, sockets that are taken, exit codes that a shell sees."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.workplace import Workplace, home_environment
from tests.support.process_group import ProcessGroup, process_group
from tests.support.server import server_environment

# Real processes, started again and again.
pytestmark = pytest.mark.slow

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the tests are about
SECONDS = 60
"""Longest wait for anything that a process does."""


@contextmanager
def up(home: Path, *options: str, **settings: str) -> Generator[ProcessGroup]:
    """Run `tool-server up` on a free port."""
    command = (sys.executable, "-m", "tool_server", "up", "--port", "0", *options)
    with process_group(command, cwd=home, env=environment_of(home) | settings) as server:
        yield server


def environment_of(home: Path) -> dict[str, str]:
    """A shell's environment with every file of the commands below `home`."""
    return server_environment(home_environment(home))


def run(home: Path, module: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `tool_server.cli` to its end."""
    return subprocess.run(
        (sys.executable, "-c", f"from tool_server.cli.{module} import main; main()", *args),
        capture_output=True,
        text=True,
        cwd=home,
        env=environment_of(home),
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def wait_for_storage(home: Path, server: ProcessGroup) -> None:
    """Wait until storage is open: only then are the bundled plugins compiled, which takes a second or more."""
    while not (home / "data" / "artifacts").exists():
        assert server.process.poll() is None, server.stderr
        time.sleep(0.01)


@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_well_and_its_workers_with_it(tmp_path: Path, received: signal.Signals) -> None:
    name = Workplace(tmp_path).published("1.0.0")
    with up(tmp_path, "--no-bundled") as server:
        mcp = server.wait_for("/mcp", SECONDS).split()[-1]
        url = mcp.removesuffix("/mcp")
        assert httpx.get(f"{url}/readyz", trust_env=False, timeout=SECONDS).is_success
        installed = run(tmp_path, "registry", "install", name)
        assert installed.returncode == 0, installed.stderr
        called = run(tmp_path, "operate", "call", f"{name}_say")
        assert (called.returncode, called.stdout) == (0, "0\n")
        server.send(received, to_all=received is signal.SIGINT)
        assert server.ended(SECONDS) == 0
        banner = "".join(server.stdout)
        for expected in ("tool-server is up with 0 tools", url, str(tmp_path / "data"), "@mastra/mcp", "Ctrl-C"):
            assert expected in banner
        assert f"stopping on {received.name}" in "".join(server.stderr)
        assert "Traceback" not in "".join(server.stderr)
        assert server.is_gone_within(SECONDS)


@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_first_start_ends_it_well_too(tmp_path: Path, received: signal.Signals) -> None:
    with up(tmp_path, TOOL_SERVER_LOG_LEVEL="debug") as server:
        wait_for_storage(tmp_path, server)
        server.send(received, to_all=received is signal.SIGINT)
        assert server.ended(SECONDS) == 0
        assert "Traceback" not in "".join(server.stderr)
        assert server.is_gone_within(SECONDS)


def test_json_announces_one_line_that_programs_can_read(tmp_path: Path) -> None:
    with up(tmp_path, "--no-bundled", "--json") as server:
        facts = json.loads(server.wait_for("mcp_url", SECONDS))
        assert facts == {"mcp_url": f"{facts['url']}/mcp", "url": facts["url"], "tools": 0}
        assert len(server.stdout) == 1


def test_a_port_that_is_taken_is_unavailable_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run(tmp_path, "operate", "up", "--port", port, "--no-bundled")
    assert (refused.returncode, refused.stdout) == (8, "")
    assert f"port {port}" in refused.stderr
    assert "--port" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_server_that_still_starts_has_its_port_already(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with up(first, "--port", port) as server:
        wait_for_storage(first, server)
        refused = run(second, "operate", "up", "--port", port, "--no-bundled")
    assert refused.returncode == 8, refused
    assert f"port {port}" in refused.stderr
    assert not (second / "data").exists()


def test_a_bind_beyond_this_machine_needs_a_token_or_a_clear_word(tmp_path: Path) -> None:
    refused = run(tmp_path, "operate", "up", "--host", EVERYWHERE, "--port", "0", "--no-bundled", "--json")
    assert refused.returncode == 6
    assert json.loads(refused.stdout)["error"]["code"] == "no_authentication"
    assert "tool-server token create" in refused.stderr
    assert "--insecure" in refused.stderr
    with up(tmp_path, "--host", EVERYWHERE, "--no-bundled", "--json", "--insecure") as server:
        server.wait_for("mcp_url", SECONDS)
    Workplace(tmp_path).tool_server("token", "create", "client")
    with up(tmp_path, "--host", EVERYWHERE, "--no-bundled", "--json") as server:
        server.wait_for("mcp_url", SECONDS)
    Workplace(tmp_path).tool_server("token", "revoke", "client")
    assert run(tmp_path, "operate", "up", "--host", EVERYWHERE, "--port", "0", "--no-bundled").returncode == 6


@contextmanager
def on_terminal(stdout: int, home: Path, *args: str) -> Generator[subprocess.Popen[bytes]]:
    """`extism-registry` with a terminal of 60 columns as its standard output."""
    command = (sys.executable, "-m", "tool_server.cli.registry", *args)
    env = {**environment_of(home), "TERM": "xterm", "COLUMNS": "60"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, cwd=home, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("host", ["nowhere.invalid", "256.256.256.256", f"{'x' * 70}.invalid"])
def test_a_host_that_does_not_exist_is_named(tmp_path: Path, host: str) -> None:
    refused = run(tmp_path, "operate", "up", "--host", host, "--port", "0", "--no-bundled")
    assert refused.returncode == 8
    assert host in refused.stderr
    assert "--host" in refused.stderr


def test_stdio_ends_well_when_its_client_leaves(tmp_path: Path) -> None:
    done = run(tmp_path, "operate", "stdio", "--no-bundled")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["tools", "tools --json", "doctor", "db check", "call gone --json"])
def test_a_reader_that_leaves_is_no_failure(tmp_path: Path, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        done = subprocess.run(
            (sys.executable, "-m", "tool_server", *command.split()),
            stdout=stdout,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=tmp_path,
            env=environment_of(tmp_path),
            timeout=SECONDS,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode in (0, 4)


def test_a_shell_sees_the_exit_codes_and_errors_on_standard_error_alone(tmp_path: Path) -> None:
    for code, module, *words in (
        (0, "operate", "tools"),
        (2, "operate", "tools", "--jsn"),
        (3, "registry", "install", "Not A Name"),
        (4, "operate", "call", "gone"),
    ):
        done = run(tmp_path, module, *words)
        assert done.returncode == code, done
        assert bool(done.stderr) is bool(code)
        assert (done.stdout == "") is bool(code)


def test_a_table_fits_the_terminal_and_shows_control_characters_as_escapes(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    name = place.published("1.0.0")
    place.extism_registry("yank", f"{name}@1.0.0", "--reason", "rounds :warning: [red]wrongly[/red] \x1b[2J " * 3)
    terminal, stdout = os.openpty()
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as screen, on_terminal(stdout, tmp_path, "versions", name) as done:
        os.close(stdout)
        # A terminal whose last process has gone fails to read instead of ending.
        with contextlib.suppress(OSError):
            while part := screen.read(4096):
                shown += part
        assert done.wait(SECONDS) == 0
    text = re.sub(rb"\x1b\[[0-9;]*m", b"", shown).decode()
    assert max(map(len, text.splitlines())) <= 60
    assert "\x1b" not in text
    together = "".join(text.split())
    assert ":warning:[red]wrongly[/red]\\x1b[2J" in together
