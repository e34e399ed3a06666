"""Which JSON-RPC requests are plain: every key known, every value of the one form that needs no second look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from tool_server.model.json_value import JsonObject

MODERN = "2026-07-28"
"""The one version of the era in which every request carries its own envelope."""

CALL, LIST = "tools/call", "tools/list"

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
TASKS = "io.modelcontextprotocol/tasks"
"""The extension of `mcp_api.tasks`."""

_CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
_INFO_KEY = "io.modelcontextprotocol/clientInfo"

_REQUIRED_KEYS = {"jsonrpc", "id", "method"}
_REQUEST_KEYS = {"jsonrpc", "id", "method", "params"}
_CALL_KEYS = frozenset({"name", "arguments", "_meta"})
_LIST_KEYS = frozenset({"cursor", "_meta"})
_META_KEYS = frozenset({VERSION_KEY, _CAPABILITIES_KEY, _INFO_KEY})

_INFO_TEXTS = frozenset({"name", "version", "title", "description", "websiteUrl"})
_CAPABILITY_PARTS: Mapping[str, frozenset[str]] = {
    "elicitation": frozenset({"form", "url"}),
    "sampling": frozenset({"context", "tools"}),
}
_CAPABILITY_MAPS = frozenset({"experimental", "extensions"})
_CAPABILITY_OBJECTS = frozenset({"roots"})

Object = dict[str, Any]


class Request(NamedTuple):
    """A JSON-RPC request whose frame is sound; its parameters are still to be read."""

    id: int | str
    method: str
    params: Object


class Call(NamedTuple):
    """A plain `tools/call`."""

    name: str
    arguments: JsonObject
    capabilities: JsonObject
    """The client's, in the modern era; empty in the other one, where they belong to the connection."""

    @property
    def tasks(self) -> bool:
        """Whether the client declares the extension `TASKS`."""
        return declares_tasks(self.capabilities)


class List(NamedTuple):
    """A plain `tools/list`."""

    cursor: str | None


def read_request(value: object) -> Request | None:
    """The request in a parsed message, or None where it is anything else."""
    if type(value) is not dict:
        return None
    message = cast(Object, value)
    if not _REQUIRED_KEYS <= message.keys() <= _REQUEST_KEYS or message["jsonrpc"] != "2.0":
        return None
    request_id, method, params = message["id"], message["method"], message.get("params", {})
    # A boolean is an integer in Python, but its type is another one.
    if type(request_id) not in (int, str) or type(method) is not str or type(params) is not dict:
        return None
    return Request(request_id, method, cast(Object, params))


def read_modern(request: Request) -> Call | List | None:
    """What a request of the modern era asks for, None where that is not plain."""
    meta = request.params.get("_meta")
    if type(meta) is not dict or not _is_plain_envelope(cast(Object, meta)):
        return None
    return _read(request, cast(Object, meta)[_CAPABILITIES_KEY])


def read_handshake(request: Request) -> Call | List | None:
    """What a request of the handshake era asks for, None where that is not plain."""
    return None if "_meta" in request.params else _read(request, {})


def declares_tasks(capabilities: Mapping[str, object]) -> bool:
    """Whether a client's capabilities name the extension `TASKS`."""
    if not capabilities:
        return False
    extensions = capabilities.get("extensions")
    return type(extensions) is dict and type(cast(Object, extensions).get(TASKS)) is dict


def _read(request: Request, capabilities: JsonObject) -> Call | List | None:
    params = request.params
    if request.method == CALL:
        arguments, name = params.get("arguments", {}), params.get("name")
        if type(name) is str and type(arguments) is dict and params.keys() <= _CALL_KEYS:
            return Call(name, cast(JsonObject, arguments), capabilities)
    elif request.method == LIST and params.keys() <= _LIST_KEYS:
        cursor = params.get("cursor")
        if type(cursor) is str or "cursor" not in params:
            return List(cursor)
    return None


def _is_plain_envelope(meta: Object) -> bool:
    if meta.get(VERSION_KEY) != MODERN or not meta.keys() <= _META_KEYS:
        return False
    info = meta.get(_INFO_KEY)
    if info is None:
        return _INFO_KEY not in meta and _are_plain_capabilities(meta.get(_CAPABILITIES_KEY))
    return _is_plain_info(info) and _are_plain_capabilities(meta.get(_CAPABILITIES_KEY))


def _is_plain_info(info: object) -> bool:
    if type(info) is not dict:
        return False
    given = cast(Object, info)
    return (
        "name" in given
        and "version" in given
        and given.keys() <= _INFO_TEXTS
        and all(type(text) is str for text in given.values())
    )


def _are_plain_capabilities(capabilities: object) -> bool:
    if type(capabilities) is not dict:
        return False
    # Almost every client's are empty or small.
    if not capabilities:
        return True
    return all(_is_plain_capability(name, value) for name, value in cast(Object, capabilities).items())


def _is_plain_capability(name: str, value: object) -> bool:
    if type(value) is not dict:
        return False
    parts = cast(Object, value)
    if name in _CAPABILITY_OBJECTS:
        return True
    if name in _CAPABILITY_MAPS or name in _CAPABILITY_PARTS:
        known = _CAPABILITY_PARTS.get(name)
        return all(type(part) is dict for part in parts.values()) and (known is None or parts.keys() <= known)
    return False
