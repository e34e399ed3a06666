"""Processor time of the server for one `tools/call` over HTTP, against the bare SDK server's for the same request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.bench.report import Figure, ratio_figure
from tests.support.programs import publish_and_install
from tool_server.bootstrap import build
from tool_server.config import Config

ROUNDS = 7
CALLS = 1_600
CONNECTIONS = 32

META: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "echo_echo",
}
BODY = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "echo_echo", "arguments": {"text": "hello"}, "_meta": META},
    }
)

# The SDK's low-level server as its documentation shows it, with the same HTTP stack, doing nothing in the tool.
BARE = """
import json, socket, sys
import mcp_types as types, uvicorn
from mcp.server.lowlevel import Server
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
async def list_tools(ctx, params):
    return types.ListToolsResult(tools=[types.Tool(name="echo_echo", input_schema=SCHEMA, output_schema=SCHEMA)])
async def call_tool(ctx, params):
    return types.CallToolResult(
        content=[types.TextContent(text=json.dumps(params.arguments))], structured_content=params.arguments)
server = Server("bare", version="1", on_list_tools=list_tools, on_call_tool=call_tool,
                get_tool_input_schema=lambda name: SCHEMA)
listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
config = uvicorn.Config(server.streamable_http_app(stateless_http=True), log_config=None, access_log=False)
uvicorn.Server(config).run(sockets=[listener])
"""


def measure() -> Figure:
    """Rounds of calls to either server in turn; processor time of the server process alone, without its workers."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder, "data")
        anyio.run(_fill, data_dir)
        ours_command = [sys.executable, "-m", "tool_server", "up", "--port", "0", "--json", "--no-bundled"]
        with (
            _server([*ours_command, "--data-dir", str(data_dir)]) as (ours_pid, ours_port),
            _server([sys.executable, "-c", BARE]) as (bare_pid, bare_port),
        ):
            ours: list[float] = []
            floors: list[float] = []
            for port in (ours_port, bare_port):
                anyio.run(_calls, port, CALLS)
            for _ in range(ROUNDS):
                floors.append(_processor_seconds(bare_pid, bare_port))
                ours.append(_processor_seconds(ours_pid, ours_port))
    median_us = round(sorted(floors)[len(floors) // 2] / CALLS * 1e6)
    return ratio_figure(
        "http_call_cpu",
        ours,
        floors,
        bar=1.3,
        at_most=True,
        floor=f"the bare SDK server in its default (streaming) mode, {median_us} us of processor time a call",
    )


async def _fill(data_dir: Path) -> None:
    async with build(Config(data_dir=data_dir)) as services:
        await publish_and_install(services, "echo")


@contextmanager
def _server(command: list[str]) -> Generator[tuple[int, int]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TOOL_SERVER_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url: str = json.loads(process.stdout.readline())["url"]
        try:
            yield process.pid, int(url.rsplit(":", 1)[1])
        finally:
            process.terminate()
            process.wait(timeout=30)


def _processor_seconds(pid: int, port: int) -> float:
    before = _consumed(pid)
    anyio.run(_calls, port, CALLS)
    return _consumed(pid) - before


async def _calls(port: int, count: int) -> None:
    """Calls over keep-alive connections, as many in flight as there are connections."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}Content-Length: {len(BODY)}\r\n\r\n{BODY}"

    async def connection() -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            received = BufferedByteReceiveStream(stream)
            for _ in range(count // CONNECTIONS):
                await stream.send(request.encode())
                header = (await received.receive_until(b"\r\n\r\n", 65_536)).decode().lower()
                assert header.startswith("http/1.1 200"), header
                size = int(header.split("content-length: ")[1].split("\r\n")[0])
                answer = json.loads(await received.receive_exactly(size))
                assert answer["result"]["structuredContent"] == {"text": "hello"}, answer

    async with anyio.create_task_group() as tasks:
        for _ in range(CONNECTIONS):
            tasks.start_soon(connection)


def _consumed(pid: int) -> float:
    """Processor time of all threads of a process, seconds, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9
