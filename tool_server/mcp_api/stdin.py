"""Standard input as lines, read so that waiting for them can be cancelled.

The SDK reads in a thread, which nothing can interrupt: a server that is told to stop would wait for its client's next
line. https://docs.python.org/3/library/asyncio-platforms.html says which files an event loop can watch.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator

READ_BYTES = 2**16


def can_be_watched(descriptor: int) -> bool:
    """Whether an event loop can wait for this descriptor: pipes, sockets and terminals, but not regular files."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(descriptor))


class _Pieces:
    """What arrives on a descriptor, one read at a time; no more is read while nobody has taken the last one.

    The descriptor is watched for good: to begin and end that for every line costs as much as answering it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] | None = None
        self._piece: bytes | None = None
        self._watch()

    async def next(self) -> bytes:
        """The next bytes; none at the end."""
        while (piece := self._piece) is None:
            self._arrival = self._loop.create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        self._piece = None
        if not self._watched and piece:
            self._watch()
        return piece

    def close(self) -> None:
        """Watch it no longer."""
        self._loop.remove_reader(self._descriptor)

    def _watch(self) -> None:
        self._watched = True
        self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        if self._piece is None:
            # Readable, so this does not block, though others may hold the descriptor who rely on blocking.
            self._piece = os.read(self._descriptor, READ_BYTES)
        if self._arrival is None or not self._piece:
            self._watched = False
            self._loop.remove_reader(self._descriptor)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


async def read_lines(descriptor: int, longest: int) -> AsyncGenerator[bytes]:
    """Lines with their ends.

    Args:
        descriptor: one that `can_be_watched`.
        longest: bytes of a line; a longer one is dropped, and an empty line, which is no message, stands for it.
    """
    pieces = _Pieces(descriptor)
    pending = bytearray()
    dropping = False
    try:
        while data := await pieces.next():
            if data.find(b"\n") == len(data) - 1 and not pending and not dropping and len(data) <= longest:
                yield data  # one line, as almost always
                continue
            *complete, rest = data.split(b"\n")
            for piece in complete:
                pending += piece
                line = b"" if dropping or len(pending) > longest else bytes(pending)
                pending.clear()
                dropping = False
                yield line + b"\n"
            pending += rest
            if len(pending) > longest:
                pending.clear()
                dropping = True
        if pending:
            yield bytes(pending)
    finally:
        pieces.close()
