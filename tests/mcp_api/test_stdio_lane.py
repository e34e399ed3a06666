"""The lane over stdio against the SDK alone: equal lines in, equal answers out."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.mcp_api.lane_requests import generate, mutations
from tests.mcp_api.wire import HANDSHAKE, MODERN, body_of
from tests.services.publishing import offer, offer_guest
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
        server = McpServer(lambda: services.catalog.current, services.invoke.call, VERSION)
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


async def answers_to(command: Sequence[str], lines: Sequence[bytes], last: Sequence[str]) -> list[str]:
    """Every message that a server writes, sorted; its input ends once it has answered the requests `last`.

    Calls may overtake each other, so that one before the last may still be under way: its answer is waited for, too,
    which is over when nothing has come for a while.
    """
    environment = server_environment({"TOOL_SERVER_WORKERS": "1"})
    messages: list[Any] = []
    with anyio.fail_after(120):
        async with await anyio.open_process(command, env=environment, stderr=None) as process:
            stdin, stdout = process.stdin, process.stdout
            assert stdin is not None
            assert stdout is not None

            async def write() -> None:
                for line in lines:
                    await stdin.send(line.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")

            waited = set(last)
            rest = b""
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                while True:
                    data = b""
                    with anyio.move_on_after(QUIET_S if not waited else None), suppress(anyio.EndOfStream):
                        data = await stdout.receive()
                    if not data:
                        break
                    *complete, rest = (rest + data).split(b"\n")
                    messages += [json.loads(line) for line in complete]
                    waited -= {message.get("id") for message in messages if isinstance(message.get("id"), str)}
                await stdin.aclose()
                async for data in stdout:
                    *complete, rest = (rest + data).split(b"\n")
                    messages += [json.loads(line) for line in complete]
            assert rest == b""
            assert await process.wait() == 0
    return sorted(json.dumps(message, sort_keys=True) for message in messages)


async def assert_equal(data_dir: Path, lines: Sequence[bytes], last: Sequence[str]) -> list[str]:
    """Both servers say the same to the same lines."""
    command, arguments = stdio_command(data_dir, "--no-bundled")
    ours = await answers_to([command, *arguments], lines, last)
    sdks = await answers_to([sys.executable, "-c", SDK_ALONE, str(data_dir)], lines, last)
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
    assert len(await answers_to([command, "-c", watched], lines, ["sum"])) == 2
