"""What guests hand to `ask_client` and `notify_client`, read and checked. Shapes are MCP's own.

https://modelcontextprotocol.io/specification ; `schemas/host-interface.schema.json`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn
from urllib.parse import urlsplit

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import shown
from tool_server.model.client import ELICIT, LOG_LEVELS, ROOTS, SAMPLE, ClientRequest
from tool_server.model.json_value import JsonObject, JsonValue, parse_json

MAX_BLOCK = 2**20
"""Bytes of one argument."""

MAX_REQUESTS = 16
"""Questions that are put to a client at once."""

_FIELD_TYPES = frozenset({"string", "number", "integer", "boolean", "array"})


def ask_request(block: bytes) -> dict[str, ClientRequest]:
    """The argument of `ask_client`, `{"requests": {KEY: {"method", "params"?}}}`.

    Raises:
        InvalidInput: `invalid_request`, with the path of what is wrong.
    """
    document = _object(block, "ask_client")
    requests = document.get("requests")
    _only(document, {"requests"}, "$", "ask_client")
    if not isinstance(requests, dict) or not 1 <= len(requests) <= MAX_REQUESTS:
        _refuse("ask_client", "$.requests", f"an object of 1 to {MAX_REQUESTS} requests", requests)
    return {key: _request(key, value) for key, value in requests.items()}


def notification(block: bytes) -> tuple[str, JsonObject]:
    """The argument of `notify_client`, `{"method", "params"?}`, as method and parameters.

    Raises:
        InvalidInput: `invalid_request`.
    """
    document = _object(block, "notify_client")
    _only(document, {"method", "params"}, "$", "notify_client")
    method, params = document.get("method"), document.get("params", {})
    check = _NOTIFICATIONS.get(method) if isinstance(method, str) else None
    if check is None or not isinstance(method, str):
        _refuse("notify_client", "$.method", f"one of {', '.join(_NOTIFICATIONS)}", method)
    if not isinstance(params, dict):
        _refuse("notify_client", "$.params", "an object", params)
    check(params)
    return method, params


def _request(key: str, value: JsonValue) -> ClientRequest:
    path = f"$.requests[{shown(key)}]"
    if not isinstance(value, dict):
        _refuse("ask_client", path, "an object", value)
    _only(value, {"method", "params"}, path, "ask_client")
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(params, dict):
        _refuse("ask_client", f"{path}.params", "an object", params)
    check = _REQUESTS.get(method) if isinstance(method, str) else None
    if check is None or not isinstance(method, str):
        _refuse("ask_client", f"{path}.method", f"one of {', '.join(_REQUESTS)}", method)
    check(f"{path}.params", params)
    return ClientRequest(method, params)


def _check_elicitation(path: str, params: JsonObject) -> None:
    if not isinstance(params.get("message"), str):
        _refuse("ask_client", f"{path}.message", "a text", params.get("message"))
    match params.get("mode", "form"):
        case "form":
            _check_form(f"{path}.requestedSchema", params.get("requestedSchema"))
        case "url":
            if not _is_url(params.get("url")):
                _refuse("ask_client", f"{path}.url", "an http or https URL", params.get("url"))
            if not isinstance(params.get("elicitationId"), str):
                _refuse("ask_client", f"{path}.elicitationId", "a text", params.get("elicitationId"))
        case mode:
            _refuse("ask_client", f"{path}.mode", "form or url", mode)


def _check_form(path: str, schema: JsonValue) -> None:
    """MCP's forms are flat: an object of texts, numbers, booleans and choices."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        _refuse("ask_client", path, 'a schema with "type": "object"', schema)
    fields = schema.get("properties")
    if not isinstance(fields, dict):
        _refuse("ask_client", f"{path}.properties", "an object", fields)
    for name, field in fields.items():
        kind = field.get("type") if isinstance(field, dict) else None
        if not (isinstance(kind, str) and kind in _FIELD_TYPES):
            _refuse("ask_client", f"{path}.properties[{shown(name)}]", "a text, number, boolean or choice", field)


def _check_message(path: str, params: JsonObject) -> None:
    if not isinstance(params.get("messages"), list):
        _refuse("ask_client", f"{path}.messages", "an array", params.get("messages"))
    tokens = params.get("maxTokens")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        _refuse("ask_client", f"{path}.maxTokens", "an integer from 1", tokens)


def _check_roots(path: str, params: JsonObject) -> None:
    if params:
        _refuse("ask_client", path, "an empty object", params)


_REQUESTS: Mapping[str, Callable[[str, JsonObject], None]] = {
    ELICIT: _check_elicitation,
    SAMPLE: _check_message,
    ROOTS: _check_roots,
}


def _check_progress(params: JsonObject) -> None:
    for field in ("progress", "total"):
        value = params.get(field)
        if isinstance(value, bool) or (not isinstance(value, int | float) and not (field == "total" and value is None)):
            _refuse("notify_client", f"$.params.{field}", "a number", value)
    if not isinstance(params.get("message", ""), str):
        _refuse("notify_client", "$.params.message", "a text", params.get("message"))


def _check_log(params: JsonObject) -> None:
    if params.get("level") not in LOG_LEVELS:
        _refuse("notify_client", "$.params.level", f"one of {', '.join(LOG_LEVELS)}", params.get("level"))
    if "data" not in params:
        _refuse("notify_client", "$.params.data", "a value", None)
    if not isinstance(params.get("logger", ""), str):
        _refuse("notify_client", "$.params.logger", "a text", params.get("logger"))


def _check_updated(params: JsonObject) -> None:
    if not isinstance(params.get("uri"), str):
        _refuse("notify_client", "$.params.uri", "a URI", params.get("uri"))


def _check_nothing(_params: JsonObject) -> None:
    """Of a list that changed there is no more to say."""


_NOTIFICATIONS: Mapping[str, Callable[[JsonObject], None]] = {
    "notifications/progress": _check_progress,
    "notifications/message": _check_log,
    "notifications/resources/updated": _check_updated,
    "notifications/tools/list_changed": _check_nothing,
    "notifications/prompts/list_changed": _check_nothing,
    "notifications/resources/list_changed": _check_nothing,
}


def _is_url(value: JsonValue) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _object(block: bytes, function: str) -> JsonObject:
    if len(block) > MAX_BLOCK:
        raise InvalidInput("invalid_request", f"{function}: at most {MAX_BLOCK} bytes are accepted, not {len(block)}")
    document = parse_json(block, what=f"the argument of {function}")
    if not isinstance(document, dict):
        _refuse(function, "$", "an object", document)
    return document


def _only(value: JsonObject, known: set[str], path: str, function: str) -> None:
    if unknown := value.keys() - known:
        _refuse(function, path, f"no more than {', '.join(sorted(known))}", min(unknown))


def _refuse(function: str, path: str, expected: str, got: JsonValue) -> NoReturn:
    raise InvalidInput(
        "invalid_request",
        f"{function}: at {path} expected {expected}, got {shown(got)}",
        {"path": path, "expected": expected, "got": shown(got)},
    )
