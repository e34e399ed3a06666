"""What every `TaskStore` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import anyio
import pytest

from tests.storage.examples import NOON
from tool_server.errors import Conflict, Unavailable
from tool_server.interfaces import TaskStore
from tool_server.model.client import ELICIT, ClientAnswer, ClientRequest
from tool_server.model.task import Task, TaskBounds, TaskFailure, TaskStatus
from tool_server.storage.database import Database
from tool_server.storage.tasks import SqlTaskStore

BOUNDS = TaskBounds(
    tasks=5,
    caller_tasks=3,
    result_bytes=100,
    bytes=50,
    caller_bytes=30,
    run_seconds=60,
    input_seconds=60,
    keep_seconds=60,
)
ALIVE_UNTIL = NOON + timedelta(seconds=15)
FAILURE = TaskFailure("interrupted", "the server stopped, ü", {"why": None})
QUESTION = ClientRequest(ELICIT, {"message": "Your name, \u2028?"})
ANSWER = ClientAnswer({"action": "accept", "content": {"name": None}})


@pytest.fixture
def tasks(database: Database) -> TaskStore:
    return SqlTaskStore(database)


def make_task(task_id: str = "t1", caller: str = "ada", keep: timedelta = timedelta(hours=1)) -> Task:
    return Task(task_id, caller, "slow_compute", NOON, NOON, NOON + keep, 500)


async def add(tasks: TaskStore, task: Task, owner: str = "here", until: datetime = ALIVE_UNTIL) -> Task:
    await tasks.add(task, owner, until, BOUNDS)
    return task


async def stored(tasks: TaskStore, task_id: str = "t1", caller: str = "ada") -> Task:
    found = await tasks.get(task_id, caller)
    assert found is not None
    return found


CHANGES: list[Callable[[Task], Task]] = [
    lambda task: task,
    lambda task: task.asking({"a": QUESTION, "b": QUESTION}, NOON),
    lambda task: task.asking({"a": QUESTION, "b": QUESTION}, NOON).answered({"a": ANSWER}, NOON),
    lambda task: task.asking({"a": QUESTION}, NOON).answered({"a": ANSWER}, NOON),
    lambda task: task.completed(b'{"content":[]}', NOON + timedelta(microseconds=1)),
    lambda task: task.failed(FAILURE, NOON),
    lambda task: task.cancelled(NOON),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_task_comes_back_equal_in_every_state(tasks: TaskStore, change: Callable[[Task], Task]) -> None:
    task = await add(tasks, make_task())
    assert await tasks.change("t1", change, BOUNDS) == change(task)
    assert await stored(tasks) == change(task)


async def test_another_callers_task_is_not_there(tasks: TaskStore) -> None:
    await add(tasks, make_task())
    assert await tasks.get("t1", "bob") is None
    assert await tasks.get("t1", "ADA") is None
    assert await tasks.get("t2", "ada") is None


async def test_a_change_that_is_refused_changes_nothing(tasks: TaskStore) -> None:
    await add(tasks, make_task())
    over = await tasks.change("t1", lambda task: task.cancelled(NOON), BOUNDS)
    with pytest.raises(Conflict):
        await tasks.change("t1", lambda task: task.completed(b"{}", NOON), BOUNDS)
    assert await stored(tasks) == over
    assert await tasks.change("t2", lambda task: task, BOUNDS) is None


async def test_of_changes_at_once_one_ends_the_task(tasks: TaskStore) -> None:
    await add(tasks, make_task())
    ended: list[Task | None] = []

    async def end(number: int) -> None:
        result = f'{{"n":{number}}}'.encode()
        try:
            ended.append(await tasks.change("t1", lambda task: task.completed(result, NOON), BOUNDS))
        except Conflict:
            pass

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(end, number)
    assert ended == [await stored(tasks)]


async def test_a_full_table_refuses_what_is_new_by_caller_and_in_all(tasks: TaskStore) -> None:
    for number in range(3):
        await add(tasks, make_task(f"a{number}"))
    with pytest.raises(Unavailable, match="one caller") as refused:
        await add(tasks, make_task("a3"))
    assert refused.value.code == "busy"
    for number in range(2):
        await add(tasks, make_task(f"b{number}", "bob"))
    with pytest.raises(Unavailable, match="this server") as refused:
        await add(tasks, make_task("c0", "cecilia"))
    assert refused.value.code == "busy"
    assert await tasks.count() == 5


async def test_results_for_which_there_is_no_room_are_refused_and_leave_the_task_as_it_was(tasks: TaskStore) -> None:
    for task_id, caller in (("a0", "ada"), ("a1", "ada"), ("b0", "bob"), ("b1", "bob")):
        await add(tasks, make_task(task_id, caller))

    async def complete(task_id: str, size: int) -> None:
        await tasks.change(task_id, lambda task: task.completed(b" " * size, NOON), BOUNDS)

    await complete("a0", 30)
    with pytest.raises(Unavailable, match="no room"):
        await complete("a1", 1)
    assert (await stored(tasks, "a1")).status is TaskStatus.WORKING
    with pytest.raises(Unavailable):
        await complete("b0", 21)
    await complete("b0", 20)
    with pytest.raises(Unavailable, match="one caller"):
        await add(tasks, make_task("a2"))
    await tasks.remove_expired(NOON + timedelta(hours=1))
    await add(tasks, make_task("a2"))


async def test_tasks_of_processes_that_no_longer_say_they_live_fail(tasks: TaskStore) -> None:
    await add(tasks, make_task("dead"), "there")
    await add(tasks, make_task("alive", "bob"), "here")
    await add(tasks, make_task("over"), "there")
    await tasks.change("over", lambda task: task.completed(b"{}", NOON), BOUNDS)
    await tasks.change("dead", lambda task: task.asking({"a": QUESTION}, NOON), BOUNDS)
    assert await tasks.extend("here", ALIVE_UNTIL + timedelta(seconds=1)) == {"alive"}
    assert await tasks.fail(FAILURE, ALIVE_UNTIL - timedelta(seconds=1)) == 0
    assert await tasks.fail(FAILURE, ALIVE_UNTIL) == 1
    dead = await stored(tasks, "dead")
    assert (dead.status, dead.failure, dead.message, dead.requests) == (
        TaskStatus.FAILED,
        FAILURE,
        FAILURE.message,
        {},
    )
    assert dead.updated_at == ALIVE_UNTIL
    assert (await stored(tasks, "alive", "bob")).status is TaskStatus.WORKING
    assert (await stored(tasks, "over")).status is TaskStatus.COMPLETED
    assert await tasks.extend("there", ALIVE_UNTIL) == frozenset()


async def test_a_process_that_stops_fails_its_own_tasks_and_no_others(tasks: TaskStore) -> None:
    await add(tasks, make_task("mine"), "here")
    await add(tasks, make_task("theirs"), "there")
    assert await tasks.fail(FAILURE, NOON, "here") == 1
    assert (await stored(tasks, "mine")).status is TaskStatus.FAILED
    assert (await stored(tasks, "theirs")).status is TaskStatus.WORKING


async def test_what_has_expired_is_forgotten_whatever_its_state(tasks: TaskStore) -> None:
    await add(tasks, make_task("soon", keep=timedelta(seconds=10)))
    await add(tasks, make_task("late"))
    await add(tasks, make_task("over", keep=timedelta(seconds=10)))
    await tasks.change("over", lambda task: task.completed(b"{}", NOON), BOUNDS)
    assert await tasks.remove_expired(NOON + timedelta(seconds=9)) == 0
    assert await tasks.remove_expired(NOON + timedelta(seconds=10)) == 2
    assert await tasks.count() == 1
    assert await stored(tasks, "late") == replace(make_task("late"))
