"""Taking secret values out of what leaves the server, in every spelling that programs commonly give them.

A fixed list of spellings, each looked for as bytes: linear in the text and the value, whatever either holds.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from tool_server.model.json_value import JsonValue

MIN_ENCODED = 6
"""Bytes of an encoded spelling below which it is not looked for: it would stand in any text by chance."""


class Redactor:
    """Replaces secret values by `[secret NAME]`. Empty at first, and then it changes nothing."""

    def __init__(self) -> None:
        self._spellings: dict[bytes, bytes] = {}
        self._values: set[str] = set()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take out."""
        return not self._spellings

    def add(self, name: str, value: str) -> None:
        """Take `value` out from now on: plain, base64 at any alignment, percent-encoded, JSON-escaped, hexadecimal."""
        if value in self._values:
            return
        self._values.add(value)
        marker = f"[secret {name}]".encode()
        added = {spelling: marker for spelling in spellings_of(value) if spelling}
        # The longest first: a spelling may stand inside of another.
        self._spellings = dict(
            sorted({**self._spellings, **added}.items(), key=lambda item: len(item[0]), reverse=True)
        )

    def data(self, data: bytes) -> bytes:
        """Bytes without the values."""
        for spelling, marker in self._spellings.items():
            data = data.replace(spelling, marker)
        return data

    def text(self, text: str) -> str:
        """Text without the values."""
        if not self._spellings:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def json(self, value: JsonValue) -> JsonValue:
        """A JSON value without the values, object keys included."""
        if not self._spellings:
            return value
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.json(item) for item in value]
            case dict():
                return {self.text(key): self.json(item) for key, item in value.items()}
            case _:
                return value


def spellings_of(value: str) -> frozenset[bytes]:
    """The bytes by which a value is looked for."""
    raw = value.encode("utf-8", "surrogatepass")
    # A server that reads a header as Latin-1, as HTTP once said, quotes other characters.
    misread = raw.decode("latin-1")
    return (
        _spellings(value, raw) if misread == value else _spellings(value, raw) | _spellings(misread, misread.encode())
    )


def _spellings(value: str, raw: bytes) -> frozenset[bytes]:
    encoded = {*_percent_encoded(raw), *_escaped(value), *_hexadecimal(raw), *_base64(raw)}
    return frozenset({raw, *(spelling for spelling in encoded if len(spelling) >= MIN_ENCODED)})


def _percent_encoded(raw: bytes) -> set[bytes]:
    every_byte = "".join(f"%{byte:02X}" for byte in raw)
    upper = {quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw), every_byte}
    return {text.encode() for text in upper} | {_lower_escapes(text).encode() for text in upper}


def _lower_escapes(text: str) -> str:
    first, *rest = text.split("%")
    return first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _escaped(value: str) -> set[bytes]:
    plain = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    # As PHP writes slashes, and as Go writes what HTML could misread.
    slashed = {text.replace("/", "\\/") for text in plain}
    for_html = {text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e") for text in plain}
    return {text.encode("utf-8", "surrogatepass") for text in (*plain, *slashed, *for_html)}


def _hexadecimal(raw: bytes) -> set[bytes]:
    return {raw.hex().encode(), raw.hex().upper().encode()}


def _base64(raw: bytes) -> set[bytes]:
    """The characters that the value alone decides, for each of the three places where it may begin in a longer text."""
    found: set[bytes] = set()
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        beginning = (0, 2, 3)[shift]
        end = (shift + len(raw)) * 8 // 6
        stable = encoded[beginning:end]
        found |= {stable, stable.translate(bytes.maketrans(b"+/", b"-_"))}
    return found
