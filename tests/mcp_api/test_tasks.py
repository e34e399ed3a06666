"""MCP's extension for tasks over HTTP, with real guests: https://modelcontextprotocol.io/seps/2663-tasks-extension"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN, body_of, call, headers_of, post, text_of
from tests.services.publishing import ANYTHING, offer, until
from tests.support.guests import compile_c, guest
from tests.support.interface_guests import interface_guest
from tests.support.kernel import children_of
from tests.support.plugins import TRIAL_SOURCE
from tool_server.bootstrap.http import http_application
from tool_server.errors import NotFound
from tool_server.http_api.lifespans import lifespan_of
from tool_server.model.caller import ANONYMOUS
from tool_server.model.client import ELICIT, ROOTS, SAMPLE, ClientChannel, ClientRequest
from tool_server.model.json_value import JsonObject, compact_json

TASKS = "io.modelcontextprotocol/tasks"
DECLARED: JsonObject = {"extensions": {TASKS: {}}}
INVALID_PARAMS, METHOD_NOT_FOUND, INTERNAL_ERROR = -32602, -32601, -32603
HEADER_MISMATCH, MISSING_CAPABILITY = -32020, -32021
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("tasks/get", {}),
    ("tasks/update", {"inputResponses": {}}),
    ("tasks/cancel", {}),
]
"""With what each takes besides the task's id."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

BUSY = r"""EXPORT(busy) { read_input(); const u8 *p = value_of("rounds"); u32 n = p ? number_of(p) : 1;
  volatile u32 x = 1; for (u32 i = 0; i < n; i++) x = x * 1664525u + 1013904223u;
  add_text("worked"); return done(); }"""
A_WHILE = 300_000_000
"""Rounds that take longer than a few requests."""


def tool(task: str) -> dict[str, Any]:
    return {**ANYTHING, "task": task}


@pytest.fixture(scope="module", autouse=True)
async def jobs(registry: Registry) -> None:
    """Plugins whose tools may, must and may not run as tasks."""
    wasm = compile_c(f"{TRIAL_SOURCE}\n{BUSY}\nEXPORT(trap) {{ __builtin_trap(); }}")
    tools = {
        "busy": tool("optional"),
        "greet": tool("optional"),
        "words": ANYTHING,
        "echo": tool("required"),
        "error": tool("required"),
        "trap": tool("optional"),
        "image": {**tool("optional"), "returns": "content"},
        "add": tool("after-input"),
    }
    await offer(registry.services, "job", wasm=wasm, tools=tools, limits={"timeout": "60s"})
    await offer(
        registry.services, "stuck", wasm=guest("spin"), tools={"spin": tool("optional")}, limits={"timeout": "60s"}
    )


def kept(registry: Registry) -> int:
    """How many tasks are stored."""
    with closing(sqlite3.connect(registry.services.config.data_dir / "tool-server.db")) as connection:
        return connection.execute("SELECT count(*) FROM tasks").fetchone()[0]


