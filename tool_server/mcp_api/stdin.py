"""Standard input as lines, read so that waiting for them can be cancelled.

The SDK reads in a thread, which nothing can interrupt: a server that is told to stop would wait for its client's next
line. https://docs.python.org/3/library/asyncio-platforms.html says which files an event loop can watch.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator

import anyio

READ_BYTES = 2**16


def can_be_watched(descriptor: int) -> bool:
    """Whether an event loop can wait for this descriptor: pipes, sockets and terminals, but not regular files."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(descriptor))


async def read_lines(descriptor: int, longest: int) -> AsyncGenerator[str]:
    """Lines with their ends, as UTF-8; what is not UTF-8 is replaced.

    Args:
        descriptor: one that `can_be_watched`.
        longest: bytes of a line; a longer one is dropped, and an empty line, which is no message, stands for it.
    """
    pending = bytearray()
    dropping = False
    while True:
        await anyio.wait_readable(descriptor)
        # Readable, so this does not block, though the descriptor may be shared with processes that rely on blocking.
        data = os.read(descriptor, READ_BYTES)
        if not data:
            break
        *complete, rest = data.split(b"\n")
        for piece in complete:
            pending += piece
            line = b"" if dropping or len(pending) > longest else bytes(pending)
            pending.clear()
            dropping = False
            yield line.decode("utf-8", "replace") + "\n"
        pending += rest
        if len(pending) > longest:
            pending.clear()
            dropping = True
    if pending:
        yield pending.decode("utf-8", "replace")
