"""A call that outlives the request that began it: its states, and how it comes from one to the next.

The states and their names are those of MCP's extension `io.modelcontextprotocol/tasks`
(https://modelcontextprotocol.io/seps/2663-tasks-extension): a task is working or waits for its client, any number of
times, until it is completed, failed or cancelled; from there nothing leads on. `failed` is for a call that has no
result at all, and never for a tool's own error, which is a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from tool_server.errors import Conflict
from tool_server.model.client import ClientAnswer, ClientRequest
from tool_server.model.json_value import JsonObject


class TaskStatus(StrEnum):
    """Where a task stands; spelled as on the wire."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing changes any more."""
        return self not in (TaskStatus.WORKING, TaskStatus.INPUT_REQUIRED)


class TaskFailure(NamedTuple):
    """Why a task has no result; as in a `ToolServerError`."""

    code: str
    message: str
    data: JsonObject


class TaskBounds(NamedTuple):
    """What the tasks of a server may take."""

    tasks: int
    """That are kept, running or over."""
    caller_tasks: int
    """Of one caller."""
    result_bytes: int
    """Of one result."""
    bytes: int
    """Of all results."""
    caller_bytes: int
    """Of all results of one caller."""
    run_seconds: float
    """From a task's begin to its end, waiting included."""
    input_seconds: float
    """That a task waits for its client's answers to one round of questions."""
    keep_seconds: float
    """From a task's begin until it is forgotten; not less than `run_seconds`."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task at one moment."""

    id: str
    """Cannot be guessed."""
    caller: str
    """Whose it is; for nobody else it exists."""
    tool: str
    """The tool's MCP name."""
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    """When it is forgotten."""
    poll_interval_ms: int
    """How often its client should look."""
    status: TaskStatus = TaskStatus.WORKING
    message: str | None = None
    """What there is to say about the status, for people."""
    requests: Mapping[str, ClientRequest] = field(default_factory=dict[str, ClientRequest])
    """What the client is asked and has not answered. No key ever means two questions of one task."""
    answers: Mapping[str, ClientAnswer] = field(default_factory=dict[str, ClientAnswer])
    """What the client has answered in this round of questions."""
    result: bytes | None = None
    """JSON of the call's result, in MCP's form; only where the task is completed."""
    failure: TaskFailure | None = None
    """Only where it has failed."""

    @property
    def ttl_ms(self) -> int:
        """How long it is kept from its creation, milliseconds."""
        return (self.expires_at - self.created_at) // timedelta(milliseconds=1)

    def asking(self, requests: Mapping[str, ClientRequest], now: datetime) -> Self:
        """Waiting for its client to answer.

        Raises:
            Conflict: `task_over`; `task_asks`, it is waiting already, or asks nothing.
        """
        self._require_running()
        if self.status is TaskStatus.INPUT_REQUIRED or not requests:
            raise Conflict("task_asks", "a task asks its client one round of questions after the other")
        return self._at(
            now, status=TaskStatus.INPUT_REQUIRED, message="it waits for answers", requests=dict(requests), answers={}
        )

    def answered(self, answers: Mapping[str, ClientAnswer], now: datetime) -> Self:
        """With these answers; working again once none is missing.

        An answer to what is not asked (never, not yet, or not any more) changes nothing, nor does any once the task is
        over: whoever answers cannot know what has become of it.
        """
        fitting = {key: answer for key, answer in answers.items() if key in self.requests}
        if not fitting:
            return self
        left = {key: request for key, request in self.requests.items() if key not in fitting}
        status = TaskStatus.INPUT_REQUIRED if left else TaskStatus.WORKING
        message = self.message if left else None
        return self._at(now, status=status, message=message, requests=left, answers={**self.answers, **fitting})

    def unanswered(self, now: datetime) -> Self:
        """Working again although answers are missing: nobody waits for them any more.

        Raises:
            Conflict: `task_over`.
        """
        self._require_running()
        return self._at(now, status=TaskStatus.WORKING, message=None, requests={}, answers={})

    def completed(self, result: bytes, now: datetime) -> Self:
        """Over, with the call's result.

        Raises:
            Conflict: `task_over`.
        """
        return self._over(TaskStatus.COMPLETED, None, now, result=result)

    def failed(self, failure: TaskFailure, now: datetime) -> Self:
        """Over, without any.

        Raises:
            Conflict: `task_over`.
        """
        return self._over(TaskStatus.FAILED, failure.message, now, failure=failure)

    def cancelled(self, now: datetime) -> Self:
        """Over, since its client wants it no more.

        Raises:
            Conflict: `task_over`.
        """
        return self._over(TaskStatus.CANCELLED, "its client cancelled it", now)

    def _over(
        self,
        status: TaskStatus,
        message: str | None,
        now: datetime,
        *,
        result: bytes | None = None,
        failure: TaskFailure | None = None,
    ) -> Self:
        self._require_running()
        # What was asked and answered along the way is nobody's business any more.
        return self._at(now, status=status, message=message, requests={}, answers={}, result=result, failure=failure)

    def _require_running(self) -> None:
        if self.status.over:
            raise Conflict("task_over", f"this task is {self.status} already", {"status": self.status.value})

    def _at(self, now: datetime, **changes: object) -> Self:
        # A clock that was set back does not make a task older than it was.
        return replace(self, updated_at=max(now, self.updated_at), **changes)  # pyright: ignore[reportArgumentType]
