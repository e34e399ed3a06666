"""The call recorder: one row a call, written in batches, none lost at shutdown."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio

from tool_server.background import background
from tool_server.errors import Unavailable
from tool_server.interfaces import CallLog
from tool_server.model.call import CallRecord

BATCH = 500
"""Records in one transaction at most."""
GATHER_SECONDS = 0.25
"""How long the first record of a batch waits for others."""
BUFFER = 10_000
"""Records that may wait for the database; beyond that calls are refused rather than left unrecorded."""
RETRY_SECONDS = 0.5
SHUTDOWN_SECONDS = 10.0

logger = logging.getLogger(__name__)


class CallRecorder:
    """Takes records without waiting and writes them behind the calls' backs.

    Args:
        log: where they are kept.
        listeners: told of each record at once, in the task of its call.
    """

    def __init__(self, log: CallLog, listeners: Sequence[Callable[[CallRecord], None]] = ()) -> None:
        self._log = log
        self._listeners = listeners
        self._waiting: deque[CallRecord] = deque()
        self._writing = 0
        self._work = anyio.Event()
        self._hurry = anyio.Event()
        self._idle = anyio.Event()

    def require_room(self) -> None:
        """Do nothing while records can be kept.

        Raises:
            Unavailable: `call_log_full`, the database has not taken records for a long time.
        """
        if self.backlog >= BUFFER:
            raise Unavailable(
                "call_log_full",
                "calls cannot be recorded, so none are made: the database has refused the call log for too long; "
                "free disk space or end whoever locks it",
            )

    def record(self, record: CallRecord) -> None:
        """Keep one record; it is written within moments, and in any case before `running` ends.

        Calls under way when `require_room` began to refuse still find room: each holds a worker or a place in the
        bounded queue.
        """
        self._waiting.append(record)
        for listener in self._listeners:
            listener(record)
        self._work.set()
        if len(self._waiting) >= BATCH:
            self._hurry.set()

    @property
    def backlog(self) -> int:
        """Records that are not written yet."""
        return len(self._waiting) + self._writing

    async def flush(self) -> None:
        """Wait until every record taken so far is written."""
        while self._waiting or self._writing:
            self._hurry.set()
            if self._idle.is_set():
                self._idle = anyio.Event()
            await self._idle.wait()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Write records while the block runs, and what is left when it ends, also by cancellation."""
        writing = anyio.CancelScope(shield=True)

        async def write() -> None:
            with writing:
                await self._write_batches()

        async with background(write):
            try:
                yield
            finally:
                with anyio.move_on_after(SHUTDOWN_SECONDS, shield=True) as deadline:
                    await self.flush()
                writing.cancel()
                if deadline.cancelled_caught:
                    logger.error("%d call records were lost: the database did not take them", self.backlog)

    async def _write_batches(self) -> None:
        while True:
            await self._work.wait()
            # A transaction costs more than a call: let some records gather first.
            with anyio.move_on_after(GATHER_SECONDS):
                await self._hurry.wait()
            self._work, self._hurry = anyio.Event(), anyio.Event()
            # Only what has gathered by now: what arrives meanwhile gathers for the next round.
            due = len(self._waiting)
            while due:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, due))]
                due -= len(batch)
                self._writing = len(batch)
                await self._write(batch)
                self._writing = 0
            self._idle.set()

    async def _write(self, batch: list[CallRecord]) -> None:
        attempt = 0
        while True:
            try:
                await self._log.append(batch)
                return
            except Unavailable as error:
                attempt += 1
                if attempt.bit_count() == 1:  # the first, second, fourth, eighth … time
                    logger.warning("%d call records wait for the database: %s", len(batch), error.message)
                await anyio.sleep(RETRY_SECONDS)
