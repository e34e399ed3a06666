"""The whole error tree: one root, one class for each kind of failure.

Every surface (MCP, HTTP, command line) translates these classes in one table of its own. `code` is a stable
machine word within the class, `message` is a sentence for a person or a model that says what to do next, and
`data` holds JSON values that a program may want (the path, what was expected, what was got).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ToolServerError(Exception):
    """Root of every error that this product raises on purpose.

    Args:
        code: a stable word such as `"timeout"`; unique within its class.
        message: one or two sentences, safe to show to a caller.
        data: JSON values only.
    """

    def __init__(self, code: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.data: dict[str, Any] = dict(data or {})

    def __str__(self) -> str:
        return self.message


class InvalidInput(ToolServerError):
    """What was sent breaks a rule: bytes, manifests, names, ranges, arguments, settings."""


class NotFound(ToolServerError):
    """A plugin, version, artifact, tool, installation or token that does not exist here."""


class Conflict(ToolServerError):
    """The request is well formed and contradicts what is already stored."""


class Denied(ToolServerError):
    """The caller is unknown (`code="unauthenticated"`) or may not do this (any other code)."""


class CallFailed(ToolServerError):
    """A guest did not give a good answer.

    Codes: `guest_error`, `trap`, `timeout`, `out_of_memory`, `out_of_fuel`, `worker_lost`, `bad_output`,
    `output_too_large`, `missing_export`, `host_function`, `cancelled`.
    """


class Unavailable(ToolServerError):
    """The server cannot do this now: queue full (`busy`), disk full, database locked, shutting down."""
