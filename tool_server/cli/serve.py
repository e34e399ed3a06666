"""Running the server: sockets, signals, and what is printed when it is up."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass

import anyio
import click
import uvicorn
from starlette.types import ASGIApp

from tool_server.bootstrap.bundled import install_bundled
from tool_server.bootstrap.interpreter import settle
from tool_server.bootstrap.services import Services, build
from tool_server.cli.signals import on_stop_signal
from tool_server.config import Config
from tool_server.errors import Denied, Unavailable
from tool_server.model.caller import LOCAL

SHUTDOWN_SECONDS = 5
"""How long open requests may go on after a signal to stop."""
CALL_SECONDS = 3
"""How long calls may run after it; then they end as `shutting_down`."""

logger = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether a bind address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def serve(config: Config, *, bundled: bool, insecure: bool, announce: Callable[[str, Services], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is running, write the call log and return.

    Raises:
        Denied: `no_authentication`, a bind beyond loopback while there is no token and `insecure` was not given.
        Unavailable: `address_in_use`, or storage cannot be opened.
    """
    listener = _bind(config.host, config.port)
    with contextlib.closing(listener):
        async with anyio.create_task_group() as tasks:
            stopping = _Stopping(tasks.cancel_scope.cancel)
            await tasks.start(on_stop_signal, lambda: stopping.now())
            async with build(config) as services:
                if not is_loopback(config.host) and not insecure:
                    await _require_token(config, services)
                if bundled:
                    await install_bundled(services)
                # Importing the MCP SDK takes most of the start: whatever is refused is refused before.
                from tool_server.bootstrap.http import http_application

                port = listener.getsockname()[1]
                application = http_application(services, port=port, open_to_all=insecure)
                server = _Server(application.app, lambda: announce(_base_url(config.host, port), services))
                settle()

                def stop() -> None:
                    application.mcp.close_subscriptions()
                    server.should_exit = True
                    tasks.start_soon(_end_calls, services)

                stopping.now = stop
                await server.serve(sockets=[listener])
            tasks.cancel_scope.cancel()


@dataclass(slots=True)
class _Stopping:
    now: Callable[[], object]
    """What a signal does: give up while the server starts, let requests finish once it serves."""


def _base_url(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host.strip("[]")  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which raises the signal again before our resources are closed."""

    def __init__(self, app: ASGIApp, announce: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to `on_stop_signal`."""
        yield


async def _end_calls(services: Services) -> None:
    # Before the connections are cut, so that callers are told why.
    await anyio.sleep(CALL_SECONDS)
    await services.validation.end_tasks()
    await services.pool.end_calls()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        # A bound port can be bound again until somebody listens: claim it before the slow part of the start.
        listener.listen()
    except (OSError, UnicodeError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "this is no host name"
        raise Unavailable(
            "address_in_use",
            f"cannot listen on {host} port {port}: {reason}; choose another with --host or --port (0 takes a free one)",
        ) from error
    return listener


async def _require_token(config: Config, services: Services) -> None:
    if any(token.revoked_at is None for token in await services.tokens.list_tokens(LOCAL)):
        return
    raise Denied(
        "no_authentication",
        f"{config.host} is reachable from other machines and there is no token yet: make one with 'tool-server token "
        "create NAME --scope call', or give --insecure to let everybody call the tools",
    )


def banner(base_url: str, services: Services) -> str:
    """What a person wants to know once the server is up."""
    tools = len(services.catalog.current)
    return f"""
  tool-server is up with {tools} tools.

  MCP    {base_url}/mcp
  Page   {base_url}/
  API    {base_url}/api/openapi.json
  Data   {services.config.data_dir}

  Mastra (npm install @mastra/mcp @mastra/core):

    import {{ MCPClient }} from '@mastra/mcp';
    const mcp = new MCPClient({{ servers: {{ tools: {{ url: new URL('{base_url}/mcp') }} }} }});
    const tools = await mcp.listTools();

  Stop with Ctrl-C.
"""


def announce_text(base_url: str, services: Services) -> None:
    """Print the banner."""
    click.echo(banner(base_url, services))


def announce_json(base_url: str, services: Services) -> None:
    """Print one JSON line, for programs that start the server."""
    facts = {"mcp_url": f"{base_url}/mcp", "url": base_url, "tools": len(services.catalog.current)}
    click.echo(json.dumps(facts))
