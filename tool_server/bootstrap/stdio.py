"""One client over standard input and output, served from the stored catalogue while the services are opened."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from tool_server.bootstrap.bundled_version import bundled_is_current
from tool_server.bootstrap.interpreter import settle
from tool_server.config import Config
from tool_server.mcp_api.calls import Invoke
from tool_server.mcp_api.stdio import StdioServer
from tool_server.model.call import Pending, ToolResult
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.catalog import Catalog
from tool_server.model.client import ClientAnswer, ClientChannel
from tool_server.model.json_value import JsonObject
from tool_server.model.suspended_call import SuspendedCall
from tool_server.model.transcript import Transcript
from tool_server.model.view import EVERYTHING, View
from tool_server.storage.stored_offers import read_offers
from tool_server.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tool_server.bootstrap.services import Services
    from tool_server.model.client import ClientAnswer
    from tool_server.model.task import Task
    from tool_server.services.tasks import Work

QUIET_SECONDS = 1.0
"""When the services are opened although nothing was asked of them, so that what is wrong with them is told."""


async def serve_stdio(config: Config, *, bundled: bool, view: View = EVERYTHING) -> None:
    """Serve one MCP client over stdin and stdout until it leaves, with the tools of a view.

    Raises:
        Unavailable: storage cannot be opened.
    """
    caller = replace(LOCAL, view=view)
    stored = await anyio.to_thread.run_sync(_stored_catalog, config, bundled)
    if stored is None:
        await _serve_opened(config, caller, bundled=bundled)
    else:
        await _serve_ahead(config, caller, stored)


def _stored_catalog(config: Config, bundled: bool) -> Catalog | None:
    """What to serve before the services are open; None where they must be open first."""
    # A tracer belongs to the services, and is told of every call from the first one on.
    if config.tracing.endpoint or (bundled and not bundled_is_current(config)):
        return None
    offers = read_offers(config.effective_database_url)
    return None if offers is None else Catalog().updated(offers)


async def _serve_opened(config: Config, caller: Caller, *, bundled: bool) -> None:
    from tool_server.bootstrap.bundled import install_bundled
    from tool_server.bootstrap.services import build, watching
    from tool_server.mcp_api.search_view import SearchView

    async with build(config) as services:
        if bundled and not bundled_is_current(config):
            await install_bundled(services)
        invoke = SearchView(services.search, services.invoke.call).call
        server = StdioServer(
            *(lambda: services.catalog.current, invoke, services.suspended, services.content, VERSION),
            tracer=services.observers.tracer,
            caller=caller,
            tasks=services.tasks,
        )
        services.catalog.subscribe(server.catalog_changed)
        services.announcements.subscribe(server)
        settle()
        async with watching(services):
            await server.serve()


async def _serve_ahead(config: Config, caller: Caller, stored: Catalog) -> None:
    """Answer from the stored catalogue first; then open the services, for which calls wait."""
    opening = _Opening(stored)
    server = StdioServer(
        *(opening.catalog, opening.call, opening, opening.content, VERSION),
        caller=caller,
        answered=opening.wanted,
        tasks=opening,
    )
    over = anyio.Event()

    async def converse() -> None:
        await server.serve()
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(converse)
        with anyio.move_on_after(QUIET_SECONDS):
            await opening.wanted.wait()
        await anyio.to_thread.run_sync(_import_services)
        from tool_server.bootstrap.services import build, watching

        async with build(config, known=stored) as services:
            services.catalog.subscribe(server.catalog_changed)
            services.announcements.subscribe(server)
            settle()
            opening.finish(services)
            async with watching(services):
                await over.wait()


def _import_services() -> None:
    """Import what services need. In a thread, so that the conversation goes on meanwhile."""
    importlib.import_module("tool_server.bootstrap.services")
    importlib.import_module("tool_server.bootstrap.storage")


class _Opening:
    """What there is of the services while they are opened: their catalogue as it was stored, and calls that wait."""

    def __init__(self, stored: Catalog) -> None:
        self._stored = stored
        self._services: Services | None = None
        self._invoke: Invoke | None = None
        self.content = _OpeningContent(self._opened)
        """Prompts and resources."""
        self.wanted = anyio.Event()
        """Set once the services may be opened: before that they would only delay the first answer."""
        self._finished = anyio.Event()

    def finish(self, services: Services) -> None:
        """The services are open."""
        from tool_server.mcp_api.search_view import SearchView

        self._invoke = SearchView(services.search, services.invoke.call).call
        self._services = services
        self._finished.set()

    def catalog(self) -> Catalog:
        """The snapshot in force."""
        return self._stored if self._services is None else self._services.catalog.current

    async def call(self, name: str, arguments: JsonObject, caller: Caller, client: ClientChannel) -> ToolResult:
        """See `SearchView.call`."""
        while self._invoke is None:
            await self._opened()
        return await self._invoke(name, arguments, caller, client)

    async def start(
        self,
        tool: str,
        work: Work,
        caller: Caller,
        capabilities: JsonObject,
        transcript: Transcript | None = None,
    ) -> Task:
        """See `TaskService.start`."""
        return await (await self._opened()).tasks.start(tool, work, caller, capabilities, transcript)

    async def get(self, task_id: str, caller: Caller) -> Task:
        """See `TaskService.get`."""
        return await (await self._opened()).tasks.get(task_id, caller)

    async def update(self, task_id: str, caller: Caller, answers: Mapping[str, ClientAnswer]) -> None:
        """See `TaskService.update`."""
        await (await self._opened()).tasks.update(task_id, caller, answers)

    async def cancel(self, task_id: str, caller: Caller) -> None:
        """See `TaskService.cancel`."""
        await (await self._opened()).tasks.cancel(task_id, caller)

    async def _opened(self) -> Services:
        """The services, once they are open."""
        while self._services is None:
            self.wanted.set()
            await self._finished.wait()
        return self._services

    async def keep(self, call: SuspendedCall, transcript: Transcript) -> str:
        """See `SuspendedCalls.keep`."""
        return await (await self._opened()).suspended.keep(call, transcript)

    async def resume(self, call: SuspendedCall, state: str, answers: Mapping[str, ClientAnswer]) -> Transcript:
        """See `SuspendedCalls.resume`."""
        return await (await self._opened()).suspended.resume(call, state, answers)


class _OpeningContent:
    """The plugins' prompts and resources: questions wait until the services are open."""

    def __init__(self, opened: Callable[[], Awaitable[Services]]) -> None:
        self._opened = opened

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str], caller: Caller, client: ClientChannel
    ) -> JsonObject | Pending:
        """See `PluginContentService.get_prompt`."""
        return await (await self._opened()).content.get_prompt(name, arguments, caller, client)

    async def read_resource(self, uri: str, caller: Caller, client: ClientChannel) -> JsonObject | Pending:
        """See `PluginContentService.read_resource`."""
        return await (await self._opened()).content.read_resource(uri, caller, client)

    async def complete_prompt(
        self, name: str, argument: str, value: str, context: Mapping[str, str], caller: Caller
    ) -> JsonObject:
        """See `PluginContentService.complete_prompt`."""
        return await (await self._opened()).content.complete_prompt(name, argument, value, context, caller)

    async def complete_template(
        self, template: str, argument: str, value: str, context: Mapping[str, str], caller: Caller
    ) -> JsonObject:
        """See `PluginContentService.complete_template`."""
        return await (await self._opened()).content.complete_template(template, argument, value, context, caller)
