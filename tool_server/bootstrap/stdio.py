"""One client over standard input and output."""

from __future__ import annotations

from tool_server.bootstrap.bundled import bundled_is_current, install_bundled
from tool_server.bootstrap.services import build, watching
from tool_server.config import Config
from tool_server.mcp_api.stdio import StdioServer
from tool_server.version import VERSION


async def serve_stdio(config: Config, *, bundled: bool) -> None:
    """Serve one MCP client over stdin and stdout until it leaves.

    Raises:
        Unavailable: storage cannot be opened.
    """
    async with build(config) as services:
        if bundled and not bundled_is_current(config):
            await install_bundled(services)
        server = StdioServer(lambda: services.catalog.current, services.invoke.call, VERSION, services.observers.tracer)
        services.catalog.subscribe(server.tools_changed)
        async with watching(services):
            await server.serve()
