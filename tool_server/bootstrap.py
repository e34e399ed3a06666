"""The only wiring: from a configuration to running services, and from those to one ASGI application."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from tool_server.background import background
from tool_server.config import Config
from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, Unavailable
from tool_server.inspection.manifest_files import load_plugin_folder
from tool_server.interfaces import ArtifactStore, CallLog, PluginStore
from tool_server.model.call import CallRecord
from tool_server.model.caller import Caller, Scope
from tool_server.model.folder_permission import FolderRoots
from tool_server.model.secret import Secret
from tool_server.sandbox.host_calls import HostCall, HostFunctions, HostReply
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.protocol import ENV
from tool_server.sandbox.roots import open_roots
from tool_server.sandbox.settings import PoolSettings
from tool_server.sandbox.validation import ValidationSettings, ValidatorPool
from tool_server.services.browse import BrowseService
from tool_server.services.catalog import CatalogService
from tool_server.services.grants import GrantService
from tool_server.services.health import HealthService
from tool_server.services.install import InstallService
from tool_server.services.invoke import InvokeService
from tool_server.services.publish import PublishLimits, PublishService
from tool_server.services.recorder import CallRecorder
from tool_server.services.secrets import SecretService
from tool_server.services.tokens import TokenService
from tool_server.version import VERSION

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from tool_server.egress.service import Egress
    from tool_server.mcp_api.server import McpServer
    from tool_server.mcp_api.tracing import CallTracer
    from tool_server.metrics.exposition import ServerMetrics

PUBLISHER_OF_BUNDLED = Caller("tool-server", frozenset({Scope.ADMIN}))
"""Owns the plugins that ship with the product."""


logger = logging.getLogger(__name__)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Observers:
    """Who looks on, as far as the configuration wants anybody to."""

    metrics: ServerMetrics | None
    tracer: CallTracer
    listeners: tuple[Callable[[CallRecord], None], ...]
    """Are told of every call's record."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the edges need."""

    config: Config
    plugins: PluginStore
    artifacts: ArtifactStore
    call_log: CallLog
    publish: PublishService
    install: InstallService
    grants: GrantService
    browse: BrowseService
    catalog: CatalogService
    invoke: InvokeService
    tokens: TokenService
    secrets: SecretService
    health: HealthService
    recorder: CallRecorder
    pool: WorkerPool
    validation: ValidatorPool
    observers: Observers


def prepare_data_dir(config: Config) -> None:
    """Make the data folder, readable by its owner alone.

    Raises:
        Unavailable: `data_dir`, with the reason.
    """
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "data_dir",
            f"cannot make the data folder {config.data_dir}: {error.strerror}; choose another with --data-dir",
        ) from error


@asynccontextmanager
async def build(
    config: Config, *, environment: Mapping[str, str] | None = None, load_catalog: bool = True
) -> AsyncGenerator[Services]:
    """Open storage, prepare the sandbox (no worker starts yet) and wire the services.

    The catalogue is loaded (unless `load_catalog` leaves that to whoever first refreshes it) and the call recorder
    runs while the block does; on the way out every record is written and every worker ended.

    Raises:
        InvalidInput: `invalid_config`, a root of `filesystem.roots` cannot be shared.
        Unavailable: the data folder, database or artifact store cannot be opened.
    """
    from tool_server.storage.artifacts import open_artifacts
    from tool_server.storage.calls import SqlCallLog
    from tool_server.storage.database import open_database
    from tool_server.storage.journal import FileCallJournal
    from tool_server.storage.plugins import SqlPluginStore
    from tool_server.storage.sealing import Sealer
    from tool_server.storage.secrets import SqlSecretStore
    from tool_server.storage.tokens import SqlTokenStore

    prepare_data_dir(config)
    roots = shared_folders(config)
    clock = SystemClock()
    limits = config.limits
    async with open_observers(config) as observers, open_database(config.effective_database_url) as database:
        plugins = SqlPluginStore(database)
        artifacts = open_artifacts(config.effective_artifacts_url)
        call_log = SqlCallLog(database)
        catalog = CatalogService(plugins, limits.defaults(), limits.ceiling())
        recorder = CallRecorder(call_log, FileCallJournal(config.data_dir / "journal"), observers.listeners)
        sealer = Sealer(config.secrets_key.get_secret_value(), config.data_dir)
        secrets = SecretService(SqlSecretStore(database, sealer), clock)
        async with (
            open_host_functions(config, secrets.reveal) as host_functions,
            open_pool(config, _program_reader(artifacts), host_functions) as pool,
            open_validation(config) as validation,
            recorder.running(),
        ):
            if observers.metrics is not None:
                observers.metrics.watch(pool, recorder)
            if load_catalog:
                await catalog.refresh()
            yield Services(
                config=config,
                plugins=plugins,
                artifacts=artifacts,
                call_log=call_log,
                publish=PublishService(plugins, artifacts, pool, validation, clock, publish_limits(config)),
                install=InstallService(plugins, clock, _refresher(catalog)),
                browse=BrowseService(plugins, artifacts),
                catalog=catalog,
                invoke=InvokeService(
                    *(catalog.find, pool, validation, recorder, clock),
                    os.environ if environment is None else environment,
                    roots,
                    frozenset(config.sandbox.reuse),
                ),
                grants=GrantService(plugins, roots, _refresher(catalog)),
                tokens=TokenService(SqlTokenStore(database), clock),
                secrets=secrets,
                health=HealthService(plugins, artifacts, pool),
                recorder=recorder,
                pool=pool,
                validation=validation,
                observers=observers,
            )


