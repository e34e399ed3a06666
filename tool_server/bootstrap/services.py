"""From a configuration to running services."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tool_server.background import background
from tool_server.bootstrap.host_functions import open_host_functions
from tool_server.bootstrap.observers import Observers, open_observers
from tool_server.bootstrap.sandbox import open_pool, open_validation, shared_folders
from tool_server.config import Config
from tool_server.errors import NotFound, Unavailable
from tool_server.interfaces import ArtifactStore, CallLog, PluginStore
from tool_server.model.catalog import Catalog
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.validation import ValidatorPool
from tool_server.services.announcements import AnnouncementService
from tool_server.services.browse import BrowseService
from tool_server.services.catalog import CatalogService
from tool_server.services.grants import GrantService
from tool_server.services.health import HealthService
from tool_server.services.install import InstallService
from tool_server.services.invoke import InvokeService
from tool_server.services.nested_calls import NestedCalls
from tool_server.services.plugin_content import PluginContentService
from tool_server.services.publish import PublishLimits, PublishService
from tool_server.services.recorder import CallRecorder
from tool_server.services.search import SearchService
from tool_server.services.secrets import SecretService
from tool_server.services.suspended_calls import SuspendedCalls
from tool_server.services.tasks import TaskService
from tool_server.services.tokens import TokenService

if TYPE_CHECKING:
    from tool_server.services.host_functions import HostFunction


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)


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
    search: SearchService
    invoke: InvokeService
    suspended: SuspendedCalls
    content: PluginContentService
    announcements: AnnouncementService
    tasks: TaskService
    tokens: TokenService
    secrets: SecretService
    health: HealthService
    recorder: CallRecorder
    pool: WorkerPool
    validation: ValidatorPool
    observers: Observers


@asynccontextmanager
async def build(
    config: Config,
    *,
    environment: Mapping[str, str] | None = None,
    load_catalog: bool = True,
    known: Catalog | None = None,
    host_functions: Sequence[HostFunction] = (),
) -> AsyncGenerator[Services]:
    """Open storage, prepare the sandbox (no worker starts yet) and wire the services.

    The catalogue is loaded and the call recorder runs while the block does; on the way out every record is written and
    every worker ended.

    Args:
        environment: what plugins may be granted variables of; by default this process's.
        load_catalog: False leaves that to whoever first refreshes it.
        known: the catalogue as it was read before, which is not read again: what changed since shows at a refresh.
        host_functions: what the embedding program offers to plugins.

    Raises:
        InvalidInput: `invalid_config`, a root of `filesystem.roots` cannot be shared; `invalid_host_function`.
        Unavailable: the data folder, database or artifact store cannot be opened.
    """
    # Here, for a plugin that is run from its files needs no SQL.
    from tool_server.bootstrap.storage import open_storage, open_tool_index

    roots = shared_folders(config)
    clock = SystemClock()
    limits = config.limits
    async with open_observers(config) as observers, open_storage(config) as storage:
        plugins, artifacts = storage.plugins, storage.artifacts
        catalog = CatalogService(plugins, limits.defaults(), limits.ceiling(), known=known)
        recorder = CallRecorder(storage.call_log, storage.journal, observers.listeners)
        secrets = SecretService(storage.secrets, clock)
        nested = NestedCalls(limits.nested_calls)
        announcements = AnnouncementService(lambda: catalog.current)
        tasks = TaskService(storage.tasks, clock, limits.tasks.bounds(), limits.tasks.poll)
        async with (
            open_host_functions(
                config.egress, secrets.reveal, clock, nested, host_functions, announcer=announcements
            ) as functions,
            open_pool(config, _program_reader(artifacts), functions) as pool,
            open_validation(config) as validation,
            recorder.running(),
            aclosing(SearchService(lambda: catalog.current, open_tool_index)) as search,
            tasks.running(),
        ):
            if observers.metrics is not None:
                observers.metrics.watch(pool, recorder)
            if load_catalog and known is None:
                await catalog.refresh()
            invoke = InvokeService(
                *(catalog.find, pool, validation, recorder, clock),
                os.environ if environment is None else environment,
                roots,
                frozenset(config.sandbox.reuse),
            )
            nested.connect(invoke.call)
            yield Services(
                config=config,
                plugins=plugins,
                artifacts=artifacts,
                call_log=storage.call_log,
                publish=PublishService(plugins, artifacts, pool, validation, clock, publish_limits(config)),
                install=InstallService(plugins, clock, _refresher(catalog)),
                browse=BrowseService(plugins, artifacts),
                catalog=catalog,
                invoke=invoke,
                suspended=SuspendedCalls(storage.request_states, clock, timedelta(milliseconds=limits.client_answer)),
                content=PluginContentService(catalog.find_item, invoke.ask_plugin),
                announcements=announcements,
                search=search,
                grants=GrantService(plugins, roots, _refresher(catalog)),
                tasks=tasks,
                tokens=TokenService(storage.tokens, clock),
                secrets=secrets,
                health=HealthService(plugins, artifacts, pool),
                recorder=recorder,
                pool=pool,
                validation=validation,
                observers=observers,
            )


def publish_limits(config: Config) -> PublishLimits:
    """The operator's bounds on what may be published."""
    return PublishLimits(config.limits.wasm, config.limits.defaults(), config.limits.ceiling())


@asynccontextmanager
async def watching(services: Services) -> AsyncGenerator[None]:
    """Keep the catalogue in step with what other processes install, while the block runs."""
    async with background(services.catalog.watch):
        yield


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
