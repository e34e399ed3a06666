"""Standard output as the one place where every message of a conversation is written, one line each."""

from __future__ import annotations

import os
import select
import socket
import stat
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager

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
    """Writes whole lines in turn, and waits while the reader is slow, without blocking the event loop.

    The descriptor is left blocking, since other processes may hold it too: at most `PIPE_BUF` bytes are written at
    once, for which there is room in a pipe that is writable (https://man7.org/linux/man-pages/man7/pipe.7.html).

    Args:
        descriptor: where to.
        written: is set once a line is out.
    """

    def __init__(self, descriptor: int, written: anyio.Event | None = None) -> None:
        self._descriptor = descriptor
        self._written = anyio.Event() if written is None else written
        self._lock = anyio.Lock(fast_acquire=True)
        self._is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
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
        async with self._lock:
            while left:
                if self._poll is not None and not self._poll.poll(0):
                    await anyio.wait_writable(self._descriptor)
                left = left[self._write(left) :]
        self._written.set()

    def _write(self, data: memoryview) -> int:
        if not self._is_socket:
            return os.write(self._descriptor, data[: select.PIPE_BUF])
        with closing(socket.socket(fileno=os.dup(self._descriptor))) as channel:
            try:
                return channel.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return 0
