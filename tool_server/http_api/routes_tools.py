"""Offered tools: list and call."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.http_api.authentication import caller_of
from tool_server.http_api.disconnection import while_connected
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_json_object, read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import json_response, model_response
from tool_server.http_api.shapes import NoQuery, QuarantinedView, ToolList, ToolQuery, ToolView
from tool_server.inspection.offering import listed_tool
from tool_server.model.call import ToolResult
from tool_server.model.caller import Scope
from tool_server.model.catalog import OfferedTool


class ToolRoutes:
    """Routes under `/api/v1/tools`."""

    def __init__(self, services: RegistryServices) -> None:
        self._catalog = services.catalog
        self._invoke = services.invoke
        self._body_bytes = services.body_bytes

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            resource("/api/v1/tools", GET=self.list_all),
            resource("/api/v1/tools/{tool}/call", POST=self.call),
        ]

    async def list_all(self, request: Request) -> Response:
        """One page of the catalogue; with the first one, the tools in quarantine."""
        caller = caller_of(request)
        caller.require(Scope.READ)
        query = read_query(request, ToolQuery)
        catalog = self._catalog.current.within(caller.view)
        tools = catalog.page(query.after, query.limit)
        held = () if query.after else catalog.quarantined
        return model_response(
            ToolList(
                items=tuple(_view(tool) for tool in tools),
                quarantined=tuple(QuarantinedView(plugin=plugin, **tool.model_dump()) for plugin, tool in held),
                next=tools[-1].name if tools and catalog.has_after(tools[-1].name) else None,
            )
        )

    async def call(self, request: Request) -> Response:
        """Run a tool; the body holds its arguments."""
        caller = caller_of(request)
        caller.require(Scope.CALL)
        read_query(request, NoQuery)
        arguments = await read_json_object(request, self._body_bytes)
        tool = request.path_params["tool"]
        result = await while_connected(request, lambda: self._invoke.call(tool, arguments, caller))
        return json_response(_result_json(result))


def _view(offered: OfferedTool) -> ToolView:
    tool = listed_tool(offered)
    return ToolView(
        name=tool.name,
        plugin=tool.plugin,
        version=tool.version,
        title=tool.title,
        description=tool.description,
        inputSchema=tool.input_schema,
        outputSchema=tool.output_schema,
        annotations=tool.annotations,
    )


def _result_json(result: ToolResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"content": list(result.content), "isError": result.is_error}
    if result.structured is not None:
        answer["structuredContent"] = result.structured
    if result.meta is not None:
        answer["_meta"] = result.meta
    return answer
