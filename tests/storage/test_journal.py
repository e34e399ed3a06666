"""The call journal: what was appended is there after any end of the process, and once in the call log."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.examples import make_call
from tests.storage.processes import receive, running
from tool_server.errors import Unavailable
from tool_server.model.call import CallRecord, Outcome
from tool_server.storage import journal as journal_module
from tool_server.storage.journal import SPACE, FileCallJournal


def left_in(folder: Path) -> list[str]:
    """The ids of all leftovers, which stay."""
    leftovers = FileCallJournal(folder).leftovers()
    ids = [record.id for leftover in leftovers for record in leftover.records]
    for leftover in leftovers:
        leftover.release()
    return ids


def test_records_come_back_equal_and_in_order_after_an_end_without_a_word(tmp_path: Path) -> None:
    records = [replace(make_call(number, outcome=outcome), error="ü\n\u2028") for number, outcome in enumerate(Outcome)]
    journal = FileCallJournal(tmp_path / "journal")
    for record in records:
        journal.append(record)
    journal.close()
    (leftover,) = FileCallJournal(tmp_path / "journal").leftovers()
    assert list(leftover.records) == records
    leftover.discard()
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_record_is_kept_while_the_other_side_rests_and_after_it_was_emptied(tmp_path: Path) -> None:
    journal = FileCallJournal(tmp_path)
    for number in range(5):
        journal.append(make_call(2 * number))
        journal.turn()
        journal.append(make_call(2 * number + 1))
        journal.forget()
        journal.turn()
        journal.forget()
    journal.append(make_call(99))
    journal.close()
    assert left_in(tmp_path) == ["call-99"]


def test_an_orderly_end_leaves_no_file_and_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    journal = FileCallJournal(tmp_path)
    for _ in range(2):
        journal.append(make_call(1))
        journal.turn()
        journal.forget()
    journal.close()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_journal_without_a_record_makes_no_file(tmp_path: Path) -> None:
    journal = FileCallJournal(tmp_path / "journal")
    assert journal.leftovers() == ()
    journal.turn()
    journal.forget()
    journal.close()
    assert not (tmp_path / "journal").exists()


def test_more_records_than_the_first_space_holds_are_all_kept(tmp_path: Path) -> None:
    journal = FileCallJournal(tmp_path)
    count = 3 * SPACE // 300
    for number in range(count):
        journal.append(make_call(number))
    journal.close()
    assert left_in(tmp_path) == [f"call-{number}" for number in range(count)]


def test_a_living_process_keeps_its_records_to_itself(tmp_path: Path) -> None:
    journal = FileCallJournal(tmp_path)
    journal.append(make_call(1))
    assert left_in(tmp_path) == []
    (taken,) = _leftovers_after_closing(journal, tmp_path)
    assert left_in(tmp_path) == [], "one who starts beside another takes what the other has taken"
    taken.release()
    assert left_in(tmp_path) == ["call-1"]


def _leftovers_after_closing(journal: FileCallJournal, folder: Path) -> Sequence[journal_module.FileLeftover]:
    journal.close()
    return FileCallJournal(folder).leftovers()


def test_a_killed_process_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    with running("journalist", str(tmp_path)) as process:
        last = [receive(process) for _ in range(2_000)][-1]
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
    acknowledged = int(([last, *(line for line in rest if line)])[-1])
    found = left_in(tmp_path)
    # The last line that is read may be cut.
    assert found[:acknowledged] == [f"call-{number}" for number in range(acknowledged)]
    assert acknowledged >= 1_999


def test_two_processes_at_once_keep_their_records_apart(tmp_path: Path) -> None:
    first, second = FileCallJournal(tmp_path), FileCallJournal(tmp_path)
    for number in range(20):
        (first if number % 2 else second).append(make_call(number))
    first.close()
    second.close()
    assert sorted(left_in(tmp_path)) == sorted(f"call-{number}" for number in range(20))


def test_a_full_disk_is_told_and_what_was_kept_before_stays(tmp_path: Path) -> None:
    with running("journalist", str(tmp_path), str(SPACE)) as process:
        words = process.communicate(timeout=60)[0].split("\n")
    assert words[-2].startswith("journal_failed")
    kept = len(words) - 2
    assert kept > 100
    assert left_in(tmp_path) == [f"call-{number}" for number in range(kept)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as refused:
        FileCallJournal(tmp_path / "file" / "journal").append(make_call(1))
    assert refused.value.code == "journal_failed"


@pytest.mark.parametrize("damage", [b"timings", b"id", b'"total_us"', b"[", b","])
def test_a_file_whose_heading_is_damaged_is_no_error(tmp_path: Path, damage: bytes) -> None:
    journal = FileCallJournal(tmp_path)
    journal.append(make_call(1))
    journal.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes().replace(damage, b" " * len(damage), 1))
    (leftover,) = FileCallJournal(tmp_path).leftovers()
    assert leftover.records == ()
    leftover.discard()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_gives_what_can_still_be_read(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    journal = FileCallJournal(folder)
    records = [make_call(number) for number in range(3)]
    for record in records:
        journal.append(record)
    journal.close()
    (file,) = folder.iterdir()
    raw = bytearray(file.read_bytes().rstrip(b"\0"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    for leftover in FileCallJournal(folder).leftovers():
        assert all(isinstance(record, CallRecord) for record in leftover.records)
        leftover.discard()


def test_a_record_of_a_newer_version_that_knew_more_is_read(tmp_path: Path) -> None:
    record = replace(make_call(1), error=None)
    journal = FileCallJournal(tmp_path)
    journal.append(record)
    journal.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes().replace(b'_us"]', b'_us","later"]').replace(b"]\n\0", b",7]\n\0"))
    (leftover,) = FileCallJournal(tmp_path).leftovers()
    assert leftover.records == (record,)
    leftover.discard()
