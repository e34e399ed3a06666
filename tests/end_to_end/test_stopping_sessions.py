"""The server stops while clients of the handshake era listen, or think about what a plugin asked them."""

from __future__ import annotations

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.client import ClientRequestContext

from tests.mcp_api.wire import HANDSHAKE
from tests.support.foreign_plugins import FORM, use
from tests.support.person import Person
from tests.support.server import RunningServer, running_server


class Thinker(Person):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.thinking = anyio.Event()

    async def elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        self.thinking.set()
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_server_that_stops_ends_its_streams_and_tells_who_was_asked_to_call_anew(
    foreign: RunningServer,
) -> None:
    thinker, ends = Thinker(), list[types.CallToolResult]()
    with running_server(foreign.data_dir, args=["--no-bundled"]) as server, anyio.fail_after(60):
        async with thinker.connected(server.mcp_url, HANDSHAKE) as client, anyio.create_task_group() as tasks:

            async def ask() -> None:
                ends.append(await client.call_tool("second_use", use("create_elicitation", FORM)))

            tasks.start_soon(ask)
            await thinker.thinking.wait()
            # It asserts a clean exit in time, and no traceback.
            await anyio.to_thread.run_sync(server.stop)
    (end,) = ends
    assert end.is_error
    assert "the server stopped while it waited for the client's answer: call anew" in str(end.content)
