"""How a permission that cannot be read is refused."""

from __future__ import annotations

from tool_server.errors import InvalidInput


def no_permission(kind: str, text: str, reason: str, grammar: str) -> InvalidInput:
    """`invalid_permission`, with what is wrong with the text and how to write it."""
    return InvalidInput(
        "invalid_permission",
        f"{text[:120]!r} is no {kind} permission ({reason}): write {grammar}",
        {"kind": kind, "item": text[:300]},
    )
