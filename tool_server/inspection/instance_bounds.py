"""Bounds on the values that are validated: depth, number, and the work that they can cause with their schema."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from tool_server.inspection.schema_work import SchemaWork
from tool_server.model.json_value import MAX_DEPTH, JsonObject, JsonValue

MAX_VALUES = 4_000_000
"""Values (members and items at every depth) in one instance."""

MAX_OUTPUT_VALUES = 100_000
"""Values in one result. It is sent on as a whole by the event loop, which parses, writes and frees all of them: some
10 milliseconds. A text is one value, however long."""

MAX_WORK = 5_000_000
"""Subschema evaluations of one validation. jsonschema-rs makes some 20 to 100 million in a second."""

_CONTAINERS = (dict, list)
_SCALARS = frozenset({str, int, bool, type(None)})
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
"""Integers that the engine holds in a machine word. It compares others in decimal, a microsecond for two digits, and in
`uniqueItems` each with each."""


class Budget(NamedTuple):
    """How much one validation may take: values at every depth, subschema evaluations, and nanoseconds, roughly, that
    patterns, formats and lengths may take for text."""

    values: int
    work: int
    text: int


WHOLE = Budget(MAX_VALUES, MAX_WORK, 500_000_000)
"""The most that is ever done; what needs more is refused."""

QUICK = Budget(5_000, 20_000, 500_000)
"""What an event loop can do without anybody noticing: one or two milliseconds at the very worst."""


class InstanceSize(NamedTuple):
    """`values` at every depth, and the bound of the subschema evaluations (`work`) that validating them can take."""

    values: int
    work: int


class OutOfBoundsError(Exception):
    """The instance must not be validated; the message is a clause that begins with "it"."""


def count_values(value: JsonValue) -> int:
    """Members and items at every depth."""
    count = 0
    level = [value]
    while level:
        inner: list[JsonValue] = []
        for container in level:
            if isinstance(container, dict | list):
                count += len(container)
                inner += container.values() if isinstance(container, dict) else container
        level = inner
    return count


class NotQuickError(Exception):
    """The work is more than an event loop should do; nothing is said about the value."""


def require_bounds(value: JsonValue, work: SchemaWork, offset: int = 0, budget: Budget = WHOLE) -> InstanceSize:
    """Walk the value level by level and measure it.

    Args:
        value: the instance, or a part of one.
        work: of the whole schema.
        offset: how many levels the part lies inside the instance.
        budget: `WHOLE` or `QUICK`; the walk itself ends as soon as there are more values.

    Raises:
        OutOfBoundsError: too deep, too many values, too much work, or a number that JSON does not have.
        NotQuickError: more than the budget `QUICK`.
    """
    per_level = work.per_level
    if isinstance(value, dict):
        count = len(value)
        if count > budget.values:
            _refuse_values(budget)
        kinds = set(map(type, value.values()))
        if kinds <= _SCALARS:
            # The common case: plain arguments.
            if int in kinds:
                _require_words(value.values(), budget)
            total = per_level[min(offset, MAX_DEPTH)] + count * per_level[min(offset + 1, MAX_DEPTH)]
            if total > budget.work:
                _refuse_work(count, 1, budget)
            return InstanceSize(count, total)
    return _measure_levels(value, per_level, offset, budget)


def _measure_levels(value: JsonValue, per_level: Sequence[int], offset: int, budget: Budget) -> InstanceSize:
    total = per_level[min(offset, MAX_DEPTH)]
    count = 0
    level = _containers((value,))
    for depth in range(1, MAX_DEPTH + 1):
        if not level:
            break
        members, inner = _enter(level, count, budget)
        count += members
        total += members * per_level[min(offset + depth, MAX_DEPTH)]
        if total > budget.work:
            _refuse_work(count, depth, budget)
        level = inner
    if level:
        raise OutOfBoundsError(f"it is nested deeper than {MAX_DEPTH} levels")
    return InstanceSize(count, total)


def _enter(
    level: Iterable[JsonObject | list[JsonValue]], count: int, budget: Budget
) -> tuple[int, list[JsonObject | list[JsonValue]]]:
    """How many values the containers hold, and which of those are containers again."""
    members = 0
    inner: list[JsonObject | list[JsonValue]] = []
    for container in level:
        members += len(container)
        if count + members > budget.values:
            _refuse_values(budget)
        values = container.values() if isinstance(container, dict) else container
        kinds = set(map(type, values))
        if int in kinds:
            _require_words(values, budget)
        if not kinds <= _SCALARS:
            inner += _containers(values)
    return members, inner


def _containers(values: Iterable[JsonValue]) -> list[JsonObject | list[JsonValue]]:
    found: list[JsonObject | list[JsonValue]] = []
    for value in values:
        if isinstance(value, _CONTAINERS):
            found.append(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise OutOfBoundsError(
                f"it holds {json.dumps(value)}, which is no JSON number: use null, a number or a string"
            )
    return found


def _require_words(values: Iterable[JsonValue], budget: Budget) -> None:
    if budget is QUICK:
        for value in values:
            if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
                raise NotQuickError


def _refuse_values(budget: Budget) -> NoReturn:
    if budget is QUICK:
        raise NotQuickError
    raise OutOfBoundsError(f"it holds more than {MAX_VALUES:,} values")


def _refuse_work(count: int, depth: int, budget: Budget) -> NoReturn:
    if budget is QUICK:
        raise NotQuickError
    raise OutOfBoundsError(
        f"it has {count:,} values on {depth} levels, and checking them against the schema is too much work: "
        "send fewer values or nest them less deeply"
    )
