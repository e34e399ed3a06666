"""The REST API as one Starlette application, and its composition with the MCP endpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from tool_server.http_api.authentication import Authentication
from tool_server.http_api.header_values import with_bare_header_values
from tool_server.http_api.host_guard import HostGuard
from tool_server.http_api.lifespans import lifespan_of
from tool_server.http_api.problems import ErrorBoundary, framework_problem
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.routes_downloads import DownloadRoutes
from tool_server.http_api.routes_grants import GrantRoutes
from tool_server.http_api.routes_health import HealthRoutes
from tool_server.http_api.routes_installations import InstallationRoutes
from tool_server.http_api.routes_operator import OperatorRoutes
from tool_server.http_api.routes_plugins import PluginRoutes
from tool_server.http_api.routes_secrets import SecretRoutes
from tool_server.http_api.routes_tools import ToolRoutes

__all__ = ["RegistryServices", "compose", "registry_app", "registry_routes"]

MCP_PATHS = frozenset({"/mcp", "/mcp/"})


def registry_routes(services: RegistryServices) -> list[BaseRoute]:
    """Every route of the REST API."""
    groups = (
        *(HealthRoutes, PluginRoutes, InstallationRoutes, GrantRoutes, ToolRoutes),
        *(OperatorRoutes, SecretRoutes, DownloadRoutes),
    )
    return [route for group in groups for route in group(services).routes()]


def registry_app(
    services: RegistryServices, lifespan: Lifespan[Starlette] | None = None, pages: Iterable[BaseRoute] = ()
) -> Starlette:
    """The REST API. Every route but health reads the caller that `Authentication` left in the request's state."""
    app = Starlette(
        routes=[*registry_routes(services), *pages],
        middleware=[Middleware(ErrorBoundary)],
        exception_handlers={HTTPException: framework_problem},
        lifespan=lifespan,
    )
    # A redirect would be built from the Host header and lose the body of a PUT.
    app.router.redirect_slashes = False
    return app


def compose(
    services: RegistryServices,
    *,
    mcp: ASGIApp,
    allowed_hosts: Iterable[str],
    allowed_origins: Iterable[str],
    anonymous_loopback: bool,
    anonymous_everywhere: bool,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    pages: Iterable[BaseRoute] = (),
) -> ASGIApp:
    """MCP at `/mcp` and the REST API everywhere else, behind one authentication.

    Args:
        services: what the REST API needs.
        mcp: the MCP endpoint, which validates Host and Origin itself; its lifespan runs inside this one's.
        allowed_hosts: see `HostGuard`.
        allowed_origins: see `HostGuard`.
        anonymous_loopback: see `Authentication`.
        anonymous_everywhere: see `Authentication`.
        lifespan: what else runs while the application does.
        pages: further routes, for people.
    """

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncGenerator[None]:
        async with lifespan_of(mcp), lifespan():
            yield

    def authenticated(app: ASGIApp) -> ASGIApp:
        return Authentication(
            app,
            services.tokens,
            anonymous_loopback=anonymous_loopback,
            anonymous_everywhere=anonymous_everywhere,
        )

    registry = registry_app(services, living, pages)
    guarded = HostGuard(authenticated(registry), allowed_hosts=allowed_hosts, allowed_origins=allowed_origins)
    guarded_mcp = authenticated(mcp)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = with_bare_header_values(scope)
            await (guarded_mcp if scope["path"] in MCP_PATHS else guarded)(scope, receive, send)
        else:
            await guarded(scope, receive, send)

    return ErrorBoundary(dispatch)
