"""Starting the product in namespaces of its own, and talking to it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest

from tests.support.server import REPOSITORY, server_environment
from tool_server.model.json_value import JsonObject

Json = dict[str, Any]

SECONDS = 60


def unshare_command() -> tuple[str, ...] | None:
    """The command that gives a program its own network and mounts, None where the system allows none."""
    for options in (("--net", "--mount"), ("--user", "--map-root-user", "--net", "--mount")):
        command = ("unshare", *options, "--")
        trial = (*command, "sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts")
        if shutil.which("unshare") and shutil.which("ip"):
            done = subprocess.run(trial, capture_output=True, check=False, timeout=SECONDS)
            if done.returncode == 0:
                return command
    return None


@dataclass
class Answer:
    """How a call ended."""

    raw: Json

    @property
    def status(self) -> int:
        """What the guest saw as the status."""
        return int(self._lines[0])

    @property
    def headers(self) -> dict[str, str]:
        """What the guest saw as headers."""
        return json.loads(self._lines[1]) if self._lines[1] else {}

    @property
    def length(self) -> int:
        """Of the body that the guest saw."""
        return int(self._lines[2])

    @property
    def body(self) -> str:
        """What the guest saw as the body."""
        return "\n".join(self._lines[3:])

    @property
    def echoed(self) -> Json:
        """What the echoing server received last."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The error of a call that failed."""
        assert self.raw["error"] is not None, self.raw
        return self.raw["message"]

    @property
    def requests(self) -> list[Json]:
        """Of the call's record."""
        return self.raw["requests"]

    @property
    def outcomes(self) -> list[str]:
        """Of these requests."""
        return [request["outcome"] for request in self.requests]

    @property
    def seen(self) -> list[Json]:
        """What servers received meanwhile."""
        return self.raw["seen"]

    @property
    def _lines(self) -> list[str]:
        assert self.raw["error"] is None, self.raw
        return self.raw["text"].split("\n")


class Place:
    """The product in its namespaces. Thread-safe; every wait has an end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def fresh_name(self, prefix: str = "plugin") -> str:
        """A name that no other test uses."""
        return f"{prefix}{next(self._numbers)}"

    def begin(self, operation: str, *args: object, **options: object) -> Future[Any]:
        """Send a command."""
        number = next(self._numbers)
        answer: Future[Any] = Future()
        self._waiting[number] = answer
        with self._lock:
            stdin = cast(IO[str], self._process.stdin)
            stdin.write(json.dumps({"id": number, "do": operation, "args": args, "with": options}) + "\n")
            stdin.flush()
        return answer

    def do(self, operation: str, *args: object, **options: object) -> Any:
        """Send a command and wait for what it gives."""
        return self.begin(operation, *args, **options).result(SECONDS)

    def plugin(self, *network: str, secrets: tuple[str, ...] = (), **fields: object) -> str:
        """Install a fetching plugin with these permissions; its name."""
        name = self.fresh_name()
        self.do("install", name, {"network": list(network), "secrets": list(secrets)}, **fields)
        return name

    def fetch(self, plugin: str, url: str, **arguments: Any) -> Answer:
        """Let a plugin ask for a URL."""
        return Answer(self.do("call", f"{plugin}_fetch", {"url": url, **arguments}))

    def get(self, url: str, *network: str, **arguments: Any) -> Answer:
        """Let a new plugin with these permissions ask for a URL."""
        return self.fetch(self.plugin(*network), url, **arguments)

    def secret(self, value: str, *hosts: str, plain_http: bool = False) -> str:
        """Set a secret; its name."""
        name = self.fresh_name("SECRET_")
        self.do("set_secret", name, value, list(hosts), plain_http)
        return name

    def until(self, condition: Callable[[JsonObject], bool]) -> None:
        """Wait until the web is so."""
        deadline = time.monotonic() + SECONDS
        while not condition(self.do("look")):
            assert time.monotonic() < deadline, self.do("look")

    def _read(self) -> None:
        for line in cast(IO[str], self._process.stdout):
            reply = json.loads(line)
            answer = self._waiting.pop(reply["id"])
            if "failed" in reply:
                answer.set_exception(AssertionError(reply["failed"]))
            else:
                answer.set_result(reply.get("value"))
        for answer in list(self._waiting.values()):
            answer.set_exception(AssertionError("the inhabitant ended"))


@contextmanager
def inhabited(folder: Path, **settings: object) -> Generator[Place]:
    """The product in new namespaces, with these settings of `egress`.

    Skips loudly where there are none to be had, and fails under REQUIRE_ALL=1.
    """
    command = unshare_command()
    if command is None:
        reason = "this system gives no network and mount namespaces (unshare, ip): egress is not tested end to end"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    errors = folder / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            (*command, sys.executable, "-m", "tests.egress.inhabitant", str(folder), json.dumps(settings)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=REPOSITORY,
            env=server_environment(),
        ) as process,
    ):
        try:
            yield Place(process)
        finally:
            cast(IO[str], process.stdin).close()
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            assert code == 0, errors.read_text()[-4_000:]
