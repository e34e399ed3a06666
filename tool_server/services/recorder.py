"""The call recorder: one row a call, written in batches, none lost at shutdown, and with a journal none at a crash."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

from tool_server.background import background
from tool_server.errors import Unavailable
from tool_server.interfaces import CallJournal, CallLeftover, CallLog
from tool_server.model.call import CallRecord

BATCH = 2_000
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
        log: where they end up.
        journal: keeps each record until the log has it, and gives what processes that died left behind; without one,
            a crash loses the last quarter of a second.
        listeners: told of each record at once, in the task of its call.
    """

    def __init__(
        self,
        log: CallLog,
        journal: CallJournal | None = None,
        listeners: Sequence[Callable[[CallRecord], None]] = (),
    ) -> None:
        self._log = log
        self._journal = journal
        self._journal_fails = False
        self._listeners = listeners
        self._waiting: deque[CallRecord] = deque()
        self._writing = 0
        self._recovering = False
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
        if self._journal is not None:
            self._keep(self._journal, record)
        waiting = self._waiting
        waiting.append(record)
        for listener in self._listeners:
            listener(record)
        # Setting an event that is set costs as much as keeping the record: only these two wake somebody up.
        if len(waiting) == 1:
            self._work.set()
        elif len(waiting) == BATCH:
            self._hurry.set()

    @property
    def backlog(self) -> int:
        """Records that are not written yet."""
        return len(self._waiting) + self._writing

    async def flush(self) -> None:
        """Wait until every record taken so far is written, and what was left behind before."""
        while self._waiting or self._writing or self._recovering:
            self._hurry.set()
            if self._idle.is_set():
                self._idle = anyio.Event()
            await self._idle.wait()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Write records while the block runs, and what is left when it ends, also by cancellation.

        What the journal holds of processes that died is written first.
        """
        writing = anyio.CancelScope(shield=True)
        self._recovering = self._journal is not None

        async def write() -> None:
            with writing:
                await self._recover()
                await self._write_batches()

        async with background(write):
            try:
                yield
            finally:
                with anyio.move_on_after(SHUTDOWN_SECONDS, shield=True) as deadline:
                    await self.flush()
                writing.cancel()
                if deadline.cancelled_caught:
                    self._report_unwritten()
        if self._journal is not None:
            self._journal.close()

    def _report_unwritten(self) -> None:
        left = len(self._waiting) + self._writing
        if self._journal is None or self._journal_fails:
            logger.error("%d call records were lost: the database did not take them", left)
        else:
            logger.warning("%d call records wait in the journal for the next start: the database took none", left)

    def _keep(self, journal: CallJournal, record: CallRecord) -> None:
        try:
            journal.append(record)
            self._journal_fails = False
        except Unavailable as error:
            # A full disk alone loses nothing: the records wait in memory, as many as there is room for.
            if not self._journal_fails:
                logger.error("%s: until it can, a crash would lose the latest call records", error.message)
            self._journal_fails = True

    async def _recover(self) -> None:
        """Fold into the log what dead processes left in the journal."""
        if self._journal is not None:
            for leftover in await anyio.to_thread.run_sync(self._journal.leftovers):
                await self._fold_in(leftover)
        self._recovering = False
        self._idle.set()

    async def _fold_in(self, leftover: CallLeftover) -> None:
        try:
            records = leftover.records
            for start in range(0, len(records), BATCH):
                await self._write(records[start : start + BATCH], self._log.append_missing)
            leftover.discard()
            if records:
                logger.info("%d call records of a process that died are in the call log now", len(records))
        finally:
            leftover.release()

    async def _write_batches(self) -> None:
        while True:
            await self._work.wait()
            # A transaction costs more than a call: let some records gather first.
            with anyio.move_on_after(GATHER_SECONDS):
                await self._hurry.wait()
            self._work, self._hurry = anyio.Event(), anyio.Event()
            # Only what has gathered by now: what arrives meanwhile gathers for the next round.
            due = len(self._waiting)
            if self._journal is not None:
                self._journal.turn()
            while due:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, due))]
                due -= len(batch)
                self._writing = len(batch)
                await self._write(batch, self._log.append)
                self._writing = 0
            if self._journal is not None:
                self._journal.forget()
            if self._waiting:  # they came meanwhile, and found that somebody had been woken up already
                self._work.set()
                if len(self._waiting) >= BATCH:
                    self._hurry.set()
            self._idle.set()

    async def _write(
        self, batch: Sequence[CallRecord], append: Callable[[Sequence[CallRecord]], Awaitable[None]]
    ) -> None:
        attempt = 0
        while True:
            try:
                await append(batch)
                return
            except Unavailable as error:
                attempt += 1
                if attempt.bit_count() == 1:  # the first, second, fourth, eighth … time
                    logger.warning("%d call records wait for the database: %s", len(batch), error.message)
                await anyio.sleep(RETRY_SECONDS)
