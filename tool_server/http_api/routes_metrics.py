"""The metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.http_api.authentication import caller_of
from tool_server.http_api.requests import read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import NO_STORE
from tool_server.http_api.shapes import NoQuery
from tool_server.model.caller import Scope

MetricsText = Callable[[str], tuple[bytes, str]]
"""From an `Accept` header to the metrics and their media type."""


def metrics_route(text: MetricsText) -> BaseRoute:
    """`/metrics`, for whoever may read: the figures name tools and outcomes, but no caller and no argument.

    Over loopback that is everybody unless `auth.anonymous_loopback` is off; a scraper elsewhere sends a token of the
    scope `read` as its bearer token.
    """

    async def show(request: Request) -> Response:
        caller_of(request).require(Scope.READ)
        read_query(request, NoQuery)
        body, media_type = text(request.headers.get("accept", ""))
        # Given as a header: Starlette would add a second charset.
        return Response(body, headers={**NO_STORE, "Content-Type": media_type})

    return resource("/metrics", GET=show)
