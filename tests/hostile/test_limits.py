"""Limits that are no limits: refused by name, or lowered to what the operator allows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.attacks import ANSWERS
from tests.hostile.support import MALLORY, MEBIBYTE, Arena, code_of, memory_of
from tests.services.publishing import ANYTHING
from tests.support.guests import guest
from tool_server.bootstrap.services import publish_limits
from tool_server.config import Config
from tool_server.errors import InvalidInput
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.inspection.manifest_limits import resolve_limits
from tool_server.model.caller import LOCAL
from tool_server.model.limits import Limits

# Real processes by the hundred.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

BAD_VALUES: dict[str, list[Any]] = {
    "memory": [
        0,
        -1,
        1,
        "0",
        "64",
        "-64MiB",
        "64 MB/s",
        "1e30",
        1e30,
        float("nan"),
        [],
        {},
        "9" * 13,
        "9" * 400,
        "64mib",
        "\u0666\u0664MiB",
        "64MiB\x00",
        True,
        "0x40",
        "∞",
        2**62,
    ],
    "timeout": [
        0,
        1,
        19,
        -1,
        "1ms",
        "0s",
        "-5s",
        "5 h",
        "1e9s",
        "inf",
        "nan",
        1e300,
        [],
        True,
        "9" * 10 + "s",
        "1.2345s",
        "5s; sleep 9",
        "\u0665s",
    ],
    "output": [0, -1, "0B", "-1", "1e9", 1.5],
    "input": [0, -1, "lots"],
    "fuel": [0, -1, "many", 1.5, 2**63, 10**30],
    "cpu": ["1s"],
}
REFUSED = [(name, value) for name, values in BAD_VALUES.items() for value in values]

LOWERED: tuple[dict[str, Any], ...] = (
    {"memory": "999999999999GiB"},
    {"timeout": "999999999m"},
    {"timeout": 999_999_999_999},
    {"output": "999999999999GiB", "input": "999999999999GiB"},
    {"fuel": 2**63 - 1},
    {"memory": "64KiB", "timeout": "20ms", "output": 1, "input": 1, "fuel": 1},
)

_numbers = itertools.count()


def manifest_of(limits: object) -> dict[str, Any]:
    """A plugin whose one tool never ends."""
    tools = {"spin": ANYTHING}
    return {"name": f"limits-{next(_numbers)}", "version": "1.0.0", "tools": tools, "limits": limits}


async def publish_limited(arena: Arena, limits: object) -> str:
    """Publish under these limits; the plugin's name."""
    manifest, findings = parse_manifest(manifest_of(limits))
    await arena.services.publish.publish(manifest, guest("spin"), LOCAL, findings)
    await arena.services.install.install(manifest.name, "", LOCAL)
    return manifest.name


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=lambda value: repr(value)[:40])
async def test_a_limit_that_is_none_is_refused_naming_it(arena: Arena, name: str, value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        await publish_limited(arena, {name: value})
    assert refused.value.code == "invalid_manifest"
    assert name in refused.value.message
    assert len(refused.value.message) < 1_000


@pytest.mark.parametrize("limits", [7, "all", [], [{}], True], ids=repr)
async def test_limits_that_are_no_object_are_refused(arena: Arena, limits: object) -> None:
    with pytest.raises(InvalidInput):
        await publish_limited(arena, limits)


@pytest.mark.parametrize("limits", LOWERED, ids=repr)
async def test_a_limit_beyond_the_operator_s_is_lowered_and_the_guest_still_ends_in_time(
    arena: Arena, limits: dict[str, Any]
) -> None:
    bounded = arena.services.config.limits
    name = await publish_limited(arena, {"timeout": "200ms", **limits} if "timeout" not in limits else limits)
    entry = await arena.services.catalog.find(f"{name}_spin")
    assert entry is not None
    assert entry.limits.memory_bytes <= bounded.memory
    assert entry.limits.timeout_ms <= bounded.timeout
    assert entry.limits.output_bytes <= bounded.output
    if entry.limits.timeout_ms > 1_000:
        return

    async def work() -> None:
        code = await code_of(arena.services.invoke.call(f"{name}_spin", {}, MALLORY))
        assert code in ("timeout", "out_of_fuel", "input_too_large")

    await arena.withstands(work, memory=memory_of(entry.limits))


async def test_the_shortest_timeout_there_is_stops_a_guest(arena: Arena) -> None:
    name = await publish_limited(arena, {"timeout": "20ms"})

    async def work() -> None:
        for _ in range(20):
            assert await code_of(arena.services.invoke.call(f"{name}_spin", {}, MALLORY)) == "timeout"

    await arena.withstands(work, memory=64 * MEBIBYTE)


def _with_unit(number: float, unit: str) -> str:
    return f"{number}{unit}"


sizes = st.one_of(
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.booleans(),
    st.none(),
    st.builds(
        _with_unit,
        st.one_of(st.integers(), st.floats()),
        st.sampled_from(["", "B", "KiB", "MiB", "GiB", "KB", "MB", "GB", "ms", "s", "m", "h", " MiB", "\0"]),
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(limits=st.dictionaries(st.sampled_from(["memory", "timeout", "output", "input", "fuel"]), sizes))
def test_whatever_limits_say_they_are_refused_by_name_or_within_the_operator_s(limits: dict[str, object]) -> None:
    bounds = publish_limits(Config())
    try:
        manifest, _ = parse_manifest(manifest_of(limits))
        resolved = resolve_limits(manifest.limits, bounds.defaults, bounds.ceiling)
    except InvalidInput as refused:
        assert refused.code == "invalid_manifest"  # noqa: PT017 - either way is right
        return
    assert resolved == resolved.capped_by(bounds.ceiling)
    assert resolved.timeout_ms >= 20
    assert Limits.model_validate(resolved.model_dump()) == resolved


async def test_a_guest_without_limits_of_its_own_gets_the_default_ones(arena: Arena) -> None:
    name = await publish_limited(arena, {})

    async def work() -> None:
        code = await code_of(arena.services.invoke.call(f"{name}_spin", {}, MALLORY))
        assert code != ANSWERS

    await arena.withstands(work, memory=memory_of(arena.services.config.limits.defaults()))
