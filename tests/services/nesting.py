"""Plugins that call tools, offered for the tests."""

from __future__ import annotations

from typing import Any

from tests.services.publishing import ANYTHING, offer
from tests.support.interface_guests import interface_guest
from tool_server.bootstrap.services import Services
from tool_server.model.json_value import JsonObject
from tool_server.model.permission import Permissions

CONTENT: dict[str, Any] = {**ANYTHING, "returns": "content"}


async def offer_caller(
    services: Services, plugin: str, may_call: tuple[str, ...], guest: str = "relay", **fields: Any
) -> str:
    """Offer a guest of `interface_guests` that requests, and is granted, these tools; its MCP name."""
    fields.setdefault("granted", Permissions(tools=may_call))
    await offer(
        services,
        plugin,
        wasm=interface_guest(guest),
        tools={guest: CONTENT if guest in ("relay", "heedless", "bewildered") else ANYTHING},
        permissions={"tools": list(may_call)},
        **fields,
    )
    return f"{plugin}_{guest}"


def through(*tools: str, arguments: JsonObject) -> JsonObject:
    """The arguments by which the first relay calls the second one, and so on, and the last one gets `arguments`."""
    for tool in reversed(tools):
        arguments = {"name": tool, "arguments": arguments}
    return arguments
