"""Frames between the server and a worker: one byte of type, two lengths, a JSON header, raw bytes.

Layout, little endian: type u8, header length u32, body length u32, header (compact JSON object), body. With the
highest bit of the type set the body is not there but in memory that both ends share, see `Exchange`. Sans I/O:
`encode` makes bytes, `Decoder` turns any split of them back into frames. Both ends treat what arrives as hostile.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, TypeAlias

import orjson

from tool_server.errors import InvalidInput

_PREFIX = struct.Struct("<BII")

MAX_HEADER = 2**22
"""Bytes; a call's config and a host function's response headers travel there."""

MAX_BODY = 2**26 + 2**16
"""Bytes a worker may send: the largest output limit there is, with room to spare."""

MAX_MODULE = 2**30
"""Bytes the server may send."""


_LONG = 2**16
"""Bytes of a body that still goes through the socket: in both directions it wakes the reader every few pages."""
_EXCHANGED = 0x80
"""Added to the type of a frame whose body is in the exchange."""


ENV, USER = "extism:host/env", "extism:host/user"
"""Modules that a guest imports host functions from: the runtime's own, and everybody's."""


class FrameType(IntEnum):
    """What a frame means. The server speaks first, but for `READY`."""

    READY = 1
    """worker: `{protections: {name: [in force, detail]}}`; started and confined."""
    LOAD = 2
    """server: `{key, wasi, pages, timeout_ms, fuel, imports, folders, instantiate, cache, memory}` + the
    module."""
    LOADED = 3
    """worker: `{us}`."""
    CALL = 4
    """server: `{key, export, config, output_bytes, owner, prepare}` + input. With an `owner` the instance is kept for
    the next such call of the same owner; with `prepare` the next one may be made while the worker is idle."""
    NEED = 5
    """worker: it does not hold `key`; expects LOAD and then goes on with the call."""
    RESULT = 6
    """worker: `{us: [instantiating, running, CPU]}` + output. Ends a call; without a header it ends a trial."""
    ERROR = 7
    """worker: `{code, message, us}`. Ends a call or a load, which has no `us`."""
    HOST_CALL = 8
    """worker: `{module, name, values, sizes}` + the blocks that the values point to, one after another."""
    HOST_RESULT = 9
    """server: `{value, status, headers, error, failure}`, all optional, + bytes for the guest."""
    LOG = 10
    """worker: `{lines: [[level, text]], dropped}`, before the frame that ends the call."""


Body: TypeAlias = bytes | memoryview


class Frame(NamedTuple):
    """One decoded frame."""

    type: FrameType
    header: dict[str, Any]
    body: Body
    """A view of memory that the next long body overwrites, where it came through a worker's exchange."""


_TYPES: dict[int, FrameType] = {int(member): member for member in FrameType}


def encode(frame_type: FrameType, header: dict[str, Any] | None = None, body: Body = b"") -> bytes:
    """The bytes of one frame, the body in it."""
    text = orjson.dumps(header) if header else b""
    return b"".join((_PREFIX.pack(frame_type, len(text), len(body)), text, body))


class Exchange(Protocol):
    """Memory that both ends see, for bodies that are too long to be copied through the socket."""

    def put(self, body: Body) -> bool:
        """Leave a body for the other end; False when it does not fit."""
        ...

    def take(self, size: int) -> Body:
        """The body that the other end left."""
        ...


def encode_long(frame_type: FrameType, header: dict[str, Any], body: Body, exchange: Exchange | None) -> bytes:
    """The bytes of one frame; a long body goes through the exchange, where there is one."""
    text = orjson.dumps(header)
    if len(body) <= _LONG or exchange is None or not exchange.put(body):
        return b"".join((_PREFIX.pack(frame_type, len(text), len(body)), text, body))
    return _PREFIX.pack(frame_type | _EXCHANGED, len(text), len(body)) + text


class Decoder:
    """Collects bytes as they arrive and gives complete frames.

    Args:
        max_body: longest body that is accepted, bytes.
        exchange: where long bodies may be.
    """

    def __init__(self, max_body: int, exchange: Exchange | None = None) -> None:
        self._max_body = max_body
        self._exchange = exchange
        self.pending: bytes | bytearray = b""
        """Bytes that belong to no frame given so far: what one read gave, as almost always; bytes that can grow once
        a frame needs more reads."""

    def feed(self, data: bytes) -> None:
        """Add bytes from the wire."""
        if not self.pending:
            self.pending = data
            return
        if isinstance(self.pending, bytes):
            self.pending = bytearray(self.pending)
        self.pending += data

    def next_frame(self) -> Frame | None:
        """The next complete frame, or None until more bytes are there.

        Raises:
            InvalidInput: `invalid_frame`. The stream cannot be read any further.
        """
        buffer = self.pending
        if len(buffer) < _PREFIX.size:
            return None
        number, header_size, body_size = _PREFIX.unpack_from(buffer)
        exchange = self._exchange if number >= _EXCHANGED else None
        frame_type = _TYPES.get(number if exchange is None else number & ~_EXCHANGED)
        if frame_type is None:
            raise InvalidInput("invalid_frame", f"there is no frame type {number}")
        if header_size > MAX_HEADER or body_size > self._max_body:
            raise InvalidInput(
                "invalid_frame",
                f"a frame of {header_size} + {body_size} bytes: at most {MAX_HEADER} + {self._max_body} are accepted",
            )
        start = _PREFIX.size + header_size
        end = start if exchange is not None else start + body_size
        size = len(buffer)
        if size < end:
            return None
        self.pending = b"" if size == end else buffer[end:]
        header = _parse_header(buffer[_PREFIX.size : start]) if header_size else {}
        if exchange is not None:
            return Frame(frame_type, header, exchange.take(body_size))
        # Of one read that is this frame alone no more is copied than its body.
        return Frame(frame_type, header, bytes(memoryview(buffer)[start:end]) if body_size else b"")


def _parse_header(text: bytes | bytearray) -> dict[str, Any]:
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("invalid_frame", "a frame's header is not JSON") from error
    if not isinstance(header, dict):
        raise InvalidInput("invalid_frame", "a frame's header is not an object")
    return header  # pyright: ignore[reportUnknownVariableType]
