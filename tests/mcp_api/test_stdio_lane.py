"""The lane over stdio against the SDK alone: equal lines in, equal answers out."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process

from tests.mcp_api.lane_requests import generate, mutations
from tests.mcp_api.wire import HANDSHAKE, MODERN, body_of
from tests.services.publishing import offer, offer_guest, until
from tests.support.guests import compile_c
from tests.support.plugins import TRIAL_SOURCE, TRIAL_TOOLS
from tests.support.server import server_environment, stdio_command
from tool_server.bootstrap.services import build
from tool_server.config import Config

# Real processes, started again and again.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LINES = 700

SDK_ALONE = """
import sys, anyio
from pathlib import Path
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.mcp_api.server import McpServer
from tool_server.mcp_api.stdin import read_lines
from tool_server.mcp_api.stdout import LineWriter, claimed_stdout
from tool_server.version import VERSION

class Output:
    def __init__(self, writer):
        self.writer = writer
    async def write(self, text):
        await self.writer.write(text.rstrip("\\n").encode())
    async def flush(self):
        pass

async def texts():
    async for line in read_lines(0, 16 * 2**20):
        yield line.decode("utf-8", "replace")

async def main():
    async with build(Config(data_dir=Path(sys.argv[1]), workers=1)) as services:
        server = McpServer(
            *(lambda: services.catalog.current, services.invoke.call, services.suspended, services.content, VERSION),
            tasks=services.tasks,
        )
        with claimed_stdout() as descriptor:
            await server.serve_lines(texts(), Output(LineWriter(descriptor)))
anyio.run(main)
"""

HELLO = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZE = {**body_of(HANDSHAKE, "initialize", HELLO), "id": "hello"}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
BODY_ONLY = frozenset(
    {
        *(
            "id",
            "jsonrpc",
            "rpc method",
            "params",
            "missing",
            "further key",
            "result key",
            "batch",
            "name",
            "arguments",
        ),
        *("arguments as written", "missing parameter", "cursor", "further parameter", "input responses"),
        *("request state", "meta", "version", "capabilities", "info", "log level", "progress token", "further meta"),
        *("traceparent", "missing meta", "bytes"),
    }
)


QUIET_S = 3.0
"""How long no answer comes before the rest is taken to be none."""
MOMENT_S = 0.3
"""The same, where both servers have said the same already."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with tools that answer, fail and never end."""

    async def fill(folder: Path) -> None:
        trial = compile_c(f"{TRIAL_SOURCE}\nEXPORT(trap) {{ __builtin_trap(); }}")
        async with build(Config(data_dir=folder, workers=1, spare_workers=0)) as services:
            await offer(services, "trial", wasm=trial, tools=TRIAL_TOOLS)
            await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})

    folder = tmp_path_factory.mktemp("stdio") / "data"
    anyio.run(fill, folder)
    return folder


