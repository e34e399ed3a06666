"""The whole product in a network of its own: run by `tests.egress.place`, inside of new namespaces.

`python -m tests.egress.inhabitant FOLDER SETTINGS` (of `egress`, as JSON): gives `lo` public-looking addresses, and
names to them by a hosts file over /etc/hosts; serves web sites there; builds the product; then answers commands, one
JSON object a line on stdin, with one line on stdout each.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tests.egress.certificates import Authority
from tests.egress.guest import fetching_guest
from tests.egress.web import Web, compressed_bodies
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import ToolServerError
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.model.caller import LOCAL
from tool_server.model.permission import Permissions

Json = dict[str, Any]

PUBLIC, SECOND, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.8.7", "169.254.169.254"
PUBLIC_6, UNREACHABLE = "2606:2800:220:1:248:1893:25c8:1946", "93.184.216.99"

HOSTS: tuple[tuple[str, str], ...] = (
    (PUBLIC, "api.example.com"),
    (PUBLIC, "other.example.com"),
    (PUBLIC, "wrong.example.com"),
    (SECOND, "second.example.net"),
    (PUBLIC_6, "six.example.com"),
    # Public by name alone.
    (PRIVATE, "internal.example.com"),
    (METADATA, "metadata.example.com"),
    ("127.0.0.1", "loopback.example.com"),
    ("::ffff:10.9.8.7", "mapped.example.com"),
    # One good address and a bad one, in both orders.
    (PUBLIC, "mixed.example.com"),
    (PRIVATE, "mixed.example.com"),
    (PRIVATE, "mixed2.example.com"),
    (PUBLIC, "mixed2.example.com"),
    # An address where nobody is, and one that answers.
    (UNREACHABLE, "spare.example.com"),
    (PUBLIC, "spare.example.com"),
    (PUBLIC, "flip.example.com"),
)
FLIPPING = (b"93.184.216.34 flip.example.com", b"10.9.8.7      flip.example.com")
SETTINGS: Json = {
    "timeout": "30s",
    "redirects": 3,
    "request_bytes": "64KiB",
    "response_bytes": "1MiB",
    "header_bytes": "16KiB",
    "requests_per_call": 6,
    "plugin_connections": 2,
}


def furnish(folder: Path) -> None:
    """Addresses for `lo`, names for them."""
    run = ("ip", "link", "set", "lo", "up")
    subprocess.run(run, check=True)
    for address in (PUBLIC, SECOND, PRIVATE, METADATA):
        subprocess.run(("ip", "address", "add", f"{address}/32", "dev", "lo"), check=True)
    subprocess.run(("ip", "-6", "address", "add", f"{PUBLIC_6}/128", "dev", "lo", "nodad"), check=True)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for address, name in HOSTS))
    subprocess.run(("mount", "--bind", hosts, "/etc/hosts"), check=True)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Inhabitant:
    """Answers the commands."""

    services: Services
    web: Web
    log: _Lines
    flipping: threading.Event = field(default_factory=threading.Event)
    running: dict[str, anyio.CancelScope] = field(default_factory=dict[str, anyio.CancelScope])

    async def install(self, name: str, permissions: Json, granted: Json | None = None, **fields: Any) -> None:
        """Publish and install the guest with these permissions."""
        tools = {
            tool: {"description": "Fetches.", "input": {"type": "object"}} for tool in fields.pop("tools", ["fetch"])
        }
        document: Json = {"name": name, "version": "1.0.0", "tools": tools, "permissions": permissions, **fields}
        manifest, findings = parse_manifest(document)
        await self.services.publish.publish(manifest, fetching_guest(), LOCAL, findings)
        grant = Permissions.model_validate(permissions if granted is None else granted)
        await self.services.install.install(name, "1.0.0", LOCAL, grant)

    async def call(self, tool: str, arguments: Json, key: str = "") -> Json:
        """Call a tool; the answer holds its end, its record, and what the web saw of it."""
        before = len(self.web.seen)
        answer: Json = {"error": None}
        with anyio.CancelScope() as scope:
            self.running[key] = scope
            try:
                result = await self.services.invoke.call(tool, arguments, LOCAL)
                answer["text"] = "".join(str(block.get("text", "")) for block in result.content)
            except ToolServerError as error:
                answer |= {"error": error.code, "message": error.message, "data": error.data}
        answer["cancelled"] = scope.cancelled_caught
        await self.services.recorder.flush()
        (record,) = await self.services.call_log.recent(1, tool=tool)
        answer["requests"] = [asdict(request) for request in record.requests]
        answer["outcome"] = str(record.outcome)
        answer["seen"] = [request.shown() for request in self.web.seen[before:]]
        return answer

    async def cancel(self, key: str) -> None:
        """The client of a call hangs up."""
        self.running[key].cancel()

    async def set_secret(self, name: str, value: str, hosts: list[str] | None = None, plain_http: bool = False) -> None:
        """As `tool-server secret set`."""
        await self.services.secrets.set_secret(name, value, tuple(hosts or ()), LOCAL, plain_http=plain_http)

    async def remove_secret(self, name: str) -> None:
        """As `tool-server secret remove`."""
        await self.services.secrets.remove(name, LOCAL)

    async def look(self) -> Json:
        """How the web is."""
        return {"holding": self.web.holding, "open": self.web.open_connections, "log": self.log.lines}

    async def release(self) -> None:
        """Let every held request go on."""
        held, self.web.release = self.web.release, anyio.Event()
        held.set()

    async def measure(self) -> Json:
        """How much the process uses."""
        return await anyio.to_thread.run_sync(_measure)

    async def flip(self) -> None:
        """Let `flip.example.com` change its address all the time, from a public one to a private one and back."""
        self.flipping.clear()
        threading.Thread(target=_flip, args=(self.flipping,), daemon=True).start()

    async def stop_flipping(self) -> None:
        """Leave it where it is."""
        self.flipping.set()

    async def run(self, *argv: str, stdin: str = "") -> Json:
        """Run a program in here, on the same data folder."""
        config = self.services.config
        environment = {
            **os.environ,
            "TOOL_SERVER_DATA": str(config.data_dir),
            "TOOL_SERVER_EGRESS__CA_FILE": str(config.egress.ca_file),
        }
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                argv, input=stdin, capture_output=True, text=True, timeout=60, check=False, env=environment
            )
        )
        return {"code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def _measure() -> Json:
    """Of this process: resident bytes now and at most, and open descriptors."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    sizes = {name: 1024 * int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM")}
    return {"now": sizes["VmRSS"], "peak": sizes["VmHWM"], "descriptors": len(list(Path("/proc/self/fd").iterdir()))}


