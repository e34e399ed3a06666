"""Who listens hears that the list of tools has changed."""

from __future__ import annotations

import anyio
from mcp import Client
from mcp.client.subscriptions import ToolsListChanged

from tests.http_api.registry import Registry
from tests.mcp_api.wire import MODERN, body_of, headers_of
from tests.services.publishing import offer
from tool_server.model.caller import LOCAL


async def test_a_modern_listener_hears_of_installing_moving_and_uninstalling(registry: Registry) -> None:
    services = registry.services
    with anyio.fail_after(60):
        async with Client(f"{registry.url}/mcp", mode=MODERN) as client:
            async with client.listen(tools_list_changed=True) as changes:
                assert changes.honored.tools_list_changed
                await offer(services, "comer")
                assert isinstance(await anext(changes), ToolsListChanged)
                assert "comer_add" in {tool.name for tool in (await client.list_tools()).tools}
                await offer(services, "comer", "1.1.0")
                assert isinstance(await anext(changes), ToolsListChanged)
                await services.install.uninstall("comer", LOCAL)
                assert isinstance(await anext(changes), ToolsListChanged)
                assert "comer_add" not in {tool.name for tool in (await client.list_tools()).tools}


async def test_a_listener_that_hangs_up_is_forgotten_and_others_still_hear(registry: Registry) -> None:
    params = {"notifications": {"toolsListChanged": True}}
    with anyio.fail_after(60):
        async with registry.client() as leaving:
            request = leaving.stream(
                "POST",
                "/mcp",
                json=body_of(MODERN, "subscriptions/listen", params),
                headers=headers_of(MODERN, "subscriptions/listen"),
            )
            async with request as response:
                assert response.status_code == 200
                assert response.headers["content-type"].startswith("text/event-stream")
                await anext(response.aiter_raw())
        async with Client(f"{registry.url}/mcp", mode=MODERN) as client:
            async with client.listen(tools_list_changed=True) as changes:
                await offer(registry.services, "still")
                assert isinstance(await anext(changes), ToolsListChanged)
        await registry.services.install.uninstall("still", LOCAL)
