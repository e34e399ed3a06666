"""Tasks come from one state to the next as MCP's extension has it, whatever happens in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tool_server.errors import Conflict
from tool_server.model.client import ELICIT, ClientAnswer, ClientRequest
from tool_server.model.task import Task, TaskFailure, TaskStatus

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=5)
FAILURE = TaskFailure("interrupted", "the server stopped", {})
QUESTION = ClientRequest(ELICIT, {"message": "Your name?"})
ANSWER = ClientAnswer({"action": "accept", "content": {"name": "Ada"}})


def make_task() -> Task:
    return Task("id", "ada", "slow_compute", NOON, NOON, NOON + timedelta(hours=1), 500)


def test_a_new_task_works_and_says_how_long_it_is_kept() -> None:
    task = make_task()
    assert (task.status, task.status.over, task.ttl_ms) == (TaskStatus.WORKING, False, 3_600_000)


def test_it_asks_until_every_question_is_answered() -> None:
    asking = make_task().asking({"a": QUESTION, "b": QUESTION}, LATER)
    assert (asking.status, asking.requests.keys(), asking.updated_at) == (TaskStatus.INPUT_REQUIRED, {"a", "b"}, LATER)
    partly = asking.answered({"a": ANSWER}, LATER)
    assert (partly.status, partly.requests.keys(), partly.answers) == (TaskStatus.INPUT_REQUIRED, {"b"}, {"a": ANSWER})
    answered = partly.answered({"b": ANSWER}, LATER)
    assert (answered.status, answered.requests, answered.answers) == (
        TaskStatus.WORKING,
        {},
        {"a": ANSWER, "b": ANSWER},
    )
    assert answered.message is None


def test_each_question_is_answered_once() -> None:
    other = ClientAnswer({"action": "decline"})
    partly = make_task().asking({"a": QUESTION, "b": QUESTION}, NOON).answered({"a": ANSWER}, NOON)
    assert partly.answered({"a": other, "never": other}, LATER) is partly


def test_questions_nobody_answered_are_taken_back() -> None:
    asking = make_task().asking({"a": QUESTION}, NOON)
    working = asking.unanswered(LATER)
    assert (working.status, working.requests) == (TaskStatus.WORKING, {})
    assert working.asking({"b": QUESTION}, LATER).status is TaskStatus.INPUT_REQUIRED


@pytest.mark.parametrize("requests", [{}, {"b": QUESTION}])
def test_asking_nothing_or_while_asking_is_refused(requests: dict[str, ClientRequest]) -> None:
    task = make_task() if not requests else make_task().asking({"a": QUESTION}, NOON)
    with pytest.raises(Conflict) as refused:
        task.asking(requests, NOON)
    assert refused.value.code == "task_asks"


def test_the_end_forgets_what_was_asked_and_answered() -> None:
    partly = make_task().asking({"a": QUESTION, "b": QUESTION}, NOON).answered({"a": ANSWER}, NOON)
    for over in (partly.completed(b"{}", LATER), partly.failed(FAILURE, LATER), partly.cancelled(LATER)):
        assert over.status.over
        assert (over.requests, over.answers, over.updated_at) == ({}, {}, LATER)


@given(st.integers(-1_000, 1_000))
def test_a_clock_set_back_makes_no_task_older(seconds: int) -> None:
    moment = NOON + timedelta(seconds=seconds)
    assert make_task().completed(b"{}", moment).updated_at == max(NOON, moment)


KEYS = st.sampled_from("abcd")


class TaskLife(RuleBasedStateMachine):
    """Any sequence of events, possible ones and impossible ones."""

    def __init__(self) -> None:
        super().__init__()
        self.task = make_task()
        self.end: Task | None = None
        self.now = NOON

    def _try(self, make: str, *args: object) -> None:
        self.now += timedelta(milliseconds=1)
        impossible: list[str] = []
        try:
            self.task = getattr(self.task, make)(*args, self.now)
        except Conflict as refused:
            impossible.append(refused.code)
        assert not impossible or self.task.status.over or impossible == ["task_asks"]
        if self.task.status.over and self.end is None:
            self.end = self.task

    @rule(keys=st.sets(KEYS))
    def ask(self, keys: set[str]) -> None:
        self._try("asking", dict.fromkeys(keys, QUESTION))

    @rule(keys=st.sets(KEYS))
    def answer(self, keys: set[str]) -> None:
        self._try("answered", dict.fromkeys(keys, ANSWER))

    @rule()
    def give_up(self) -> None:
        self._try("unanswered")

    @rule()
    def complete(self) -> None:
        self._try("completed", b"{}")

    @rule()
    def fail(self) -> None:
        self._try("failed", FAILURE)

    @rule()
    def cancel(self) -> None:
        self._try("cancelled")

    @invariant()
    def nothing_follows_the_end(self) -> None:
        assert self.end is None or self.task is self.end

    @invariant()
    def each_state_has_what_belongs_to_it_and_nothing_else(self) -> None:
        task = self.task
        assert bool(task.requests) == (task.status is TaskStatus.INPUT_REQUIRED)
        assert (task.result is not None) == (task.status is TaskStatus.COMPLETED)
        assert (task.failure is not None) == (task.status is TaskStatus.FAILED)
        assert not task.requests.keys() & task.answers.keys()
        assert not (task.status.over and task.answers)


test_any_order_of_events_keeps_the_rules = TaskLife.TestCase
