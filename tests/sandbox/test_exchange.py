"""The memory that the server shares with a worker: long bodies come through whole, and no end can pull it away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing

import pytest

from tool_server.errors import InvalidInput
from tool_server.sandbox.exchange import SIZE, SharedMemory, make_descriptor
from tool_server.sandbox.protocol import Decoder, Frame, FrameType, encode, encode_long

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sealed memory files are Linux's")

_LIMIT = SIZE


@pytest.fixture
def descriptor() -> Generator[int]:
    made = make_descriptor()
    assert made is not None
    yield made
    os.close(made)


@pytest.mark.parametrize("size", [0, 1, 2**16, 2**16 + 1, 2**20, 5 * 2**20])
@pytest.mark.parametrize("copying", [True, False])
def test_a_body_of_any_length_reaches_the_other_end(descriptor: int, size: int, copying: bool) -> None:
    body = os.urandom(size)
    with SharedMemory(descriptor, copying=False) as near, SharedMemory(descriptor, copying=copying) as far:
        decoder = Decoder(_LIMIT, far)
        decoder.feed(encode_long(FrameType.RESULT, {"n": 1}, body, near))
        frame = decoder.next_frame()
        assert frame is not None
        assert (frame.type, frame.header, bytes(frame.body)) == (FrameType.RESULT, {"n": 1}, body)
        if isinstance(frame.body, memoryview):
            frame.body.release()


def test_long_and_short_frames_keep_their_order(descriptor: int) -> None:
    with SharedMemory(descriptor, copying=False) as near, SharedMemory(descriptor, copying=True) as far:
        decoder = Decoder(_LIMIT, far)
        stream = encode(FrameType.LOG, {"lines": []}) + encode_long(FrameType.RESULT, {}, b"x" * 2**17, near)
        for index in range(len(stream)):
            decoder.feed(stream[index : index + 1])
        assert [decoder.next_frame(), decoder.next_frame(), decoder.next_frame()] == [
            Frame(FrameType.LOG, {"lines": []}, b""),
            Frame(FrameType.RESULT, {}, b"x" * 2**17),
            None,
        ]


def test_what_the_server_took_cannot_be_changed_by_the_worker(descriptor: int) -> None:
    with SharedMemory(descriptor, copying=False) as near, SharedMemory(descriptor, copying=True) as far:
        near.put(b"checked")
        taken = far.take(7)
        near.put(b"changed")
        assert taken == b"checked"


@pytest.mark.parametrize("size", [0, 4_096, SIZE + 2**20])
def test_no_end_can_change_the_size(descriptor: int, size: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, size)


def test_the_pages_of_a_large_body_are_given_back(descriptor: int) -> None:
    with SharedMemory(descriptor, copying=False) as near, SharedMemory(descriptor, copying=True) as far:
        near.put(b"x" * (16 * 2**20))
        assert os.fstat(descriptor).st_blocks * 512 >= 16 * 2**20
        assert far.take(16 * 2**20) == b"x" * (16 * 2**20)
        assert os.fstat(descriptor).st_blocks == 0


def test_a_body_that_does_not_fit_goes_through_the_socket(descriptor: int) -> None:
    body = bytes(SIZE + 1)
    with closing(SharedMemory(descriptor, copying=False)) as near:
        assert len(encode_long(FrameType.LOAD, {}, body, near)) > len(body)


def test_a_frame_that_points_to_memory_that_is_not_shared_is_refused(descriptor: int) -> None:
    with closing(SharedMemory(descriptor, copying=False)) as near:
        stream = encode_long(FrameType.RESULT, {}, bytes(2**17), near)
    decoder = Decoder(_LIMIT)
    decoder.feed(stream)
    with pytest.raises(InvalidInput, match="no frame type"):
        decoder.next_frame()


def test_a_size_beyond_the_limit_is_refused_wherever_the_body_is(descriptor: int) -> None:
    with (
        closing(SharedMemory(descriptor, copying=True)) as far,
        closing(SharedMemory(descriptor, copying=False)) as near,
    ):
        decoder = Decoder(2**17, far)
        decoder.feed(encode_long(FrameType.RESULT, {}, bytes(2**17 + 1), near))
        with pytest.raises(InvalidInput, match="at most"):
            decoder.next_frame()


def test_where_files_may_not_be_that_large_there_is_none() -> None:
    program = (
        "import resource; from tool_server.sandbox.exchange import make_descriptor; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)); import signal; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); print(make_descriptor())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "None\n"
