"""The frames: whatever the wire does to them, they come back as they were or are refused."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.sandbox.protocol import MAX_HEADER, Decoder, Frame, FrameType, encode

_LIMIT = 1_000

_frames = st.builds(
    Frame,
    st.sampled_from(FrameType),
    st.dictionaries(st.text(max_size=8), st.integers(-(2**40), 2**40) | st.text(max_size=20) | st.none(), max_size=4),
    st.binary(max_size=200),
)


def _decode(pieces: list[bytes]) -> list[Frame]:
    decoder, frames = Decoder(_LIMIT), list[Frame]()
    for piece in pieces:
        decoder.feed(piece)
        while (frame := decoder.next_frame()) is not None:
            frames.append(frame)
    return frames


@given(st.lists(_frames, max_size=6), st.data())
def test_frames_come_back_equal_however_the_stream_is_split(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(encode(*frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _decode(pieces) == frames


@given(_frames, st.integers(min_value=1))
def test_a_frame_that_is_cut_off_is_awaited_not_guessed(frame: Frame, missing: int) -> None:
    stream = encode(*frame)
    assert _decode([stream[: -(missing % len(stream) + 1)] if missing % len(stream) + 1 < len(stream) else b""]) == []


@given(st.binary(max_size=300))
def test_garbage_gives_frames_or_a_refusal_and_nothing_else(garbage: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        frames = _decode([garbage])
        assert all(isinstance(frame.header, dict) and len(frame.body) <= _LIMIT for frame in frames)


def _raw(number: int, header: bytes, body_size: int, body: bytes = b"", header_size: int | None = None) -> bytes:
    size = len(header) if header_size is None else header_size
    return struct.pack("<BII", number, size, body_size) + header + body


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (_raw(0, b"{}", 0), "no frame type 0"),
        (_raw(255, b"", 0), "no frame type 255"),
        (_raw(1, b"", _LIMIT + 1), "at most"),
        (_raw(1, b"", 2**32 - 1), "at most"),
        (_raw(1, b"", 0, header_size=MAX_HEADER + 1), "at most"),
        (_raw(1, b"{", 0), "not JSON"),
        (_raw(1, b"[1]", 0), "not an object"),
        (_raw(1, b'"text"', 0), "not an object"),
        (_raw(1, b"\xff\xfe", 0), "not JSON"),
    ],
)
def test_a_frame_that_breaks_a_rule_is_refused_before_its_body_is_read(stream: bytes, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        _decode([stream])


@pytest.mark.parametrize("header", [{}, None])
def test_an_empty_header_costs_no_bytes(header: dict[str, Any] | None) -> None:
    assert encode(FrameType.READY, header) == struct.pack("<BII", 1, 0, 0)
