"""Validation in processes: equal answers, deadlines, bounds, recovery."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inspection.test_lint_work import SCHEMAS, VALUES
from tests.sandbox.conftest import PATIENCE, until
from tests.support.kernel import is_running
from tests.support.tools import definition_of, entry_of
from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.inspection.checked_tool import CheckedTool
from tool_server.inspection.lint import lint_tool
from tool_server.model.catalog import CatalogEntry
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.sandbox.validation import ValidationSettings, ValidatorPool

LARGE_INTEGERS: list[JsonValue] = [10**50 + number for number in range(5_000)]
"""In `uniqueItems` the engine compares each with each: some twenty seconds."""

MANY: JsonObject = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1_000)}}
"""Too large to be compiled in the event loop, so that its tool's calls are always checked in a process."""


def about(schema: JsonValue) -> JsonObject:
    """A schema for `{"x": …}`."""
    return {"type": "object", "properties": {"x": schema}}


def padded(schema: JsonObject) -> JsonObject:
    """The same schema, too large for the event loop."""
    return {**schema, "$comment": "x" * 50_000}


UNIQUE = about({"uniqueItems": True})
SLOW: JsonObject = {"x": LARGE_INTEGERS}


@pytest.fixture(scope="module")
async def pool() -> AsyncGenerator[ValidatorPool]:
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=20_000)) as running:
        yield running


async def outcome(ask: Awaitable[Any]) -> object:
    """What is given, or the error it ends in."""
    try:
        return await ask
    except ToolServerError as error:
        return type(error), error.code, error.message, error.data


def directly(ask: Callable[[], Any]) -> object:
    """The same without a process."""
    try:
        return ask()
    except ToolServerError as error:
        return type(error), error.code, error.message, error.data


async def ask(pool: ValidatorPool, entry: CatalogEntry, arguments: JsonObject, caller: str = "ann") -> bytes:
    """The Extism input."""
    with anyio.fail_after(PATIENCE):
        return await pool.encode_arguments(entry, arguments, call="call-1", caller=caller)


async def test_ordinary_calls_start_no_process() -> None:
    async with ValidatorPool(ValidationSettings()) as pool:
        entry = entry_of(about({"type": "string", "default": "a"}), about({"type": "integer"}))
        assert json.loads(await ask(pool, entry, {})) == {"x": "a"}
        assert (await pool.decode_output(entry, b'{"x": 3}', caller="ann")).structured == {"x": 3}
        with pytest.raises(InvalidInput, match=r"\$\.x: expected a string, got 3"):
            await ask(pool, entry, {"x": 3})
        with pytest.raises(CallFailed, match=r"\$\.x: expected an integer"):
            await pool.decode_output(entry, b'{"x": "a"}', caller="ann")
        assert await pool.lint("plugin", [entry.definition]) == lint_tool("plugin", entry.definition)
        assert pool.pids == frozenset()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=SCHEMAS, value=VALUES)
async def test_a_process_gives_the_same_inputs_results_and_messages(pool: ValidatorPool, x: Any, value: Any) -> None:
    schema = padded(about(x))
    entry = entry_of(schema, schema)
    here = CheckedTool(entry.definition)
    data = json.dumps({"x": value}).encode()
    assert await outcome(ask(pool, entry, {"x": value})) == directly(lambda: here.encode({"x": value}, "call-1"))
    assert await outcome(pool.decode_output(entry, data, caller="ann")) == directly(lambda: here.decode(data))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.dictionaries(
        st.text(),
        st.recursive(
            st.integers() | st.floats() | st.text() | st.none() | st.just(10**300),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
async def test_a_process_gets_every_value_as_it_is(pool: ValidatorPool, value: Any) -> None:
    entry = entry_of(padded({"type": "object", "properties": {"b": {"default": {"z": 1, "a": 2}}}}))
    here = CheckedTool(entry.definition)
    assert await outcome(ask(pool, entry, value)) == directly(lambda: here.encode(value, "call-1"))


LARGE: list[tuple[JsonObject, Any]] = [
    (about({"type": "array", "items": {"type": "integer"}}), {"x": [*range(10_000), "a", None]}),
    (about({"type": "array", "items": {"properties": {"a": {"default": 1}}}}), {"x": [{}] * 10_000}),
    (MANY, {"p1": 1, "p999": None}),
    (about({"items": {"enum": ["yes", "no"]}}), {"x": ["yes"] * 200 + ["nope", "on"]}),
    (about({}), {"x": ["\ud800"] * 6_000}),
    (about({}), {"x": [float("nan")] * 6_000}),
    (about({"maximum": 3}), {"x": 10**4_000}),
]


@pytest.mark.parametrize(("schema", "value"), LARGE)
async def test_large_values_and_schemas_are_answered_in_the_same_words(
    pool: ValidatorPool, schema: JsonObject, value: JsonObject
) -> None:
    entry = entry_of(schema)
    assert await outcome(ask(pool, entry, value)) == directly(
        lambda: CheckedTool(entry.definition).encode(value, "call-1")
    )


async def test_a_process_lints_what_a_thread_would_hold_the_server_with(pool: ValidatorPool) -> None:
    tools = [
        definition_of(padded(about({"type": "string", "pattern": "(?<=a)b"}))),
        definition_of(about({"enum": list(range(1_000))}), about({"const": 3})),
        definition_of({"type": "object", "$ref": "#/$defs/none", "description": "x" * 40_000}),
    ]
    expected = [finding for tool in tools for finding in lint_tool("plugin", tool)]
    before = pool.pids
    assert list(await pool.lint("plugin", tools)) == expected
    assert {"pattern-unsupported", "dangling-ref"} <= {finding.rule for finding in expected}
    await until(lambda: pool.pids == before)


async def test_a_check_ends_at_its_deadline_and_the_next_one_is_answered() -> None:
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=500)) as pool:
        for arguments in (SLOW, SLOW):
            with pytest.raises(InvalidInput) as refused:
                await ask(pool, entry_of(UNIQUE), arguments)
            assert refused.value.code == "validation_limit"
            assert "takes longer than 0.5 s" in refused.value.message
            assert "fewer or smaller values" in refused.value.message
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=2_000)) as pool:
        entry = entry_of(about({}), UNIQUE)
        with pytest.raises(CallFailed) as failed, anyio.fail_after(PATIENCE):
            await pool.decode_output(entry, json.dumps(SLOW).encode(), caller="ann")
        assert failed.value.code == "bad_output"
        assert "takes longer than 2 s" in failed.value.message
        assert json.loads(await ask(pool, entry, {"x": list(range(10_000))}))["x"][-1] == 9_999


