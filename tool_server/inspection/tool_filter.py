"""Which tools of a plugin an operator leaves out, by patterns on their names."""

from __future__ import annotations

from collections.abc import Sequence

import jsonschema_rs

from tool_server.errors import InvalidInput
from tool_server.inspection.schema_engine import compile_pattern

MAX_PROGRAM = 2**18
"""Bytes of one compiled pattern: there may be a hundred."""


class ToolFilter:
    """Patterns, each looked for anywhere in a name, in time linear in it.

    Args:
        patterns: regular expressions without lookaround and back references.

    Raises:
        InvalidInput: `invalid_pattern`, naming the first that is none.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def skips(self, name: str) -> bool:
        """Whether a tool of this name is left out."""
        return any(pattern.is_valid(name) for pattern in self._patterns)


def _compiled(pattern: str) -> jsonschema_rs.Draft202012Validator:
    try:
        return compile_pattern(pattern, MAX_PROGRAM)
    except InvalidInput as error:
        raise InvalidInput(
            "invalid_pattern",
            f"{pattern[:120]!r} is no pattern: write a short regular expression without lookaround and back references",
            {"pattern": pattern[:300]},
        ) from error
