"""Secrets over REST: written and listed by an admin, their values never read back."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.http_api.authentication import caller_of
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_model, read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import model_response
from tool_server.http_api.shapes import NoQuery, SecretBody, SecretList
from tool_server.model.caller import Scope
from tool_server.model.secret import MAX_SECRET_BYTES

BODY_BYTES = 8 * MAX_SECRET_BYTES
"""A value may be written in escapes of six characters."""


class SecretRoutes:
    """Routes under `/api/v1/secrets`."""

    def __init__(self, services: RegistryServices) -> None:
        self._secrets = services.secrets

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            resource("/api/v1/secrets", GET=self.list_secrets),
            resource("/api/v1/secrets/{name}", PUT=self.set_secret, DELETE=self.remove_secret),
        ]

    async def list_secrets(self, request: Request) -> Response:
        """Names, hosts and moments."""
        read_query(request, NoQuery)
        return model_response(SecretList(items=await self._secrets.list_secrets(caller_of(request))))

    async def set_secret(self, request: Request) -> Response:
        """Store or replace; the answer does not hold the value."""
        caller = caller_of(request)
        caller.require(Scope.ADMIN)
        read_query(request, NoQuery)
        body = await read_model(request, SecretBody, limit=BODY_BYTES)
        name = request.path_params["name"]
        return model_response(
            await self._secrets.set_secret(name, body.value, body.hosts, caller, plain_http=body.plain_http)
        )

    async def remove_secret(self, request: Request) -> Response:
        """Forget."""
        read_query(request, NoQuery)
        await self._secrets.remove(request.path_params["name"], caller_of(request))
        return Response(status_code=204)