async def ask(
    client: httpx.AsyncClient,
    method: str,
    params: Mapping[str, Any],
    capabilities: Mapping[str, Any] = DECLARED,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON-RPC answer to a request of the modern era whose client declares these capabilities."""
    body = body_of(MODERN, method, params)
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities
    name = params.get("name", params.get("taskId"))
    sent = headers_of(MODERN, method, name if isinstance(name, str) else None) | dict(headers or {})
    response = await client.post("/mcp", content=json.dumps(body).encode(), headers=sent)
    answer: dict[str, Any] = response.json()
    # What -32603 and results are sent with, the SDK decides.
    expected = {INVALID_PARAMS: 400, HEADER_MISMATCH: 400, MISSING_CAPABILITY: 400, METHOD_NOT_FOUND: 404}
    assert response.status_code == expected.get(answer.get("error", {}).get("code"), 200)
    return answer


async def begin(client: httpx.AsyncClient, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The announcement of a task."""
    answer = await ask(client, "tools/call", {"name": name, "arguments": arguments or {}})
    result = answer["result"]
    assert result["resultType"] == "task", answer
    return result


async def get(client: httpx.AsyncClient, task: Mapping[str, Any]) -> dict[str, Any]:
    """A task as it is."""
    result = (await ask(client, "tasks/get", {"taskId": task["taskId"]}))["result"]
    assert result["resultType"] == "complete"
    return result


async def reached(client: httpx.AsyncClient, task: Mapping[str, Any], status: str) -> dict[str, Any]:
    """A task once it has that status."""
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        found.append(await get(client, task))
        return found[-1]["status"] == status

    await until(look)
    return found[-1]


def without_stamp(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result of a request without what only the answer to a request carries."""
    meta = {key: value for key, value in result.get("_meta", {}).items() if not key.endswith("/serverInfo")}
    return {**{key: value for key, value in result.items() if key != "_meta"}, **({"_meta": meta} if meta else {})}


async def test_a_task_is_announced_flat_and_ends_with_what_the_call_would_have_answered(registry: Registry) -> None:
    async with registry.client() as client:
        for name, arguments in (("job_greet", {"name": "Ada"}), ("job_image", {}), ("job_trap", {})):
            task = await begin(client, name, arguments)
            assert task.keys() == {
                *("resultType", "taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs", "_meta"),
            }
            assert (task["status"], task["ttlMs"], task["pollIntervalMs"]) == ("working", 3_600_000, 1_000)
            assert MOMENT.fullmatch(task["createdAt"])
            assert task["createdAt"] == task["lastUpdatedAt"]
            done = await reached(client, task, "completed")
            assert done.keys() == task.keys() | {"result"}
            assert done["taskId"] == task["taskId"]
            assert MOMENT.fullmatch(done["lastUpdatedAt"])
            plain = await call(client, MODERN, name, arguments)
            assert done["result"] == without_stamp(plain["result"])


async def test_a_tool_that_fails_has_a_result_and_is_completed(registry: Registry) -> None:
    async with registry.client() as client:
        done = await reached(client, await begin(client, "job_error"), "completed")
        assert done["result"]["isError"] is True
        assert "bring a new one" in done["result"]["content"][0]["text"]
        assert "error" not in done


async def test_arguments_that_break_the_schema_are_a_result_of_the_task(registry: Registry) -> None:
    name = registry.fresh_name("strict")
    tools = {"add": {"description": "Adds.", "input": {"type": "object", "required": ["a"]}, "task": "required"}}
    await offer(registry.services, name, tools=tools)
    async with registry.client() as client:
        done = await reached(client, await begin(client, f"{name}_add"), "completed")
        assert done["result"]["_meta"]["tool-server/error"]["code"] == "invalid_arguments"


async def test_the_call_survives_a_client_that_hangs_up_and_comes_back(registry: Registry) -> None:
    async with registry.client() as client:
        task = await begin(client, "job_busy", {"rounds": A_WHILE})
        await until(lambda: registry.services.pool.busy == 1)
        assert (await get(client, task))["status"] == "working"
    await until(lambda: registry.services.pool.busy == 0)
    async with registry.client() as client:
        done = await get(client, task)
        assert (done["status"], done["result"]["content"][0]["text"]) == ("completed", "worked")


async def test_a_client_that_hangs_up_before_the_announcement_leaves_nothing_running_for_ever(
    registry: Registry,
) -> None:
    body = body_of(MODERN, "tools/call", {"name": "job_busy", "arguments": {"rounds": A_WHILE}})
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = DECLARED
    content = json.dumps(body).encode()
    host, port = registry.url.removeprefix("http://").split(":")
    headers = {
        **headers_of(MODERN, "tools/call", "job_busy"),
        "Host": f"{host}:{port}",
        "Content-Length": len(content),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for _ in range(4):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + content)
    # Nobody knows those tasks: they are not begun, or end by themselves and are forgotten with the others.
    async with registry.client() as client:
        await reached(client, await begin(client, "job_greet", {"name": "Ada"}), "completed")
    await until(lambda: registry.services.tasks.running_here == 0 and registry.services.pool.busy == 0)


async def tool_calls(registry: Registry, name: str) -> int:
    """How many calls of a tool went well."""
    await registry.services.recorder.flush()
    records = await registry.services.call_log.recent(1_000, tool=name)
    return sum(record.outcome == "ok" for record in records)


async def test_cancelling_kills_the_guest_and_the_task_stays_cancelled(registry: Registry) -> None:
    pool = registry.services.pool
    async with registry.client() as client:
        task = await begin(client, "stuck_spin")
        await until(lambda: pool.busy == 1)
        for _ in range(2):
            answer = await ask(client, "tasks/cancel", {"taskId": task["taskId"]})
            assert without_stamp(answer["result"]) == {"resultType": "complete"}
            assert (await get(client, task))["status"] == "cancelled"
        await until(lambda: pool.busy == 0)
        await until(lambda: registry.services.tasks.running_here == 0)
        assert text_of(await call(client, MODERN, "job_words", {"text": "a b"})) == "2 words"


async def test_cancelling_what_has_ended_is_acknowledged_and_changes_nothing(registry: Registry) -> None:
    async with registry.client() as client:
        task = await begin(client, "job_greet", {"name": "Ada"})
        done = await reached(client, task, "completed")
        answer = await ask(client, "tasks/cancel", {"taskId": task["taskId"]})
        assert without_stamp(answer["result"]) == {"resultType": "complete"}
        assert await get(client, task) == done


@pytest.mark.parametrize(("owner", "other"), [("call", "admin"), ("admin", "call"), (None, "call"), ("call", None)])
async def test_the_task_of_another_caller_is_like_one_that_never_was(
    registry: Registry, owner: str | None, other: str | None
) -> None:
    async with registry.client(owner) as owning, registry.client(other) as client:
        task = await begin(owning, "stuck_spin")
        for method, further in METHODS:
            theirs = await ask(client, method, {"taskId": task["taskId"], **further})
            never = await ask(client, method, {"taskId": "0" * 32, **further})
            assert theirs == never
            assert theirs["error"]["code"] == INVALID_PARAMS
        assert (await get(owning, task))["status"] == "working"
        await ask(owning, "tasks/cancel", {"taskId": task["taskId"]})


@pytest.mark.parametrize("capabilities", [{}, {"extensions": {}}, {"extensions": {"com.example/other": {}}}])
async def test_a_client_that_does_not_declare_tasks_gets_none(registry: Registry, capabilities: JsonObject) -> None:
    before = kept(registry)
    async with registry.client() as client:
        plain = await ask(client, "tools/call", {"name": "job_greet", "arguments": {"name": "Ada"}}, capabilities)
        assert (plain["result"]["resultType"], plain["result"]["isError"]) == ("complete", False)
        for tool_name in ("job_echo", "job_add"):
            refused = await ask(client, "tools/call", {"name": tool_name, "arguments": {}}, capabilities)
            assert refused["error"]["code"] == MISSING_CAPABILITY
            assert refused["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        for method, further in METHODS:
            refused = await ask(client, method, {"taskId": "0" * 32, **further}, capabilities)
            assert refused["error"]["code"] == MISSING_CAPABILITY
        listening = {"notifications": {"taskIds": ["0" * 32]}}
        refused = await ask(client, "subscriptions/listen", listening, capabilities)
        assert refused["error"]["code"] == MISSING_CAPABILITY
    assert kept(registry) == before


async def test_clients_of_the_handshake_era_get_no_tasks_and_no_methods_of_them(registry: Registry) -> None:
    async with registry.client() as client:
        assert "Ada" in text_of(await call(client, HANDSHAKE, "job_greet", {"name": "Ada"}))
        refused = await call(client, HANDSHAKE, "job_echo", {})
        assert refused["error"]["code"] == MISSING_CAPABILITY
        answer = (await post(client, HANDSHAKE, "tasks/get", {"taskId": "0" * 32})).json()
        assert answer["error"]["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_is_not_there_is_refused_before_any_task(registry: Registry, era: str) -> None:
    async with registry.client() as client:
        answer = await call(client, era, "job_gone", {})
        assert answer["error"]["code"] == INVALID_PARAMS


async def test_a_tool_that_asks_first_becomes_a_task_with_the_answers(registry: Registry) -> None:
    wasm = interface_guest("ask_client")
    await offer(registry.services, "asks-first", wasm=wasm, tools={"ask_client": tool("after-input")})
    form: dict[str, Any] = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
    arguments = {"requests": {"name": {"method": "elicitation/create", "params": form}}}
    params: dict[str, Any] = {"name": "asks-first_ask_client", "arguments": arguments}
    able: JsonObject = {**DECLARED, "elicitation": {}}
    answers = {"name": {"action": "accept", "content": {"name": "Ada"}}}
    async with registry.client() as client:
        first = (await ask(client, "tools/call", params, able))["result"]
        assert (first["resultType"], first["inputRequests"].keys()) == ("input_required", {"name"})
        given = {**params, "inputResponses": answers, "requestState": first["requestState"]}
        second = (await ask(client, "tools/call", given, able))["result"]
        assert second["resultType"] == "task"
        done = await reached(client, second, "completed")
        assert json.loads(done["result"]["content"][0]["text"]) == {"answer": answers}
        again = await ask(client, "tools/call", given, able)
        assert again["error"] == {**again["error"], "code": INVALID_PARAMS, "data": {"reason": "invalid_request_state"}}
        # A client that knows what it will be asked may say so at once.
        at_once = (await ask(client, "tools/call", {**params, "inputResponses": answers}, able))["result"]
        assert at_once["resultType"] == "task"
        await reached(client, at_once, "completed")


async def test_a_task_asks_its_client_and_its_guest_goes_on_with_the_answer(registry: Registry) -> None:
    wasm = interface_guest("ask_client")
    await offer(registry.services, "asks-later", wasm=wasm, tools={"ask_client": tool("required")})
    form: dict[str, Any] = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
    arguments = {"requests": {"name": {"method": "elicitation/create", "params": form}}}
    params: dict[str, Any] = {"name": "asks-later_ask_client", "arguments": arguments}
    able: JsonObject = {**DECLARED, "elicitation": {}}
    async with registry.client() as client:
        task = (await ask(client, "tools/call", params, able))["result"]
        asking = await reached(client, task, "input_required")
        assert registry.services.pool.busy == 0
        (key,) = asking["inputRequests"]
        answer = {"action": "accept", "content": {"name": "Ada"}}
        await ask(client, "tasks/update", {"taskId": task["taskId"], "inputResponses": {key: answer}})
        done = await reached(client, task, "completed")
    assert json.loads(done["result"]["content"][0]["text"]) == {"answer": {"name": answer}}


async def test_the_parameter_of_the_older_protocol_makes_no_task(registry: Registry) -> None:
    async with registry.client() as client:
        params = {"name": "job_words", "arguments": {"text": "a b"}, "task": {"ttl": 60_000}}
        assert text_of(await ask(client, "tools/call", params)) == "2 words"


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
async def test_methods_that_the_extension_no_longer_has_are_not_found(registry: Registry, method: str) -> None:
    async with registry.client() as client:
        assert (await ask(client, method, {"taskId": "0" * 32}))["error"]["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("name", ["", "other", "=?base64?!?="])
async def test_a_header_that_names_another_task_is_refused(registry: Registry, name: str) -> None:
    async with registry.client() as client:
        task = await begin(client, "job_greet", {"name": "Ada"})
        for method, further in METHODS:
            params = {"taskId": task["taskId"], **further}
            answer = await ask(client, method, params, headers={"Mcp-Name": name})
            assert answer["error"]["code"] == HEADER_MISMATCH
        await reached(client, task, "completed")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks/get", {}),
        ("tasks/get", {"taskId": 7}),
        ("tasks/get", {"taskId": None}),
        ("tasks/get", {"task_id": "0" * 32}),
        ("tasks/get", {"taskId": ""}),
        ("tasks/get", {"taskId": "' OR 1=1 --"}),
        ("tasks/cancel", {}),
        ("tasks/update", {"taskId": "0" * 32}),
        ("tasks/update", {"taskId": "0" * 32, "inputResponses": []}),
        ("tasks/update", {"taskId": "0" * 32, "inputResponses": {"a": 5}}),
        ("tasks/update", {"inputResponses": {}}),
    ],
)
async def test_requests_without_sense_are_refused(registry: Registry, method: str, params: dict[str, Any]) -> None:
    async with registry.client() as client:
        assert (await ask(client, method, params))["error"]["code"] == INVALID_PARAMS


async def test_the_server_says_that_it_has_the_extension(registry: Registry) -> None:
    async with registry.client() as client:
        capabilities = (await ask(client, "server/discover", {}))["result"]["capabilities"]
        assert capabilities["extensions"] == {TASKS: {}}
        assert "tasks" not in capabilities


async def test_a_full_table_is_said_to_the_model(tmp_path: Path) -> None:
    settings = {"limits": {"tasks": {"caller_kept": 1}}}
    async with running_registry(tmp_path / "data", **settings) as registry:
        await offer(registry.services, "stuck", wasm=guest("spin"), tools={"spin": tool("required")})
        async with registry.client() as client, registry.client("call") as other:
            task = await begin(client, "stuck_spin")
            answer = await ask(client, "tools/call", {"name": "stuck_spin", "arguments": {}})
            assert answer["result"]["isError"] is True
            assert answer["result"]["_meta"]["tool-server/error"]["code"] == "busy"
            await begin(other, "stuck_spin")
            assert (await get(client, task))["status"] == "working"


Work = Callable[[ClientChannel], Awaitable[bytes]]


async def own_task(registry: Registry, work: Work) -> dict[str, Any]:
    """A task of the anonymous caller whose call is the test's own."""
    task = await registry.services.tasks.start("job_ask", work, ANONYMOUS, DECLARED)
    return {"taskId": task.id}


QUESTIONS = {
    "name": ClientRequest(ELICIT, {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}),
    "roots": ClientRequest(ROOTS, {}),
    "poem": ClientRequest(SAMPLE, {"messages": [], "maxTokens": 5}),
}
GOOD: dict[str, JsonObject] = {
    "name": {"action": "accept", "content": {"name": "Ada"}},
    "roots": {"roots": [{"uri": "file:///home"}]},
    "poem": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "O"}},
}


