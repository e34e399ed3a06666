"""Response streams that end before their calls do: what is kept of them, for whom, and how a client goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.streamable_http import EventMessage, EventStore
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCResponse

from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import HANDSHAKE, body_of, headers_of
from tests.services.publishing import offer
from tests.support.guests import compile_c
from tool_server.mcp_api.resumption import RecentEvents

NAP = r"""
HOST("wasi_snapshot_preview1", "poll_oneoff") u32 poll_oneoff(const void *, void *, u32, u32 *);
EXPORT(nap) { u64 subscription[6] = {0, 0, 1, 1000000000ull, 0, 0}, event[4]; u32 count;
  poll_oneoff(subscription, event, 1, &count); return answer("{\"rested\":true}"); }
"""
TOOL: dict[str, Any] = {"description": "Sleeps a second.", "input": {"type": "object"}, "output": {"type": "object"}}


def note(number: int) -> JSONRPCMessage:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": number})


def answer(number: int) -> JSONRPCMessage:
    return JSONRPCResponse(jsonrpc="2.0", id=number, result={})


async def replayed(store: EventStore, last: str) -> tuple[list[JSONRPCMessage], str | None]:
    """What is sent after an event, and the stream that goes on."""
    sent: list[JSONRPCMessage] = []

    async def keep(event: EventMessage) -> None:
        sent.append(event.message)

    return sent, await store.replay_events_after(last, keep)


async def test_a_client_gets_what_followed_in_its_stream_and_nothing_of_another() -> None:
    store = RecentEvents().of_new_session()
    first = await store.store_event("1", None)
    await store.store_event("2", note(0))
    await store.store_event("1", note(1))
    second = await store.store_event("1", note(2))
    assert await replayed(store, first) == ([note(1), note(2)], "1")
    assert await replayed(store, second) == ([], "1")
    await store.store_event("1", answer(1))
    assert await replayed(store, second) == ([answer(1)], None)


async def test_sessions_whose_streams_have_the_same_names_see_nothing_of_each_other() -> None:
    events = RecentEvents()
    mine, other = events.of_new_session(), events.of_new_session()
    begun = await mine.store_event("1", None)
    await other.store_event("1", note(1))
    await mine.store_event("1", note(2))
    assert await replayed(mine, begun) == ([note(2)], "1")
    assert await replayed(other, begun) == ([], None)


@pytest.mark.parametrize("last", ["", "x", "-1", "0", "999", "1 ", "\u0661", "9" * 40])
async def test_an_event_that_never_was_gives_nothing(last: str) -> None:
    store = RecentEvents().of_new_session()
    await store.store_event("1", note(1))
    await store.store_event("1", note(2))
    assert await replayed(store, last) == ([], None)


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 500), st.integers(1, 10))
async def test_what_is_kept_is_bounded_and_the_oldest_gives_way(
    sizes: Sequence[int], max_bytes: int, max_events: int
) -> None:
    events = RecentEvents(max_bytes, max_events)
    store = events.of_new_session()
    for size in sizes:
        await store.store_event("1", JSONRPCNotification(jsonrpc="2.0", method="x" * size))
        assert len(events) <= max_events
    kept = [event for _, event in events.after(0)]
    assert sum(len(event.message) for event in kept) <= max_bytes


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    settings = {"limits": {"stream": "200ms"}}
    async with running_registry(tmp_path_factory.mktemp("streams") / "data", **settings) as running:
        await offer(running.services, "nap", wasm=compile_c(NAP), tools={"nap": TOOL})
        yield running


async def greet(client: httpx.AsyncClient, version: str) -> dict[str, str]:
    """The headers of a client that has a session."""
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    headers = {**headers_of(HANDSHAKE, "initialize"), "MCP-Protocol-Version": version}
    greeted = await client.post("/mcp", json=body_of(HANDSHAKE, "initialize", hello), headers=headers)
    headers["mcp-session-id"] = greeted.headers["mcp-session-id"]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await client.post("/mcp", json=ready, headers=headers)).status_code == 202
    return headers


def events_of(text: str) -> list[dict[str, str]]:
    """The fields of each event of a stream."""
    blocks = text.replace("\r\n", "\n").strip().split("\n\n")
    return [{name: value.strip() for name, _, value in map(_parted, block.splitlines())} for block in blocks]


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(":")


CALL = body_of(HANDSHAKE, "tools/call", {"name": "nap_nap", "arguments": {}})


async def test_a_long_calls_stream_ends_and_its_client_comes_back_for_the_result(registry: Registry) -> None:
    async with registry.client("call") as client:
        headers = await greet(client, HANDSHAKE)
        (begun,) = events_of((await client.post("/mcp", json=CALL, headers=headers)).text)
        assert (begun["data"], begun["retry"]) == ("", "1000")
        async with client.stream("GET", "/mcp", headers={**headers, "last-event-id": begun["id"]}) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: ") and line[6:]:
                    assert json.loads(line[6:])["result"]["structuredContent"] == {"rested": True}
                    break
        # Once the result is there, whoever comes back gets it at once, and the stream ends.
        again = await client.get("/mcp", headers={**headers, "last-event-id": begun["id"]})
        assert json.loads(events_of(again.text)[-1]["data"])["id"] == CALL["id"]


async def test_an_older_client_is_answered_in_the_stream_that_it_opened(registry: Registry) -> None:
    async with registry.client("call") as client:
        headers = await greet(client, "2025-06-18")
        (event,) = events_of((await client.post("/mcp", json=CALL, headers=headers)).text)
        assert json.loads(event["data"])["result"]["structuredContent"] == {"rested": True}


async def test_nobody_else_takes_up_a_stream(registry: Registry) -> None:
    async with registry.client("call") as client, registry.client("admin") as other:
        headers = await greet(client, HANDSHAKE)
        (begun,) = events_of((await client.post("/mcp", json=CALL, headers=headers)).text)
        back = {"last-event-id": begun["id"]}
        assert (await other.get("/mcp", headers={**headers, **back})).status_code == 405
        elsewhere = await greet(client, HANDSHAKE)
        assert "data: {" not in (await client.get("/mcp", headers={**elsewhere, **back})).text
