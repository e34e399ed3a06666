from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tool_server.errors import Denied, InvalidInput
from tool_server.model.caller import ANONYMOUS, LOCAL, Caller, Scope
from tool_server.model.limits import Limits, parse_duration_ms, parse_size

limit_values = st.builds(
    Limits,
    memory_bytes=st.integers(65_536, 2**32),
    timeout_ms=st.integers(20, 3_600_000),
    fuel=st.none() | st.integers(1, 10**12),
    input_bytes=st.integers(1, 2**26),
    output_bytes=st.integers(1, 2**26),
)


@pytest.mark.parametrize(
    ("text", "size"), [("64MiB", 67_108_864), ("1 MB", 1_000_000), ("512", 512), (7, 7), ("2GiB", 2**31), ("1B", 1)]
)
def test_sizes_are_read_with_their_unit(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5MiB", "64 mib", "1e9", "9" * 13, "1MiBs", "\u0663MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "duration"), [("5s", 5_000), ("250ms", 250), ("1.5s", 1_500), ("1m", 60_000), (40, 40)]
)
def test_durations_are_read_with_their_unit(text: str | int, duration: int) -> None:
    assert parse_duration_ms(text) == duration


@pytest.mark.parametrize("text", ["", "5", "-1s", "5 hours", "1.2345s", "nan", True, -3, float("nan")])
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(InvalidInput, match="is not a duration"):
        parse_duration_ms(text)


def test_a_timeout_that_the_engine_would_lose_is_refused() -> None:
    with pytest.raises(ValidationError, match="timeout_ms"):
        Limits(timeout_ms=19)


@given(limit_values, limit_values)
def test_capped_limits_never_exceed_either_side(wanted: Limits, ceiling: Limits) -> None:
    capped = wanted.capped_by(ceiling)
    for field in ("memory_bytes", "timeout_ms", "input_bytes", "output_bytes"):
        assert getattr(capped, field) == min(getattr(wanted, field), getattr(ceiling, field))
    assert capped.fuel == min((fuel for fuel in (wanted.fuel, ceiling.fuel) if fuel is not None), default=None)


@pytest.mark.parametrize(
    ("own", "allowed"),
    [
        (Scope.READ, {Scope.READ}),
        (Scope.CALL, {Scope.READ, Scope.CALL}),
        (Scope.PUBLISH, {Scope.READ, Scope.PUBLISH}),
        (Scope.ADMIN, set(Scope)),
    ],
)
def test_a_scope_allows_exactly_what_it_includes(own: Scope, allowed: set[Scope]) -> None:
    caller = Caller("someone", frozenset({own}))
    assert {scope for scope in Scope if caller.may(scope)} == allowed
    for scope in set(Scope) - allowed:
        with pytest.raises(Denied, match=f"needs the scope '{scope}'"):
            caller.require(scope)


def test_whoever_sends_no_token_may_only_call_and_the_local_user_may_all() -> None:
    assert {scope for scope in Scope if ANONYMOUS.may(scope)} == {Scope.READ, Scope.CALL}
    assert {scope for scope in Scope if LOCAL.may(scope)} == set(Scope)