@asynccontextmanager
async def open_observers(config: Config) -> AsyncGenerator[Observers]:
    """Metrics and traces where they are configured; nothing of either is imported where they are not.

    Raises:
        InvalidInput: `invalid_config`, tracing is configured and not installed.
    """
    from tool_server.mcp_api.tracing import NO_TRACER

    metrics: ServerMetrics | None = None
    listeners: list[Callable[[CallRecord], None]] = []
    if config.metrics:
        from tool_server.metrics.exposition import ServerMetrics

        metrics = ServerMetrics()
        listeners.append(metrics.calls.observe)
    if not config.tracing.endpoint:
        yield Observers(metrics, NO_TRACER, tuple(listeners))
        return
    try:
        from tool_server.mcp_api.otel_tracing import open_tracing
    except ImportError as error:
        raise InvalidInput(
            "invalid_config",
            "tracing.endpoint is set and OpenTelemetry is not installed: install the extra with "
            "'pip install \"tool-server[otel]\"', or unset it",
        ) from error
    async with open_tracing(config.tracing.endpoint) as tracer:
        yield Observers(metrics, tracer, (*listeners, tracer.observe))


def publish_limits(config: Config) -> PublishLimits:
    """The operator's bounds on what may be published."""
    return PublishLimits(config.limits.wasm, config.limits.defaults(), config.limits.ceiling())


def shared_folders(config: Config) -> FolderRoots:
    """The folders that plugins may be granted, as they are on this machine now.

    Raises:
        InvalidInput: `invalid_config`.
    """
    return open_roots(config.filesystem.roots, config.private_paths)


def open_pool(
    config: Config, read_artifact: Callable[[str], Awaitable[bytes]], host_functions: HostFunctions
) -> WorkerPool:
    """The worker pool, an async context manager; no process starts before the first call."""
    return WorkerPool(PoolSettings.from_config(config), read_artifact, host_functions)


@asynccontextmanager
async def open_host_functions(
    config: Config, read_secret: Callable[[str], Awaitable[Secret | None]]
) -> AsyncGenerator[HostFunctions]:
    """What guests may ask of the server. The HTTP client is loaded with the first request."""
    egress: Egress | None = None

    async def http_request(question: HostCall) -> HostReply:
        nonlocal egress
        if egress is None:
            from tool_server.egress.service import Egress

            egress = Egress(config.egress, read_secret)
        if len(question.blocks) != 2:
            raise InvalidInput("invalid_frame", "http_request takes a request and a body")
        reply = await egress.request(question.call, *question.blocks)
        return HostReply(reply.body, status=reply.status, headers=reply.headers)

    try:
        yield HostFunctions({(ENV, "http_request"): http_request})
    finally:
        if egress is not None:
            await egress.aclose()


