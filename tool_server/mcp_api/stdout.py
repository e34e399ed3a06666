"""Standard output as the one place where every message of a conversation is written, one line each."""

from __future__ import annotations

import os
import select
import socket
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from tool_server.mcp_api.stdin import can_be_watched


@contextmanager
def claimed_stdout() -> Generator[int]:
    """The descriptor of standard output, alone: whatever else is written there goes to standard error meanwhile."""
    sys.stdout.flush()
    number = sys.stdout.fileno()
    wire = os.dup(number)
    os.dup2(sys.stderr.fileno(), number)
    try:
        yield wire
    finally:
        os.dup2(wire, number)
        os.close(wire)


class LineWriter:
    """Writes whole lines in turn, and waits while the reader is slow, without blocking the event loop. Close it.

    The descriptor is left blocking, since other processes may hold it too: at most `PIPE_BUF` bytes are written at
    once, for which there is room in a pipe that is writable (https://man7.org/linux/man-pages/man7/pipe.7.html).

    Args:
        descriptor: where to.
        written: is set once the first line is out.
    """

    def __init__(self, descriptor: int, written: anyio.Event | None = None) -> None:
        self._descriptor = descriptor
        self._first_is_out = written
        self._turn = anyio.Lock(fast_acquire=True)
        self._waiting = 0
        """Lines whose reader was not ready for all of them."""
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        self._socket = socket.socket(fileno=os.dup(descriptor)) if is_socket else None
        self._poll: select.poll | None = None
        if can_be_watched(descriptor):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    async def write(self, line: bytes) -> None:
        """Write a line; its end is added.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        left = memoryview(line + b"\n")
        if not self._waiting:
            left = self._write(left)
        if left:
            self._waiting += 1
            try:
                # Whoever comes first, with the rest of a line perhaps, has the lock before anybody else can ask for it.
                async with self._turn:
                    while left := self._write(left):
                        await anyio.wait_writable(self._descriptor)
            finally:
                self._waiting -= 1
        if self._first_is_out is not None:
            self._first_is_out.set()
            self._first_is_out = None

    def close(self) -> None:
        """Let go of what was opened here; the descriptor stays."""
        if self._socket is not None:
            self._socket.close()

    def _write(self, data: memoryview) -> memoryview:
        """Write as much as there is room for now; the rest."""
        while data and (self._poll is None or self._poll.poll(0)):
            if self._socket is None:
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
                continue
            try:
                data = data[self._socket.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                break
        return data
