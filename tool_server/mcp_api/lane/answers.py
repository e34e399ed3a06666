"""JSON-RPC answers, as the SDK writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tool_server.mcp_api.errors import (
    ERROR_META_KEY,
    MISSING_CAPABILITY,
    missing_capability,
    required_capabilities,
)
from tool_server.mcp_api.lane.requests import MODERN
from tool_server.mcp_api.listing import Page
from tool_server.model.call import ToolResult
from tool_server.model.json_value import JsonObject, JsonValue, compact_json

NAME = "tool-server"
"""What the server calls itself."""

HANDSHAKE = "2025-11-25"
"""Stands for all versions of the handshake era: calls and lists of tools are answered alike in them."""

INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
CONNECTION_CLOSED = -32000
"""JSON-RPC error codes; the last one is the SDK's own."""

_STAMP_KEY = "io.modelcontextprotocol/serverInfo"
_PLAIN_BLOCK = {"type", "text"}
_OWN_META = {ERROR_META_KEY}


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server as it stamps every answer of the modern era."""

    name: str
    title: str
    version: str


class Answers:
    """Writes answers in one version of the protocol."""

    def __init__(self, version: str, server: ServerInfo) -> None:
        self._version = version
        self._modern = version == MODERN
        self._stamp: JsonObject = {"name": server.name, "title": server.title, "version": server.version}
        modern_end: JsonObject = {
            **{"ttlMs": 0, "cacheScope": "private", "resultType": "complete"},
            "_meta": {_STAMP_KEY: self._stamp},
        }
        self._list_end = b"," + compact_json(modern_end)[1:] if self._modern else b"}"

    def called(self, request_id: int | str, result: ToolResult) -> bytes:
        """The answer to `tools/call`."""
        own_meta = result.meta is None or result.meta.keys() == _OWN_META
        if not own_meta or not _has_plain_blocks(result.content):
            return self._called_by_sdk(request_id, result)
        written: JsonObject = {"content": list(result.content), "isError": result.is_error}
        if result.structured is not None:
            written["structuredContent"] = result.structured
        if result.meta is not None:
            written["_meta"] = result.meta
        return self._answer(request_id, self._completed(written))

    def input_required(self, request_id: int | str, result: JsonObject) -> bytes:
        """The answer to a call that needs its client's answers first, an `InputRequiredResult`."""
        return self._answer(request_id, {**result, "_meta": {_STAMP_KEY: self._stamp}})

    def listed(self, request_id: int | str, page: Page) -> bytes:
        """The answer to `tools/list`."""
        cursor = b"" if page.next_cursor is None else b',"nextCursor":' + compact_json(page.next_cursor)
        head = b'{"jsonrpc":"2.0","id":' + compact_json(request_id) + b',"result":{"tools":['
        return b"".join((head, b",".join(page.tools), b"]", cursor, self._list_end, b"}"))

    def refused(self, request_id: int | str, result: ToolResult) -> bytes | None:
        """The error that a call is answered with whose client has not declared what it takes; None for any other."""
        missing = missing_capability(result) if self._modern else None
        if missing is None:
            return None
        return self.failed(request_id, MISSING_CAPABILITY, missing.message, required_capabilities(missing))

    def failed(self, request_id: int | str, code: int, message: str, data: JsonObject | None = None) -> bytes:
        """An error."""
        error: JsonObject = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        return compact_json({"jsonrpc": "2.0", "id": request_id, "error": error})

    def _completed(self, result: JsonObject) -> JsonObject:
        if self._modern:
            result["resultType"] = "complete"
            meta = result.get("_meta")
            if not isinstance(meta, dict):
                result["_meta"] = {_STAMP_KEY: self._stamp}
            elif meta.get(_STAMP_KEY) is None:
                result["_meta"] = {**meta, _STAMP_KEY: self._stamp}
        return result

    def _answer(self, request_id: int | str, result: JsonValue) -> bytes:
        return compact_json({"jsonrpc": "2.0", "id": request_id, "result": result})

    def _called_by_sdk(self, request_id: int | str, result: ToolResult) -> bytes:
        from pydantic import ValidationError

        from tool_server.mcp_api.tools import serialized_result

        try:
            return self._answer(request_id, self._completed(serialized_result(result, self._version)))
        except ValidationError:
            return self.failed(request_id, INTERNAL_ERROR, "Handler returned an invalid result")


def _has_plain_blocks(content: Sequence[JsonObject]) -> bool:
    # A generator would cost more than the one block that there almost always is.
    for block in content:
        if not (block.keys() == _PLAIN_BLOCK and block["type"] == "text" and type(block["text"]) is str):
            return False
    return True
