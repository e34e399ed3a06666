"""Who am I, does the process live, can it serve, and the OpenAPI document."""

from __future__ import annotations

import logging

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.errors import Unavailable
from tool_server.http_api.authentication import caller_of
from tool_server.http_api.openapi import openapi_document
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import json_response, model_response
from tool_server.http_api.shapes import Health, NoQuery, Ready, ServerInfo, Whoami
from tool_server.model.caller import ANONYMOUS

READY_SECONDS = 5.0
"""How long the parts may take to answer before they count as not ready."""

logger = logging.getLogger(__name__)


class HealthRoutes:
    """Routes about the server itself."""

    def __init__(self, services: RegistryServices) -> None:
        self._services = services
        self._document = openapi_document(services.version)

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            resource("/healthz", GET=self.alive),
            resource("/readyz", GET=self.ready),
            resource("/api/openapi.json", GET=self.openapi),
            resource("/api/v1/whoami", GET=self.whoami),
        ]

    async def alive(self, request: Request) -> Response:
        """200 as long as the process answers at all."""
        return model_response(Health())

    async def ready(self, request: Request) -> Response:
        """200 when the server can serve, else 503; the reason goes to the log, since anyone may ask."""
        try:
            with anyio.fail_after(READY_SECONDS):
                await self._services.ready()
        except (Unavailable, TimeoutError) as error:
            logger.warning("not ready: %s", str(error) or f"no answer within {READY_SECONDS:g} seconds")
            raise Unavailable("not_ready", "the server cannot serve now: its log says why") from error
        return model_response(Ready())

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document."""
        return json_response(self._document)

    async def whoami(self, request: Request) -> Response:
        """The caller, as the server sees it."""
        caller = caller_of(request)
        read_query(request, NoQuery)
        return model_response(
            Whoami(
                name=caller.name,
                scopes=tuple(sorted(caller.scopes)),
                anonymous=caller == ANONYMOUS,
                server=ServerInfo(version=self._services.version),
            )
        )
