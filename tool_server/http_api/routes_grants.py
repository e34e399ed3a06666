"""Grants: what an operator allows to installed plugins."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.http_api.authentication import caller_of
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_model, read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import model_response
from tool_server.http_api.shapes import GrantBody, GrantChanged, GrantList, GrantView, NoQuery
from tool_server.model.caller import Scope
from tool_server.services.grants import GrantChange, PluginGrants


class GrantRoutes:
    """`/api/v1/grants`, and the grants of each installation."""

    def __init__(self, services: RegistryServices) -> None:
        self._grants = services.grants

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        grants = "/api/v1/installations/{name:plugin}/grants"
        return [
            resource("/api/v1/grants", GET=self.list_all),
            resource(grants, GET=self.show, POST=self.add, DELETE=self.clear),
            resource(f"{grants}/remove", POST=self.remove),
        ]

    async def list_all(self, request: Request) -> Response:
        """The grants of every installation."""
        read_query(request, NoQuery)
        found = await self._grants.list_grants(caller_of(request))
        return model_response(GrantList(items=tuple(_view(item) for item in found)))

    async def show(self, request: Request) -> Response:
        """The grants of one installation."""
        read_query(request, NoQuery)
        return model_response(_view(await self._grants.show(request.path_params["name"], caller_of(request))))

    async def add(self, request: Request) -> Response:
        """Grant more."""
        body = await _body(request)
        return _change(await self._grants.add(request.path_params["name"], body.permissions, caller_of(request)))

    async def remove(self, request: Request) -> Response:
        """Take back some."""
        body = await _body(request)
        return _change(await self._grants.remove(request.path_params["name"], body.permissions, caller_of(request)))

    async def clear(self, request: Request) -> Response:
        """Take back all."""
        read_query(request, NoQuery)
        return _change(await self._grants.clear(request.path_params["name"], caller_of(request)))


async def _body(request: Request) -> GrantBody:
    caller_of(request).require(Scope.ADMIN)
    read_query(request, NoQuery)
    return await read_model(request, GrantBody)


def _view(grants: PluginGrants) -> GrantView:
    return GrantView(
        plugin=grants.plugin,
        version=grants.version,
        requested=grants.requested,
        granted=grants.granted,
        effective=grants.effective,
        missing=grants.missing,
        notes=grants.notes,
    )


def _change(change: GrantChange) -> Response:
    return model_response(GrantChanged(grants=_view(change.grants), changed=change.changed))
