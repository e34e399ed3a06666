"""From what the engine leaves behind to our codes; the real combinations are in test_calls.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.sandbox.outcome import MAX_MESSAGE, engine_reason, failure_of, instantiation_failure, readable


@given(st.binary(max_size=400), st.integers(0, 300))
def test_any_bytes_become_bounded_text(raw: bytes, limit: int) -> None:
    text = readable(raw, limit)
    assert len(text) <= limit + 1
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.integers(-(2**31), 2**31 - 1), st.binary(max_size=200), st.binary(max_size=200))
def test_every_combination_has_one_meaning(code: int, message: bytes, log_line: bytes) -> None:
    failure = failure_of("go", code, message, log_line)
    assert (failure is None) == (code == 0 and not message)
    if failure is not None:
        assert failure[1]
        assert len(failure[1]) <= MAX_MESSAGE + 200


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"Unable to compile Extism plugin: bad magic\n\nCaused by:\n more", "bad magic"),
        (b"failed at /usr/lib/engine/src/lib.rs:12: broken", "failed at <path>:12: broken"),
        (b"", "the engine gave no reason"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_engine_s_reason_is_one_line_without_paths(message: bytes, expected: str) -> None:
    assert engine_reason(message) == expected


@pytest.mark.parametrize("forged", [b"timeout", b"oom", b"plugin ran out of fuel"])
def test_a_guest_that_words_its_error_like_the_runtime_s_is_not_believed(forged: bytes) -> None:
    assert failure_of("go", 1, forged, b"") == ("guest_error", forged.decode())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"Unable to create Extism plugin: wasm trap: all fuel consumed by WebAssembly", "out_of_fuel"),
        (b"Unable to create Extism plugin: Cannot allocate memory (os error 12)", "out_of_memory"),
        (b"Unable to create Extism plugin: wasm trap: integer overflow", "trap"),
        (b"Unable to create Extism plugin: unknown import: `x::y` has not been defined", "trap"),
    ],
)
def test_an_instance_that_cannot_be_made_has_a_code(message: bytes, code: str) -> None:
    assert instantiation_failure(message)[0] == code
