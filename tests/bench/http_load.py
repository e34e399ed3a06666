"""The load on HTTP servers: one request over and over, as cheap for the client as Python allows.

The client shares the machine with the servers it measures, so it neither parses answers nor builds requests: it
counts bytes, having looked at the first answer of each connection.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

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

# The limit of the HTTP stack: the same uvicorn, loop and parser, and an application that reads JSON and answers it.
RAW = """
import json, socket, sys
import orjson, uvicorn
STAMP = {"io.modelcontextprotocol/serverInfo": {"name": "tool-server", "title": "tool-server", "version": sys.argv[1]}}
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    request = orjson.loads((await receive())["body"])
    arguments = request["params"]["arguments"]
    text = orjson.dumps(arguments).decode()
    body = orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {
        "content": [{"type": "text", "text": text}], "isError": False, "structuredContent": arguments,
        "resultType": "complete", "_meta": STAMP}})
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, proxy_headers=False,
                        lifespan="off")
uvicorn.Server(config).run(sockets=[listener])
"""

ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves HTTP on loopback."""

    pid: int
    port: int

    def consumed(self) -> float:
        """Processor time of all threads of the process so far, without its children; seconds, to the nanosecond."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


@contextmanager
def running(command: Sequence[str]) -> Generator[Server]:
    """Run a server that prints its URL as one line of JSON; end it with SIGTERM."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TOOL_SERVER_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url: str = json.loads(process.stdout.readline())["url"]
        try:
            yield Server(process.pid, int(url.rsplit(":", 1)[1]))
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def tool_server(data_dir: Path) -> Generator[Server]:
    """The product over HTTP."""
    command = [sys.executable, "-m", "tool_server", "up", "--port", "0", "--json", "--no-bundled"]
    with running([*command, "--data-dir", str(data_dir)]) as server:
        yield server


class Load:
    """Connections that are kept alive, one request in flight on each."""

    def __init__(self, port: int, connections: int) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        address = f"Host: 127.0.0.1:{port}\r\n"
        self._request = f"POST /mcp HTTP/1.1\r\n{address}{head}Content-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
        with ExitStack() as stack:
            self._sockets = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS))
                for _ in range(connections)
            ]
            self._answer_bytes = max(self._first_answer(channel) for channel in self._sockets)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close all connections."""
        self._stack.close()

    def run(self, calls: int) -> float:
        """Make that many calls, as many at once as there are connections; seconds."""
        poller = select.epoll()
        by_number = {channel.fileno(): channel for channel in self._sockets}
        missing = dict.fromkeys(by_number, self._answer_bytes)
        started = time.perf_counter()
        for number, channel in by_number.items():
            poller.register(number, select.EPOLLIN)
            channel.sendall(self._request)
        left, unsent = max(calls, len(by_number)), calls - len(by_number)
        while left:
            for number, _ in poller.poll(ANSWER_SECONDS):
                channel = by_number[number]
                data = channel.recv(65_536)
                if not data:
                    raise ConnectionError("the server closed a connection")
                missing[number] -= len(data)
                if missing[number] == 0:
                    left -= 1
                    missing[number] = self._answer_bytes
                    if unsent > 0:
                        unsent -= 1
                        channel.sendall(self._request)
        poller.close()
        return time.perf_counter() - started

    def _first_answer(self, channel: socket.socket) -> int:
        channel.sendall(self._request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += channel.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        assert lines[0] == "http/1.1 200 ok", head
        size = next(int(line.removeprefix("content-length: ")) for line in lines if line.startswith("content-length: "))
        while len(body) < size:
            body += channel.recv(65_536)
        assert json.loads(body)["result"]["structuredContent"] == {"text": "hello"}, body
        return len(head) + 4 + size