async def test_a_task_asks_its_client_and_goes_on_with_the_answers(registry: Registry) -> None:
    async def work(client: ClientChannel) -> bytes:
        answers = await client.ask(QUESTIONS)
        return compact_json({key: answer.result for key, answer in (answers or {}).items()})

    async with registry.client() as client:
        task = await own_task(registry, work)
        asking = await reached(client, task, "input_required")
        assert asking["statusMessage"]
        keys = {request["method"]: key for key, request in asking["inputRequests"].items()}
        assert asking["inputRequests"][keys[ELICIT]]["params"] == {**QUESTIONS["name"].params, "mode": "form"}
        shown = {name: keys[question.method] for name, question in QUESTIONS.items()}

        async def answer(responses: Mapping[str, Any]) -> dict[str, Any]:
            return await ask(client, "tasks/update", {"taskId": task["taskId"], "inputResponses": responses})

        acknowledged = await answer({shown["name"]: GOOD["name"], "unknown": {"ignored": True}})
        assert without_stamp(acknowledged["result"]) == {"resultType": "complete"}
        partly = await get(client, task)
        assert (partly["status"], set(partly["inputRequests"])) == ("input_required", {shown["roots"], shown["poem"]})
        # Answered once: whatever comes later for the same question is ignored.
        await answer({shown["name"]: {"action": "cancel"}})
        deep: JsonObject = {"roots": []}
        for _ in range(300):
            deep = {"roots": [], "_meta": deep}
        refused: list[dict[str, Any]] = [
            {shown["roots"]: {"action": "accept"}},
            {shown["poem"]: {"role": "nobody"}},
            {shown["roots"]: {"roots": [], "_meta": {"half of a pair": "\ud800"}}},
            {shown["roots"]: deep},
        ]
        for wrong in refused:
            assert (await answer(wrong))["error"]["code"] == INVALID_PARAMS
        assert await get(client, task) == partly
        await answer({shown["roots"]: GOOD["roots"], shown["poem"]: GOOD["poem"]})
        assert (await reached(client, task, "completed"))["result"] == GOOD


