"""What a client of 2026-07-28 keeps for the server: good once, for the same call of the same caller, for a while."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import HANDSHAKE, MODERN, headers_of, post
from tests.services.publishing import offer, offer_guest
from tests.support.http_server import serving
from tests.support.interface_guests import interface_guest
from tool_server.bootstrap.http import http_application
from tool_server.bootstrap.services import build
from tool_server.model.caller import LOCAL
from tool_server.storage.request_states import FILE_NAME

TOOL = "ask-client_ask_client"
OBJECT: dict[str, Any] = {"description": "Reports.", "input": {"type": "object"}, "output": {"type": "object"}}
FORM: dict[str, Any] = {
    "message": "Name?",
    "requestedSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
ASKED: dict[str, Any] = {"requests": {"name": {"method": "elicitation/create", "params": FORM}}}
ANSWER: dict[str, Any] = {"name": {"action": "accept", "content": {"text": "Ada"}}}
CAPABILITIES: dict[str, Any] = {"elicitation": {"form": {}}}


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    settings = {"limits": {"client_answer": "60s"}}
    async with running_registry(tmp_path_factory.mktemp("states") / "data", **settings) as running:
        await offer(running.services, "ask-client", wasm=interface_guest("ask_client"), tools={"ask_client": OBJECT})
        await offer(running.services, "rely", wasm=interface_guest("rely"), tools={"rely": OBJECT})
        await offer_guest(running.services, "echo", "echo")
        yield running


async def ask(
    client: httpx.AsyncClient, arguments: dict[str, Any] = ASKED, *, tool: str = TOOL, lane: bool = True, **params: Any
) -> dict[str, Any]:
    """The JSON-RPC answer to a call of a client that fills in forms."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": CAPABILITIES,
    }
    if not lane:
        meta["progressToken"] = 1  # which the fast lane leaves to the SDK
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, **params, "_meta": meta},
    }
    response = await client.post("/mcp", content=json.dumps(body), headers=headers_of(MODERN, "tools/call", tool))
    return response.json()


async def state_of(client: httpx.AsyncClient, arguments: dict[str, Any] = ASKED, **options: Any) -> str:
    """The state of a call that waits for its answer."""
    return (await ask(client, arguments, **options))["result"]["requestState"]


def refusal(answer: dict[str, Any]) -> str:
    """Why an answer is not taken."""
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32602, {"reason": "invalid_request_state"}), answer
    return answer["error"]["message"]


@pytest.mark.parametrize("lane", [True, False], ids=["fast lane", "SDK"])
async def test_a_call_that_asks_answers_with_its_question_and_a_state(registry: Registry, lane: bool) -> None:
    async with registry.client("call") as client:
        result = (await ask(client, lane=lane))["result"]
        assert result["resultType"] == "input_required"
        assert result["inputRequests"] == {"name": {"method": "elicitation/create", "params": {**FORM, "mode": "form"}}}
        assert "Name?" not in result["requestState"]
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "tool-server"
        done = await ask(client, inputResponses=ANSWER, requestState=result["requestState"])
    assert done["result"]["structuredContent"] == {"answer": ANSWER}
    assert done["result"]["resultType"] == "complete"


async def test_lane_and_sdk_ask_alike(registry: Registry) -> None:
    async with registry.client("call") as client:
        answers = [await ask(client, lane=lane) for lane in (True, False)]
    for answer in answers:
        answer["result"]["requestState"] = ""
    assert answers[0] == answers[1]


async def test_a_state_is_taken_once(registry: Registry) -> None:
    async with registry.client("call") as client:
        state = await state_of(client)
        assert "result" in await ask(client, inputResponses=ANSWER, requestState=state)
        assert "answered before" in refusal(await ask(client, inputResponses=ANSWER, requestState=state))


async def test_of_two_answers_at_the_same_moment_one_is_taken(registry: Registry) -> None:
    answers: list[dict[str, Any]] = []
    async with registry.client("call") as client, anyio.create_task_group() as tasks:
        state = await state_of(client)

        async def send() -> None:
            answers.append(await ask(client, inputResponses=ANSWER, requestState=state))

        for _ in range(8):
            tasks.start_soon(send)
    assert sum("result" in answer for answer in answers) == 1


async def test_a_state_is_refused_from_another_caller(registry: Registry) -> None:
    async with registry.client("call") as one, registry.client("admin") as other, registry.client() as anonymous:
        state = await state_of(one)
        for client in (other, anonymous):
            refusal(await ask(client, inputResponses=ANSWER, requestState=state))
        assert "result" in await ask(one, inputResponses=ANSWER, requestState=state)


async def test_a_state_is_refused_with_other_arguments_and_for_another_tool(registry: Registry) -> None:
    other = {"requests": {"name": {"method": "elicitation/create", "params": {**FORM, "message": "Delete all?"}}}}
    async with registry.client("call") as client:
        state = await state_of(client)
        refusal(await ask(client, other, inputResponses=ANSWER, requestState=state))
        refusal(await ask(client, tool="echo_echo", inputResponses=ANSWER, requestState=state))


