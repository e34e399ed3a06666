"""Tasks over stdio, and what is left of them when a server dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mcp_api.test_stdio import Conversation, conversation
from tests.mcp_api.wire import HANDSHAKE, MODERN, body_of
from tests.services.publishing import ANYTHING, offer, until
from tests.support.guests import compile_c
from tests.support.plugins import TRIAL_SOURCE
from tool_server.bootstrap.services import build
from tool_server.config import Config

# Real processes, started again and again.
pytestmark = pytest.mark.slow

TASKS = "io.modelcontextprotocol/tasks"
INVALID_PARAMS, MISSING_CAPABILITY = -32602, -32021


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    """A data folder with tools that answer at once, fail and never end."""
    wasm = compile_c(f"{TRIAL_SOURCE}\nEXPORT(spin) {{ volatile u32 x = 0; while (1) x++; return 0; }}")
    tools = {
        "greet": {**ANYTHING, "task": "optional"},
        "error": {**ANYTHING, "task": "required"},
        "spin": {**ANYTHING, "task": "required"},
        "words": ANYTHING,
    }
    async with build(Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)) as services:
        await offer(services, "job", wasm=wasm, tools=tools, limits={"timeout": "60s"})
    return tmp_path / "data"


class Client:
    """Speaks the modern era and declares the extension, unless it is told not to."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._last = 0

    async def ask(self, method: str, params: dict[str, Any], *, declares: bool = True) -> dict[str, Any]:
        """The answer to a request."""
        self._last += 1
        body = body_of(MODERN, method, params)
        if declares:
            body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"extensions": {TASKS: {}}}
        await self._conversation.send({**body, "id": self._last})
        return await self._conversation.answer(self._last)

    async def call(self, name: str, /, *, declares: bool = True, **arguments: str) -> dict[str, Any]:
        """The answer to a call."""
        return await self.ask("tools/call", {"name": name, "arguments": arguments}, declares=declares)

    async def reached(self, task_id: str, status: str) -> dict[str, Any]:
        """The task once it has that status."""
        found: list[dict[str, Any]] = []

        async def look() -> bool:
            found.append((await self.ask("tasks/get", {"taskId": task_id}))["result"])
            return found[-1]["status"] == status

        await until(look)
        return found[-1]


async def test_calls_become_tasks_where_tool_and_client_want_it(data_dir: Path) -> None:
    async with conversation(data_dir) as spoken:
        client = Client(spoken)
        # The first line decides about the era; in the lane's hands it makes no task.
        plain = await client.call("job_greet", declares=False, name="Ada")
        assert plain["result"]["resultType"] == "complete"
        assert (await client.call("job_error", declares=False))["error"]["code"] == MISSING_CAPABILITY
        task = (await client.call("job_greet", name="Ada"))["result"]
        assert task["resultType"] == "task"
        done = await client.reached(task["taskId"], "completed")
        assert done["result"]["content"] == plain["result"]["content"]
        failing = (await client.call("job_error"))["result"]
        assert (await client.reached(failing["taskId"], "completed"))["result"]["isError"] is True
        assert (await client.call("job_words", text="a b"))["result"]["resultType"] == "complete"
        assert (await client.ask("tasks/get", {"taskId": "0" * 32}))["error"]["code"] == INVALID_PARAMS
        assert await spoken.close() == 0


async def test_a_running_task_is_cancelled_and_the_worker_serves_others(data_dir: Path) -> None:
    async with conversation(data_dir) as spoken:
        client = Client(spoken)
        task = (await client.call("job_spin"))["result"]
        await client.reached(task["taskId"], "working")
        assert (await client.ask("tasks/cancel", {"taskId": task["taskId"]}))["result"]["resultType"] == "complete"
        await client.reached(task["taskId"], "cancelled")
        assert (await client.call("job_words", text="a b"))["result"]["content"][0]["text"] == "2 words"
        assert await spoken.close() == 0


async def test_the_next_server_knows_what_became_of_the_tasks(data_dir: Path) -> None:
    async with conversation(data_dir) as spoken:
        client = Client(spoken)
        done = (await client.call("job_greet", name="Ada"))["result"]
        await client.reached(done["taskId"], "completed")
        running = (await client.call("job_spin"))["result"]
        assert await spoken.close() == 0
    async with conversation(data_dir) as spoken:
        client = Client(spoken)
        assert "Ada" in str((await client.reached(done["taskId"], "completed"))["result"])
        interrupted = await client.reached(running["taskId"], "failed")
        assert "the server stopped while this task ran" in interrupted["statusMessage"]
        assert await spoken.close() == 0


async def test_clients_of_the_handshake_era_get_no_tasks(data_dir: Path) -> None:
    async with conversation(data_dir) as spoken:
        await spoken.greet()
        assert (await spoken.call(1, HANDSHAKE, "job_greet", {"name": "Ada"}))["result"]["isError"] is False
        assert (await spoken.call(2, HANDSHAKE, "job_error", {}))["error"]["code"] == MISSING_CAPABILITY
        assert await spoken.close() == 0
