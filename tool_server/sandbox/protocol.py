"""Frames between the server and a worker: one byte of type, two lengths, a JSON header, raw bytes.

Layout, little endian: type u8, header length u32, body length u32, header (compact JSON object), body. Sans I/O:
`encode` makes bytes, `Decoder` turns any split of them back into frames. Both ends treat what arrives as hostile.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, NamedTuple

import orjson

from tool_server.errors import InvalidInput

_PREFIX = struct.Struct("<BII")

MAX_HEADER = 2**22
"""Bytes; a call's config and a host function's response headers travel there."""

MAX_BODY = 2**26 + 2**16
"""Bytes a worker may send: the largest output limit there is, with room to spare."""

MAX_MODULE = 2**30
"""Bytes the server may send."""


ENV, USER = "extism:host/env", "extism:host/user"
"""Modules that a guest imports host functions from: the runtime's own, and everybody's."""


class FrameType(IntEnum):
    """What a frame means. The server speaks first, but for `READY`."""

    READY = 1
    """worker: started and confined."""
    LOAD = 2
    """server: `{key, wasi, pages, timeout_ms, fuel, imports, folders, instantiate, memory}` + the module."""
    LOADED = 3
    """worker: `{us}`."""
    CALL = 4
    """server: `{key, export, config, output_bytes}` + input."""
    NEED = 5
    """worker: it does not hold `key`; expects LOAD and then goes on with the call."""
    RESULT = 6
    """worker: `{instantiate_us, run_us}` + output. Ends a call."""
    ERROR = 7
    """worker: `{code, message, instantiate_us, run_us}`. Ends a call or a load."""
    HOST_CALL = 8
    """worker: `{module, name, values, sizes}` + the blocks that the values point to, one after another."""
    HOST_RESULT = 9
    """server: `{value, status, headers, error}`, all optional, + bytes for the guest."""
    LOG = 10
    """worker: `{lines: [[level, text]], dropped}`, before the frame that ends the call."""


class Frame(NamedTuple):
    """One decoded frame."""

    type: FrameType
    header: dict[str, Any]
    body: bytes


_TYPES: dict[int, FrameType] = {int(member): member for member in FrameType}


def encode(frame_type: FrameType, header: dict[str, Any] | None = None, body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    text = orjson.dumps(header) if header else b""
    return b"".join((_PREFIX.pack(frame_type, len(text), len(body)), text, body))


class Decoder:
    """Collects bytes as they arrive and gives complete frames.

    Args:
        max_body: longest body that is accepted, bytes.
    """

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes from the wire."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next complete frame, or None until more bytes are there.

        Raises:
            InvalidInput: `invalid_frame`. The stream cannot be read any further.
        """
        buffer = self._buffer
        if len(buffer) < _PREFIX.size:
            return None
        number, header_size, body_size = _PREFIX.unpack_from(buffer)
        frame_type = _TYPES.get(number)
        if frame_type is None:
            raise InvalidInput("invalid_frame", f"there is no frame type {number}")
        if header_size > MAX_HEADER or body_size > self._max_body:
            raise InvalidInput(
                "invalid_frame",
                f"a frame of {header_size} + {body_size} bytes: at most {MAX_HEADER} + {self._max_body} are accepted",
            )
        start = _PREFIX.size + header_size
        end = start + body_size
        if len(buffer) < end:
            return None
        header = _parse_header(bytes(buffer[_PREFIX.size : start]))
        body = bytes(memoryview(buffer)[start:end]) if body_size else b""
        del buffer[:end]
        return Frame(frame_type, header, body)


def _parse_header(text: bytes) -> dict[str, Any]:
    if not text:
        return {}
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("invalid_frame", "a frame's header is not JSON") from error
    if not isinstance(header, dict):
        raise InvalidInput("invalid_frame", "a frame's header is not an object")
    return header  # pyright: ignore[reportUnknownVariableType]
