"""The server as a child process, spoken to line by line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.mcp_api.wire import HANDSHAKE, MODERN, body_of
from tests.services.publishing import offer, offer_guest, until
from tests.support.item_guests import ITEMS, item_guest
from tests.support.kernel import children_of, processor_ticks
from tests.support.server import server_environment
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.model.call import Outcome
from tool_server.model.caller import LOCAL

# Real processes, started again and again.
pytestmark = pytest.mark.slow

HELLO = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Conversation:
    """Requests out, messages in."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._input = process.stdin
        self._output = BufferedByteReceiveStream(process.stdout)
        self.notifications: list[str] = []

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """Write one line."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        await self._input.send(line + b"\n")

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        return json.loads(await self._output.receive_until(b"\n", 2**20))

    async def answer(self, request_id: int) -> dict[str, Any]:
        """The answer to a request; notifications on the way are noted."""
        while True:
            message = await self.receive()
            if message.get("id") == request_id and "method" not in message:
                return message
            self.notifications.append(message.get("method", ""))

    async def ask(self, request_id: int, era: str, method: str, params: dict[str, Any]) -> None:
        """Send one request."""
        await self.send({**body_of(era, method, params), "id": request_id})

    async def call(self, request_id: int, era: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool."""
        await self.ask(request_id, era, "tools/call", {"name": tool, "arguments": arguments})
        return await self.answer(request_id)

    async def greet(self) -> dict[str, Any]:
        """The handshake."""
        await self.ask(0, HANDSHAKE, "initialize", HELLO)
        answer = await self.answer(0)
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    async def stop_reading(self) -> None:
        """Close the end that the server writes to."""
        await self._output.aclose()

    async def close(self) -> int:
        """End the server's input; its exit code."""
        await self._input.aclose()
        return await self.process.wait()


def most_processor_seconds(pid: int) -> float:
    """What the child of a process that worked the most has worked since it was started: a spinning guest's worker."""
    return max(map(processor_ticks, children_of(pid)), default=0) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def conversation(data_dir: Path, *options: str) -> AsyncGenerator[Conversation]:
    """`python -m tool_server stdio`, as clients start it."""
    command = [sys.executable, "-m", "tool_server", "stdio", "--no-bundled", "--data-dir", str(data_dir), *options]
    environment = server_environment({"TOOL_SERVER_WORKERS": "1"})
    with anyio.fail_after(60):
        async with await anyio.open_process(command, env=environment, cwd=data_dir.parent, stderr=None) as process:
            try:
                yield Conversation(process)
            finally:
                if process.returncode is None:
                    process.kill()


@pytest.fixture
async def services(tmp_path: Path) -> AsyncGenerator[Services]:
    """The same data folder from this process."""
    async with build(Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)) as opened:
        yield opened


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
async def test_a_cancelled_call_is_stopped_and_the_next_one_gets_its_worker(services: Services, era: str) -> None:
    spin = await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})
    await offer(services, "sums")
    async with conversation(services.config.data_dir) as server:
        if era == HANDSHAKE:
            assert (await server.greet())["capabilities"]["tools"]["listChanged"] is True
        first = await server.call(1, era, "sums_add", {"a": 1, "b": 2})
        assert first["result"]["structuredContent"] == {"sum": 3}
        await server.ask(2, era, "tools/call", {"name": spin, "arguments": {}})
        await until(lambda: most_processor_seconds(server.process.pid) > 1.5)
        await server.ask(3, era, "tools/call", {"name": "sums_add", "arguments": {"a": 3, "b": 4}})
        await server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})
        assert (await server.answer(3))["result"]["structuredContent"] == {"sum": 7}
        assert await server.close() == 0
    (record,) = await services.call_log.recent(1, tool=spin)
    assert record.outcome is Outcome.CANCELLED


async def test_an_installed_plugin_is_announced_and_can_be_called_at_once(services: Services) -> None:
    async with conversation(services.config.data_dir) as server:
        await server.greet()
        await server.ask(1, HANDSHAKE, "tools/list", {})
        assert (await server.answer(1))["result"]["tools"] == []
        await offer(services, "sums")
        assert (await server.receive())["method"] == "notifications/tools/list_changed"
        answer = await server.call(2, HANDSHAKE, "sums_add", {"a": 1, "b": 2})
        assert answer["result"]["structuredContent"] == {"sum": 3}
        await services.install.uninstall("sums", LOCAL)
        assert (await server.receive())["method"] == "notifications/tools/list_changed"
        assert (await server.call(3, HANDSHAKE, "sums_add", {"a": 1, "b": 2}))["error"]["code"] == -32602
        assert await server.close() == 0


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
async def test_the_search_view_and_its_restriction_hold_over_stdio(services: Services, era: str) -> None:
    await offer(services, "sums")
    await offer(services, "hidden")
    options = ("--view", "search", "--only", "plugin:sums", "--only", "tool:none")
    async with conversation(services.config.data_dir, *options) as server:
        if era == HANDSHAKE:
            await server.greet()
        await server.ask(1, era, "tools/list", {})
        listed = (await server.answer(1))["result"]["tools"]
        assert [tool["name"] for tool in listed] == ["call_tool", "describe_tool", "search_tools"]
        found = await server.call(2, era, "search_tools", {"query": "add integers"})
        assert [tool["name"] for tool in found["result"]["structuredContent"]["tools"]] == ["sums_add"]
        answer = await server.call(3, era, "call_tool", {"name": "sums_add", "arguments": {"a": 1, "b": 2}})
        assert answer["result"]["structuredContent"] == {"output": {"sum": 3}}
        refused = await server.call(4, era, "call_tool", {"name": "hidden_add", "arguments": {"a": 1, "b": 2}})
        assert refused["result"]["_meta"]["tool-server/error"]["code"] == "unknown_tool"
        direct = await server.call(5, era, "sums_add", {"a": 1, "b": 2})
        assert direct["error"]["code"] == -32602
        assert await server.close() == 0


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
async def test_a_restricted_list_and_its_calls_hold_over_stdio(services: Services, era: str) -> None:
    await offer(services, "sums")
    await offer(services, "hidden")
    async with conversation(services.config.data_dir, "--only", "tool:sums_add") as server:
        if era == HANDSHAKE:
            await server.greet()
        await server.ask(1, era, "tools/list", {})
        assert [tool["name"] for tool in (await server.answer(1))["result"]["tools"]] == ["sums_add"]
        assert (await server.call(2, era, "hidden_add", {"a": 1, "b": 2}))["error"]["code"] == -32602
        assert (await server.call(3, era, "sums_add", {"a": 1, "b": 2}))["result"]["structuredContent"] == {"sum": 3}
        assert await server.close() == 0