async def test_a_state_is_refused_once_it_has_expired(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    async with registry.client("call") as client:
        state = await state_of(client)
        now = registry.services.suspended._clock.now()  # pyright: ignore[reportPrivateUsage]

        class Later:
            def now(self) -> Any:
                return now.replace(year=now.year + 1)

        monkeypatch.setattr(registry.services.suspended, "_clock", Later())
        assert "expired" in refusal(await ask(client, inputResponses=ANSWER, requestState=state))


async def test_a_state_that_was_changed_is_refused_wherever_that_was(registry: Registry) -> None:
    async with registry.client("call") as client:
        state = await state_of(client)
        for place in (0, 5, 20, len(state) // 2, len(state) - 5):
            changed = state[:place] + ("A" if state[place] != "A" else "B") + state[place + 1 :]
            refusal(await ask(client, inputResponses=ANSWER, requestState=changed))
        for nonsense in ("", "x", "\u20ac", state[:-8], state + state, base64.b64encode(b"{}" * 20).decode()):
            refusal(await ask(client, inputResponses=ANSWER, requestState=nonsense))
        refusal(await ask(client, inputResponses=ANSWER, requestState="A" * 2_000_000))


async def test_answers_without_a_state_are_for_the_first_question_of_a_new_call(registry: Registry) -> None:
    async with registry.client("call") as client:
        answered = await ask(client, inputResponses={**ANSWER, "unasked": {"action": "accept"}})
        assert answered["result"]["structuredContent"]["answer"] == ANSWER
        asked = await ask(client, inputResponses={"unasked": {"action": "accept"}})
        assert asked["result"]["inputRequests"].keys() == ANSWER.keys()
        both = {"requests": {key: {"method": "elicitation/create", "params": FORM} for key in (*ANSWER, "more")}}
        rest = await ask(client, both, inputResponses=ANSWER)
        assert rest["result"]["inputRequests"].keys() == {"more"}
        refused = await ask(client, inputResponses=dict.fromkeys(ANSWER, 12345))
        assert refused["error"]["code"] == -32602


async def test_a_guest_that_fails_for_what_its_client_has_not_declared_is_a_protocol_error(registry: Registry) -> None:
    url = {"mode": "url", "message": "Go", "url": "https://example.com", "elicitationId": "1"}
    roots = {"requests": {"a": {"method": "roots/list"}, "b": {"method": "elicitation/create", "params": url}}}
    called = {"name": "rely_rely", "arguments": roots}
    async with registry.client("call") as client:
        # The second is left to the SDK by the fast lane.
        for headers in ({}, {"accept": "application/json"}):
            response = await post(client, MODERN, "tools/call", called, headers=headers)
            assert response.status_code == 400
            error = response.json()["error"]
            assert error["code"] == -32021
            assert error["data"] == {"requiredCapabilities": {"elicitation": {"url": {}}, "roots": {}}}
        before = await post(client, HANDSHAKE, "tools/call", called)
        assert before.json()["result"]["isError"] is True
        aware = await ask(client, roots)
        assert "client_cannot_be_asked" in str(aware)


async def test_a_client_that_leaves_a_question_out_is_asked_that_one_again(registry: Registry) -> None:
    two = {"requests": {key: {"method": "elicitation/create", "params": FORM} for key in ("name", "more")}}
    async with registry.client("call") as client:
        first = (await ask(client, two))["result"]
        second = (await ask(client, two, inputResponses=ANSWER, requestState=first["requestState"]))["result"]
        assert second["inputRequests"].keys() == {"more"}
        answered = {"more": {"action": "decline"}, "name": {"action": "cancel"}, "unasked": {"action": "accept"}}
        third = await ask(client, two, inputResponses=answered, requestState=second["requestState"])
    answer = third["result"]["structuredContent"]["answer"]
    assert answer["more"] == {"action": "decline"}
    # What was answered stays as it was answered first, and what nobody asked is not taken.
    assert answer.keys() == {"more", "name"}
    assert answer["name"] == ANSWER["name"]


async def test_a_plugin_that_was_replaced_meanwhile_is_not_given_the_answer(registry: Registry) -> None:
    services = registry.services
    async with registry.client("call") as client:
        state = await state_of(client)
        changed = interface_guest("ask_client") + b"\x00\x05\x04mark"
        await offer(services, "ask-client", "2.0.0", wasm=changed, tools={"ask_client": OBJECT})
        answer = await ask(client, inputResponses=ANSWER, requestState=state)
        await services.install.install("ask-client", "1.0.0", LOCAL)
    assert answer["result"]["isError"]
    assert "replaced by another version" in answer["result"]["content"][0]["text"]


async def test_another_server_of_the_same_data_folder_takes_the_answer(registry: Registry) -> None:
    async with build(registry.services.config) as services, serving(http_application(services, port=0).app) as url:
        async with registry.client() as here, httpx.AsyncClient(base_url=url, trust_env=False) as there:
            state = await state_of(here)
            assert "result" in await ask(there, inputResponses=ANSWER, requestState=state)
            assert "answered before" in refusal(await ask(here, inputResponses=ANSWER, requestState=state))


async def test_the_key_is_for_its_owner_alone_and_of_a_thousand_abandoned_calls_nothing_is_left(
    registry: Registry,
) -> None:
    file = registry.services.config.data_dir / FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    tables = _rows(registry)
    async with registry.client("call") as client, anyio.create_task_group() as tasks:
        limiter = anyio.CapacityLimiter(20)

        async def abandon() -> None:
            async with limiter:
                await state_of(client)

        for _ in range(1_000):
            tasks.start_soon(abandon)
    assert registry.services.pool.busy == 0
    assert _rows(registry) == tables


def _rows(registry: Registry) -> int:
    import sqlite3

    with sqlite3.connect(registry.services.config.data_dir / "tool-server.db") as database:
        (count,) = database.execute("SELECT count(*) FROM spent_states").fetchone()
    return count


@given(state=st.text(max_size=200))
async def test_no_text_is_taken_for_a_state(registry: Registry, state: str) -> None:
    async with registry.client("call") as client:
        text = state.encode("utf-8", "replace").decode()
        refusal(await ask(client, inputResponses=ANSWER, requestState=text))
