"""Reading multipart/form-data (RFC 7578) part by part, each within its own bound, while it arrives."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from tool_server.errors import InvalidInput
from tool_server.http_api.requests import bounded_chunks, slow_body, too_large

FRAMING_BYTES = 64 * 1024
"""What boundaries, part headers and blanks may add to the parts themselves."""
UPLOAD_SECONDS = 600.0
"""How long a client may take to send an upload."""


async def read_parts(request: Request, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The parts named in `limits`, all of them and no others.

    Args:
        request: whose body is unread yet.
        limits: part names and their largest sizes, bytes.

    Raises:
        InvalidInput: `unsupported_media_type`, `body_too_large`, `request_timeout`, or `invalid_multipart`.
    """
    parts = _Parts(limits)
    parser = parts.parser(_boundary(request))
    expected = ", ".join(limits)
    try:
        with anyio.fail_after(UPLOAD_SECONDS):
            async for chunk in bounded_chunks(request, sum(limits.values()) + FRAMING_BYTES, "the upload"):
                parser.write(chunk)
    except TimeoutError as error:
        raise slow_body(UPLOAD_SECONDS) from error
    except FormParserError as error:
        raise InvalidInput(
            "invalid_multipart", f"the body is not multipart/form-data (RFC 7578): send the parts {expected}"
        ) from error
    return parts.complete()


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise InvalidInput(
            "unsupported_media_type",
            f"the body's type is {kind.decode('latin-1')[:80] or 'not given'!r}: send multipart/form-data",
        )
    boundary = options.get(b"boundary", b"")
    # RFC 2046, section 5.1.1: 1 to 70 characters.
    if not 1 <= len(boundary) <= 70:
        raise InvalidInput("invalid_multipart", "Content-Type needs a boundary of 1 to 70 characters")
    return boundary


class _Parts:
    """What the parser's callbacks gather."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._found: dict[str, bytearray] = {}
        self._current = bytearray()
        self._current_name = ""
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition: bytes = b""
        self._ended = False

    def parser(self, boundary: bytes) -> MultipartParser:
        """A parser that writes into these parts."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._add_data,
                "on_end": self._end,
            },
        )

    def complete(self) -> dict[str, bytes]:
        """Every part, once the closing boundary was read."""
        if not self._ended:
            raise InvalidInput("invalid_multipart", "the body breaks off before its closing boundary: send it again")
        missing = [name for name in self._limits if name not in self._found]
        if missing:
            raise InvalidInput("invalid_multipart", f"the part {missing[0]!r} is missing", {"missing": missing})
        return {name: bytes(data) for name, data in self._found.items()}

    def _begin(self) -> None:
        self._disposition = b""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("latin-1")
        if name not in self._limits or name in self._found:
            fault = "is sent twice" if name in self._found else "is not expected here"
            expected = ", ".join(self._limits)
            raise InvalidInput("invalid_multipart", f"the part {name[:80]!r} {fault}: send {expected}, once each")
        self._current_name = name
        self._current = self._found[name] = bytearray()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        limit = self._limits[self._current_name]
        if len(self._current) + end - start > limit:
            raise too_large(f"the part {self._current_name!r}", limit)
        self._current += memoryview(data)[start:end]

    def _end(self) -> None:
        self._ended = True
