"""One ASGI application of services: MCP, the registry's REST API, the pages."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from tool_server.background import background
from tool_server.bootstrap.services import Services, watching
from tool_server.errors import Unavailable
from tool_server.http_api.app import RegistryServices, compose
from tool_server.http_api.routes_metrics import metrics_route
from tool_server.mcp_api.http_endpoint import HttpSettings
from tool_server.mcp_api.search_view import SearchView
from tool_server.mcp_api.server import AskingBounds, McpServer
from tool_server.sandbox.pool import WorkerPool
from tool_server.version import VERSION
from tool_server.web.home import home_page

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpApplication:
    """The composed ASGI application and the MCP server in it."""

    app: ASGIApp
    mcp: McpServer


def http_application(services: Services, *, port: int, open_to_all: bool = False, lane: bool = True) -> HttpApplication:
    """MCP at `/mcp` and the registry's REST API, behind one authentication and one Host and Origin check.

    The application's lifespan keeps the catalogue in step with other processes.

    Args:
        port: the port that is listened on, 0 where unknown.
        open_to_all: whether every peer, not just those on loopback, may call without a token.
        lane: whether plain requests of MCP are answered in front of its SDK.
    """
    config = services.config
    invoke = SearchView(services.search, services.invoke.call).call
    limits = config.limits
    mcp = McpServer(
        *(lambda: services.catalog.current, invoke, services.suspended, services.content, VERSION),
        asking=AskingBounds(limits.client_questions, limits.client_answer / 1_000),
        tracer=services.observers.tracer,
        tasks=services.tasks,
    )
    services.catalog.subscribe(mcp.notices.catalog_changed)
    services.announcements.subscribe(mcp.notices)

    async def ready() -> None:
        services.pool.require_ready()
        await services.plugins.revision()

    @asynccontextmanager
    async def living() -> AsyncGenerator[None]:
        async with watching(services), mcp.watching_clients(), background(partial(_start_workers, services.pool)):
            yield

    pages: list[BaseRoute] = [home_page(lambda: services.catalog.current, services.catalog.describe, VERSION)]
    if services.observers.metrics is not None:
        pages.append(metrics_route(services.observers.metrics.text))
    names = ("127.0.0.1", "localhost", "[::1]", config.host)
    hosts = tuple(f"{name}{suffix}" for name in dict.fromkeys(names) for suffix in ("", ":*")) + config.allowed_hosts
    origins = tuple(f"http://{host}" for host in hosts) + config.allowed_origins
    app = compose(
        RegistryServices(
            publish=services.publish,
            install=services.install,
            grants=services.grants,
            browse=services.browse,
            catalog=services.catalog,
            invoke=services.invoke,
            tokens=services.tokens,
            secrets=services.secrets,
            call_log=services.call_log,
            ready=ready,
            version=VERSION,
            wasm_bytes=config.limits.wasm,
            body_bytes=config.limits.input,
        ),
        mcp=mcp.http_app(
            HttpSettings(
                hosts, origins, limits.input, lane, limits.sessions, limits.session_idle / 1_000, limits.stream / 1_000
            )
        ),
        allowed_hosts=hosts,
        allowed_origins=origins,
        anonymous_loopback=config.auth.anonymous_loopback,
        anonymous_everywhere=open_to_all,
        lifespan=living,
        pages=pages,
    )
    return HttpApplication(app, mcp)


async def _start_workers(pool: WorkerPool) -> None:
    """Spare the first call the wait for its worker."""
    try:
        await pool.warm()
    except Unavailable as error:
        logger.error("%s", error.message)
