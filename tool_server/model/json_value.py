"""JSON values: their types, strict parsing and one canonical spelling for digests."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from typing import NoReturn, cast

import orjson
from pydantic import JsonValue

from tool_server.errors import InvalidInput

_TYPE_NAMES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}

JsonObject = dict[str, JsonValue]

__all__ = [
    "JsonObject",
    "JsonValue",
    "canonical_json",
    "compact_json",
    "dump_json",
    "json_type",
    "parse_json",
    "sha256_hex",
]

MAX_DEPTH = 128

_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_LONG = b"0" * 19
"""Integers beyond 64 bits, which orjson would read as floats, among others."""

_STRICTLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS

_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def json_type(value: object) -> str:
    """The JSON Schema type name of a Python value (`"null"` for None)."""
    return _TYPE_NAMES.get(type(value), "null" if value is None else type(value).__name__)


class _Hooks:
    """What the standard parser leaves to its caller, with the name of the text for the messages."""

    def __init__(self, what: str) -> None:
        self._what = what

    def number(self, text: str) -> float:
        value = float(text)
        if math.isinf(value):
            self._refuse(f"the number {text[:40]} is larger than any that programs can hold")
        return value

    def constant(self, name: str) -> NoReturn:
        self._refuse(f"{name} is not JSON: use null, a number or a string")

    def pairs(self, pairs: list[tuple[str, JsonValue]]) -> JsonObject:
        result = dict(pairs)
        if len(result) != len(pairs):
            [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
            self._refuse(f"the key {json.dumps(twice)[:80]} stands twice in one object")
        return result

    def _refuse(self, problem: str) -> NoReturn:
        raise InvalidInput("invalid_json", f"in {self._what}, {problem}")


def _check_depth(text: str, max_depth: int, what: str) -> None:
    # Counted on the text before parsing, since the C parser and every later walk recurse on nesting.
    depth = 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        match token.group()[0]:
            case "[" | "{":
                depth += 1
                if depth > max_depth:
                    raise InvalidInput("invalid_json", f"{what} is nested deeper than {max_depth} levels")
            case "]" | "}":
                depth -= 1
            case _:
                pass


def has_long_number(raw: bytes) -> bool:
    """Whether 19 digits stand in a row, which may be an integer that orjson would round."""
    # A regular expression takes ten times as long on a long text.
    return _LONG in raw.translate(_DIGITS)


def _parse_plain(raw: bytes, max_depth: int) -> JsonValue | None:
    """The value of a text of which orjson alone shows that it is strict; None for every other, and for null.

    orjson is twenty times as fast, and refuses all that is to be refused but nesting and duplicate keys: as many
    colons as members shows that there are none.
    """
    if raw.count(b"[") + raw.count(b"{") > max_depth or has_long_number(raw):
        return None
    try:
        value: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if raw.count(b":") == _members(value) else None


def _members(value: JsonValue) -> int:
    """How many members all objects in a value have together."""
    count = 0
    pending: list[JsonValue] = [value]
    while pending:
        container = pending.pop()
        if isinstance(container, dict):
            count += len(container)
            pending += [item for item in container.values() if isinstance(item, dict | list)]
        elif isinstance(container, list):
            pending += [item for item in container if isinstance(item, dict | list)]
    return count


def parse_json(raw: bytes | str, *, what: str = "the text", max_depth: int = MAX_DEPTH) -> JsonValue:
    """Parse strict JSON: UTF-8, no NaN or Infinity, no duplicate keys, nesting bounded.

    Args:
        raw: the text or its UTF-8 bytes.
        what: how error messages name the text, such as `"plugin.json"`.
        max_depth: how many arrays and objects may enclose one another.

    Raises:
        InvalidInput: `invalid_json`, with the line and column where the text breaks off.
    """
    if isinstance(raw, bytes) and (plain := _parse_plain(raw, max_depth)) is not None:
        return plain
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    except UnicodeDecodeError as error:
        raise InvalidInput("invalid_json", f"{what} is not UTF-8: byte {error.start}") from error
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(text, max_depth, what)
    try:
        hooks = _Hooks(what)
        value = json.loads(text, parse_constant=hooks.constant, parse_float=hooks.number, object_pairs_hook=hooks.pairs)
        if "\\u" in text:
            # Half of a surrogate pair cannot be written as UTF-8 again.
            json.dumps(value, ensure_ascii=False).encode()
        return cast(JsonValue, value)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            "invalid_json",
            f"{what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            {"line": error.lineno, "column": error.colno},
        ) from error
    except UnicodeEncodeError as error:
        raise InvalidInput("invalid_json", f"{what} holds half of a surrogate pair, which is no character") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise InvalidInput("invalid_json", f"{what} holds a number with too many digits") from error


_MOST_VALUES = 10_000_000


def canonical_json(value: JsonValue, max_integer_bits: int | None = None) -> bytes:
    """One spelling for equal values: sorted keys, no blanks, UTF-8. Meant for digests, not for people.

    Raises:
        ValueError: no JSON; or an integer has more than `max_integer_bits`, since writing one takes a time that grows
            with the square of its length.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # integers beyond 64 bits, lone surrogates, very deep nesting
        if max_integer_bits is not None:
            _bound_integers(value, max_integer_bits)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "surrogatepass")


def _bound_integers(value: JsonValue, bits: int) -> None:
    pending = [value]
    seen = 0
    while pending:
        match pending.pop():
            case dict() as members:
                pending += members.values()
            case list() as items:
                pending += items
            case int() as number if number.bit_length() > bits:
                raise ValueError(f"an integer of more than {bits} bits")
            case _:
                pass
        seen += 1
        if seen > _MOST_VALUES:
            raise ValueError("a circle, or very many values")


def dump_json(value: JsonValue) -> bytes:
    """JSON as UTF-8 without blanks, keys in their order.

    Raises:
        ValueError: it holds a number that is none in JSON, or a circle; `UnicodeEncodeError` for half of a surrogate
            pair.
        TypeError: it holds what is no JSON value.
    """
    try:
        written = orjson.dumps(value, option=_STRICTLY)
        if b"null" not in written:  # as which orjson writes NaN and infinity, too
            return written
    except (TypeError, ValueError):
        pass
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def compact_json(value: object) -> bytes:
    """JSON without blanks, keys in their order, for the wire; every number as it is, however long."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # as above; half of a surrogate pair is written as its escape
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def sha256_hex(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256 of `data`, 64 characters."""
    return hashlib.sha256(data).hexdigest()
