"""Guests that talk to their client without end, and clients that do not listen: nobody else notices."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import mcp_types as types
import pytest
from mcp import Client
from mcp.client import ClientRequestContext

from tests.hostile.vitals import vitals
from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import CLIENT_MODES, ERAS, MODERN, body_of, call, headers_of
from tests.services.publishing import ANYTHING, offer, until
from tests.support.interface_guests import interface_guest
from tool_server.model.transcript import MAX_QUESTIONS

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

OBJECT: dict[str, Any] = {"description": "Reports.", "input": {"type": "object"}, "output": {"type": "object"}}


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    async with running_registry(tmp_path_factory.mktemp("talkers") / "data") as running:
        await offer(running.services, "sums")
        await offer(
            running.services,
            "chatter",
            wasm=interface_guest("chatter"),
            tools={"chatter": ANYTHING},
            limits={"timeout": "2s"},
        )
        await offer(running.services, "nag", wasm=interface_guest("nag"), tools={"nag": OBJECT})
        yield running


def send_and_not_read(url: str, body: bytes, headers: dict[str, str]) -> socket.socket:
    """A connection whose client takes nothing of the answer."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = f"Host: {parts.netloc}\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(f"POST /mcp HTTP/1.1\r\n{length}{head}\r\n".encode() + body)
    return connection


async def test_a_guest_that_never_stops_telling_ends_at_its_time_limit_whether_its_client_reads_or_not(
    registry: Registry,
) -> None:
    body = body_of(MODERN, "tools/call", {"name": "chatter_chatter", "arguments": {}})
    body["params"]["_meta"]["progressToken"] = 1
    headers = headers_of(MODERN, "tools/call", "chatter_chatter")
    pool = registry.services.pool
    before = vitals(os.getpid()).server_private
    deaf = [send_and_not_read(registry.url, json.dumps(body).encode(), headers) for _ in range(4)]
    try:
        await until(lambda: pool.busy > 0)
        async with registry.client() as client:
            for _ in range(20):
                answer = await call(client, MODERN, "sums_add", {"a": 1, "b": 2})
                assert answer["result"]["structuredContent"] == {"sum": 3}
        await until(lambda: pool.busy == 0)
        assert vitals(os.getpid()).server_private - before < 64 * 2**20
    finally:
        for connection in deaf:
            connection.close()

    async def ended() -> bool:
        records = await registry.services.call_log.recent(100)
        return [record.error for record in records if record.tool == "chatter_chatter"] == ["timeout"] * 4

    await until(ended)


@pytest.mark.parametrize("era", ERAS)
async def test_a_guest_that_asks_again_and_again_is_stopped_after_so_many_questions(
    registry: Registry, era: str
) -> None:
    asked = 0

    async def elicit(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        nonlocal asked
        asked += 1
        return types.ElicitResult(action="accept", content={"a": "yes"})

    options: dict[str, Any] = {"input_required_max_rounds": 100} if era == MODERN else {}
    async with Client(f"{registry.url}/mcp", mode=CLIENT_MODES[era], elicitation_callback=elicit, **options) as client:
        result = await client.call_tool("nag_nag", {})
    assert result.structured_content is not None
    assert result.structured_content["asked"] == asked == MAX_QUESTIONS
    assert result.structured_content["error"]["code"] == "too_many_questions"