def _flip(stop: threading.Event) -> None:
    # In place, by lines of one length, so that whoever reads the file meanwhile finds every other name.
    place = Path("/etc/hosts").read_bytes().index(FLIPPING[0])
    with open("/etc/hosts", "r+b", buffering=0) as file:
        for line in itertools.cycle(FLIPPING):
            if stop.is_set():
                return
            os.pwrite(file.fileno(), line, place)


async def serve(inhabitant: Inhabitant) -> None:
    """Answer every command, several at once."""

    async def answer(command: Json) -> None:
        operation: Callable[..., Awaitable[object]] = getattr(inhabitant, command["do"])
        reply: Json = {"id": command["id"]}
        try:
            reply["value"] = await operation(*command.get("args", ()), **command.get("with", {}))
        except ToolServerError as error:
            reply["failed"] = f"{error.code}: {error.message}"
        print(json.dumps(reply), flush=True)  # noqa: T201 - the protocol

    stdin = anyio.wrap_file(sys.stdin)
    async with anyio.create_task_group() as tasks:
        async for line in stdin:
            tasks.start_soon(answer, json.loads(line))


async def main(folder: Path, settings: Json) -> None:
    """Live until stdin ends."""
    compressed_bodies()  # made before anybody waits for them
    authority, stranger = Authority(folder), Authority(folder / "stranger")
    async with anyio.create_task_group() as tasks:
        web = Web(tasks)
        tls = authority.server_context("api.example.com", "other.example.com", "second.example.net", "six.example.com")
        for address in (PUBLIC, SECOND, PUBLIC_6):
            await web.listen(address, 80)
            await web.listen(address, 443, tls)
        await web.listen(PUBLIC, 8080)
        await web.listen(PUBLIC, 9443, stranger.server_context("api.example.com"))
        for address in (PRIVATE, METADATA, "127.0.0.1"):
            await web.listen(address, 80)
        log = _Lines()
        logging.getLogger().addHandler(log)
        logging.getLogger().setLevel(logging.DEBUG)
        config = Config.model_validate(
            {
                "data_dir": folder / "data",
                "workers": 4,
                "spare_workers": 0,
                "egress": {**SETTINGS, **settings, "ca_file": authority.file},
            }
        )
        async with build(config, environment={}) as services:
            await serve(Inhabitant(services, web, log))
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    home = Path(sys.argv[1])
    (home / "stranger").mkdir()
    furnish(home)
    anyio.run(main, home, json.loads(sys.argv[2]))
