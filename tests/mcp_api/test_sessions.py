"""Sessions of HTTP clients of the handshake era: a help to those that have one, never a hindrance to the others."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import HANDSHAKE, MODERN, body_of, headers_of, text_of
from tests.services.publishing import offer, offer_guest, until
from tests.support.interface_guests import interface_guest
from tool_server.model.caller import LOCAL

OBJECT: dict[str, Any] = {"description": "Reports.", "input": {"type": "object"}, "output": {"type": "object"}}
HELLO: dict[str, Any] = {
    "protocolVersion": HANDSHAKE,
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "test", "version": "1"},
}
FORM: dict[str, Any] = {
    "message": "Name?",
    "requestedSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
ASKED: dict[str, Any] = {"requests": {"name": {"method": "elicitation/create", "params": FORM}}}
SESSION = "mcp-session-id"


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    settings = {"limits": {"sessions": 3, "client_questions": 2, "client_answer": "2s"}}
    async with running_registry(tmp_path_factory.mktemp("sessions") / "data", **settings) as running:
        await offer(running.services, "ask-client", wasm=interface_guest("ask_client"), tools={"ask_client": OBJECT})
        await offer_guest(running.services, "echo", "echo")
        await offer_guest(running.services, "endless", "spin", limits={"timeout": "60s"})
        yield running


async def say(
    client: httpx.AsyncClient, method: str, params: dict[str, Any], session: str | None = None, **more: Any
) -> httpx.Response:
    """One message of the handshake era."""
    headers = {**headers_of(HANDSHAKE, method), **({SESSION: session} if session else {})}
    return await client.post(
        "/mcp", content=json.dumps({**body_of(HANDSHAKE, method, params), **more}), headers=headers
    )


def messages(response: httpx.Response) -> list[dict[str, Any]]:
    """The messages of an event stream, or of a plain answer."""
    if response.headers["content-type"].startswith("application/json"):
        return [response.json()]
    lines = response.text.splitlines()
    # The event that begins a stream which can be taken up again has no data.
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line[6:]]


async def greet(client: httpx.AsyncClient) -> str | None:
    """The session that a client gets, if any."""
    response = await say(client, "initialize", HELLO)
    assert messages(response)[-1]["result"]["protocolVersion"] == HANDSHAKE
    session = response.headers.get(SESSION)
    if session is not None:
        body = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
        headers = {**headers_of(HANDSHAKE, "notifications/initialized"), SESSION: session}
        assert (await client.post("/mcp", content=body, headers=headers)).status_code == 202
    return session


async def end(client: httpx.AsyncClient, session: str | None) -> None:
    """The client goes."""
    assert session is not None
    response = await client.delete("/mcp", headers={**headers_of(HANDSHAKE, "x"), SESSION: session})
    assert response.status_code == 200


@asynccontextmanager
async def session_of(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    """A session, ended afterwards."""
    session = await greet(client)
    assert session is not None
    yield session
    await end(client, session)


async def echo(client: httpx.AsyncClient, session: str | None) -> None:
    """A call works."""
    response = await say(client, "tools/call", {"name": "echo_echo", "arguments": {"a": 1}}, session)
    assert text_of(messages(response)[-1]) == '{"a":1}'


@pytest.mark.parametrize("session", [None, "0" * 32, "no session", "../../etc/passwd"])
async def test_a_client_without_a_session_or_with_one_that_is_gone_is_served(
    registry: Registry, session: str | None
) -> None:
    async with registry.client("call") as client:
        await echo(client, session)


async def test_a_client_that_ended_its_session_has_to_greet_anew(registry: Registry) -> None:
    async with registry.client("call") as client:
        async with session_of(client) as session:
            await echo(client, session)
        requests: list[tuple[str, dict[str, Any]]] = [
            ("tools/list", {}),
            ("tools/call", {"name": "echo_echo", "arguments": {}}),
        ]
        for method, params in requests:
            refused = await say(client, method, params, session)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, -32600)
        async with session_of(client) as another:
            await echo(client, another)


async def test_a_list_of_tools_is_an_event_in_a_session_and_plain_json_elsewhere(registry: Registry) -> None:
    async with registry.client("call") as client, session_of(client) as session:
        for name, content_type in (
            (session, "text/event-stream"),
            (None, "application/json"),
            ("f" * 32, "application/json"),
        ):
            listed = await say(client, "tools/list", {}, name)
            assert listed.headers["content-type"].startswith(content_type)
            assert [tool["name"] for tool in messages(listed)[-1]["result"]["tools"]][-1] == "endless_spin"


async def test_beyond_the_limit_clients_are_served_without_a_session(registry: Registry) -> None:
    async with registry.client("call") as client:
        sessions = [await greet(client) for _ in range(5)]
        assert sessions[3:] == [None, None]
        await echo(client, None)
        for session in sessions[:3]:
            await echo(client, session)
            await end(client, session)
        async with session_of(client) as session:
            await echo(client, session)


async def test_nobody_else_is_asked_or_served_in_a_session(registry: Registry) -> None:
    asked = {"name": "ask-client_ask_client", "arguments": ASKED}
    async with registry.client("call") as owner, registry.client("admin") as other, session_of(owner) as session:
        await echo(other, session)
        answer = messages(await say(other, "tools/call", asked, session))[-1]
        assert answer["result"]["structuredContent"]["error"]["code"] == "client_cannot_be_asked"
        gone = await other.delete("/mcp", headers={**headers_of(HANDSHAKE, "x"), SESSION: session})
        assert gone.status_code == 405
        assert (await other.get("/mcp", headers={**headers_of(HANDSHAKE, "x"), SESSION: session})).status_code == 405
        await echo(owner, session)


async def test_a_client_that_does_not_answer_fails_the_call_in_time_and_holds_nothing(registry: Registry) -> None:
    asked = {"name": "ask-client_ask_client", "arguments": ASKED}
    async with registry.client("call") as client, session_of(client) as session:
        with anyio.fail_after(20):
            heard = messages(await say(client, "tools/call", asked, session))
    assert heard[0]["method"] == "elicitation/create"
    assert "did not answer within 2 s" in text_of(heard[-1])
    assert registry.services.pool.busy == 0


async def test_only_so_many_calls_wait_for_clients(registry: Registry) -> None:
    asked = {"name": "ask-client_ask_client", "arguments": ASKED}
    ends: list[str] = []
    async with registry.client("call") as client, session_of(client) as session:
        async with anyio.create_task_group() as tasks:

            async def ask(number: int) -> None:
                heard = messages(await say(client, "tools/call", asked, session, id=number))
                ends.append(text_of(heard[-1]))

            for number in range(5):
                tasks.start_soon(ask, number)
    assert sorted("wait for their clients" in end for end in ends) == [False, False, True, True, True]


async def test_a_call_of_a_session_is_stopped_by_a_cancelled_notice(registry: Registry) -> None:
    async with registry.client("call") as client, session_of(client) as session:
        async with anyio.create_task_group() as tasks:

            async def spin() -> None:
                await say(client, "tools/call", {"name": "endless_spin", "arguments": {}}, session, id=77)

            tasks.start_soon(spin)
            await until(lambda: registry.services.pool.busy == 1)
            headers = {**headers_of(HANDSHAKE, "notifications/cancelled"), SESSION: session}
            notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}}
            await client.post("/mcp", content=json.dumps(notice), headers=headers)
            await until(lambda: registry.services.pool.busy == 0)
            tasks.cancel_scope.cancel()


async def test_a_client_that_listens_is_told_that_the_tools_changed(registry: Registry) -> None:
    heard: list[str] = []
    async with registry.client("call") as client, session_of(client) as session, anyio.create_task_group() as tasks:

        async def listen() -> None:
            headers = {"Accept": "text/event-stream", "MCP-Protocol-Version": HANDSHAKE, SESSION: session}
            async with client.stream("GET", "/mcp", headers=headers) as response:
                assert response.status_code == 200
                async for text in response.aiter_text():
                    heard.append(text)  # noqa: PERF401 - each as it comes

        tasks.start_soon(listen)
        async with registry.client("admin") as other:
            number = 0

            async def told() -> bool:
                # The stream may open after the first of the changes.
                nonlocal number
                number += 1
                await offer(registry.services, f"new{number}")
                await registry.services.install.uninstall(f"new{number}", LOCAL)
                return "notifications/tools/list_changed" in "".join(heard)

            await until(told)
            assert other is not client
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/json;q=0.5"])
async def test_a_client_that_takes_no_streams_is_answered_plainly_and_gets_no_session(
    registry: Registry, accept: str
) -> None:
    async with registry.client("call") as client:
        headers = {**headers_of(HANDSHAKE, "initialize"), "Accept": accept}
        response = await client.post(
            "/mcp", content=json.dumps(body_of(HANDSHAKE, "initialize", HELLO)), headers=headers
        )
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert SESSION not in response.headers


async def test_a_modern_client_hears_of_progress_in_a_stream_only_where_it_asked_for_it(registry: Registry) -> None:
    await offer(registry.services, "teller", wasm=interface_guest("notify_client"), tools={"notify_client": OBJECT})
    told = {"method": "notifications/progress", "params": {"progress": 1, "total": 3, "message": "one"}}
    async with registry.client("call") as client:
        answers: list[httpx.Response] = []
        for token in ("abc", None):
            body = body_of(MODERN, "tools/call", {"name": "teller_notify_client", "arguments": told})
            if token is not None:
                body["params"]["_meta"]["progressToken"] = token
            headers = headers_of(MODERN, "tools/call", "teller_notify_client")
            answers.append(await client.post("/mcp", content=json.dumps(body), headers=headers))
    streamed, plain = answers
    assert streamed.headers["content-type"].startswith("text/event-stream")
    progress, result = messages(streamed)
    assert progress["method"] == "notifications/progress"
    assert progress["params"] == {"progressToken": "abc", "progress": 1, "total": 3, "message": "one"}
    assert plain.headers["content-type"] == "application/json"
    assert result["result"]["structuredContent"] == plain.json()["result"]["structuredContent"] == {"answer": None}


async def test_a_modern_client_that_leaves_its_stream_takes_the_guest_along(registry: Registry) -> None:
    body = body_of(MODERN, "tools/call", {"name": "endless_spin", "arguments": {}})
    body["params"]["_meta"]["progressToken"] = 1
    async with registry.client("call") as client, anyio.create_task_group() as tasks:

        async def spin() -> None:
            headers = headers_of(MODERN, "tools/call", "endless_spin")
            await client.post("/mcp", content=json.dumps(body), headers=headers)

        tasks.start_soon(spin)
        await until(lambda: registry.services.pool.busy == 1)
        tasks.cancel_scope.cancel()
    await until(lambda: registry.services.pool.busy == 0)
