"""What plugins of hyper-mcp hand to their host's functions and get from them, as JSON.

Sources: hyper-mcp 0.8, `src/service.rs` (`host_fns`), `src/oauth2.rs` and `xtp-plugin-schema.json`. That host ends a
plugin's call where a function's argument is not what it expects, and so do these readers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn, cast
from urllib.parse import urlsplit

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import shown
from tool_server.model.client import LOG_LEVELS
from tool_server.model.json_value import JsonObject, JsonValue, parse_json

MAX_BLOCK = 2**20
"""Bytes of one argument."""

NO_ROOTS: JsonObject = {"roots": []}
"""What `list_roots` gives where the client has none to show."""


@dataclass(frozen=True, slots=True)
class KeyringEntry:
    """What names a secret in a keyring."""

    service: str
    user: str


@dataclass(frozen=True, slots=True)
class Elicitation:
    """A question to the user."""

    params: JsonObject
    """Of MCP's `elicitation/create`."""
    timeout_s: float | None
    """Seconds, although that host's plugin template calls them milliseconds."""

    @property
    def mode(self) -> str:
        """`form` or `url`."""
        return "url" if self.params.get("mode") == "url" else "form"


def keyring_entry(block: bytes) -> KeyringEntry:
    """The argument of `get_keyring_secret`, `{"service", "user"}`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    reader = _Reader("get_keyring_secret", block)
    return KeyringEntry(reader.text("service"), reader.text("user"))


def token_entry(block: bytes) -> KeyringEntry:
    """The argument of `get_access_token`, OAuth credentials, as the keyring entry that stands for their token.

    The service is the host of `token_endpoint_url`, the user is `client_id`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    reader = _Reader("get_access_token", block)
    client, url = reader.text("client_id"), reader.text("token_endpoint_url")
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        reader.refuse("token_endpoint_url", "an absolute URL", url)
    return KeyringEntry(host, client)


def access_token(value: str | None) -> JsonObject | None:
    """What `get_access_token` gives; None, which is `null`, where there is no token."""
    return None if value is None else {"access_token": value, "expires_at": None, "scopes": None}


def logging_message(block: bytes) -> JsonObject:
    """The argument of `notify_logging_message`, `{"level", "data", "logger"?}`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    reader = _Reader("notify_logging_message", block)
    level = reader.text("level")
    if level not in LOG_LEVELS:
        reader.refuse("level", f"one of {', '.join(LOG_LEVELS)}", level)
    if "data" not in reader.fields:
        reader.refuse("data", "a value", None)
    return reader.kept({"level": level, "data": reader.fields["data"], "logger": reader.optional_text("logger")})


def progress(block: bytes) -> JsonObject:
    """The argument of `notify_progress`, `{"progressToken", "progress", "total"?, "message"?}`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    reader = _Reader("notify_progress", block)
    token = reader.fields.get("progressToken")
    if isinstance(token, bool) or not isinstance(token, str | int):
        reader.refuse("progressToken", "a string or an integer", token)
    return reader.kept(
        {
            "progressToken": token,
            "progress": reader.number("progress"),
            "total": None if reader.fields.get("total") is None else reader.number("total"),
            "message": reader.optional_text("message"),
        }
    )


def resource_updated(block: bytes) -> JsonObject:
    """The argument of `notify_resource_updated`, `{"uri"}`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    return {"uri": _Reader("notify_resource_updated", block).text("uri")}


def elicitation_completed(block: bytes) -> JsonObject:
    """The argument of `notify_url_elicitation_completed`, `{"elicitationId"}`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    return {"elicitationId": _Reader("notify_url_elicitation_completed", block).text("elicitationId")}


def elicitation(block: bytes) -> Elicitation:
    """The argument of `create_elicitation`: a form, or with `"mode": "url"` a page to open, and `timeout`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    reader = _Reader("create_elicitation", block)
    mode = reader.optional_text("mode") or ("url" if "elicitationId" in reader.fields else "form")
    params: JsonObject = {"mode": mode, "message": reader.text("message")}
    if mode == "form":
        schema = reader.fields.get("requestedSchema")
        if not isinstance(schema, dict):
            reader.refuse("requestedSchema", "an object", schema)
        params["requestedSchema"] = _with_dates(schema)
    elif mode == "url":
        params |= {"url": reader.text("url"), "elicitationId": reader.text("elicitationId")}
    else:
        reader.refuse("mode", "form or url", mode)
    timeout = None if reader.fields.get("timeout") is None else float(reader.number("timeout"))
    if timeout is not None and timeout < 0:
        reader.refuse("timeout", "seconds, not less than 0", reader.fields["timeout"])
    return Elicitation(params, timeout)


def declined(mode: str) -> JsonObject:
    """What `create_elicitation` gives where the client cannot be asked."""
    return {"action": "decline", "content": {"error": f"Peer does not support {mode} elicitation"}}


def message_request(block: bytes) -> JsonObject:
    """The argument of `create_message`, the parameters of MCP's `sampling/createMessage`.

    Raises:
        InvalidInput: `invalid_host_call`.
    """
    reader = _Reader("create_message", block)
    if not isinstance(messages := reader.fields.get("messages"), list):
        reader.refuse("messages", "an array", messages)
    tokens = reader.fields.get("maxTokens")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 <= tokens < 2**32:
        reader.refuse("maxTokens", "an integer from 0 to 4294967295", tokens)
    return reader.kept(reader.fields)


def no_message() -> JsonObject:
    """What `create_message` gives where the client cannot be asked."""
    content: JsonObject = {"type": "text", "text": "Peer does not support sampling"}
    return {"role": "assistant", "content": content, "model": "", "stopReason": "error"}


def _with_dates(schema: JsonValue) -> JsonValue:
    # Its schema generator cannot write a hyphen in an enumeration.
    if isinstance(schema, list):
        return [_with_dates(item) for item in schema]
    if isinstance(schema, dict):
        return {
            key: "date-time" if (key, value) == ("format", "date_time") else _with_dates(value)
            for key, value in schema.items()
        }
    return schema


class _Reader:
    """The fields of one function's argument."""

    def __init__(self, function: str, block: bytes) -> None:
        self._function = function
        if len(block) > MAX_BLOCK:
            self._stop(f"at most {MAX_BLOCK} bytes", f"{len(block)} bytes")
        try:
            document = parse_json(block, what="the argument")
        except InvalidInput as error:
            raise InvalidInput("invalid_host_call", f"{function}: {error.message}", error.data) from error
        if not isinstance(document, dict):
            self._stop("an object", shown(document))
        self.fields = cast(JsonObject, document)

    def text(self, field: str) -> str:
        value = self.fields.get(field)
        if not isinstance(value, str):
            self.refuse(field, "a string", value)
        return value

    def optional_text(self, field: str) -> str | None:
        return None if self.fields.get(field) is None else self.text(field)

    def number(self, field: str) -> int | float:
        value = self.fields.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.refuse(field, "a number", value)
        return value

    def kept(self, fields: JsonObject) -> JsonObject:
        """Without what is null, which that host leaves out."""
        return {key: value for key, value in fields.items() if value is not None or key == "data"}

    def refuse(self, field: str, expected: str, got: JsonValue) -> NoReturn:
        self._stop(expected, shown(got), f"$.{field}")

    def _stop(self, expected: str, got: str, path: str = "$") -> NoReturn:
        raise InvalidInput(
            "invalid_host_call",
            f"{self._function}: {path}: expected {expected}, got {got}",
            {"path": path, "expected": expected, "got": got},
        )
