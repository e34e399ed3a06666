"""Plugins of hyper-mcp v1 and v2 and an mcp.run servlet, unchanged, by way of the SDK's client."""

from __future__ import annotations

import json
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters

from tests.mcp_api.wire import CLIENT_MODES, ERAS, MODERN
from tests.services.publishing import until
from tests.support.foreign_plugins import (
    BLOCKS,
    DATED,
    FORM,
    GENERATIONS,
    PAGE,
    SAMPLE,
    SECRET,
    TOOLS,
    answer_of,
    use,
)
from tests.support.person import Person
from tests.support.server import RunningServer, server_environment, stdio_command

pytestmark = pytest.mark.timeout(300)

MESSAGE = {"role": "assistant", "content": {"type": "text", "text": "Hello"}, "model": "m"}
QUESTIONS: list[tuple[str, Any, Any]] = [
    ("create_elicitation", FORM, {"action": "accept", "content": {"text": "Ada"}}),
    ("create_elicitation", DATED, {"action": "accept", "content": {"at": "Ada"}}),
    ("create_elicitation", PAGE, {"action": "accept"}),
    ("create_message", SAMPLE, MESSAGE),
    ("list_roots", None, {"roots": [{"uri": "file:///work", "name": "Work"}]}),
]
"""Function, argument, and what the plugin gets."""


@pytest.mark.parametrize("era", ERAS)
async def test_every_import_of_hyper_mcp_answers_in_its_shape(foreign: RunningServer, era: str) -> None:
    with anyio.fail_after(120):
        async with Client(foreign.mcp_url, mode=CLIENT_MODES[era]) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            assert listed == TOOLS
            for plugin in GENERATIONS:
                for function, block in BLOCKS.items():
                    result = await client.call_tool(f"{plugin}_use", use(function, block))
                    assert not result.is_error, (function, result)
                    (content,) = result.content
                    assert isinstance(content, types.TextContent)
                    assert SECRET not in content.text
                    assert answer_of(function, content.text), (function, content.text)
                setting = await client.call_tool(f"{plugin}_setting", {"key": "KEY"})
                assert setting.content == [types.TextContent(text="from the file")]
    assert "from the guest" in foreign.log_tail()
    assert SECRET not in foreign.log_tail()


@pytest.mark.parametrize("era", ERAS)
async def test_a_servlet_of_mcp_run_shows_its_settings_and_every_kind_of_content(
    foreign: RunningServer, era: str
) -> None:
    with anyio.fail_after(120):
        async with Client(foreign.mcp_url, mode=CLIENT_MODES[era]) as client:
            result = await client.call_tool("servlet_show", {"key": "KEY"})
            failed = await client.call_tool("servlet_show", {})
            refused = await client.call_tool("servlet_show", {"key": "KEY", "refuse": True})
    text, image, resource = result.content
    assert text == types.TextContent(text="from the file|from the file")
    assert isinstance(image, types.ImageContent)
    assert (image.mime_type, image.data) == ("image/png", "aW1hZ2U=")
    assert image.annotations == types.Annotations(audience=["user"], priority=0.5)
    assert isinstance(resource, types.EmbeddedResource)
    assert isinstance(resource.resource, types.TextResourceContents)
    assert (resource.resource.mime_type, resource.resource.text) == ("text/plain", "inside")
    assert failed.is_error
    assert "give a key" in str(failed.content)
    assert (refused.is_error, refused.content) == (True, result.content)


@pytest.fixture(params=["http", "stdio"])
def where(request: pytest.FixtureRequest, foreign: RunningServer) -> str | StdioServerParameters:
    """A way to the plugins."""
    if request.param == "http":
        return foreign.mcp_url
    command, arguments = stdio_command(foreign.data_dir, "--no-bundled")
    return StdioServerParameters(command=command, args=arguments, env=server_environment())


async def said(client: Client, plugin: str, function: str, block: object = None, **options: Any) -> str:
    """What a host function gave to a plugin, or what else its tool `use` says."""
    result = await client.call_tool(f"{plugin}_use", use(function, block), **options)
    assert not result.is_error, (function, result)
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_what_plugins_of_hyper_mcp_ask_reaches_the_client_and_its_answer_the_plugin(
    where: str | StdioServerParameters, era: str
) -> None:
    person = Person()
    with anyio.fail_after(120):
        async with person.connected(where, era) as client:
            for plugin in GENERATIONS:
                for function, block, answer in QUESTIONS:
                    assert json.loads(await said(client, plugin, function, block)) == answer, (plugin, function)
    assert person.questions == ["Name?", "When?", "Sign in"] * 2


@pytest.mark.parametrize("era", ERAS)
async def test_what_plugins_of_hyper_mcp_tell_reaches_the_client(foreign: RunningServer, era: str) -> None:
    person, completed = Person(), list[str]()

    async def listen(message: object) -> None:
        if isinstance(message, types.ElicitCompleteNotification):
            completed.append(message.params.elicitation_id)

    options = {"message_handler": listen, **({"log_level": "debug"} if era == MODERN else {})}
    with anyio.fail_after(120):
        async with person.connected(foreign.mcp_url, era, **options) as client:
            for plugin in GENERATIONS:
                for function in ("notify_logging_message", "notify_progress", "notify_url_elicitation_completed"):
                    said_nothing = await said(
                        client, plugin, function, BLOCKS[function], progress_callback=person.progress
                    )
                    assert said_nothing == ""
            # 2026-07-28 has no notice that a page was left.
            expected = [] if era == MODERN else ["e", "e"]
            await until(lambda: len(completed) == len(expected))
    assert person.logged == [("info", "from the guest")] * 2
    assert person.heard == [(1, None)] * 2
    assert completed == expected


@pytest.mark.parametrize("era", ERAS)
async def test_a_plugin_of_hyper_mcp_sees_its_request_in_its_hosts_shape_with_the_token_of_who_wants_progress(
    foreign: RunningServer, era: str
) -> None:
    arguments = use("request")
    with anyio.fail_after(120):
        async with Person().connected(foreign.mcp_url, era) as client:
            for callback in (None, Person().progress):
                first, second = [
                    json.loads(await said(client, plugin, "request", progress_callback=callback))
                    for plugin in GENERATIONS
                ]
                meta = first["params"].pop("_meta", {})
                assert first == {"params": {"name": "use", "arguments": arguments}}
                assert second["request"] == {"name": "use", "arguments": arguments}
                assert second["context"].keys() == {"id", "_meta"}
                assert isinstance(second["context"]["id"], str | int)
                for shown in (meta, second["context"]["_meta"]):
                    assert shown.keys() == (set() if callback is None else {"progressToken"})
                    assert all(isinstance(token, str | int) for token in shown.values())


@pytest.mark.parametrize("era", ERAS)
async def test_a_plugin_of_hyper_mcp_that_tells_of_its_progress_and_request_is_run_again_without_noticing(
    where: str | StdioServerParameters, era: str
) -> None:
    person = Person()
    options = {"log_level": "info"} if era == MODERN else {}
    with anyio.fail_after(120):
        async with person.connected(where, era, **options) as client:
            for plugin in GENERATIONS:
                answer = await said(client, plugin, "interview", FORM, progress_callback=person.progress)
                assert json.loads(answer) == {"action": "accept", "content": {"text": "Ada"}}
    assert person.heard == [(1, 2), (2, 2)] * 2
    told = [data for _, data in person.logged]
    assert told[:2] == [None, None]
    assert isinstance(told[2], str)
    assert told[2:] == [told[2]] * 2