async def test_a_check_that_takes_too_much_memory_ends_as_such() -> None:
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=30_000, memory=128 * 2**20)) as pool:
        with pytest.raises(InvalidInput) as refused:
            await ask(pool, entry_of(about({})), {"x": [[] for _ in range(1_400_000)]})
        assert refused.value.code == "validation_limit"
        assert "too much memory" in refused.value.message
        assert await ask(pool, entry_of(MANY), {"p1": "a"}) == b'{"p1":"a"}'


async def test_a_killed_process_loses_no_check() -> None:
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=20_000)) as pool:
        assert await ask(pool, entry_of(MANY), {}) == b"{}"
        (idle,) = pool.pids
        os.kill(idle, signal.SIGKILL)
        assert await ask(pool, entry_of(MANY), {}) == b"{}"
        (busy,) = pool.pids
        outcomes: list[object] = []

        async def check() -> None:
            outcomes.append(await outcome(ask(pool, entry_of(UNIQUE), {"x": LARGE_INTEGERS[:1_500]})))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(check)
            await until(lambda: bool(pool.busy))
            os.kill(busy, signal.SIGKILL)
        assert isinstance(outcomes[0], bytes)


async def test_a_cancelled_check_stops_at_once() -> None:
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=60_000)) as pool:
        await ask(pool, entry_of(MANY), {})
        (pid,) = pool.pids
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, pool, entry_of(UNIQUE), SLOW)
            await until(lambda: bool(pool.busy))
            tasks.cancel_scope.cancel()
        await until(lambda: not is_running(pid))
        assert await ask(pool, entry_of(MANY), {}) == b"{}"


async def test_a_full_queue_says_busy_and_callers_take_turns() -> None:
    async with ValidatorPool(ValidationSettings(processes=1, queue=3, timeout_ms=1_000)) as pool:
        await ask(pool, entry_of(MANY), {})
        order: list[str] = []
        few: JsonObject = {"x": LARGE_INTEGERS[:2]}

        async def check(caller: str, arguments: JsonObject) -> None:
            await outcome(ask(pool, entry_of(UNIQUE), arguments, caller))
            order.append(caller)

        ends: list[object] = []

        async def flood() -> None:
            ends.append(await outcome(ask(pool, entry_of(UNIQUE), SLOW, "flood")))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(flood)
            await until(lambda: pool.waiting == 3)
            tasks.start_soon(check, "honest", few)
            await until(lambda: len(ends) == 1)
            # The queue is full: whose line is longest gives way to who comes later.
            assert [found[1] for found in ends if isinstance(found, tuple)] == ["busy"]
        assert order == ["honest"]
        assert len(ends) == 4


async def test_no_process_outlives_the_pool_and_later_checks_are_turned_away() -> None:
    async with ValidatorPool(ValidationSettings(processes=1, timeout_ms=60_000)) as pool:
        await ask(pool, entry_of(MANY), {})
        pids = pool.pids
        ended: list[object] = []

        async def check() -> None:
            ended.append(await outcome(ask(pool, entry_of(UNIQUE), SLOW)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(check)
            tasks.start_soon(check)
            await until(lambda: pool.waiting == 1)
            await pool.end_tasks()
        assert [found[1] for found in ended if isinstance(found, tuple)] == ["shutting_down"] * 2
        assert not any(map(is_running, pids))
        with pytest.raises(Unavailable, match="shutting down"):
            await ask(pool, entry_of(MANY), {})
        # What needs no process is answered to the end.
        assert await ask(pool, entry_of(about({})), {"x": 1}) == b'{"x":1}'


async def test_values_that_are_no_json_are_refused(pool: ValidatorPool) -> None:
    class Subclass(dict[str, Any]):
        pass

    with pytest.raises(InvalidInput) as refused:
        await ask(pool, entry_of(MANY), {"x": Subclass()})
    assert refused.value.code == "invalid_arguments"
