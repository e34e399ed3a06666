"""Tasks over a real database: they outlive whoever began them, and nothing else outlives them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.services.publishing import CALLER, READER, SettableClock, until
from tool_server.errors import CallFailed, InvalidInput, NotFound, Unavailable
from tool_server.model.caller import ANONYMOUS
from tool_server.model.client import ELICIT, ClientAnswer, ClientChannel, ClientRequest
from tool_server.model.json_value import compact_json
from tool_server.model.task import Task, TaskBounds, TaskStatus
from tool_server.services.tasks import ANSWER_BYTES, BEAT_SECONDS, LIFE_SECONDS, TaskService
from tool_server.storage.database import Database, open_database
from tool_server.storage.tasks import SqlTaskStore

BOUNDS = TaskBounds(
    tasks=2_000,
    caller_tasks=1_000,
    result_bytes=1_000,
    bytes=100_000,
    caller_bytes=50_000,
    run_seconds=60,
    input_seconds=30,
    keep_seconds=3_600,
)
QUESTION = ClientRequest(ELICIT, {"message": "Your name?"})
ANSWER = ClientAnswer({"action": "accept", "content": {"name": "Ada"}})
RESULT = b'{"content":[]}'


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with open_database(f"sqlite:///{tmp_path / 'tool-server.db'}") as opened:
        yield opened


@asynccontextmanager
async def serving(database: Database, clock: SettableClock, **bounds: Any) -> AsyncGenerator[TaskService]:
    """A server's tasks."""
    service = TaskService(SqlTaskStore(database), clock, BOUNDS._replace(**bounds), 500)
    async with service.running():
        yield service


