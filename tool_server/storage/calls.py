"""`CallLog` on SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, cast

from pydantic import TypeAdapter
from sqlalchemy import Connection, Dialect, func, insert, select

from tool_server.model.call import CallRecord, OutboundRequest, Outcome, SecretRead, Timings
from tool_server.storage.database import Database
from tool_server.storage.tables import AnyRow, calls

_MAX_LIMIT = 2**31 - 1

_ROWS = 45
"""Of one statement. Between statements the driver takes the interpreter's lock back from the event loop, which costs
both more than the row; SQLite always takes 999 parameters, see https://www.sqlite.org/limits.html"""

_COLUMNS = tuple(column.name for column in calls.columns if column.name != "sequence")

_requests = TypeAdapter(tuple[OutboundRequest, ...])
_secret_reads = TypeAdapter(tuple[SecretRead, ...])


class SqlCallLog:
    """The `CallLog` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, records: Sequence[CallRecord]) -> None:
        """See `CallLog.append`. An empty batch does nothing."""
        if records:
            await self._database.write(_append, tuple(records))

    async def append_missing(self, records: Sequence[CallRecord]) -> None:
        """See `CallLog.append_missing`."""
        if records:
            await self._database.write(_append_missing, tuple(records))

    async def recent(self, limit: int = 100, *, tool: str | None = None) -> tuple[CallRecord, ...]:
        """See `CallLog.recent`."""
        return await self._database.read(_recent, limit, tool)

    async def count(self) -> int:
        """See `CallLog.count`."""
        return await self._database.read(_count)


def _append(connection: Connection, records: Sequence[CallRecord]) -> None:
    bulk = _bulk_insert(connection.dialect)
    rows = [_encode(record, bulk.stored_moment) for record in records]
    whole = len(rows) - len(rows) % _ROWS
    for start in range(0, whole, _ROWS):
        connection.exec_driver_sql(bulk.of_many, tuple(chain.from_iterable(rows[start : start + _ROWS])))
    if whole < len(rows):
        connection.exec_driver_sql(bulk.of_one, rows[whole:])


class _BulkInsert(NamedTuple):
    """What stores rows whose values are in the order of `_COLUMNS`."""

    of_one: str
    of_many: str
    """A statement for `_ROWS` of them."""
    stored_moment: Callable[[datetime], object]
    """What a moment is stored as."""


@lru_cache(maxsize=4)
def _bulk_insert(dialect: Dialect) -> _BulkInsert:
    """Statements made once: SQLAlchemy's own way through many rows costs as much for each as the database itself."""
    of_one = str(insert(calls).compile(dialect=dialect, column_keys=_COLUMNS))
    head, values, row = of_one.rpartition("VALUES ")
    of_many = head + values + ", ".join([row] * _ROWS)
    stored_moment = calls.c.started_at.type.dialect_impl(dialect).bind_processor(dialect)
    return _BulkInsert(of_one, of_many, cast(Callable[[datetime], object], stored_moment))


def _append_missing(connection: Connection, records: Sequence[CallRecord]) -> None:
    # There is no index on the ids; there is one on the time.
    since = min(record.started_at for record in records)
    wanted = calls.c.id.in_([record.id for record in records])
    there = set(connection.scalars(select(calls.c.id).where(calls.c.started_at >= since, wanted)))
    missing = {record.id: record for record in records if record.id not in there}
    if missing:
        _append(connection, tuple(missing.values()))


def _recent(connection: Connection, limit: int, tool: str | None) -> tuple[CallRecord, ...]:
    newest = select(calls).order_by(calls.c.started_at.desc(), calls.c.sequence.desc())
    if tool is not None:
        newest = newest.where(calls.c.tool == tool)
    return tuple(_decode(row) for row in connection.execute(newest.limit(min(max(limit, 0), _MAX_LIMIT))))


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(calls)).scalar_one()


def _encode(record: CallRecord, stored_moment: Callable[[datetime], object]) -> tuple[object, ...]:
    timings = record.timings
    return (
        record.id,
        stored_moment(record.started_at),
        *(record.caller, record.tool, record.plugin, record.version, record.digest),
        *(record.arguments_hash, record.arguments_bytes, record.result_hash, record.result_bytes),
        *(record.outcome.value, record.error),
        *(timings.queue_us, timings.instantiate_us, timings.run_us, record.total_us),
        _requests.dump_json(record.requests).decode() if record.requests else None,
        record.parent,
        _secret_reads.dump_json(record.secret_reads).decode() if record.secret_reads else None,
    )


def _decode(row: AnyRow) -> CallRecord:
    return CallRecord(
        id=row.id,
        started_at=row.started_at,
        caller=row.caller,
        tool=row.tool,
        plugin=row.plugin,
        version=row.version,
        digest=row.digest,
        arguments_hash=row.arguments_hash,
        arguments_bytes=row.arguments_bytes,
        result_hash=row.result_hash,
        result_bytes=row.result_bytes,
        outcome=Outcome(row.outcome),
        error=row.error,
        timings=Timings(queue_us=row.queue_us, instantiate_us=row.instantiate_us, run_us=row.run_us),
        total_us=row.total_us,
        requests=() if row.requests is None else _requests.validate_json(row.requests),
        parent=row.parent,
        secret_reads=() if row.secret_reads is None else _secret_reads.validate_json(row.secret_reads),
    )
