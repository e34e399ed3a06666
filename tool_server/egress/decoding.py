"""Bodies, decompressed as they arrive and never beyond a bound."""

from __future__ import annotations

import zlib
from typing import Any

from tool_server.errors import Unavailable

ACCEPTED = "gzip, deflate"
"""What the server sends as Accept-Encoding."""

_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_WINDOW = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


def can_decode(encoding: str) -> bool:
    """Whether a Content-Encoding is read here; the empty one and `identity` are."""
    return encoding in ("", "identity") or encoding in _WINDOW


class BodyDecoder:
    """Collects a body.

    Args:
        encoding: its Content-Encoding, one that `can_decode` takes.
        limit: most bytes, as they arrive and after decompression.
        host: for messages.
    """

    def __init__(self, encoding: str, limit: int, host: str) -> None:
        self._encoding = encoding
        self._limit = limit
        self._host = host
        self._body = bytearray()
        self._window = _WINDOW.get(encoding)
        self._inflater: Any = None if self._window is None else zlib.decompressobj(self._window)
        self.received = 0
        """Bytes as they arrived."""

    def feed(self, data: bytes) -> None:
        """Add what arrived.

        Raises:
            Unavailable: `response_too_large`; `bad_response`, it is not compressed as it says.
        """
        first = self.received == 0
        self.received += len(data)
        if self.received > self._limit:
            raise self._too_large()
        if self._inflater is None:
            self._body += data
            return
        if first and self._encoding == "deflate" and data and data[0] & 0x0F != 8:
            # Without zlib's header, as some servers understand the word.
            self._inflater = zlib.decompressobj(_RAW)
        while data:
            data = self._inflate(data)

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            Unavailable: `bad_response`, it breaks off.
        """
        if self._inflater is not None and self.received and not self._inflater.eof:
            raise self._bad("breaks off")
        return bytes(self._body)

    def _inflate(self, data: bytes) -> bytes:
        """Decompress what fits and return what is left: the rest of the input, or a further gzip member."""
        if self._inflater.eof:
            if self._window != _GZIP:
                return b""
            self._inflater = zlib.decompressobj(_GZIP)
        room = self._limit - len(self._body)
        try:
            self._body += self._inflater.decompress(data, room + 1)
        except zlib.error as error:
            raise self._bad("is damaged") from error
        if len(self._body) > self._limit:
            raise self._too_large()
        return bytes(self._inflater.unconsumed_tail or self._inflater.unused_data)

    def _too_large(self) -> Unavailable:
        return Unavailable(
            "response_too_large",
            f"the answer of {self._host} is larger than {self._limit} bytes (egress.response_bytes)",
            {"limit": self._limit},
        )

    def _bad(self, how: str) -> Unavailable:
        return Unavailable("bad_response", f"the {self._encoding} body that {self._host} sent {how}")
