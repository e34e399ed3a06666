"""A client that hangs up or cancels stops the guest."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
import pytest

from tests.http_api.registry import Registry
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN, body_of, call, headers_of
from tests.services.publishing import until
from tool_server.model.call import Outcome


async def open_call(registry: Registry, era: str, tool: str, arguments: Mapping[str, object]) -> anyio.abc.SocketStream:
    """A connection on which a call was sent and not answered."""
    host, port = registry.url.removeprefix("http://").split(":")
    body = json.dumps(body_of(era, "tools/call", {"name": tool, "arguments": arguments})).encode()
    headers = {**headers_of(era, "tools/call", tool), "Host": f"{host}:{port}", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    stream = await anyio.connect_tcp(host, int(port))
    await stream.send(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
    return stream


@pytest.mark.parametrize("era", ERAS)
async def test_closing_the_connection_of_a_running_call_kills_its_guest(registry: Registry, era: str) -> None:
    pool = registry.services.pool
    await registry.services.recorder.flush()
    before = await registry.services.call_log.count()
    stream = await open_call(registry, era, "endless_spin", {})
    await until(lambda: pool.busy == 1)
    await stream.aclose()
    await until(lambda: pool.busy == 0)
    await registry.services.recorder.flush()
    assert await registry.services.call_log.count() == before + 1
    (record,) = await registry.services.call_log.recent(1, tool="endless_spin")
    assert (record.outcome, record.result_hash) == (Outcome.CANCELLED, None)
    assert record.total_us < 60_000_000
    async with registry.client() as client:
        assert (await call(client, era, "trial_add", {"a": 1, "b": 1}))["result"]["structuredContent"] == {"sum": 2}


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_still_waits_in_line_leaves_it_when_its_client_leaves(registry: Registry, era: str) -> None:
    pool = registry.services.pool
    running = await open_call(registry, era, "endless_spin", {})
    await until(lambda: pool.busy == 1)
    waiting = await open_call(registry, era, "trial_add", {"a": 1, "b": 1})
    await until(lambda: pool.waiting == 1)
    await waiting.aclose()
    await until(lambda: pool.waiting == 0)
    assert pool.busy == 1
    await running.aclose()
    await until(lambda: pool.busy == 0)


async def test_many_clients_that_leave_at_once_take_only_their_own_calls_along(registry: Registry) -> None:
    pool = registry.services.pool
    leaving = [await open_call(registry, era, "endless_spin", {}) for era in (MODERN, HANDSHAKE) * 3]
    await until(lambda: (pool.busy, pool.waiting) == (1, 5))
    staying: list[object] = []

    async def stay() -> None:
        async with registry.client() as client:
            staying.append((await call(client, MODERN, "trial_add", {"a": 1, "b": 1}))["result"])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stay)
        await until(lambda: pool.waiting == 6)
        for stream in leaving:
            await stream.aclose()
    assert len(staying) == 1
    await until(lambda: (pool.busy, pool.waiting) == (0, 0))
