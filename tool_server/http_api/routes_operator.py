"""What the operator alone may see: tokens and the call log."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.http_api.authentication import caller_of
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_model, read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import model_response
from tool_server.http_api.shapes import CallList, CallQuery, NoQuery, TokenBody, TokenList, TokenMade, TokenView
from tool_server.model.caller import Scope, TokenRecord


class OperatorRoutes:
    """Routes under `/api/v1/tokens` and `/api/v1/calls`."""

    def __init__(self, services: RegistryServices) -> None:
        self._tokens = services.tokens
        self._call_log = services.call_log

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            resource("/api/v1/tokens", GET=self.list_tokens, POST=self.create_token),
            resource("/api/v1/tokens/{name}", DELETE=self.revoke_token),
            resource("/api/v1/calls", GET=self.list_calls),
        ]

    async def list_tokens(self, request: Request) -> Response:
        """All tokens, without anything secret."""
        read_query(request, NoQuery)
        records = await self._tokens.list_tokens(caller_of(request))
        return model_response(TokenList(items=tuple(_view(record) for record in records)))

    async def create_token(self, request: Request) -> Response:
        """A new token; the only answer that ever holds its secret."""
        caller = caller_of(request)
        caller.require(Scope.ADMIN)
        read_query(request, NoQuery)
        body = await read_model(request, TokenBody)
        lifetime = None if body.lifetime_seconds is None else timedelta(seconds=body.lifetime_seconds)
        made = await self._tokens.create(body.name, body.scopes, caller, lifetime, body.view)
        return model_response(TokenMade(token=_view(made.record), secret=made.secret), 201)

    async def revoke_token(self, request: Request) -> Response:
        """End a token, named by its name or id."""
        read_query(request, NoQuery)
        record = await self._tokens.revoke(request.path_params["name"], caller_of(request))
        return model_response(_view(record))

    async def list_calls(self, request: Request) -> Response:
        """The newest calls."""
        caller_of(request).require(Scope.ADMIN)
        query = read_query(request, CallQuery)
        return model_response(CallList(items=await self._call_log.recent(query.limit, tool=query.tool or None)))


def _view(record: TokenRecord) -> TokenView:
    return TokenView(**record.model_dump(exclude={"secret_hash"}))
