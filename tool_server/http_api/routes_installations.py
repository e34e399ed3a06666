"""Installations: pin, update, roll back, uninstall."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.http_api.authentication import caller_of
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_model, read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import model_response
from tool_server.http_api.shapes import (
    InstallationChange,
    InstallationList,
    InstallationQuery,
    InstallationView,
    InstallBody,
    NoQuery,
)
from tool_server.model.caller import Scope
from tool_server.services.install import Installed


class InstallationRoutes:
    """Routes under `/api/v1/installations`."""

    def __init__(self, services: RegistryServices) -> None:
        self._install = services.install
        self._browse = services.browse
        self._catalog = services.catalog

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        installations = "/api/v1/installations"
        return [
            resource(installations, GET=self.list_all),
            resource(f"{installations}/{{name:plugin}}", PUT=self.install, DELETE=self.uninstall),
            resource(f"{installations}/{{name:plugin}}/update", POST=self.update),
            resource(f"{installations}/{{name:plugin}}/rollback", POST=self.rollback),
        ]

    async def list_all(self, request: Request) -> Response:
        """One page of installations and the tools they offer right now."""
        query = read_query(request, InstallationQuery)
        caller = caller_of(request)
        installed = await self._browse.installed(caller, query.limit, query.after)
        offered = self._catalog.current.within(caller.view)
        items = [
            InstallationView(
                installation=installation,
                tools=offered.tools_of(installation.plugin),
                quarantined=offered.quarantined_of(installation.plugin),
            )
            for installation in installed.items
        ]
        return model_response(InstallationList(items=tuple(items), next=installed.next))

    async def install(self, request: Request) -> Response:
        """Pin a plugin: 201 where it was not installed, else 200."""
        caller = caller_of(request)
        caller.require(Scope.ADMIN)
        read_query(request, NoQuery)
        body = await read_model(request, InstallBody, optional=True)
        installed = await self._install.install(
            request.path_params["name"], body.version, caller, body.granted, body.settings, body.tool_prefix
        )
        return _change(installed, 201 if installed.created else 200)

    async def update(self, request: Request) -> Response:
        """Move the pin to the newest version in its range."""
        read_query(request, NoQuery)
        return _change(await self._install.update(request.path_params["name"], caller_of(request)))

    async def rollback(self, request: Request) -> Response:
        """Move the pin back."""
        read_query(request, NoQuery)
        return _change(await self._install.rollback(request.path_params["name"], caller_of(request)))

    async def uninstall(self, request: Request) -> Response:
        """Take the plugin's tools away."""
        read_query(request, NoQuery)
        await self._install.uninstall(request.path_params["name"], caller_of(request))
        return Response(status_code=204)


def _change(installed: Installed, status: int = 200) -> Response:
    return model_response(InstallationChange(installation=installed.installation, changed=installed.changed), status)
