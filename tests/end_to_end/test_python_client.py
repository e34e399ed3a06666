"""The MCP SDK's Python client against the real server, in both protocol eras and over both transports."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import mcp_types as types
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ToolsListChanged

from tests.support.plugins import TRIAL_TOOLS, bundled_tools, trial_plugins
from tests.support.server import (
    RunningServer,
    publish_and_install,
    running_server,
    server_environment,
    stdio_command,
)

pytestmark = pytest.mark.timeout(300)

MODERN, HANDSHAKE = "2026-07-28", "legacy"
ERAS = [MODERN, HANDSHAKE]
ADD = {"a": 2, "b": 40}
ONE_WORKER = {"TOOL_SERVER_WORKERS": "1", "TOOL_SERVER_LIMITS__RESERVE": "0"}


def over_stdio(data_dir: Path, *options: str, **settings: str) -> StdioServerParameters:
    """The server as a child process."""
    command, args = stdio_command(data_dir, *options)
    return StdioServerParameters(command=command, args=args, env=server_environment(settings), cwd=data_dir.parent)


def text_of(result: types.CallToolResult) -> str:
    """The text blocks of a result."""
    return "".join(block.text for block in result.content if isinstance(block, types.TextContent))


Connect = Callable[[], AbstractAsyncContextManager[Client]]


@pytest.fixture(
    scope="module",
    params=[(era, transport) for era in ERAS for transport in ("http", "stdio")],
    ids=lambda param: "-".join(param),
)
def connect(request: pytest.FixtureRequest, server: RunningServer) -> Connect:
    """Opens a client of one era over one transport."""
    era, transport = request.param
    target = server.mcp_url if transport == "http" else over_stdio(server.data_dir)

    @asynccontextmanager
    async def connected() -> AsyncGenerator[Client]:
        with anyio.fail_after(120):
            async with Client(target, mode=era) as client:
                yield client

    return connected


async def test_a_client_sees_the_same_server_and_the_same_tools_in_every_era(connect: Connect) -> None:
    async with connect() as client:
        assert client.protocol_version in {MODERN, "2025-11-25"}
        if client.server_info is not None:
            assert client.server_info.name == "tool-server"
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == sorted(tools)
    assert {tool.name for tool in bundled_tools()} <= tools.keys()
    greet = tools["trial_greet"]
    assert (greet.input_schema, greet.output_schema) == (TRIAL_TOOLS["greet"]["input"], TRIAL_TOOLS["greet"]["output"])
    assert greet.annotations is not None
    assert greet.annotations.read_only_hint is True


async def test_results_and_failures_come_in_the_shape_that_the_protocol_asks_for(connect: Connect) -> None:
    async with connect() as client:
        good = await client.call_tool("trial_add", ADD)
        plain = await client.call_tool("trial_words", {"text": "one two"})
        invalid = await client.call_tool("trial_add", {"a": "two", "b": 3})
        failing = await client.call_tool("trial_error", {})
        timed_out = await client.call_tool("brief_spin", {})
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("trial_gone", {})
    assert (good.is_error, good.structured_content, text_of(good)) == (False, {"sum": 42}, '{"sum":42}')
    assert (plain.is_error, plain.structured_content, text_of(plain)) == (False, None, "2 words")
    assert invalid.is_error
    assert "$.a" in text_of(invalid)
    assert (failing.is_error, "the thing is broken" in text_of(failing)) == (True, True)
    assert (timed_out.is_error, "300 ms" in text_of(timed_out)) == (True, True)
    assert unknown.value.code == types.INVALID_PARAMS
    assert "trial_gone" in str(unknown.value)


async def test_calls_of_one_client_run_side_by_side_and_keep_their_answers_apart(connect: Connect) -> None:
    sums: dict[int, object] = {}
    async with connect() as client, anyio.create_task_group() as group:

        async def add(number: int) -> None:
            sums[number] = (await client.call_tool("trial_add", {"a": number, "b": 1})).structured_content

        for number in range(40):
            group.start_soon(add, number)
    assert sums == {number: {"sum": number + 1} for number in range(40)}


async def test_a_client_that_probes_first_ends_up_in_the_modern_era(server: RunningServer) -> None:
    for target in (server.mcp_url, over_stdio(server.data_dir)):
        async with Client(target, mode="auto") as client:
            assert client.protocol_version == MODERN
            assert (await client.call_tool("trial_add", ADD)).structured_content == {"sum": 42}


@pytest.mark.parametrize("era", ERAS)
async def test_a_long_list_comes_in_pages_and_a_forged_cursor_is_refused(wide_server: RunningServer, era: str) -> None:
    pages: list[types.ListToolsResult] = []
    async with Client(wide_server.mcp_url, mode=era) as client:
        pages.append(await client.list_tools())
        while (cursor := pages[-1].next_cursor) is not None:
            pages.append(await client.list_tools(cursor=cursor))
        with pytest.raises(MCPError) as refused:
            await client.list_tools(cursor="%%%")
    assert [len(page.tools) for page in pages] == [1_000, 200]
    names = [tool.name for page in pages for tool in page.tools]
    assert names == sorted(set(names))
    assert refused.value.code == types.INVALID_PARAMS


async def test_a_modern_subscription_announces_an_installed_plugin_and_ends_with_the_server(tmp_path: Path) -> None:
    trial, *_ = trial_plugins(tmp_path / "plugins")
    data = tmp_path / "data"
    with anyio.fail_after(200), running_server(data, args=["--no-bundled"]) as server:
        stdio = over_stdio(data, "--no-bundled")
        async with Client(server.mcp_url, mode=MODERN) as distant, Client(stdio, mode=MODERN) as local:
            async with (
                distant.listen(tools_list_changed=True) as distant_changes,
                local.listen(tools_list_changed=True) as local_changes,
            ):
                await anyio.to_thread.run_sync(publish_and_install, trial, data)
                for client, changes in ((distant, distant_changes), (local, local_changes)):
                    assert changes.honored.tools_list_changed
                    assert isinstance(await anext(changes), ToolsListChanged)
                    assert len((await client.list_tools()).tools) == len(TRIAL_TOOLS)
                    assert (await client.call_tool("trial_add", ADD)).structured_content == {"sum": 42}
                await anyio.to_thread.run_sync(server.stop)
                with pytest.raises(StopAsyncIteration):
                    await anext(distant_changes)


async def test_a_handshake_client_over_stdio_is_notified_of_an_installed_plugin(tmp_path: Path) -> None:
    trial, *_ = trial_plugins(tmp_path / "plugins")
    data = tmp_path / "data"
    changed = anyio.Event()

    async def notice(message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            changed.set()

    with anyio.fail_after(200):
        async with Client(over_stdio(data, "--no-bundled"), mode=HANDSHAKE, message_handler=notice) as client:
            assert client.server_capabilities.tools is not None
            assert client.server_capabilities.tools.list_changed is True
            assert (await client.list_tools()).tools == []
            await anyio.to_thread.run_sync(publish_and_install, trial, data)
            await changed.wait()
            assert (await client.call_tool("trial_add", ADD)).structured_content == {"sum": 42}


async def _add_is_kept_waiting(client: Client) -> bool:
    with anyio.move_on_after(1) as patience:
        await client.call_tool("trial_add", ADD)
    return patience.cancelled_caught


@pytest.mark.parametrize(("era", "transport"), [(MODERN, "http"), (MODERN, "stdio"), (HANDSHAKE, "stdio")])
async def test_cancelling_a_call_stops_its_guest_and_frees_the_only_worker(
    data_dir: Path, era: str, transport: str
) -> None:
    with anyio.fail_after(240), ExitStack() as stack:
        target: str | StdioServerParameters = over_stdio(data_dir, "--no-bundled", **ONE_WORKER)
        if transport == "http":
            target = stack.enter_context(running_server(data_dir, args=["--no-bundled"], env=ONE_WORKER)).mcp_url
        async with Client(target, mode=era) as client, anyio.create_task_group() as group:
            assert (await client.call_tool("trial_add", ADD)).structured_content == {"sum": 42}
            endless = anyio.CancelScope()

            async def spin() -> None:
                with endless:
                    await client.call_tool("endless_spin", {})

            group.start_soon(spin)
            while not await _add_is_kept_waiting(client):
                pass
            endless.cancel()
            # The guest's own limit is 60 s: only a stopped guest lets this through in time.
            with anyio.fail_after(30):
                assert (await client.call_tool("trial_add", ADD)).structured_content == {"sum": 42}


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_runs_when_the_server_stops_is_told_so_and_the_server_ends_well(
    data_dir: Path, era: str
) -> None:
    answers: list[types.CallToolResult] = []
    with anyio.fail_after(240), running_server(data_dir, args=["--no-bundled"], env=ONE_WORKER) as server:
        async with Client(server.mcp_url, mode=era) as client, anyio.create_task_group() as group:

            async def spin() -> None:
                answers.append(await client.call_tool("endless_spin", {}))

            group.start_soon(spin)
            while not await _add_is_kept_waiting(client):
                pass
            await anyio.to_thread.run_sync(server.stop)
    (answer,) = answers
    assert answer.is_error
    assert "shutting down" in text_of(answer)
