"""Parsing JSON only where all parsers behind MCP agree: orjson here, Python's for HTTP and pydantic's for stdio.

They differ on integers beyond 64 bits (orjson makes them floats), NaN, infinities and numbers that overflow, half
surrogate pairs, byte order marks, other encodings than UTF-8, and on how deep is too deep. All that orjson refuses;
long runs of digits and deep nesting are looked for. On duplicate keys they agree: the last one counts.
"""

from __future__ import annotations

import re

import orjson

from tool_server.model.json_value import has_long_number

_MAX_BRACKETS = 150
"""More opening brackets than this may be nested more deeply than pydantic's parser goes (200)."""

_STRINGS_AND_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


class NotAgreedError(Exception):
    """Not JSON, or JSON that not every parser reads alike."""


def parse_agreed(raw: bytes) -> object:
    """The value.

    Raises:
        NotAgreedError: leave it to the SDK.
    """
    if has_long_number(raw):
        raise NotAgreedError
    if raw.count(b"[") + raw.count(b"{") > _MAX_BRACKETS and _is_deep(raw):
        raise NotAgreedError
    try:
        return orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise NotAgreedError from error


def _is_deep(raw: bytes) -> bool:
    depth = 0
    for token in _STRINGS_AND_BRACKETS.finditer(raw):
        match token.group()[:1]:
            case b"[" | b"{":
                depth += 1
                if depth > _MAX_BRACKETS:
                    return True
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    return False
