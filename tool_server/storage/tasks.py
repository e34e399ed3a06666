"""`TaskStore` on SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from tool_server.errors import Unavailable
from tool_server.model.client import ClientAnswer, ClientRequest
from tool_server.model.task import Task, TaskBounds, TaskFailure, TaskStatus
from tool_server.storage.database import Database
from tool_server.storage.tables import AnyRow, tasks

_requests = TypeAdapter(dict[str, ClientRequest])
_answers = TypeAdapter(dict[str, ClientAnswer])
_failure = TypeAdapter(TaskFailure)

_RUNNING = tasks.c.status.in_([status.value for status in TaskStatus if not status.over])


class SqlTaskStore:
    """The `TaskStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, task: Task, owner: str, owned_until: datetime, bounds: TaskBounds) -> None:
        """See `TaskStore.add`."""
        await self._database.write(_add, task, owner, owned_until, bounds)

    async def get(self, task_id: str, caller: str) -> Task | None:
        """See `TaskStore.get`."""
        return await self._database.read(_get, task_id, caller)

    async def change(self, task_id: str, change: Callable[[Task], Task], bounds: TaskBounds) -> Task | None:
        """See `TaskStore.change`."""
        return await self._database.write(_change, task_id, change, bounds)

    async def extend(self, owner: str, owned_until: datetime) -> frozenset[str]:
        """See `TaskStore.extend`."""
        return await self._database.write(_extend, owner, owned_until)

    async def fail(self, failure: TaskFailure, now: datetime, owner: str | None = None) -> int:
        """See `TaskStore.fail`."""
        # Only a write waits for other writers, and almost every time there is nothing to do.
        if not await self._database.read(_is_there, _lost(now, owner)):
            return 0
        return await self._database.write(_fail, failure, now, owner)

    async def remove_expired(self, now: datetime) -> int:
        """See `TaskStore.remove_expired`."""
        if not await self._database.read(_is_there, tasks.c.expires_at <= now):
            return 0
        return await self._database.write(_remove_expired, now)

    async def count(self) -> int:
        """See `TaskStore.count`."""
        return await self._database.read(_count)


def _add(connection: Connection, task: Task, owner: str, owned_until: datetime, bounds: TaskBounds) -> None:
    kept, size, own_kept, own_size = _sums(connection, task.caller)
    if own_kept >= bounds.caller_tasks or own_size >= bounds.caller_bytes:
        raise Unavailable(
            "busy", "you have as many tasks as one caller may have here: try again when some have expired"
        )
    if kept >= bounds.tasks or size >= bounds.bytes:
        raise Unavailable("busy", "this server has as many tasks as it may have: try again later")
    connection.execute(
        insert(tasks).values(
            id=task.id,
            caller=task.caller,
            tool=task.tool,
            created_at=task.created_at,
            expires_at=task.expires_at,
            poll_interval_ms=task.poll_interval_ms,
            owner=owner,
            owned_until=owned_until,
            **_encode(task),
        )
    )


def _sums(connection: Connection, caller: str) -> tuple[int, int, int, int]:
    """Tasks and bytes of results: of all callers, and of this one."""
    sums = select(func.count(), func.coalesce(func.sum(tasks.c.size), 0)).select_from(tasks)
    kept, size = connection.execute(sums).one()
    own_kept, own_size = connection.execute(sums.where(tasks.c.caller == caller)).one()
    return kept, size, own_kept, own_size


def _get(connection: Connection, task_id: str, caller: str) -> Task | None:
    row = connection.execute(select(tasks).where(tasks.c.id == task_id, tasks.c.caller == caller)).one_or_none()
    return None if row is None else _decode(row)


def _change(connection: Connection, task_id: str, change: Callable[[Task], Task], bounds: TaskBounds) -> Task | None:
    row = connection.execute(select(tasks).where(tasks.c.id == task_id)).one_or_none()
    if row is None:
        return None
    before = _decode(row)
    after = change(before)
    if after != before:
        values = _encode(after)
        if after.status.over:
            values["owned_until"] = None
        connection.execute(update(tasks).where(tasks.c.id == task_id).values(**values))
        if after.result is not None:
            _require_room(connection, after.caller, bounds)
    return after


def _require_room(connection: Connection, caller: str, bounds: TaskBounds) -> None:
    """Refuse what was just written where it is too much; the transaction takes it back."""
    _, size, _, own_size = _sums(connection, caller)
    if own_size > bounds.caller_bytes or size > bounds.bytes:
        raise Unavailable(
            "busy", "the results of other tasks leave no room for this one's: try again when some expired"
        )


def _extend(connection: Connection, owner: str, owned_until: datetime) -> frozenset[str]:
    own = update(tasks).where(_RUNNING, tasks.c.owner == owner).values(owned_until=owned_until)
    return frozenset(connection.scalars(own.returning(tasks.c.id)))


def _lost(now: datetime, owner: str | None) -> ColumnElement[bool]:
    return and_(_RUNNING, tasks.c.owned_until <= now if owner is None else tasks.c.owner == owner)


def _fail(connection: Connection, failure: TaskFailure, now: datetime, owner: str | None) -> int:
    failed = update(tasks).where(_lost(now, owner)).returning(tasks.c.id)
    values = {"status": TaskStatus.FAILED.value, "message": failure.message, "updated_at": now, "owned_until": None}
    return len(
        connection.execute(
            failed.values(**values, requests=None, answers=None, failure=_failure.dump_json(failure).decode())
        ).all()
    )


def _is_there(connection: Connection, condition: ColumnElement[bool]) -> bool:
    return connection.execute(select(tasks.c.id).where(condition).limit(1)).first() is not None


def _remove_expired(connection: Connection, now: datetime) -> int:
    return len(connection.execute(delete(tasks).where(tasks.c.expires_at <= now).returning(tasks.c.id)).all())


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(tasks)).scalar_one()


def _encode(task: Task) -> dict[str, Any]:
    """The columns that change."""
    return {
        "status": task.status.value,
        "updated_at": task.updated_at,
        "message": task.message,
        "requests": _requests.dump_json(dict(task.requests)).decode() if task.requests else None,
        "answers": _answers.dump_json(dict(task.answers)).decode() if task.answers else None,
        "failure": None if task.failure is None else _failure.dump_json(task.failure).decode(),
        "size": 0 if task.result is None else len(task.result),
        "result": task.result,
    }


def _decode(row: AnyRow) -> Task:
    return Task(
        id=row.id,
        caller=row.caller,
        tool=row.tool,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        poll_interval_ms=row.poll_interval_ms,
        status=TaskStatus(row.status),
        message=row.message,
        requests={} if row.requests is None else _requests.validate_json(row.requests),
        answers={} if row.answers is None else _answers.validate_json(row.answers),
        result=row.result,
        failure=None if row.failure is None else _failure.validate_json(row.failure),
    )
