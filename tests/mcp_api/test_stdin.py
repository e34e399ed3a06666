from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.mcp_api.stdin import can_be_watched, read_lines


@contextmanager
def pipe() -> Generator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)


async def lines_of(chunks: list[bytes], longest: int = 100) -> list[bytes]:
    """What is read when the chunks are written one after another and the pipe is closed."""
    found: list[bytes] = []
    with pipe() as (reading, writing):

        async def write() -> None:
            for chunk in chunks:
                os.write(writing, chunk)
                await anyio.lowlevel.checkpoint()
            os.close(writing)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                async for line in read_lines(reading, longest):
                    found.append(line)  # noqa: PERF401 - the loop is what is tested
    return found


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=20)), st.integers(1, 7))
def test_lines_are_the_same_however_the_bytes_arrive(lines: list[str], step: int) -> None:
    raw = "".join(f"{line}\n" for line in lines).encode()
    chunks = [raw[start : start + step] for start in range(0, len(raw), step)]
    assert anyio.run(lines_of, chunks) == [f"{line}\n".encode() for line in lines]


async def test_a_line_beyond_the_bound_is_dropped_and_the_next_one_is_whole() -> None:
    assert await lines_of([b"a" * 60, b"b" * 60, b"c\nnext\n" + b"d" * 101 + b"\nlast\n"]) == [
        b"\n",
        b"next\n",
        b"\n",
        b"last\n",
    ]


async def test_the_last_line_needs_no_end_and_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert await lines_of([b"\xff\xfe\n", b"open"]) == [b"\xff\xfe\n", b"open"]


async def test_no_more_is_read_than_one_piece_while_nobody_takes_it() -> None:
    with pipe() as (reading, writing), anyio.fail_after(10):
        os.set_blocking(writing, False)
        lines = read_lines(reading, 100)
        os.write(writing, b"first\n")
        assert await anext(lines) == b"first\n"
        written = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                written += os.write(writing, b"x" * 63 + b"\n")
                await anyio.lowlevel.checkpoint()
        # The pipe is full, with what was read from it on top: one piece, however often the loop has turned.
        assert written < 4 * 2**16
        await lines.aclose()
        os.close(writing)


async def test_waiting_for_a_line_can_be_cancelled() -> None:
    with pipe() as (reading, writing):
        with anyio.fail_after(10), anyio.move_on_after(0.05) as scope:
            async for _ in read_lines(reading, 100):
                pass
        assert scope.cancelled_caught
        os.close(writing)


def test_pipes_and_sockets_can_be_watched_and_files_cannot(tmp_path: Path) -> None:
    left, right = socket.socketpair()
    with pipe() as (reading, writing), left, right, (tmp_path / "file").open("w") as file:
        assert can_be_watched(reading)
        assert can_be_watched(left.fileno())
        assert not can_be_watched(file.fileno())
        os.close(writing)