async def test_nobody_else_answers_for_the_client(registry: Registry) -> None:
    async def work(client: ClientChannel) -> bytes:
        await client.ask({"name": QUESTIONS["name"]})
        return b"{}"

    async with registry.client() as client, registry.client("admin") as other:
        task = await own_task(registry, work)
        (key,) = (await reached(client, task, "input_required"))["inputRequests"]
        refused = await ask(other, "tasks/update", {"taskId": task["taskId"], "inputResponses": {key: GOOD["name"]}})
        assert refused["error"]["code"] == INVALID_PARAMS
        assert set((await get(client, task))["inputRequests"]) == {key}
        await ask(client, "tasks/cancel", {"taskId": task["taskId"]})


async def test_a_call_that_would_be_a_protocol_error_fails_the_task_with_that_error(registry: Registry) -> None:
    async def work(client: ClientChannel) -> bytes:
        raise NotFound("unknown_tool", "there is no tool 'job_ask' here", {"tool": "job_ask"})

    async with registry.client() as client:
        failed = await reached(client, await own_task(registry, work), "failed")
        assert "result" not in failed
        assert failed["statusMessage"] == failed["error"]["message"] == "there is no tool 'job_ask' here"
        assert failed["error"]["code"] == INVALID_PARAMS


async def test_in_the_search_view_the_tool_that_is_called_decides(registry: Registry) -> None:
    async with registry.client() as client:
        searching = httpx.AsyncClient(base_url=registry.url, params={"view": "search"}, timeout=60, trust_env=False)
        async with searching:
            params = {"name": "call_tool", "arguments": {"name": "job_greet", "arguments": {"name": "Ada"}}}
            task = (await ask(searching, "tools/call", params))["result"]
            assert task["resultType"] == "task"
            done = await reached(client, task, "completed")
            assert "Ada" in done["result"]["content"][0]["text"]
            required: dict[str, Any] = {"name": "call_tool", "arguments": {"name": "job_echo", "arguments": {}}}
            assert (await ask(searching, "tools/call", required, {}))["error"]["code"] == MISSING_CAPABILITY
            plain = {"name": "search_tools", "arguments": {"query": "words"}}
            assert (await ask(searching, "tools/call", plain))["result"]["resultType"] == "complete"