@dataclass
class Side:
    """A server that is spoken to: what it was sent and what it has said."""

    process: Process
    waited: set[str]
    """Ids of the requests whose answers end the conversation."""
    messages: list[str] = field(default_factory=list[str])
    heard: float = 0.0
    """When it last said anything, on the monotonic clock."""

    async def write(self, lines: Sequence[bytes]) -> None:
        """Send all lines."""
        assert self.process.stdin is not None
        for line in lines:
            await self.process.stdin.send(line.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")

    async def read(self) -> None:
        """Take note of every message, up to the end of the output."""
        assert self.process.stdout is not None
        rest = b""
        async for data in self.process.stdout:
            self.heard = time.monotonic()
            *complete, rest = (rest + data).split(b"\n")
            for message in map(json.loads, complete):
                self.messages.append(json.dumps(message, sort_keys=True))
                self.waited -= {message.get("id")} if isinstance(message.get("id"), str) else set()
        assert rest == b""


def is_over(sides: Sequence[Side]) -> bool:
    """Whether nothing more is to be expected.

    Calls may overtake each other, so that one before the last may still be under way: its answer is waited for, too,
    which is over when all have said the same and then nothing for a moment, or nothing for long.
    """
    if any(side.waited for side in sides):
        return False
    equal = all(sorted(side.messages) == sorted(sides[0].messages) for side in sides)
    return time.monotonic() - max(side.heard for side in sides) > (MOMENT_S if equal and len(sides) > 1 else QUIET_S)


async def answers_to(commands: Sequence[Sequence[str]], lines: Sequence[bytes], last: Sequence[str]) -> list[list[str]]:
    """Every message that each server writes, sorted; their input ends once they have answered the requests `last`."""
    environment = server_environment({"TOOL_SERVER_WORKERS": "1"})
    async with AsyncExitStack() as stack:
        sides: list[Side] = []
        for command in commands:
            opened = await anyio.open_process(command, env=environment, stderr=None)
            sides.append(Side(await stack.enter_async_context(opened), set(last)))
        async with anyio.create_task_group() as tasks:
            for side in sides:
                tasks.start_soon(side.write, lines)
                tasks.start_soon(side.read)
            await until(lambda: is_over(sides), 120)
            for side in sides:
                assert side.process.stdin is not None
                await side.process.stdin.aclose()
        with anyio.fail_after(30):
            assert [await side.process.wait() for side in sides] == [0] * len(sides)
    return [sorted(side.messages) for side in sides]


async def assert_equal(data_dir: Path, lines: Sequence[bytes], last: Sequence[str]) -> list[str]:
    """Both servers say the same to the same lines."""
    command, arguments = stdio_command(data_dir, "--no-bundled")
    sdk_alone = [sys.executable, "-c", SDK_ALONE, str(data_dir)]
    ours, sdks = await answers_to([[command, *arguments], sdk_alone], lines, last)
    assert ours == sdks
    return ours


def encoded(message: dict[str, Any] | bytes) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def adding(era: str, request_id: int | str = "sum") -> dict[str, Any]:
    """A call that works."""
    return {**body_of(era, "tools/call", {"name": "trial_add", "arguments": {"a": 1, "b": 2}}), "id": request_id}


def listing(era: str, request_id: int | str = "list") -> dict[str, Any]:
    return {**body_of(era, "tools/list"), "id": request_id}


def generated(era: str) -> list[bytes]:
    """Lines as generated for HTTP, without what belongs to HTTP alone."""
    rng = random.Random(f"stdio {era}")  # noqa: S311
    available = {name: change for name, change in mutations({}).items() if name in BODY_ONLY}
    lines: list[bytes] = []
    for number in range(LINES):
        sent = generate(rng, available)
        if not {"id", "missing"} & set(sent.changes):
            sent.envelope()["id"] = number + 1_000
        if era == HANDSHAKE and rng.random() < 0.9:
            sent.params().pop("_meta", None)
        lines.append(sent.encoded())
    return lines


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
async def test_the_lane_answers_lines_as_the_sdk_does(data_dir: Path, era: str) -> None:
    opening = [listing(MODERN)] if era == MODERN else [INITIALIZE, INITIALIZED]
    # The one worker takes calls in turn: when the last of either way is answered, so are all before it.
    ending = [{**adding(era, "sdk"), "further": 1}, adding(era, "end")]
    lines = [*map(encoded, opening), *generated(era), *map(encoded, ending)]
    answers = await assert_equal(data_dir, lines, ["sdk", "end"])
    assert len(answers) > LINES // 2
    assert sum('"isError": false' in answer for answer in answers) > LINES // 10


@pytest.mark.parametrize(
    "messages",
    [
        [adding(MODERN)],
        [b"{", listing(MODERN, "sum")],
        [b'{"jsonrpc":"2.0","id":NaN}', b"", adding(MODERN)],
        [INITIALIZED, listing(MODERN), INITIALIZE, adding(HANDSHAKE, 3), adding(MODERN)],
        [listing(MODERN), INITIALIZE, listing(HANDSHAKE, "sum")],
        [adding(HANDSHAKE, 1), adding(HANDSHAKE)],
        [{"jsonrpc": "2.0", "id": 5, "method": "tools/list"}, adding(MODERN)],
        [INITIALIZE, adding(HANDSHAKE, 1), INITIALIZED, adding(MODERN, 2), adding(HANDSHAKE)],
        [INITIALIZE, INITIALIZED, adding(HANDSHAKE, 1), listing(HANDSHAKE), adding(HANDSHAKE)],
        [{**INITIALIZE, "params": {}}, adding(HANDSHAKE)],
        [adding(MODERN, 7), adding(MODERN, 7), adding(MODERN, "7"), adding(MODERN)],
        [
            listing(MODERN),
            {**body_of(MODERN, "tools/call", {"name": "endless_spin", "arguments": {}}), "id": 9},
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "9"}},
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": True}},
            {"jsonrpc": "2.0", "method": "notifications/cancelled"},
            adding(MODERN),
        ],
        [
            adding(MODERN),
            {**body_of(MODERN, "tools/call", {"name": "endless_spin", "arguments": {}}), "id": 9},
            {**body_of(MODERN, "tools/call", {"name": "endless_spin", "arguments": {}}), "id": 10},
        ],
    ],
    ids=range(13),
)
async def test_conversations_open_and_end_as_with_the_sdk(
    data_dir: Path, messages: Sequence[dict[str, Any] | bytes]
) -> None:
    lines = [encoded(message) for message in messages]
    await assert_equal(
        data_dir, lines, [name for name in ("hello", "sum") if any(name.encode() in line for line in lines)]
    )


async def test_a_plain_conversation_never_imports_the_sdk(data_dir: Path) -> None:
    command, arguments = stdio_command(data_dir, "--no-bundled")
    watched = f"""
import sys
sys.argv = {["tool-server", *arguments[2:]]!r}
from tool_server.cli.operate import main
try:
    main()
finally:
    assert "mcp" not in sys.modules and "mcp_types" not in sys.modules, "imported"
    assert "starlette" not in sys.modules and "jsonschema" not in sys.modules, "imported"
"""
    lines = [encoded(listing(MODERN)), encoded(adding(MODERN)), b'{"jsonrpc":"2.0","method":"notifications/cancelled"}']
    [messages] = await answers_to([[command, "-c", watched]], lines, ["sum"])
    assert len(messages) == 2