async def test_lines_that_are_no_messages_do_not_end_the_conversation(services: Services) -> None:
    await offer(services, "sums")
    async with conversation(services.config.data_dir) as server:
        for line in (b"", b"{", b"\xff\xfe", b"null", b"[" * 10_000, b'{"jsonrpc":"2.0"}', b"x" * 200_000):
            await server.send(line)
        answer = await server.call(1, MODERN, "sums_add", {"a": 1, "b": 2})
        assert answer["result"]["structuredContent"] == {"sum": 3}
        assert await server.close() == 0


async def test_a_client_that_stops_reading_is_no_error_of_the_server(services: Services) -> None:
    async with conversation(services.config.data_dir) as server:
        await server.ask(1, MODERN, "tools/list", {})
        await server.answer(1)
        await server.stop_reading()
        await server.ask(2, MODERN, "tools/list", {})
        assert await server.close() == 0


@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_well_and_no_record_is_lost(
    services: Services, received: signal.Signals
) -> None:
    await offer(services, "sums")
    async with conversation(services.config.data_dir) as server:
        await server.call(1, MODERN, "sums_add", {"a": 1, "b": 2})
        server.process.send_signal(received)
        assert await server.process.wait() == 0
    assert await services.call_log.count() == 1


async def test_a_client_that_leaves_without_a_word_takes_the_server_and_its_guest_along(services: Services) -> None:
    spin = await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})
    async with conversation(services.config.data_dir) as server:
        await server.greet()
        await server.ask(1, HANDSHAKE, "tools/call", {"name": spin, "arguments": {}})
        await until(lambda: bool(children_of(server.process.pid)))
        workers = children_of(server.process.pid)
        assert await server.close() == 0
        await until(lambda: not any(Path(f"/proc/{pid}/stat").exists() for pid in workers))


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
async def test_prompts_and_resources_are_there_from_the_first_request_on(services: Services, era: str) -> None:
    await offer(services, "notes", wasm=item_guest("items"), **ITEMS)
    async with conversation(services.config.data_dir) as server:
        if era == HANDSHAKE:
            capabilities = (await server.greet())["capabilities"]
            assert capabilities["prompts"] == {"listChanged": True}
            assert capabilities["resources"] == {"subscribe": True, "listChanged": True}
        await server.ask(1, era, "prompts/list", {})
        (prompt,) = (await server.answer(1))["result"]["prompts"]
        await server.ask(2, era, "prompts/get", {"name": prompt["name"], "arguments": {"text": "hi"}})
        (message, _) = (await server.answer(2))["result"]["messages"]
        assert json.loads(message["content"]["text"]) == {"name": "review", "arguments": {"text": "hi"}}
        await server.ask(3, era, "resources/read", {"uri": "notes://about"})
        assert (await server.answer(3))["result"]["contents"][0]["text"] == "# Notes\n"
        await server.ask(4, era, "resources/read", {"uri": "notes://none"})
        assert (await server.answer(4))["error"]["code"] == (-32602 if era == MODERN else -32002)
        assert await server.close() == 0


async def test_who_subscribed_in_the_handshake_era_hears_of_a_resource_until_it_unsubscribes(
    services: Services,
) -> None:
    await offer(services, "notes", wasm=item_guest("items"), **ITEMS)
    uri = "notes://today"
    async with conversation(services.config.data_dir) as server:
        await server.greet()
        await server.ask(1, HANDSHAKE, "resources/subscribe", {"uri": "other://a"})
        assert (await server.answer(1))["error"]["code"] == -32002
        await server.ask(2, HANDSHAKE, "resources/subscribe", {"uri": uri})
        assert "result" in await server.answer(2)
        for request_id, changed in ((3, "notes://team/plan"), (4, uri)):
            await server.call(request_id, HANDSHAKE, "notes_touch", {"uri": changed})
        assert server.notifications == ["notifications/resources/updated"]
        await server.ask(5, HANDSHAKE, "resources/unsubscribe", {"uri": uri})
        assert "result" in await server.answer(5)
        await server.call(6, HANDSHAKE, "notes_touch", {"uri": uri})
        assert len(server.notifications) == 1
        await server.call(7, HANDSHAKE, "notes_touch", {})
        assert {*server.notifications[1:]} == {
            f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")
        }
        assert await server.close() == 0
