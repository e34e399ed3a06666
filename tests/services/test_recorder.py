"""The call recorder against a log that writes, refuses and comes back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.services.publishing import until
from tests.storage.processes import receive, running
from tool_server.background import background
from tool_server.errors import Unavailable
from tool_server.model.call import CallRecord, Outcome, Timings
from tool_server.services import recorder as recorder_module
from tool_server.services.recorder import BATCH, BUFFER, CallRecorder
from tool_server.storage.calls import SqlCallLog
from tool_server.storage.database import open_database
from tool_server.storage.journal import FileCallJournal


def record(number: int) -> CallRecord:
    return CallRecord(
        id=str(number),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        caller="test",
        tool="text_echo",
        plugin="text",
        version="1.0.0",
        digest="0" * 64,
        arguments_hash="1" * 64,
        arguments_bytes=2,
        result_hash=None,
        result_bytes=None,
        outcome=Outcome.OK,
        error=None,
        timings=Timings(),
        total_us=1,
    )


class Log:
    """A call log in memory that refuses while it is told to."""

    def __init__(self, *, refusing: bool = False) -> None:
        self.refusing = refusing
        self.refused = anyio.Event()
        self.batches: list[list[str]] = []

    @property
    def ids(self) -> list[str]:
        """What was written, in order."""
        return [written for batch in self.batches for written in batch]

    async def append(self, records: Sequence[CallRecord]) -> None:
        await anyio.lowlevel.checkpoint()
        if self.refusing:
            self.refused.set()
            raise Unavailable("database_locked", "another process writes")
        self.batches.append([item.id for item in records])

    async def append_missing(self, records: Sequence[CallRecord]) -> None:
        await self.append([item for item in records if item.id not in self.ids])

    async def recent(self, limit: int = 100, *, tool: str | None = None) -> tuple[CallRecord, ...]:
        return ()

    async def count(self) -> int:
        return len(self.ids)


async def test_records_gather_into_batches_and_keep_their_order() -> None:
    log = Log()
    recorder = CallRecorder(log)
    async with recorder.running():
        for number in range(2 * BATCH + 7):
            recorder.record(record(number))
        with anyio.fail_after(20):
            await recorder.flush()
        assert [len(batch) for batch in log.batches] == [BATCH, BATCH, 7]
        assert log.ids == [str(number) for number in range(2 * BATCH + 7)]


async def test_listeners_hear_of_each_record_at_once_and_the_backlog_says_how_many_wait() -> None:
    heard: list[CallRecord] = []
    recorder = CallRecorder(Log(), listeners=[heard.append, heard.append])
    recorder.record(record(1))
    recorder.record(record(2))
    assert [item.id for item in heard] == ["1", "1", "2", "2"]
    assert recorder.backlog == 2
    async with recorder.running():
        with anyio.fail_after(20):
            await recorder.flush()
        assert recorder.backlog == 0


async def test_a_lone_record_is_written_without_being_asked_for() -> None:
    log = Log()
    recorder = CallRecorder(log)
    async with recorder.running():
        recorder.record(record(1))
        await until(lambda: log.ids == ["1"])


@pytest.mark.parametrize("error", [None, KeyError("from the body")], ids=["orderly", "after an error"])
async def test_what_is_left_is_written_when_the_recorder_ends(error: KeyError | None) -> None:
    log = Log()
    recorder = CallRecorder(log)

    async def run() -> None:
        async with recorder.running():
            recorder.record(record(1))
            if error is not None:
                raise error

    if error is None:
        await run()
    else:
        with pytest.raises(KeyError):
            await run()
    assert log.ids == ["1"]


async def test_what_is_left_is_written_also_when_the_server_is_cancelled() -> None:
    log = Log()
    recorder = CallRecorder(log)
    with anyio.CancelScope() as scope:
        async with recorder.running():
            recorder.record(record(1))
            scope.cancel()
            await anyio.sleep_forever()
    assert log.ids == ["1"]


async def test_everyone_who_waits_for_a_flush_is_woken() -> None:
    log = Log(refusing=True)
    recorder = CallRecorder(log)
    flushed: list[int] = []

    async def flush(number: int) -> None:
        await recorder.flush()
        flushed.append(number)

    with anyio.fail_after(20):
        async with recorder.running(), anyio.create_task_group() as tasks:
            recorder.record(record(1))
            for number in range(3):
                tasks.start_soon(flush, number)
            await log.refused.wait()
            log.refusing = False
    assert sorted(flushed) == [0, 1, 2]


async def test_a_log_that_refuses_for_a_while_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(refusing=True)
    recorder = CallRecorder(log)
    async with recorder.running():
        recorder.record(record(1))
        with anyio.fail_after(20):
            await log.refused.wait()
            recorder.record(record(2))
            log.refusing = False
            await recorder.flush()
    assert log.ids == ["1", "2"]
    assert "wait for the database" in caplog.text


async def test_a_real_database_locked_by_another_process_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tool-server.db"
    async with open_database(f"sqlite:///{file}", busy_timeout_ms=50) as database:
        log = SqlCallLog(database)
        recorder = CallRecorder(log)
        async with recorder.running():
            with running("locker", str(file)) as locker:
                assert receive(locker) == "locked"
                recorder.record(record(1))
                with pytest.raises(Unavailable):
                    await log.append([record(2)])
                assert await log.count() == 0
            with anyio.fail_after(20):
                await recorder.flush()
        assert [found.id for found in await log.recent()] == ["1"]


async def test_a_full_buffer_refuses_calls_until_the_log_takes_records_again() -> None:
    log = Log(refusing=True)
    recorder = CallRecorder(log)
    async with background(_write(recorder)):
        for number in range(BUFFER - 1):
            recorder.record(record(number))
        recorder.require_room()
        with anyio.fail_after(20):
            await log.refused.wait()
        recorder.require_room()
        recorder.record(record(BUFFER - 1))
        with pytest.raises(Unavailable) as refused:
            recorder.require_room()
        assert refused.value.code == "call_log_full"
        assert "disk space" in refused.value.message
        recorder.record(record(BUFFER))  # a call that was under way is still recorded
        log.refusing = False
        with anyio.fail_after(20):
            await recorder.flush()
        recorder.require_room()
    assert len(log.ids) == BUFFER + 1


def _write(recorder: CallRecorder):
    async def run() -> None:
        async with recorder.running():
            await anyio.sleep_forever()

    return run


async def test_records_that_cannot_be_written_at_the_end_are_counted_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "SHUTDOWN_SECONDS", 0.05)
    recorder = CallRecorder(Log(refusing=True))
    with caplog.at_level(logging.ERROR):
        async with recorder.running():
            recorder.record(record(1))
            recorder.record(record(2))
    assert "2 call records were lost" in caplog.text


async def test_a_record_is_in_the_journal_before_record_returns_and_gone_once_the_log_has_it(tmp_path: Path) -> None:
    log = Log(refusing=True)
    recorder = CallRecorder(log, FileCallJournal(tmp_path))
    async with recorder.running():
        recorder.record(record(1))
        assert b'"text_echo"' in _content_of(tmp_path)
        log.refusing = False
        with anyio.fail_after(20):
            await recorder.flush()
    assert _content_of(tmp_path) == b""


async def test_what_a_dead_process_left_is_in_the_log_once_and_before_a_flush_ends(tmp_path: Path) -> None:
    dead = FileCallJournal(tmp_path / "journal")
    for number in range(BATCH + 3):
        dead.append(record(number))
    dead.close()
    async with open_database(f"sqlite:///{tmp_path / 'tool-server.db'}") as database:
        log = SqlCallLog(database)
        await log.append([record(number) for number in range(2)])
        recorder = CallRecorder(log, FileCallJournal(tmp_path / "journal"))
        async with recorder.running():
            recorder.record(record(BATCH + 3))
            with anyio.fail_after(20):
                await recorder.flush()
        assert sorted(int(found.id) for found in await log.recent(2 * BATCH)) == list(range(BATCH + 4))
        assert list((tmp_path / "journal").iterdir()) == []


async def test_what_the_database_does_not_take_before_the_end_waits_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder_module, "SHUTDOWN_SECONDS", 0.05)
    refusing = CallRecorder(Log(refusing=True), FileCallJournal(tmp_path))
    async with refusing.running():
        refusing.record(record(1))
        refusing.record(record(2))
    assert "2 call records wait in the journal" in caplog.text
    log = Log()
    async with CallRecorder(log, FileCallJournal(tmp_path)).running():
        pass
    assert log.ids == ["1", "2"]


async def test_a_leftover_that_the_database_refuses_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "SHUTDOWN_SECONDS", 0.05)
    dead = FileCallJournal(tmp_path)
    dead.append(record(1))
    dead.close()
    async with CallRecorder(Log(refusing=True), FileCallJournal(tmp_path)).running():
        pass
    log = Log()
    async with CallRecorder(log, FileCallJournal(tmp_path)).running():
        pass
    assert log.ids == ["1"]


async def test_a_journal_that_fails_is_told_once_and_calls_are_recorded_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    log = Log()
    recorder = CallRecorder(log, FileCallJournal(tmp_path / "file" / "journal"))
    async with recorder.running():
        for number in range(5):
            recorder.record(record(number))
    assert log.ids == [str(number) for number in range(5)]
    assert caplog.text.count("the call journal in") == 1


def _content_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())
