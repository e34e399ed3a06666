"""Guests' log lines, handed to the logger `tool_server.guest`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from tool_server.model.call import Call

_log = logging.getLogger("tool_server.guest")

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), *range(127, 160))} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029)
}
"""Line breaks and terminal escapes, spelled out: one line of a guest stays one line of the server's log."""


def forward_log(call: Call, header: Mapping[str, Any]) -> None:
    """Write a LOG frame's lines, each record carrying `plugin`, `call_id` and `tool`."""
    extra = {"plugin": call.plugin, "call_id": call.id, "tool": call.tool}
    redact = call.journal.redactor.text
    lines = header.get("lines")
    for line in cast(list[object], lines) if isinstance(lines, list) else []:
        match line:
            case [str(level), str(text)]:
                _log.log(_LEVELS.get(level, logging.INFO), "%s", redact(text).translate(_CONTROLS), extra=extra)
            case _:
                pass
    dropped = header.get("dropped")
    if isinstance(dropped, int) and dropped > 0:
        _log.warning("%d further log lines were dropped", dropped, extra=extra)
