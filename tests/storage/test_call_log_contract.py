"""What every `CallLog` does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.storage.examples import NOON, make_call
from tool_server.interfaces import CallLog
from tool_server.model.call import Outcome


async def test_records_come_back_equal_and_newest_first(calls: CallLog) -> None:
    records = [make_call(number, outcome=outcome) for number, outcome in enumerate(Outcome)]
    await calls.append(records[4:])
    await calls.append(records[:4])
    assert await calls.recent() == tuple(reversed(records))
    assert await calls.count() == len(records)


async def test_calls_that_started_together_are_in_order_of_arrival(calls: CallLog) -> None:
    await calls.append([make_call(number, seconds=0) for number in range(5)])
    assert [record.id for record in await calls.recent()] == [f"call-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(("limit", "found"), [(0, 0), (-1, 0), (2, 2), (10**30, 3)])
async def test_a_limit_bounds_what_is_read(calls: CallLog, limit: int, found: int) -> None:
    await calls.append([make_call(number) for number in range(3)])
    assert [record.id for record in await calls.recent(limit)] == ["call-2", "call-1", "call-0"][:found]


@pytest.mark.parametrize("number", [49, 50, 51, 523])
async def test_batches_of_every_size_are_stored_whole_and_in_order(calls: CallLog, number: int) -> None:
    records = [make_call(each) for each in range(number)]
    await calls.append(records)
    assert list(reversed(await calls.recent(1_000))) == records


async def test_records_of_one_tool_are_read_alone(calls: CallLog) -> None:
    await calls.append([make_call(number, tool=f"tool_{number % 2}") for number in range(6)])
    assert [record.id for record in await calls.recent(2, tool="tool_1")] == ["call-5", "call-3"]
    assert await calls.recent(tool="tool_2") == ()


async def test_an_empty_batch_leaves_no_record(calls: CallLog) -> None:
    await calls.append([])
    assert await calls.count() == 0
    assert await calls.recent() == ()


async def test_a_batch_with_one_bad_record_is_not_stored_at_all(calls: CallLog) -> None:
    naive = replace(make_call(3), started_at=NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="no time zone"):
        await calls.append([*(make_call(number) for number in range(60)), naive, make_call(2)])
    assert await calls.count() == 0


async def test_only_records_that_are_missing_are_added(calls: CallLog) -> None:
    records = [make_call(number) for number in range(6)]
    await calls.append(records[1:3])
    await calls.append_missing([*records[:4], records[3]])
    await calls.append_missing([])
    assert sorted(record.id for record in await calls.recent()) == [f"call-{number}" for number in range(4)]