def open_validation(config: Config) -> ValidatorPool:
    """Validation, an async context manager; no process starts before a value or schema needs one."""
    return ValidatorPool(ValidationSettings.from_config(config))


@asynccontextmanager
async def watching(services: Services) -> AsyncGenerator[None]:
    """Keep the catalogue in step with what other processes install, while the block runs."""
    async with background(services.catalog.watch):
        yield


async def _start_workers(pool: WorkerPool) -> None:
    """Spare the first call the wait for its worker."""
    try:
        await pool.warm()
    except Unavailable as error:
        logger.error("%s", error.message)


def _program_reader(artifacts: ArtifactStore) -> Callable[[str], Awaitable[bytes]]:
    async def read(digest: str) -> bytes:
        try:
            return await artifacts.get(digest)
        except NotFound as error:
            # The tool exists: that its bytes are gone is this server's trouble, not a mistake of the caller.
            raise Unavailable(
                "missing_artifact",
                f"the artifact {digest[:12]} of this plugin is gone from the artifact store: publish the very same "
                "version again to bring it back, or restore a backup",
                {"digest": digest},
            ) from error

    return read


def _refresher(catalog: CatalogService) -> Callable[[], Awaitable[None]]:
    async def refresh() -> None:
        if catalog.loaded:
            await catalog.refresh()

    return refresh


def bundled_folder() -> Path:
    """Where the plugins that ship with the product are: in the package, or in a checkout beside it."""
    packaged = Path(__file__).parent / "bundled"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "plugins"


async def install_bundled(services: Services) -> None:
    """Publish and install the plugins that ship with the product.

    A version that is already in the registry is left alone, so what an operator uninstalled stays uninstalled.
    """
    for manifest in sorted(bundled_folder().glob("*/plugin.json")):
        source = await anyio.to_thread.run_sync(
            lambda path=manifest: load_plugin_folder(path, max_wasm_bytes=services.config.limits.wasm)
        )
        try:
            published = await services.publish.publish(
                source.manifest, source.wasm, PUBLISHER_OF_BUNDLED, source.findings
            )
        except (Conflict, Denied, InvalidInput) as error:
            # One plugin that cannot be offered, such as one whose name is taken, never keeps the server down.
            logger.warning("the bundled plugin %s is not installed: %s", manifest.parent.name, error.message)
            continue
        if published.created:
            await services.install.install(published.release.plugin, "", PUBLISHER_OF_BUNDLED)
    _bundled_marker(services.config).write_text(VERSION, encoding="utf-8")


def _bundled_marker(config: Config) -> Path:
    return config.data_dir / "bundled-version"


def bundled_is_current(config: Config) -> bool:
    """Whether this product version's bundled plugins were installed into the data folder before."""
    marker = _bundled_marker(config)
    return marker.is_file() and marker.read_text(encoding="utf-8") == VERSION


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
    from tool_server.http_api.app import RegistryServices, compose
    from tool_server.http_api.routes_metrics import metrics_route
    from tool_server.mcp_api.server import HttpSettings, McpServer
    from tool_server.web.home import home_page

    config = services.config
    mcp = McpServer(lambda: services.catalog.current, services.invoke.call, VERSION, services.observers.tracer)
    services.catalog.subscribe(mcp.tools_changed)

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
        mcp=mcp.http_app(HttpSettings(hosts, origins, config.limits.input, lane)),
        allowed_hosts=hosts,
        allowed_origins=origins,
        anonymous_loopback=config.auth.anonymous_loopback,
        anonymous_everywhere=open_to_all,
        lifespan=living,
        pages=pages,
    )
    return HttpApplication(app, mcp)


async def serve_stdio(config: Config, *, bundled: bool) -> None:
    """Serve one MCP client over stdin and stdout until it leaves.

    Raises:
        Unavailable: storage cannot be opened.
    """
    from tool_server.mcp_api.stdio import StdioServer

    async with build(config) as services:
        if bundled and not bundled_is_current(config):
            await install_bundled(services)
        server = StdioServer(lambda: services.catalog.current, services.invoke.call, VERSION, services.observers.tracer)
        services.catalog.subscribe(server.tools_changed)
        async with watching(services):
            await server.serve()
