"""MCP's translation table: our error tree to what a client and its model see."""

from __future__ import annotations

import logging
from typing import cast
from uuid import uuid4

from tool_server.errors import CallFailed, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.model.call import ToolResult
from tool_server.model.json_value import JsonObject, JsonValue

ERROR_META_KEY = "tool-server/error"
"""Where a failed result's `_meta` carries `{"kind", "code", "data"}` for programs; models read the text."""

MISSING_CAPABILITY = -32021
"""MCP's error code, since 2026-07-28, for what a client gets only with a capability that it does not declare."""

_ADVICE: dict[str, str] = {
    "timeout": "Try a smaller input, or ask the operator to raise the plugin's time limit.",
    "out_of_memory": "Try a smaller input, or ask the operator to raise the plugin's memory limit.",
    "out_of_fuel": "Try a smaller input.",
    "worker_lost": "Try once more; if it fails again, the plugin is broken.",
    "bad_output": "The plugin is at fault, not the arguments: tell its author.",
    "trap": "The plugin crashed on this input: try other arguments, and tell its author.",
}

logger = logging.getLogger(__name__)


def failed_result(error: Exception) -> ToolResult:
    """The `isError: true` result for a failed call; an unknown tool is no result but a protocol error.

    Raises:
        NotFound: as it came: each protocol answers it with -32602 in its own way.
    """
    match error:
        case NotFound():
            raise error
        case InvalidInput():
            return _result("invalid_input", error, error.message)
        case CallFailed():
            advice = _ADVICE.get(error.code)
            return _result("call_failed", error, f"{error.message} {advice}" if advice else error.message)
        case Denied():
            return _result("denied", error, error.message)
        case Unavailable():
            return _result("unavailable", error, error.message)
        case _:
            return _internal(error)


def missing_capability(result: ToolResult) -> Unavailable | None:
    """Why a call failed, where that is only what its client has not declared: a protocol error since 2026-07-28."""
    if not result.is_error or result.meta is None:
        return None
    told = result.meta.get(ERROR_META_KEY)
    if not isinstance(told, dict) or told.get("code") != "client_cannot_be_asked":
        return None
    data = told.get("data")
    if not isinstance(data, dict) or not data.get("missing"):
        return None
    return Unavailable("client_cannot_be_asked", str(result.content[0]["text"]), data)


def required_capabilities(error: ToolServerError) -> JsonObject:
    """The data of the error that a missing capability is: MCP's `ClientCapabilities` that would be needed."""
    required: JsonObject = {}
    missing = error.data.get("missing")
    for name in cast("list[JsonValue]", missing) if isinstance(missing, list) else ():
        inner = required
        for part in str(name).split("."):
            found = inner.setdefault(part, {})
            inner = found if isinstance(found, dict) else {}
    return {"requiredCapabilities": required}


def _result(kind: str, error: ToolServerError, text: str) -> ToolResult:
    return _failure(text, {"kind": kind, "code": error.code, "data": error.data})


def _internal(error: Exception) -> ToolResult:
    log_id = uuid4().hex[:12]
    logger.error("internal error %s", log_id, exc_info=error)
    text = f"internal error: the server's log has the details under {log_id}"
    return _failure(text, {"kind": "internal", "code": "internal_error", "data": {"log_id": log_id}})


def _failure(text: str, meta: JsonObject) -> ToolResult:
    return ToolResult(({"type": "text", "text": text},), None, True, {ERROR_META_KEY: meta})
