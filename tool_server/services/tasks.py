"""Tasks: calls that go on when the request that began them is over, bounded in number, time and bytes."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import anyio
from anyio.abc import TaskGroup

from tool_server.background import background
from tool_server.errors import Conflict, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.interfaces import Clock, TaskStore
from tool_server.model.caller import Caller
from tool_server.model.client import ClientAnswer, ClientChannel, ClientRequest
from tool_server.model.json_value import JsonObject, compact_json, parse_json
from tool_server.model.task import Task, TaskBounds, TaskFailure
from tool_server.model.transcript import Transcript
from tool_server.services.task_channel import TaskChannel

BEAT_SECONDS = 3.0
"""How often this process says that it lives, and looks for what has expired and for who died."""
LIFE_SECONDS = 15.0
"""How long a process counts as living after it last said so."""
STORE_SECONDS = 30.0
"""How long a result waits for a database that does not take it."""
RETRY_SECONDS = 0.5
SHUTDOWN_SECONDS = 10.0
ANSWER_BYTES = 256 * 1024
"""Of the answers in one update, as JSON; a call that is run again can carry no more."""

INTERRUPTED = TaskFailure("interrupted", "the server stopped while this task ran: call the tool again", {})

Work = Callable[[ClientChannel], Awaitable[bytes]]
"""Makes the call and gives its result as it is kept; raises `ToolServerError` where there is none."""

logger = logging.getLogger(__name__)


class _Running:
    """A task of this process that is not over."""

    def __init__(self, task_id: str, channel: TaskChannel) -> None:
        self.id = task_id
        self.channel = channel
        self.scope = anyio.CancelScope()


class TaskService:
    """Begins tasks, runs them, and gives them to those who made them.

    Args:
        store: where they are kept.
        clock: tells when they expire.
        bounds: what they may take.
        poll_interval_ms: how often clients should look.
    """

    def __init__(self, store: TaskStore, clock: Clock, bounds: TaskBounds, poll_interval_ms: int = 1_000) -> None:
        self._store = store
        self._clock = clock
        self._bounds = bounds
        self._poll_interval_ms = poll_interval_ms
        self._owner = os.urandom(16).hex()
        self._running: dict[str, _Running] = {}
        self._tasks: TaskGroup | None = None

    @property
    def running_here(self) -> int:
        """How many tasks this process runs."""
        return len(self._running)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run tasks while the block runs. Those that are not over when it ends fail, as interrupted."""
        async with background(self._beats):
            try:
                started = anyio.Event()
                async with background(partial(self._run_group, started)):
                    await started.wait()
                    yield
            finally:
                self._tasks = None
                await self._interrupt_own()

    async def start(
        self,
        tool: str,
        work: Work,
        caller: Caller,
        capabilities: JsonObject,
        transcript: Transcript | None = None,
    ) -> Task:
        """Begin a task; it is stored when this returns.

        Args:
            tool: the MCP name.
            work: makes the call. It is cancelled with the task, and when its time is over.
            caller: whose task it is.
            capabilities: what the client declared, MCP's `ClientCapabilities`.
            transcript: of what the call did before it became a task.

        Raises:
            Unavailable: `busy`, there are too many; `shutting_down`.
        """
        if self._tasks is None:
            raise Unavailable("shutting_down", "no more tasks are begun: the server is shutting down")
        now = self._clock.now()
        task = Task(
            id=secrets.token_hex(16),
            caller=caller.name,
            tool=tool,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(seconds=self._bounds.keep_seconds),
            poll_interval_ms=self._poll_interval_ms,
        )
        running = _Running(task.id, self._channel(task, capabilities, transcript))
        self._running[task.id] = running
        try:
            await self._store.add(task, self._owner, self._lives_until(now), self._bounds)
        except BaseException:
            del self._running[task.id]
            raise
        self._tasks.start_soon(self._run, running, work)
        return task

    async def get(self, task_id: str, caller: Caller) -> Task:
        """A task as it is now.

        Raises:
            NotFound: `unknown_task`: there is none, it has expired, or it is somebody else's.
        """
        return await self._find(task_id, caller.name)

    async def update(self, task_id: str, caller: Caller, answers: Mapping[str, ClientAnswer]) -> None:
        """Give a task what its client answers. What it does not ask (any more) changes nothing.

        Raises:
            NotFound: as `get`.
            InvalidInput: `answers_too_large`; `invalid_json`, they cannot be stored.
        """
        written = compact_json({key: answer.result for key, answer in answers.items()})
        if len(written) > ANSWER_BYTES:
            raise InvalidInput("answers_too_large", f"these answers are longer than {ANSWER_BYTES} bytes")
        parse_json(written, what="an answer")
        task = await self._find(task_id, caller.name)
        # Most answers that fit nothing come for tasks that are over: those wait for no writer.
        if answers.keys() & task.requests.keys():
            now = self._clock.now()
            await self._change(task_id, lambda stored: stored.answered(answers, now))
            if (running := self._running.get(task_id)) is not None:
                running.channel.wake()

    async def cancel(self, task_id: str, caller: Caller) -> None:
        """End a task; one that is over stays as it is.

        Raises:
            NotFound: as `get`.
        """
        task = await self._find(task_id, caller.name)
        if task.status.over:
            return
        now = self._clock.now()
        try:
            await self._change(task_id, lambda stored: stored.cancelled(now))
        except Conflict:
            return  # it ended meanwhile
        if (running := self._running.get(task_id)) is not None:
            running.scope.cancel()

    async def sweep(self) -> None:
        """Do now what is done every few seconds: forget what has expired, fail what belongs to the dead.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._clock.now()
        if self._running:
            here = tuple(self._running.values())
            alive = await self._store.extend(self._owner, self._lives_until(now))
            for running in here:
                if running.id in alive:
                    running.channel.wake()  # another process may have taken its answers
                else:
                    running.scope.cancel()  # another process cancelled it, or it has expired
            for lost in alive - self._running.keys() - {running.id for running in here}:
                await self._fail_lost(lost)
        await self._store.fail(INTERRUPTED, now)
        await self._store.remove_expired(now)

    async def _fail_lost(self, task_id: str) -> None:
        """Fail a task whose end could not be stored when it came."""
        try:
            await self._store.change(task_id, self._failed("result_lost", "the database took no result"), self._bounds)
        except Conflict:
            return  # it began and ended just now

    async def _find(self, task_id: str, caller: str) -> Task:
        task = await self._store.get(task_id, caller)
        if task is None or task.expires_at <= self._clock.now():
            raise NotFound("unknown_task", "there is no such task: it has expired, or never was")
        return task

    async def _change(self, task_id: str, change: Callable[[Task], Task]) -> Task:
        task = await self._store.change(task_id, change, self._bounds)
        if task is None:
            raise NotFound("unknown_task", "there is no such task: it has expired, or never was")
        return task

    def _channel(self, task: Task, capabilities: JsonObject, transcript: Transcript | None) -> TaskChannel:
        async def ask(requests: Mapping[str, ClientRequest]) -> None:
            now = self._clock.now()
            await self._change(task.id, lambda stored: stored.asking(requests, now))

        async def read() -> Task:
            return await self._find(task.id, task.caller)

        async def give_up() -> Task:
            now = self._clock.now()
            return await self._change(task.id, lambda stored: stored.unanswered(now))

        return TaskChannel(capabilities, ask, read, give_up, self._bounds.input_seconds, transcript)

    def _lives_until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=LIFE_SECONDS)

    async def _run_group(self, started: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            started.set()
            await anyio.sleep_forever()

    async def _beats(self) -> None:
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                logger.warning("tasks are not looked after for the moment: %s", error.message)
            await anyio.sleep(BEAT_SECONDS)

    async def _interrupt_own(self) -> None:
        with anyio.move_on_after(SHUTDOWN_SECONDS, shield=True):
            try:
                await self._store.fail(INTERRUPTED, self._clock.now(), self._owner)
            except Unavailable as error:
                logger.warning("tasks that were interrupted say so only later: %s", error.message)

    async def _run(self, running: _Running, work: Work) -> None:
        try:
            with running.scope:
                finish = await self._outcome(running, work)
                await self._store_end(running, finish)
        finally:
            del self._running[running.id]

    async def _outcome(self, running: _Running, work: Work) -> Callable[[Task], Task]:
        try:
            with anyio.move_on_after(self._bounds.run_seconds):
                result = await work(running.channel)
                if len(result) > self._bounds.result_bytes:
                    return self._failed(
                        "result_too_large", f"its result is larger than {self._bounds.result_bytes} bytes"
                    )
                return lambda task: task.completed(result, self._clock.now())
        except ToolServerError as error:
            return self._failed(error.code, error.message, error.data)
        return self._failed("timeout", f"it did not end within {self._bounds.run_seconds:g} s, as tasks must here")

    def _failed(self, code: str, message: str, data: JsonObject | None = None) -> Callable[[Task], Task]:
        failure = TaskFailure(code, message, data or {})
        return lambda task: task.failed(failure, self._clock.now())

    async def _store_end(self, running: _Running, finish: Callable[[Task], Task]) -> None:
        """Keep how a task ended, unless it is over already or forgotten."""
        with anyio.move_on_after(STORE_SECONDS) as patience:
            while True:
                try:
                    await self._store.change(running.id, finish, self._bounds)
                    return
                except Conflict:
                    return  # cancelled, or failed by a process that took this one for dead
                except Unavailable as error:
                    if error.code == "busy":
                        finish = self._failed(error.code, error.message)
                    else:
                        await anyio.sleep(RETRY_SECONDS)
        if patience.cancelled_caught:
            logger.error("the result of task %s is lost: the database did not take it", running.id)
