"""Published plugins: search, publish, show, yank."""

from __future__ import annotations

from urllib.parse import quote

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.errors import Unavailable
from tool_server.http_api.authentication import caller_of
from tool_server.http_api.multipart import read_parts
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_model, read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import model_response
from tool_server.http_api.shapes import (
    NoQuery,
    PluginPage,
    PluginQuery,
    Publication,
    ReleaseQuery,
    ReleaseView,
    VersionList,
    YankBody,
)
from tool_server.inspection.manifest_forms import parse_manifest_bytes
from tool_server.model.caller import Scope

MANIFEST_BYTES = 2**20
"""Largest manifest, with every file it refers to inlined."""
UPLOADS = 4
"""Uploads held in memory at the same time; a further one is refused as busy."""


class PluginRoutes:
    """Routes under `/api/v1/plugins`."""

    def __init__(self, services: RegistryServices) -> None:
        self._publish = services.publish
        self._browse = services.browse
        self._part_limits = {"manifest": MANIFEST_BYTES, "wasm": services.wasm_bytes}
        self._uploads = anyio.Semaphore(UPLOADS)

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        plugins = "/api/v1/plugins"
        return [
            resource(plugins, GET=self.search, POST=self.publish),
            resource(f"{plugins}/{{name:plugin}}", GET=self.show),
            resource(f"{plugins}/{{name:plugin}}/versions", GET=self.versions),
            resource(f"{plugins}/{{name:plugin}}/versions/{{version}}/yank", PUT=self.yank, DELETE=self.unyank),
        ]

    async def search(self, request: Request) -> Response:
        """One page of plugins."""
        query = read_query(request, PluginQuery)
        page = await self._browse.plugins(caller_of(request), query.q, query.limit, query.after)
        return model_response(PluginPage(items=page.items, next=page.next))

    async def publish(self, request: Request) -> Response:
        """Store a version: 201, or 200 where the very same bytes were there."""
        caller = caller_of(request)
        # Asked before the body is read: who may not publish cannot make the server hold an upload.
        caller.require(Scope.PUBLISH)
        read_query(request, NoQuery)
        try:
            self._uploads.acquire_nowait()
        except anyio.WouldBlock as error:
            raise Unavailable("busy", f"{UPLOADS} uploads are under way: try again in a moment") from error
        try:
            parts = await read_parts(request, self._part_limits)
            manifest, notes = await to_thread.run_sync(parse_manifest_bytes, parts["manifest"])
            published = await self._publish.publish(manifest, parts["wasm"], caller, notes)
        finally:
            self._uploads.release()
        release = published.release
        place = f"/api/v1/plugins/{quote(release.plugin, safe='@/')}?version={quote(release.version, safe='')}"
        return model_response(
            Publication(release=ReleaseView.of(release), created=published.created),
            201 if published.created else 200,
            headers={"Location": place},
        )

    async def show(self, request: Request) -> Response:
        """One version, the newest that fits."""
        query = read_query(request, ReleaseQuery)
        release = await self._browse.release(request.path_params["name"], query.version, caller_of(request))
        return model_response(ReleaseView.of(release))

    async def versions(self, request: Request) -> Response:
        """All versions, newest first."""
        read_query(request, NoQuery)
        items = await self._browse.versions(request.path_params["name"], caller_of(request))
        return model_response(VersionList(items=items))

    async def yank(self, request: Request) -> Response:
        """Hide a version from new resolution."""
        caller = caller_of(request)
        caller.require(Scope.PUBLISH)
        read_query(request, NoQuery)
        body = await read_model(request, YankBody, optional=True)
        name, version = request.path_params["name"], request.path_params["version"]
        release = await self._browse.set_yanked(name, version, True, caller, body.reason)
        return model_response(ReleaseView.of(release))

    async def unyank(self, request: Request) -> Response:
        """Show a version again."""
        read_query(request, NoQuery)
        name, version = request.path_params["name"], request.path_params["version"]
        release = await self._browse.set_yanked(name, version, False, caller_of(request))
        return model_response(ReleaseView.of(release))
