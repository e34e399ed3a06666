"""How a place inside a JSON document is written in messages, and what a document must be to travel safely."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence

from tool_server.errors import InvalidInput
from tool_server.model.json_value import MAX_DEPTH, JsonValue

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*", re.ASCII)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SHOWN = 80


def json_path(parts: Iterable[str | int]) -> str:
    """`json_path(["tools", "count words", 0])` is `$.tools["count words"][0]`."""
    path = "$"
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _IDENTIFIER.fullmatch(part) and len(part) <= _SHOWN:
            path += f".{part}"
        else:
            shown = part[:_SHOWN].encode("ascii", "backslashreplace").decode().replace('"', '\\"')
            path += f'["{shown}"]'
    return path


def shown(value: JsonValue) -> str:
    """A value as messages quote it: a scalar's beginning, or how many entries a container has."""
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"an array of {len(value)} entries"
    if isinstance(value, str):
        return ascii(value[:_SHOWN]) + ("…" if len(value) > _SHOWN else "")
    return json.dumps(value)[:_SHOWN]


def check_plain(value: JsonValue, *, code: str, what: str, base: Sequence[str | int] = ()) -> None:
    """Do nothing when `value` survives being written as UTF-8 JSON and read again by a strict reader.

    Python's `json` reads `"\\ud800"` as half a character and `1e999` as infinity; neither can be written back.

    Raises:
        InvalidInput: `code`, for unpaired surrogates, numbers out of range and nesting beyond `MAX_DEPTH`.
    """
    pending: list[tuple[tuple[str | int, ...], JsonValue]] = [(tuple(base), value)]
    while pending:
        path, item = pending.pop()
        problem = _problem(item, len(path) - len(base))
        if problem:
            place = json_path(path[:8])
            raise InvalidInput(code, f"{what}: {place} {problem}", {"path": place})
        if isinstance(item, dict):
            pending.extend(((*path, key), child) for key, child in item.items())
        elif isinstance(item, list):
            pending.extend(((*path, index), child) for index, child in enumerate(item))


def _problem(item: JsonValue, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    if isinstance(item, str) and _SURROGATE.search(item):
        return "holds half of a surrogate pair, which is no character: write the character itself"
    if isinstance(item, float) and not math.isfinite(item):
        return "is a number out of range: a double holds at most about 1.8e308"
    if isinstance(item, dict) and any(_SURROGATE.search(key) for key in item):
        return "has a field name with half of a surrogate pair, which is no character"
    return None
