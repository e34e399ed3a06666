"""Our reading of modules held against the engine's own, for modules as written and for damaged ones."""

from __future__ import annotations

import pytest
import wasmtime
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.inspection.wasm.engine import attempt, comparable, compile_module, our_view, their_view
from tests.inspection.wasm.wat import Written, modules
from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import AggregateType, Cause, FunctionType, parse_module

SEEDS = (
    '(module (import "extism:host/env" "alloc" (func (param i64) (result i64))) (memory (export "memory") 1 9)'
    ' (func (export "run") (result i32) i32.const 0) (func $s) (start $s) (data (i32.const 0) "abc")'
    " (table 3 funcref) (elem (i32.const 0) 1 2) (global (mut i32) (i32.const 5)))",
    "(module (rec (type $a (sub (struct (field (ref null $b)) (field (mut i8)))))"
    " (type $b (sub $a (struct (field (ref null $b)) (field (mut i8)) (field v128)))))"
    ' (type $c (array (mut i64))) (func (export "f") (param i32) (result i32) local.get 0)'
    " (global (ref $c) (array.new $c (i64.const 1) (i32.const 2))) (tag (param i32)))",
    '(module $named (func $f) (elem declare func $f) (table (export "t") 1 4 (ref func) (ref.func $f))'
    ' (memory i64 1 2) (memory 1 2 shared) (data "passive") (func (memory.init 0 (i64.const 0) (i32.const 0)'
    ' (i32.const 0))) (@custom "note" "text") (@producers (language "C" "11")))',
    '(module (import "a" "m" (memory 1)) (import "a" "t" (table i64 1 externref)) (import "a" "g" (global i64))'
    ' (import "a" "e" (tag (param f64))) (export "m" (memory 0)) (export "t" (table 0)) (export "g" (global 0))'
    ' (export "e" (tag 0)) (global v128 (v128.const i32x4 1 2 3 4)) (global f64 (f64.const 1)))',
)

_translated = st.sampled_from([bytes(wasmtime.wat2wasm(text)) for text in SEEDS])


@st.composite
def damaged_modules(draw: st.DrawFn) -> bytes:
    """A module with one to three bytes or slices after the header changed, removed, repeated or put in."""
    data = bytearray(draw(_translated))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(min(8, len(data)), len(data)))
        end = min(len(data), at + draw(st.integers(0, 4)))
        match draw(st.sampled_from(["flip", "replace", "remove", "insert", "repeat", "cut"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "replace":
                data[at:end] = draw(st.binary(min_size=end - at, max_size=end - at))
            case "remove":
                del data[at:end]
            case "repeat":
                data[at:at] = data[at:end]
            case "cut":
                del data[at:]
            case _:
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
    return bytes(data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(modules())
def test_imports_exports_types_limits_and_start_are_as_wasmtime_reads_them(written: Written) -> None:
    data = bytes(wasmtime.wat2wasm(written.text))
    engine = compile_module(data)
    assert engine is not None, written.text
    module = parse_module(data)
    assert our_view(module) == their_view(engine)
    assert module.start == written.start


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(damaged_modules())
@example(b"\0asm\x01\0\0\0")
def test_a_damaged_module_is_refused_with_an_offset_or_read_as_wasmtime_reads_it(data: bytes) -> None:
    engine = compile_module(data)
    found = attempt(data)
    if isinstance(found, InvalidInput):
        assert engine is None, found
        assert found.code == "invalid_wasm"
        assert 0 <= found.data["offset"] <= len(data)
    elif engine is not None and comparable(found):
        assert our_view(found) == their_view(engine)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_after_the_header_never_raise_anything_else(tail: bytes) -> None:
    data = b"\0asm\x01\0\0\0" + tail
    found = attempt(data)
    if isinstance(found, InvalidInput):
        assert compile_module(data) is None, found
        assert found.code == "invalid_wasm"
        assert found.data["cause"] in set(Cause)


@pytest.mark.parametrize("text", SEEDS)
def test_every_truncation_of_a_module_is_refused_or_ends_between_two_sections(text: str) -> None:
    data = bytes(wasmtime.wat2wasm(text))
    ends = {8, *(item.offset + item.size for item in parse_module(data).sections)}
    for size in range(8, len(data)):
        found = attempt(data[:size])
        if isinstance(found, InvalidInput):
            assert found.data["offset"] <= size
        else:
            assert size in ends


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            "(func (param v128 anyref (ref func) (ref null extern) i31ref))",
            ("v128", "anyref", "(ref func)", "externref", "i31ref"),
        ),
        (
            "(func (param exnref nullexnref nullref nullfuncref nullexternref))",
            ("exnref", "nullexnref", "nullref", "nullfuncref", "nullexternref"),
        ),
        (
            "(func (param (ref null 0) (ref 0) eqref structref arrayref))",
            ("(ref null 0)", "(ref 0)", "eqref", "structref", "arrayref"),
        ),
    ],
)
def test_reference_types_are_spelled_as_in_the_text_that_wasmtime_translates(
    declared: str, expected: tuple[str, ...]
) -> None:
    data = bytes(wasmtime.wat2wasm(f"(module (type (func)) (type {declared}))"))
    assert compile_module(data) is not None
    assert parse_module(data).types[1] == FunctionType(expected)


def test_recursive_groups_are_laid_out_flat_with_their_fields() -> None:
    module = parse_module(bytes(wasmtime.wat2wasm(SEEDS[1])))
    assert module.types[:3] == (
        AggregateType("struct", ("(ref null 1)", "(mut i8)")),
        AggregateType("struct", ("(ref null 1)", "(mut i8)", "v128")),
        AggregateType("array", ("(mut i64)",)),
    )
