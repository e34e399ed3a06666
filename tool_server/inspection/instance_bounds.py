"""Bounds on the values that are validated: depth, number, and the work that they can cause with their schema."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import NamedTuple

from tool_server.inspection.schema_work import SchemaWork
from tool_server.model.json_value import MAX_DEPTH, JsonObject, JsonValue

MAX_VALUES = 4_000_000
"""Values (members and items at every depth) in one instance."""

MAX_WORK = 5_000_000
"""Subschema evaluations of one validation. jsonschema-rs makes some 20 to 100 million in a second."""

_CONTAINERS = (dict, list)
_SCALARS = frozenset({str, int, bool, type(None)})


class InstanceSize(NamedTuple):
    """`values` at every depth, and the bound of the subschema evaluations (`work`) that validating them can take."""

    values: int
    work: int


class OutOfBoundsError(Exception):
    """The instance must not be validated; the message is a clause that begins with "it"."""


def require_bounds(value: JsonValue, work: SchemaWork, offset: int = 0) -> InstanceSize:
    """Walk the value level by level and measure it.

    Args:
        value: the instance, or a part of one.
        work: of the whole schema.
        offset: how many levels the part lies inside the instance.

    Raises:
        OutOfBoundsError: too deep, too many values, too much work, or a number that JSON does not have.
    """
    per_level = work.per_level
    if isinstance(value, dict) and _SCALARS.issuperset(map(type, value.values())):
        # The common case, asked for without a loop in Python: plain arguments.
        total = per_level[min(offset, MAX_DEPTH)] + len(value) * per_level[min(offset + 1, MAX_DEPTH)]
        _require_budget(len(value), total, 1)
        return InstanceSize(len(value), total)
    total = per_level[min(offset, MAX_DEPTH)]
    count = 0
    level = _containers((value,))
    for depth in range(1, MAX_DEPTH + 1):
        if not level:
            break
        members = 0
        inner: list[JsonObject | list[JsonValue]] = []
        for container in level:
            members += len(container)
            values = container.values() if isinstance(container, dict) else container
            if not _SCALARS.issuperset(map(type, values)):
                inner += _containers(values)
        count += members
        total += members * per_level[min(offset + depth, MAX_DEPTH)]
        _require_budget(count, total, depth)
        level = inner
    if level:
        raise OutOfBoundsError(f"it is nested deeper than {MAX_DEPTH} levels")
    return InstanceSize(count, total)


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


def _require_budget(count: int, work: int, depth: int) -> None:
    if count > MAX_VALUES:
        raise OutOfBoundsError(f"it holds more than {MAX_VALUES:,} values")
    if work > MAX_WORK:
        raise OutOfBoundsError(
            f"it has {count:,} values on {depth} levels, and checking them against the schema is too much work: "
            "send fewer values or nest them less deeply"
        )
