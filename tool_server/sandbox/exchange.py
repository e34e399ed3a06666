"""Memory that the server shares with one worker, for long inputs, outputs and modules.

A megabyte through a socket costs both ends some thirty wake-ups; here each copies it once. The file behind it is
sealed in its size: a worker that a guest has taken over could otherwise cut it off under the server's feet.
https://docs.kernel.org/userspace-api/mfd_noexec.html and memfd_create(2), "File sealing".
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from typing import Self

from tool_server.sandbox.protocol import MAX_BODY, Body

SIZE = MAX_BODY
"""Bytes; pages that were never used take no memory."""
_KEPT = 4 * 2**20
"""Bytes of a body from which on its pages are given back at once."""


class SharedMemory:
    """One end of an exchange.

    Args:
        descriptor: of the file behind it; it stays open and is the caller's.
        copying: whether `take` copies: the server must, since the worker could change what was checked.
    """

    def __init__(self, descriptor: int, *, copying: bool) -> None:
        self._memory = mmap.mmap(descriptor, SIZE)
        self._view = memoryview(self._memory)
        self._copying = copying

    def put(self, body: Body) -> bool:
        """See `Exchange`."""
        if len(body) > SIZE:
            return False
        self._view[: len(body)] = body
        return True

    def take(self, size: int) -> Body:
        """See `Exchange`."""
        if not self._copying:
            return self._view[:size]
        body = bytes(self._view[:size])
        if size > _KEPT:
            self._memory.madvise(mmap.MADV_REMOVE, 0, mmap.PAGESIZE * (-(-size // mmap.PAGESIZE)))
        return body

    def close(self) -> None:
        """Give the memory back."""
        self._view.release()
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_descriptor() -> int | None:
    """A file for one exchange, its size sealed; None where the system has no such files, or not of
    that size."""
    if sys.platform != "linux":
        return None
    descriptor = os.memfd_create("tool-server-exchange", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, SIZE)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:  # a limit on the size of files holds for this one, too
        os.close(descriptor)
        return None
    return descriptor
