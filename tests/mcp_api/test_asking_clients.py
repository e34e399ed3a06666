"""Plugins that ask and tell their client, in both eras, over HTTP and stdio; the guest does not notice."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext

from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN
from tests.services.publishing import offer, until
from tests.support.interface_guests import interface_guest
from tests.support.person import Person
from tests.support.server import server_environment
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.model.permission import Permissions

OBJECT: dict[str, Any] = {
    "description": "Says what it learned.",
    "input": {"type": "object"},
    "output": {"type": "object"},
}
FORM: dict[str, Any] = {
    "message": "Name?",
    "requestedSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
SAMPLE: dict[str, Any] = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "Say hello"}}],
    "maxTokens": 10,
}


async def offer_askers(services: Services) -> None:
    """One plugin for each guest that asks or tells."""
    for name in ("ask_client", "notify_client", "get_client", "fickle"):
        await offer(services, name.replace("_", "-"), wasm=interface_guest(name), tools={name: OBJECT})
    await offer(services, "sums")
    for name, called in (("survey", "sums_add"), ("pass_on", "survey_survey")):
        await offer(
            services,
            name.replace("_", "-"),
            wasm=interface_guest(name),
            tools={name: OBJECT},
            permissions={"tools": [called]},
            granted=Permissions(tools=(called,)),
        )


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    async with running_registry(tmp_path_factory.mktemp("asking") / "data") as running:
        await offer_askers(running.services)
        yield running


@pytest.fixture(scope="module")
async def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = Config(data_dir=tmp_path_factory.mktemp("asking-stdio") / "data")
    async with build(config) as services:
        await offer_askers(services)
    return config.data_dir


@pytest.fixture(params=["http", "stdio"])
def where(request: pytest.FixtureRequest, registry: Registry, data_dir: Path) -> str | StdioServerParameters:
    """A way to a server."""
    if request.param == "http":
        return f"{registry.url}/mcp"
    arguments = ["-m", "tool_server", "stdio", "--no-bundled", "--data-dir", str(data_dir)]
    return StdioServerParameters(command=sys.executable, args=arguments, env=server_environment())


async def told(client: Client, tool: str, arguments: dict[str, Any] | None = None, **options: Any) -> Any:
    """The structured result of a call."""
    result = await client.call_tool(tool, arguments or {}, **options)
    assert not result.is_error, result.content
    return result.structured_content


@pytest.mark.parametrize("era", ERAS)
async def test_a_plugin_asks_twice_and_does_each_other_thing_once(where: str | StdioServerParameters, era: str) -> None:
    person = Person()
    async with person.connected(where, era) as client:
        learned = await told(client, "survey_survey", progress_callback=person.progress)
    assert learned["sum"]["structuredContent"] == {"sum": 3}
    assert learned["name"] == {"name": {"action": "accept", "content": {"text": "Ada"}}}
    assert learned["age"] == {"age": {"action": "accept", "content": {"years": 42}}}
    assert learned["time"].endswith("Z")
    assert person.questions == ["name?", "age?"]
    assert person.heard == [(1, 2), (2, 2)]


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_another_plugin_calls_asks_the_client_of_the_first_call(registry: Registry, era: str) -> None:
    before = await registry.services.call_log.count()
    person = Person()
    async with person.connected(f"{registry.url}/mcp", era) as client:
        learned = await told(client, "pass-on_pass_on", {"name": "survey_survey", "arguments": {}})
    assert learned["result"]["structuredContent"]["age"] == {"age": {"action": "accept", "content": {"years": 42}}}
    assert person.questions == ["name?", "age?"]

    async def new_records() -> list[tuple[str, str]]:
        log = registry.services.call_log
        return [(record.tool, str(record.outcome)) for record in await log.recent(await log.count() - before)]

    async def written() -> bool:
        # Records are written behind the call.
        return ("pass-on_pass_on", "ok") in await new_records()

    await until(written)
    records = await new_records()
    assert [outcome for tool, outcome in records if tool == "sums_add"] == ["ok"]
    assert sorted(outcome for tool, outcome in records if tool == "survey_survey") == ["input_required"] * 2 + ["ok"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_plugin_asks_for_forms_pages_messages_and_roots_at_once(
    where: str | StdioServerParameters, era: str
) -> None:
    requests = {
        "form": {"method": "elicitation/create", "params": FORM},
        "url": {
            "method": "elicitation/create",
            "params": {"mode": "url", "message": "Sign in", "url": "https://example.com/", "elicitationId": "e1"},
        },
        "message": {"method": "sampling/createMessage", "params": SAMPLE},
        "roots": {"method": "roots/list"},
    }
    async with Person().connected(where, era) as client:
        answers = (await told(client, "ask-client_ask_client", {"requests": requests}))["answer"]
    assert answers["form"] == {"action": "accept", "content": {"text": "Ada"}}
    assert answers["url"]["action"] == "accept"
    assert (answers["message"]["content"]["text"], answers["message"]["model"]) == ("Hello", "m")
    assert answers["roots"]["roots"] == [{"uri": "file:///work", "name": "Work"}]


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_without_the_capability_is_not_asked_and_the_guest_is_told_which_is_missing(
    where: str | StdioServerParameters, era: str
) -> None:
    requests = {"a": {"method": "elicitation/create", "params": FORM}, "b": {"method": "roots/list"}}
    options: dict[str, Any] = {"elicitation_callback": None, "list_roots_callback": None, "sampling_callback": None}
    async with Person().connected(where, era, **options) as client:
        answer = await told(client, "ask-client_ask_client", {"requests": requests})
        described = (await told(client, "get-client_get_client"))["answer"]
    assert answer["error"]["code"] == "client_cannot_be_asked"
    assert answer["error"]["data"] == {"missing": ["elicitation.form", "roots"]}
    assert described["protocolVersion"] == era
    assert "elicitation" not in described["capabilities"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_answers_with_an_error_fails_the_question_in_the_clients_words(
    registry: Registry, era: str
) -> None:
    requests = {"a": {"method": "elicitation/create", "params": {**FORM, "message": "refuse"}}}
    async with Person().connected(f"{registry.url}/mcp", era) as client:
        if era == MODERN:
            # There the client itself ends the call: an error is no answer that could be sent.
            with pytest.raises(Exception, match="the user is away"):
                await client.call_tool("ask-client_ask_client", {"requests": requests})
        else:
            answer = await told(client, "ask-client_ask_client", {"requests": requests})
            assert answer["error"]["code"] == "client_refused"
            assert "the user is away" in answer["error"]["message"]


async def test_a_plugin_that_asks_another_thing_the_second_time_is_stopped_and_told_why(registry: Registry) -> None:
    person = Person()
    for era in ERAS:
        async with person.connected(f"{registry.url}/mcp", era) as client:
            result = await client.call_tool("fickle_fickle", {})
        assert result.is_error
        (block,) = result.content
        assert isinstance(block, types.TextContent)
        assert "must not depend on chance" in block.text
    assert len(person.questions) == len(ERAS)


@pytest.mark.parametrize("level", ["debug", "warning"])
async def test_a_modern_client_gets_the_log_messages_that_its_request_asks_for(registry: Registry, level: str) -> None:
    person = Person()
    async with person.connected(f"{registry.url}/mcp", MODERN, log_level=level) as client:
        await told(client, "notify-client_notify_client", log_of("info"))
        await told(client, "notify-client_notify_client", log_of("error"))
    expected = [("info", {"n": 1}), ("error", {"n": 1})]
    assert person.logged == (expected if level == "debug" else expected[1:])


async def test_a_client_that_asks_for_no_log_messages_gets_none_in_the_modern_era(registry: Registry) -> None:
    person = Person()
    async with person.connected(f"{registry.url}/mcp", MODERN) as client:
        await told(client, "notify-client_notify_client", log_of("emergency"))
    assert person.logged == []


@pytest.mark.parametrize("asked", [True, False], ids=["can be asked", "cannot be asked"])
async def test_a_handshake_client_sets_the_level_of_its_log_messages(
    where: str | StdioServerParameters, asked: bool
) -> None:
    person = Person()
    options: dict[str, Any] = {"elicitation_callback": None, "list_roots_callback": None, "sampling_callback": None}
    async with person.connected(where, HANDSHAKE, **({} if asked else options)) as client:
        await told(client, "notify-client_notify_client", log_of("debug"))
        await client.session.send_request(
            types.SetLevelRequest(params=types.SetLevelRequestParams(level="error")), types.EmptyResult
        )
        await told(client, "notify-client_notify_client", log_of("warning"))
        await told(client, "notify-client_notify_client", log_of("error"))
        await until(lambda: len(person.logged) == 2)
    assert [level for level, _ in person.logged] == ["debug", "error"]


def log_of(level: str) -> dict[str, Any]:
    """The request for a log message."""
    return {"method": "notifications/message", "params": {"level": level, "data": {"n": 1}}}


BAD: list[tuple[str, dict[str, Any]]] = [
    ("ask-client_ask_client", {}),
    ("ask-client_ask_client", {"requests": {}}),
    ("ask-client_ask_client", {"requests": {str(number): {"method": "roots/list"} for number in range(17)}}),
    ("ask-client_ask_client", {"requests": {"a": {"method": "tools/call"}}}),
    ("ask-client_ask_client", {"requests": {"a": {"method": ["roots/list"]}}}),
    ("ask-client_ask_client", {"requests": {"a": {"method": "roots/list", "params": {"x": 1}}}}),
    ("ask-client_ask_client", {"requests": {"a": {"method": "elicitation/create", "params": {"message": "?"}}}}),
    ("ask-client_ask_client", {"requests": {"a": {"method": "elicitation/create", "params": {**FORM, "mode": "x"}}}}),
    (
        "ask-client_ask_client",
        {
            "requests": {
                "a": {
                    "method": "elicitation/create",
                    "params": {"mode": "url", "message": "?", "url": "file:///etc/passwd", "elicitationId": "1"},
                }
            }
        },
    ),
    ("ask-client_ask_client", {"requests": {"a": {"method": "sampling/createMessage", "params": {"messages": []}}}}),
    ("notify-client_notify_client", {"method": "notifications/cancelled", "params": {}}),
    ("notify-client_notify_client", {"method": "notifications/progress", "params": {"progress": "1"}}),
    ("notify-client_notify_client", {"method": "notifications/progress", "params": {"progress": True}}),
    ("notify-client_notify_client", {"method": "notifications/message", "params": {"level": "loud", "data": 1}}),
    ("notify-client_notify_client", {"method": "notifications/message", "params": {"level": "info"}}),
    ("notify-client_notify_client", {"method": "notifications/resources/updated", "params": {}}),
    ("notify-client_notify_client", {"method": "notifications/progress", "extra": 1}),
]


@pytest.mark.parametrize(("tool", "arguments"), BAD, ids=[json.dumps(bad)[:60] for _, bad in BAD])
async def test_what_is_no_question_or_notice_is_an_error_to_the_guest_with_its_place(
    registry: Registry, tool: str, arguments: dict[str, Any]
) -> None:
    async with Person().connected(f"{registry.url}/mcp", MODERN) as client:
        answer = await told(client, tool, arguments)
    assert answer["error"]["code"] == "invalid_request"
    assert answer["error"]["data"]["path"].startswith("$")


@pytest.mark.parametrize("era", ERAS)
async def test_a_question_that_mcp_does_not_know_fails_the_call_and_is_not_asked(registry: Registry, era: str) -> None:
    strange = {"messages": [{"role": "robot", "content": 7}], "maxTokens": 1}
    requests = {"a": {"method": "sampling/createMessage", "params": strange}}
    async with Person().connected(f"{registry.url}/mcp", era) as client:
        result = await client.call_tool("ask-client_ask_client", {"requests": requests})
    assert result.is_error
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    assert "in a form that MCP does not know: params.messages" in block.text


@pytest.mark.parametrize("era", ERAS)
async def test_no_worker_waits_while_a_person_thinks(registry: Registry, era: str) -> None:
    thinking, go_on = anyio.Event(), anyio.Event()

    class Slow(Person):
        async def elicit(
            self, context: ClientRequestContext, params: types.ElicitRequestParams
        ) -> types.ElicitResult | types.ErrorData:
            thinking.set()
            await go_on.wait()
            return await super().elicit(context, params)

    results: list[Any] = []
    requests = {"a": {"method": "elicitation/create", "params": FORM}}
    with anyio.fail_after(30):
        async with Slow().connected(f"{registry.url}/mcp", era) as client, anyio.create_task_group() as tasks:

            async def ask() -> None:
                results.append(await told(client, "ask-client_ask_client", {"requests": requests}))

            tasks.start_soon(ask)
            await thinking.wait()
            await until(lambda: registry.services.pool.busy == 0)
            assert results == []
            go_on.set()
    assert results[0]["answer"]["a"]["action"] == "accept"
