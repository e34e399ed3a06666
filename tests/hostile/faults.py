"""Random faults under load: `python -m tests.hostile.faults [SECONDS] [SEED]`.

Callers and a publisher use a real server over HTTP while its workers are killed and suspended, its database is locked,
its compile cache is deleted, and it is killed itself and started again. What was acknowledged must be there in the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import anyio
import anyio.to_thread
import httpx

from tests.hostile.vitals import descendants
from tests.http_api.registry import upload
from tests.inspection.wasm.encoding import custom
from tests.mcp_api.wire import ERAS, call
from tests.services.publishing import ADD, offer
from tests.storage.processes import receive, running
from tests.support.guests import guest
from tests.support.server import RunningServer
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.json_value import JsonObject, canonical_json, sha256_hex

CALLERS = 4
CALL_SECONDS = 90
"""Beyond which a request hangs. A suspended worker that was just starting is given 30 s."""
PAUSE_S = (0.05, 0.6)
SETTINGS = {
    "TOOL_SERVER_WORKERS": "2",
    "TOOL_SERVER_LIMITS__COMPILE_TIMEOUT": "5s",
    "TOOL_SERVER_LIMITS__DEFAULT_TIMEOUT": "2s",
}
ALLOWED = frozenset(
    {
        *("worker_lost", "timeout", "busy", "shutting_down", "worker_start_failed", "database_locked"),
        *("compile_limit", "invalid_wasm", "call_log_full", "storage_error"),
    }
)
"""How a call or a publish may end when a process was taken from under it. Anything else is a fault of the product."""


@dataclass(slots=True)
class Report:
    """What was acknowledged, and what else happened."""

    seed: int
    calls: dict[str, int] = field(default_factory=dict[str, int])
    """Sums that were answered, by the hash of their arguments."""
    versions: dict[str, str] = field(default_factory=dict[str, str])
    """Digests of published versions."""
    failures: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    down: int = 0
    """Requests that found the server dead."""


async def endure(seconds: float, seed: int) -> Report:
    """Faults for so many seconds; returns when the server has recovered and everything acknowledged was found."""
    report = Report(seed)
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        data_dir = Path(folder, "data")
        token = await _prepare(data_dir)
        server = RunningServer(data_dir, ["--no-bundled"], SETTINGS, cast(IO[str], log))
        try:
            await anyio.to_thread.run_sync(server.wait_until_ready)
            await _Ordeal(server, token, report).run(seconds)
            descended = descendants(server.pid)
            await anyio.to_thread.run_sync(server.stop)
        except BaseException:
            sys.stderr.write(f"seed {seed}, {dict(report.faults)}:\n{server.log_tail()}\n")
            server.kill()
            raise
        await _gone(descended)
        check(data_dir, report)
    return report


async def _prepare(data_dir: Path) -> str:
    async with build(Config(data_dir=data_dir)) as services:
        await offer(services, "sums")
        return (await services.tokens.create("publisher", [Scope.PUBLISH, Scope.CALL], LOCAL)).secret


def check(data_dir: Path, report: Report) -> None:
    """Assert that all that was acknowledged is stored, and nothing else is left over."""
    with closing(sqlite3.connect(data_dir / "tool-server.db")) as connection:
        recorded = Counter(connection.execute("SELECT arguments_hash, outcome FROM calls").fetchall())
        ids = connection.execute("SELECT count(*), count(DISTINCT id) FROM calls").fetchone()
        stored = dict(connection.execute("SELECT version, digest FROM versions WHERE plugin = 'stream'").fetchall())
        problems = connection.execute("PRAGMA integrity_check").fetchall()
    missing = [key for key, count in report.calls.items() if recorded[key, "ok"] < count]
    assert not missing, f"seed {report.seed}: {len(missing)} of {len(report.calls)} answered calls are not in the log"
    assert ids[0] == ids[1], "a call is in the log twice"
    assert report.versions.items() <= stored.items()
    for digest in stored.values():
        assert _stored_digest(data_dir, digest) == digest
    assert problems == [("ok",)]
    assert list((data_dir / "journal").iterdir()) == []


def _stored_digest(data_dir: Path, digest: str) -> str:
    (path,) = (path for path in (data_dir / "artifacts").rglob(f"*{digest[4:]}*") if path.is_file())
    return sha256_hex(path.read_bytes())


async def _gone(pids: set[int]) -> None:
    with anyio.fail_after(30):
        while any(os.path.exists(f"/proc/{pid}") for pid in pids):  # noqa: ASYNC110, ASYNC240 - other processes end
            await anyio.sleep(0.01)


class _Ordeal:
    """The load and the faults of one run."""

    def __init__(self, server: RunningServer, token: str, report: Report) -> None:
        self._server = server
        self._token = token
        self._report = report
        self._random = random.Random(report.seed)  # noqa: S311 - no secret
        self._over = anyio.Event()
        self._numbers = iter(range(10**9))

    async def run(self, seconds: float) -> None:
        """Load and faults at once, then calls without faults."""
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLERS):
                tasks.start_soon(self._call_on)
            tasks.start_soon(self._publish_on)
            await self._faults(seconds)
            self._over.set()
        before = len(self._report.calls)
        for _ in range(10):
            await self._call_until_answered()
        assert len(self._report.calls) == before + 10

    async def _faults(self, seconds: float) -> None:
        faults: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (6, self._kill_a_process),
            (2, self._kill_all),
            (3, self._suspend),
            (1, self._lock_the_database),
            (1, self._delete_the_cache),
            (1, self._kill_the_server),
        ]
        end = anyio.current_time() + seconds
        await self._kill_the_server()  # in every run, however short
        while anyio.current_time() < end:
            (_, fault) = self._random.choices(faults, [weight for weight, _ in faults])[0]
            self._report.faults[fault.__name__.strip("_")] += 1
            await fault()
            await anyio.sleep(self._random.uniform(*PAUSE_S))

    async def _call_on(self) -> None:
        while not self._over.is_set():
            await self._call()

    async def _call_until_answered(self) -> None:
        with anyio.fail_after(CALL_SECONDS):
            while not await self._call():  # noqa: ASYNC110 - the server recovers by itself
                await anyio.sleep(0.05)

    async def _call(self) -> bool:
        """One call on a connection of its own; whether it was answered well."""
        number = next(self._numbers)
        arguments: JsonObject = {"a": number, "b": 1}
        async with self._client() as client:
            answer = await self._sent(lambda: call(client, ERAS[number % 2], "sums_add", arguments))
        if answer is None:
            return False
        result = answer["result"]
        if not result["isError"]:
            assert result["structuredContent"] == {"sum": number + 1}
            self._report.calls[sha256_hex(canonical_json(arguments))] = 1
            return True
        self._failed(result["_meta"]["tool-server/error"]["code"], result["content"][0]["text"])
        return False

    async def _publish_on(self) -> None:
        for number in range(10**6):
            if self._over.is_set():
                return
            version = f"1.{number}.0"
            wasm = guest("add") + custom("mark", str(number).encode() * 1_000)
            files = upload({"name": "stream", "version": version, "tools": {"add": ADD}}, wasm)
            async with self._client() as client:
                answer = await self._sent(lambda: _json(client.post("/api/v1/plugins", files=files)))  # noqa: B023
            if answer is None:
                continue
            if "release" in answer:
                self._report.versions[version] = answer["release"]["program"]["digest"]
            else:
                self._failed(answer["code"], answer["detail"])

    async def _sent(self, send: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any] | None:
        """The answer, or None from a server that is dead."""
        try:
            with anyio.fail_after(CALL_SECONDS):
                return await send()
        except httpx.TransportError:
            self._report.down += 1
            await anyio.sleep(0.05)
            return None

    def _failed(self, code: str, text: str) -> None:
        assert code in ALLOWED, f"{code}: {text}"
        # Of a suspended process the server cannot know that the module is not to blame; of a killed one it can.
        assert code != "invalid_wasm" or "did not finish" in text, text
        self._report.failures[code] += 1

    def _client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._token}"}
        return httpx.AsyncClient(base_url=self._server.url, headers=headers, trust_env=False, timeout=None)  # noqa: S113

    def _signal(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _some_process(self) -> list[int]:
        # A worker at a call, an idle one, a spare, one that compiles: whichever it is.
        children = sorted(descendants(self._server.pid))
        return [self._random.choice(children)] if children else []

    async def _kill_a_process(self) -> None:
        self._signal(self._some_process(), signal.SIGKILL)

    async def _kill_all(self) -> None:
        self._signal(sorted(descendants(self._server.pid)), signal.SIGKILL)

    async def _suspend(self) -> None:
        victims = self._some_process()
        self._signal(victims, signal.SIGSTOP)
        if self._random.random() < 0.5:
            await anyio.sleep(self._random.uniform(0, 1))
            self._signal(victims, signal.SIGCONT)

    async def _lock_the_database(self) -> None:
        file = self._server.data_dir / "tool-server.db"
        async with _locked(file):
            await anyio.sleep(self._random.uniform(0, 2))

    async def _delete_the_cache(self) -> None:
        shutil.rmtree(self._server.data_dir / "compiled", ignore_errors=True)

    async def _kill_the_server(self) -> None:
        orphans = descendants(self._server.pid)
        await anyio.to_thread.run_sync(self._server.crash)
        # One that was suspended before it could ask to die with its parent ends as soon as it goes on.
        self._signal(sorted(orphans), signal.SIGCONT)
        await _gone(orphans)


async def _json(response: Awaitable[httpx.Response]) -> dict[str, Any]:
    return (await response).json()


@asynccontextmanager
async def _locked(file: Path) -> AsyncGenerator[None]:
    """Another process holds the write lock while the block runs."""
    with running("locker", str(file)) as locker:
        await anyio.to_thread.run_sync(receive, locker)
        yield


def main(arguments: list[str]) -> int:
    """Run and print what happened."""
    seconds = float(arguments[0]) if arguments else 120.0
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(10**6)
    sys.stdout.write(f"{seconds:g} s of faults, seed {seed}\n")
    sys.stdout.flush()
    report = anyio.run(endure, seconds, seed)
    told = {"faults": report.faults, "failures": report.failures, "down": report.down}
    sys.stdout.write(f"{len(report.calls)} calls and {len(report.versions)} versions kept; {json.dumps(told)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