class Work:
    """A call under the test's control."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.may_end = anyio.Event()
        self.ended = anyio.Event()
        self.cancelled = False

    async def __call__(self, client: ClientChannel) -> bytes:
        """Wait until it may end."""
        self.began.set()
        try:
            await self.may_end.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        self.ended.set()
        return RESULT


async def at_once(client: ClientChannel) -> bytes:
    return RESULT


async def forever(client: ClientChannel) -> bytes:
    await anyio.sleep_forever()
    raise AssertionError


async def start(service: TaskService, work: Callable[[ClientChannel], Any] = at_once, caller: Any = CALLER) -> Task:
    return await service.start("slow_compute", work, caller, {"elicitation": {}})


async def reached(service: TaskService, task: Task, status: TaskStatus) -> Task:
    """The task once it has that status."""
    found: list[Task] = []

    async def look() -> bool:
        found.append(await service.get(task.id, CALLER))
        return found[-1].status is status

    await until(look)
    return found[-1]


async def test_a_task_is_there_before_its_work_begins_and_keeps_its_result(
    database: Database, clock: SettableClock
) -> None:
    work = Work()
    async with serving(database, clock) as service:
        begun = await start(service, work)
        assert await service.get(begun.id, CALLER) == begun
        assert (begun.status, begun.tool, begun.ttl_ms) == (TaskStatus.WORKING, "slow_compute", 3_600_000)
        assert len(begun.id) >= 32
        clock.advance(2)
        work.may_end.set()
        done = await reached(service, begun, TaskStatus.COMPLETED)
        assert (done.result, done.updated_at - done.created_at) == (RESULT, timedelta(seconds=2))
        await until(lambda: service.running_here == 0)
    async with serving(database, clock) as later:
        assert await later.get(begun.id, CALLER) == done


async def test_the_task_goes_on_when_what_began_it_is_cancelled(database: Database, clock: SettableClock) -> None:
    work = Work()
    begun: list[Task] = []
    async with serving(database, clock) as service:
        async with anyio.create_task_group() as request:

            async def handle() -> None:
                begun.append(await start(service, work))
                await anyio.sleep_forever()

            request.start_soon(handle)
            await work.began.wait()
            request.cancel_scope.cancel()
        work.may_end.set()
        assert (await reached(service, begun[0], TaskStatus.COMPLETED)).result == RESULT


async def test_a_call_that_raises_fails_the_task_with_its_words(database: Database, clock: SettableClock) -> None:
    async def work(client: ClientChannel) -> bytes:
        raise NotFound("unknown_tool", "there is no tool 'gone' here", {"tool": "gone"})

    async with serving(database, clock) as service:
        failed = await reached(service, await start(service, work), TaskStatus.FAILED)
        assert failed.failure == ("unknown_tool", "there is no tool 'gone' here", {"tool": "gone"})
        assert failed.message == "there is no tool 'gone' here"


async def test_cancelling_stops_the_work_and_is_seen_at_once(database: Database, clock: SettableClock) -> None:
    work = Work()
    async with serving(database, clock) as service:
        task = await start(service, work)
        await work.began.wait()
        await service.cancel(task.id, CALLER)
        assert (await service.get(task.id, CALLER)).status is TaskStatus.CANCELLED
        await until(lambda: service.running_here == 0)
        assert work.cancelled
        await service.cancel(task.id, CALLER)


async def test_cancelling_what_is_over_changes_nothing(database: Database, clock: SettableClock) -> None:
    async with serving(database, clock) as service:
        done = await reached(service, await start(service), TaskStatus.COMPLETED)
        clock.advance(1)
        await service.cancel(done.id, CALLER)
        await service.update(done.id, CALLER, {"1-a": ANSWER})
        assert await service.get(done.id, CALLER) == done


async def test_another_caller_can_neither_see_nor_change_a_task(database: Database, clock: SettableClock) -> None:
    work = Work()
    async with serving(database, clock) as service:
        task = await start(service, work)
        errors: list[tuple[str, str]] = []
        for task_id, caller in ((task.id, READER), (task.id, ANONYMOUS), ("0" * 32, CALLER)):
            for attempt in (
                service.get(task_id, caller),
                service.update(task_id, caller, {"1-a": ANSWER}),
                service.cancel(task_id, caller),
            ):
                with pytest.raises(NotFound) as refused:
                    await attempt
                errors.append((refused.value.code, refused.value.message))
        assert len(set(errors)) == 1
        assert await service.get(task.id, CALLER) == task
        assert not work.cancelled


async def test_it_is_gone_when_its_time_is_over_and_not_before(database: Database, clock: SettableClock) -> None:
    async with serving(database, clock) as service:
        done = await reached(service, await start(service), TaskStatus.COMPLETED)
        clock.advance(3_599.9)
        await service.sweep()
        assert await service.get(done.id, CALLER) == done
        clock.advance(0.1)
        with pytest.raises(NotFound):
            await service.get(done.id, CALLER)
        assert await SqlTaskStore(database).count() == 1
        await service.sweep()
        assert await SqlTaskStore(database).count() == 0


async def test_a_running_task_that_expires_stops(database: Database, clock: SettableClock) -> None:
    work = Work()
    async with serving(database, clock) as service:
        await start(service, work)
        await work.began.wait()
        clock.advance(3_600)
        await service.sweep()  # forgets it
        await service.sweep()  # finds that it is forgotten
        await until(lambda: service.running_here == 0)
        assert work.cancelled


async def test_a_full_table_refuses_and_runs_nothing(database: Database, clock: SettableClock) -> None:
    async with serving(database, clock, caller_tasks=2) as service:
        for _ in range(2):
            await start(service, forever)
        work = Work()
        with pytest.raises(Unavailable) as refused:
            await start(service, work)
        assert (refused.value.code, service.running_here, work.began.is_set()) == ("busy", 2, False)
        await start(service, forever, ANONYMOUS)


async def test_a_task_that_runs_too_long_fails(database: Database, clock: SettableClock) -> None:
    async with serving(database, clock, run_seconds=0.05) as service:
        failed = await reached(service, await start(service, forever), TaskStatus.FAILED)
        assert failed.failure is not None
        assert failed.failure.code == "timeout"
        await until(lambda: service.running_here == 0)


@pytest.mark.parametrize(("bounds", "code"), [({"result_bytes": 13}, "result_too_large"), ({"bytes": 13}, "busy")])
async def test_a_result_that_is_too_large_to_keep_fails_the_task(
    database: Database, clock: SettableClock, bounds: Mapping[str, int], code: str
) -> None:
    async with serving(database, clock, **bounds) as service:
        failed = await reached(service, await start(service), TaskStatus.FAILED)
        assert failed.failure is not None
        assert (failed.failure.code, failed.result) == (code, None)


async def test_a_result_waits_for_a_database_that_another_process_holds(tmp_path: Path, clock: SettableClock) -> None:
    file, work = tmp_path / "tool-server.db", Work()
    async with open_database(f"sqlite:///{file}", busy_timeout_ms=20) as database, serving(database, clock) as service:
        task = await start(service, work)
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            work.may_end.set()
            await work.ended.wait()
            assert (await service.get(task.id, CALLER)).status is TaskStatus.WORKING
            assert service.running_here == 1
        assert (await reached(service, task, TaskStatus.COMPLETED)).result == RESULT


async def test_the_end_of_the_server_interrupts_what_runs(database: Database, clock: SettableClock) -> None:
    work = Work()
    async with serving(database, clock) as service:
        task = await start(service, work)
        await work.began.wait()
    assert work.cancelled
    with pytest.raises(Unavailable, match="shutting down"):
        await start(service)
    async with serving(database, clock) as later:
        interrupted = await later.get(task.id, CALLER)
        assert interrupted.status is TaskStatus.FAILED
        assert interrupted.message is not None
        assert "the server stopped while this task ran" in interrupted.message


async def test_tasks_of_a_process_that_died_fail_once_it_is_known_to_be_dead(
    database: Database, clock: SettableClock
) -> None:
    async with serving(database, clock) as dying:
        task = await start(dying, forever)
        async with serving(database, clock) as later:
            clock.advance(LIFE_SECONDS - 0.1)
            await later.sweep()
            assert (await later.get(task.id, CALLER)).status is TaskStatus.WORKING
            await dying.sweep()  # it lives
            clock.advance(BEAT_SECONDS)
            await later.sweep()
            assert (await later.get(task.id, CALLER)).status is TaskStatus.WORKING
            clock.advance(LIFE_SECONDS)
            await later.sweep()
            assert (await later.get(task.id, CALLER)).status is TaskStatus.FAILED
            # Taken for dead, it finds out and lets go.
            await dying.sweep()
            await until(lambda: dying.running_here == 0)


async def test_another_process_of_the_server_cancels_and_answers(database: Database, clock: SettableClock) -> None:
    answers: list[Mapping[str, ClientAnswer] | None] = []

    async def ask(client: ClientChannel) -> bytes:
        answers.append(await client.ask({"name": QUESTION}))
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(database, clock) as here, serving(database, clock) as there:
        task = await start(here, ask)
        asking = await reached(there, task, TaskStatus.INPUT_REQUIRED)
        await there.update(task.id, CALLER, dict.fromkeys(asking.requests, ANSWER))
        await here.sweep()
        await until(lambda: answers == [{"name": ANSWER}])
        await there.cancel(task.id, CALLER)
        await here.sweep()
        await until(lambda: here.running_here == 0)


async def test_the_client_is_asked_and_answers_in_parts(database: Database, clock: SettableClock) -> None:
    async def ask(client: ClientChannel) -> bytes:
        assert client.capabilities == {"elicitation": {}}
        assert not client.wants_progress
        await client.tell("notifications/progress", {"progress": 1})
        rounds = [await client.ask({"a": QUESTION, "b": QUESTION}), await client.ask({"a": QUESTION})]
        return compact_json([{key: answer.result for key, answer in (found or {}).items()} for found in rounds])

    other = ClientAnswer({"action": "decline"})
    async with serving(database, clock) as service:
        task = await start(service, ask)
        asking = await reached(service, task, TaskStatus.INPUT_REQUIRED)
        first, second = asking.requests
        assert dict(asking.requests) == {first: QUESTION, second: QUESTION}
        await service.update(task.id, CALLER, {first: ANSWER, "unknown": other})
        partly = await service.get(task.id, CALLER)
        assert (partly.status, list(partly.requests)) == (TaskStatus.INPUT_REQUIRED, [second])
        await service.update(task.id, CALLER, {first: other, second: other})
        again: list[str] = []

        async def asked_again() -> bool:
            again[:] = (await service.get(task.id, CALLER)).requests.keys() - asking.requests.keys()
            return bool(again)

        await until(asked_again)
        await service.update(task.id, CALLER, {first: other, again[0]: ANSWER})
        done = await reached(service, task, TaskStatus.COMPLETED)
        assert done.result == compact_json([{"a": ANSWER.result, "b": other.result}, {"a": ANSWER.result}])


async def test_what_nobody_answers_is_taken_back_and_the_call_is_told(database: Database, clock: SettableClock) -> None:
    seen: list[TaskStatus] = []

    async with serving(database, clock, input_seconds=0.05) as service:
        ids: list[str] = []

        async def ask(client: ClientChannel) -> bytes:
            with pytest.raises(Unavailable, match="nobody answered") as unanswered:
                await client.ask({"a": QUESTION})
            assert unanswered.value.code == "client_did_not_answer"
            seen.append((await service.get(ids[0], CALLER)).status)
            with pytest.raises(Unavailable):
                await client.ask({"a": QUESTION})
            return RESULT

        task = await start(service, ask)
        ids.append(task.id)
        await reached(service, task, TaskStatus.COMPLETED)
        assert seen == [TaskStatus.WORKING]


async def test_cancelling_ends_a_task_that_waits_for_its_client(database: Database, clock: SettableClock) -> None:
    async def ask(client: ClientChannel) -> bytes:
        await client.ask({"a": QUESTION})
        raise AssertionError

    async with serving(database, clock) as service:
        task = await start(service, ask)
        await reached(service, task, TaskStatus.INPUT_REQUIRED)
        await service.cancel(task.id, CALLER)
        assert (await service.get(task.id, CALLER)).requests == {}
        await until(lambda: service.running_here == 0)


async def test_answers_that_are_too_large_are_refused(database: Database, clock: SettableClock) -> None:
    async with serving(database, clock) as service:
        task = await start(service, forever)
        huge = ClientAnswer({"action": "accept", "content": {"name": "x" * ANSWER_BYTES}})
        with pytest.raises(InvalidInput) as refused:
            await service.update(task.id, CALLER, {"1-a": huge})
        assert refused.value.code == "answers_too_large"


async def test_a_thousand_abandoned_tasks_leave_nothing_behind(database: Database, clock: SettableClock) -> None:
    async def ask(client: ClientChannel) -> bytes:
        await client.ask({"a": QUESTION})
        return RESULT

    async def fail(client: ClientChannel) -> bytes:
        raise CallFailed("trap", "it crashed")

    works = (at_once, fail, forever, ask)
    async with serving(database, clock) as service:
        before = len(asyncio.all_tasks())
        for number in range(1_000):
            await start(service, works[number % len(works)])
        await until(lambda: service.running_here == 500)
        assert await SqlTaskStore(database).count() == 1_000
        clock.advance(3_600)
        await service.sweep()
        await service.sweep()
        await until(lambda: service.running_here == 0)
        assert await SqlTaskStore(database).count() == 0
        assert len(asyncio.all_tasks()) == before