async def test_the_lane_answers_all_calls_but_those_that_may_become_tasks(registry: Registry) -> None:
    application = http_application(registry.services, port=0)
    lane = application.mcp.lane
    assert lane is not None
    transport = httpx.ASGITransport(app=application.app, client=("127.0.0.1", 1))
    async with (
        lifespan_of(application.app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:80") as client,
    ):
        cases: list[tuple[str, JsonObject, bool]] = [
            ("job_words", {}, True),
            ("job_words", DECLARED, True),
            ("job_greet", {}, True),
            ("job_greet", {"extensions": {"com.example/other": {}}}, True),
            ("job_greet", DECLARED, False),
            ("job_echo", {}, False),
            ("job_echo", DECLARED, False),
            ("job_add", DECLARED, False),
        ]
        for name, capabilities, by_lane in cases:
            before = lane.answered
            await ask(client, "tools/call", {"name": name, "arguments": {"name": "A"}}, capabilities)
            assert (lane.answered - before == 1) is by_lane, (name, capabilities)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_thousand_abandoned_tasks_leave_no_row_no_task_and_no_worker(tmp_path: Path) -> None:
    wasm = compile_c(f"{TRIAL_SOURCE}\nEXPORT(spin) {{ volatile u32 x = 0; while (1) x++; return 0; }}")
    tools = {name: tool("required") for name in ("greet", "error", "spin")}
    settings = {"limits": {"tasks": {"caller_kept": 1_000, "run": "5s", "keep": "12s"}}}
    async with running_registry(tmp_path / "data", **settings) as registry:
        await offer(registry.services, "job", wasm=wasm, tools=tools, limits={"timeout": "60s"})
        services = registry.services
        async with registry.client() as client:
            await reached(client, await begin(client, "job_greet", {"name": "Ada"}), "completed")
            before = len(asyncio.all_tasks()), len(children_of(os.getpid()))

            async def begin_some(kind: int) -> None:
                for number in range(33):
                    name = "job_spin" if number == 0 and kind % 3 == 0 else ("job_greet", "job_error")[kind % 2]
                    await begin(client, name, {"name": "Ada"})

            async with anyio.create_task_group() as group:
                for kind in range(30):
                    group.start_soon(begin_some, kind)
            assert kept(registry) > 0
        await until(lambda: services.tasks.running_here == 0 and kept(registry) == 0, 60)
        assert (services.pool.busy, services.pool.waiting) == (0, 0)
        # A worker that was killed has been followed by another one, perhaps by the spare that stood ready.
        await until(lambda: (len(asyncio.all_tasks()), len(children_of(os.getpid()))) <= before)
