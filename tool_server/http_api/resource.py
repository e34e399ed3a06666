"""One path with its methods: 405 names all of them, HEAD follows GET, OPTIONS tells what is allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class PluginConvertor(Convertor[str]):
    """`{name:plugin}`: one segment, or two where the first begins with `@`. Services check the spelling."""

    regex: ClassVar[str] = r"@[^/]+/[^/]+|[^/@][^/]*"

    def convert(self, value: str) -> str:
        """The name as it stands in the decoded path."""
        return value

    def to_string(self, value: str) -> str:
        """The name as it stands in the decoded path."""
        return value


register_url_convertor("plugin", PluginConvertor())


class Resource:
    """ASGI application that hands each method of one path to its endpoint."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self.endpoints = endpoints
        methods = [*endpoints, "OPTIONS", *(["HEAD"] if "GET" in endpoints else [])]
        self._allow = {"Allow": ", ".join(sorted(methods))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if request.method == "OPTIONS":
            response = Response(status_code=204, headers=self._allow)
        else:
            endpoint = self.endpoints.get("GET" if request.method == "HEAD" else request.method)
            if endpoint is None:
                raise HTTPException(405, headers=self._allow)
            response = await endpoint(request)
        await response(scope, receive, send)


def resource(path: str, **endpoints: Endpoint) -> Route:
    """A route for `path`, with an endpoint for each method: `resource("/x", GET=show, PUT=store)`."""
    return Route(path, Resource(endpoints), name=path)
