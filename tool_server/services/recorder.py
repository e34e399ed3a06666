"""The call recorder: one row a call, written in batches, none lost at shutdown."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from tool_server.errors import Unavailable
from tool_server.interfaces import CallLog
from tool_server.model.call import CallRecord

BATCH = 200
"""Records in one transaction at most."""
BUFFER = 10_000
"""Records that may wait for the database; beyond that calls are refused rather than left unrecorded."""
RETRY_SECONDS = 0.5
SHUTDOWN_SECONDS = 10.0

logger = logging.getLogger(__name__)


class CallRecorder:
    """Takes records without waiting and writes them behind the calls' backs."""

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._send, self._receive = anyio.create_memory_object_stream[CallRecord](BUFFER)
        self._pending = 0
        self._drained = anyio.Event()

    def require_room(self) -> None:
        """Do nothing while records can be kept.

        Raises:
            Unavailable: `call_log_full`, the database has not taken records for a long time.
        """
        if self._send.statistics().current_buffer_used >= BUFFER:
            raise Unavailable(
                "call_log_full",
                "calls cannot be recorded, so none are made: the database has refused the call log for too long; "
                "free disk space or end whoever locks it",
            )

    def record(self, record: CallRecord) -> None:
        """Keep one record; it is written within moments, and in any case before `running` ends."""
        try:
            self._send.send_nowait(record)
        except anyio.WouldBlock:
            logger.error("call %s of %s could not be recorded: the buffer is full", record.id, record.tool)
            return
        self._pending += 1

    async def flush(self) -> None:
        """Wait until every record taken so far is written."""
        while self._pending:
            self._drained = anyio.Event()
            await self._drained.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write records while the block runs, and what is left when it ends."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write_batches, self._receive)
            try:
                yield
            finally:
                with anyio.move_on_after(SHUTDOWN_SECONDS, shield=True) as deadline:
                    await self.flush()
                if deadline.cancelled_caught:
                    logger.error("%d call records were lost: the database did not take them", self._pending)
                tasks.cancel_scope.cancel()

    async def _write_batches(self, receive: MemoryObjectReceiveStream[CallRecord]) -> None:
        while True:
            batch = [await receive.receive()]
            # Whatever else has gathered goes into the same transaction.
            while len(batch) < BATCH:
                try:
                    batch.append(receive.receive_nowait())
                except anyio.WouldBlock:
                    break
            await self._write(batch)
            self._pending -= len(batch)
            if not self._pending:
                self._drained.set()

    async def _write(self, batch: list[CallRecord]) -> None:
        for attempt in range(10**9):
            try:
                await self._log.append(batch)
                return
            except Unavailable as error:
                if math.log2(attempt + 1).is_integer():
                    logger.warning("%d call records wait for the database: %s", len(batch), error.message)
                await anyio.sleep(RETRY_SECONDS)
