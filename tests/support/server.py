"""The server as its users run it: a process of its own, found by the URL that it prints."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

START_SECONDS = 180
"""Longest wait for a server to be ready; its first start compiles the bundled plugins."""
STOP_SECONDS = 30
COMMAND_SECONDS = 120


def server_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of a server that the developer may run."""
    # A server that may not write bytecode starts more slowly with every module.
    unwanted = {"PYTHONDONTWRITEBYTECODE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith("TOOL_SERVER_")
    }
    return {**kept, "PYTHONPATH": str(REPOSITORY), **(extra or {})}


def stdio_command(data_dir: Path, *options: str) -> tuple[str, list[str]]:
    """Command and arguments of the server over stdio."""
    return sys.executable, ["-m", "tool_server", "stdio", "--data-dir", str(data_dir), *options]


def tool_server(*args: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run the command `tool-server` to its end, and assert that it succeeds."""
    return _run("operate", *args, "--data-dir", str(data_dir))


def extism_registry(*args: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run the command `extism-registry` to its end, and assert that it succeeds."""
    return _run("registry", *args, "--data-dir", str(data_dir))


def publish_and_install(folder: Path, data_dir: Path) -> None:
    """What an author does on a server's machine: publish the plugin in `folder`, then install it by its name."""
    name = json.loads((folder / "plugin.json").read_text())["name"]
    extism_registry("publish", str(folder), data_dir=data_dir)
    extism_registry("install", name, data_dir=data_dir)


def _run(module: str, *args: str) -> subprocess.CompletedProcess[str]:
    # As the scripts that pip makes of the entry points do it.
    script = f"from tool_server.cli.{module} import main; main()"
    done = subprocess.run(
        (sys.executable, "-c", script, *args),
        capture_output=True,
        text=True,
        cwd=tempfile.gettempdir(),
        env=server_environment(),
        timeout=COMMAND_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{module} {' '.join(args)} ended with {done.returncode}:\n{done.stderr[-4_000:]}"
    return done


class RunningServer:
    """One server process over its life, restarts included."""

    def __init__(self, data_dir: Path, args: Sequence[str], env: Mapping[str, str], log: IO[str]) -> None:
        self.data_dir = data_dir
        self._args = args
        self._env = env
        self._log = log
        self._launch(port=0)
        self.mcp_url = ""
        """Where MCP is served, such as `http://127.0.0.1:41234/mcp`."""

    @property
    def url(self) -> str:
        """The server's root, without a slash at the end."""
        return self.mcp_url.removesuffix("/mcp")

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait for the URL that the server prints, and then until it answers."""
        self.mcp_url = self._wait_for_url()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        pytest.fail(f"the server was not ready within {START_SECONDS} s:\n{self.log_tail()}", pytrace=False)

    def restart(self) -> None:
        """Stop cleanly and start again on the same port, so that clients find it where it was."""
        before = self.mcp_url
        self.stop()
        self._launch(port=urlsplit(before).port or 0)
        self.wait_until_ready()
        assert self.mcp_url == before

    def crash(self) -> None:
        """Kill with SIGKILL and start again on the same port."""
        before = self.mcp_url
        self.kill()
        self._launch(port=urlsplit(before).port or 0)
        self.wait_until_ready()
        assert self.mcp_url == before

    def stop(self) -> None:
        """Stop with SIGTERM and assert a clean exit: code 0 in time, and no traceback on standard error."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            pytest.fail(f"the server did not stop within {STOP_SECONDS} s of SIGTERM:\n{self.log_tail()}")
        finally:
            self._reader.join(timeout=10)
            cast(IO[str], self._process.stdout).close()
        log = self.log_tail()
        assert code == 0, f"the server ended with {code}:\n{log}"
        assert "Traceback" not in log, f"the server wrote a traceback:\n{log}"

    def kill(self) -> None:
        """Kill without ceremony: for a server that failed to start."""
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=10)
        cast(IO[str], self._process.stdout).close()

    def log_tail(self) -> str:
        """The end of what the server wrote to standard error."""
        self._log.flush()
        return Path(self._log.name).read_text(errors="replace")[-8_000:]

    def _launch(self, port: int) -> None:
        command = (
            *(sys.executable, "-m", "tool_server", "up", "--json", "--port", str(port)),
            *("--data-dir", str(self.data_dir), *self._args),
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=self.data_dir.parent,
            env=server_environment(self._env),
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        stdout = cast(IO[str], self._process.stdout)
        self._reader = threading.Thread(target=_read_lines, args=(stdout, self._lines), daemon=True)
        self._reader.start()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                pytest.fail(f"the server ended before it printed its URL:\n{self.log_tail()}", pytrace=False)
            if line.startswith('{"'):
                return str(json.loads(line)["mcp_url"])
        pytest.fail(f"the server printed no URL within {START_SECONDS} s:\n{self.log_tail()}", pytrace=False)


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


@contextmanager
def running_server(
    data_dir: Path, *, args: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Generator[RunningServer]:
    """Run `tool_server up` on a free port; stop it with SIGTERM at the end and assert that it ends well."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix="server-", suffix=".log") as log:
        server = RunningServer(data_dir, args, env or {}, cast(IO[str], log))
        try:
            server.wait_until_ready()
            yield server
        except BaseException:
            # The test's own failure is the one to see.
            server.kill()
            raise
        server.stop()
