"""The limits of a call, from what a manifest asks for and what the operator allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tool_server.errors import InvalidInput
from tool_server.inspection.manifest_errors import refuse
from tool_server.model.limits import MIN_TIMEOUT_MS, WASM_PAGE, Limits, parse_duration_ms, parse_size
from tool_server.model.manifest import ManifestLimits

_FIELDS: tuple[tuple[str, str, Callable[[str | int], int], int, str], ...] = (
    ("memory", "memory_bytes", parse_size, WASM_PAGE, "at least one wasm page of 65536 bytes, such as '64MiB'"),
    ("timeout", "timeout_ms", parse_duration_ms, MIN_TIMEOUT_MS, f"at least {MIN_TIMEOUT_MS}ms, such as '5s'"),
    ("output", "output_bytes", parse_size, 1, "at least 1 byte, such as '4MiB'"),
    ("input", "input_bytes", parse_size, 1, "at least 1 byte, such as '4MiB'"),
)


def asked_limits(limits: ManifestLimits) -> dict[str, int]:
    """What the manifest sets, as fields of `Limits`; without an upper bound.

    Raises:
        InvalidInput: `invalid_manifest`, naming the field.
    """
    asked: dict[str, int] = {}
    for name, field, parse, least, expected in _FIELDS:
        value: str | int | None = getattr(limits, name)
        if value is None:
            continue
        try:
            asked[field] = parse(value)
        except InvalidInput as error:
            raise InvalidInput(
                "invalid_manifest",
                f"plugin.json: $.limits.{name}: {error.message}",
                {"path": f"$.limits.{name}", "expected": expected, "got": str(value)[:80]},
            ) from error
        if asked[field] < least:
            refuse(["limits", name], expected, value)
    if limits.fuel is not None:
        asked["fuel"] = limits.fuel
    return asked


def resolve_limits(asked: ManifestLimits, defaults: Limits, ceiling: Limits) -> Limits:
    """What a call of a plugin gets: the wishes of its manifest, `defaults` where it has none, never above `ceiling`.

    A wish beyond the ceiling is lowered to it, without an error.

    Raises:
        InvalidInput: `invalid_manifest`, naming the field whose value is no size or duration, or is too small.
    """
    wanted: dict[str, Any] = {**defaults.model_dump(), **asked_limits(asked)}
    highest = ceiling.model_dump()
    bounded = {
        field: value if highest[field] is None else highest[field] if value is None else min(value, highest[field])
        for field, value in wanted.items()
    }
    return Limits.model_validate(bounded)
