"""What `parse_module` says about a well-formed module."""

from __future__ import annotations

import hashlib

import pytest
import wasmtime

from tests.inspection.wasm.encoding import HEADER, leb, module, name, section, vector
from tests.inspection.wasm.engine import compile_module
from tool_server.inspection import wasm
from tool_server.inspection.wasm import (
    Export,
    ExternKind,
    FunctionType,
    GlobalType,
    Import,
    MemoryType,
    Section,
    TableType,
    TagType,
    parse_module,
)

RICH = """(module
  (import "extism:host/env" "alloc" (func (param i64) (result i64)))
  (import "host" "memory" (memory 1 4))
  (import "host" "table" (table 2 externref))
  (import "host" "flag" (global (mut i32)))
  (func $init)
  (func $run (result i32) i32.const 0)
  (table 3 9 funcref)
  (memory i64 5)
  (memory 6 7 shared)
  (tag $stop (param i32 f64))
  (global $g i64 (i64.const 1))
  (export "run" (func $run))
  (export "alloc" (func 0))
  (export "memory" (memory 1))
  (export "table" (table 1))
  (export "g" (global $g))
  (export "stop" (tag $stop))
  (start $init))"""


def test_the_empty_module_is_a_module_of_eight_bytes() -> None:
    found = parse_module(HEADER)
    assert (found.size, found.start, found.module_name) == (8, None, None)
    assert found.digest == hashlib.sha256(HEADER).hexdigest()
    assert (found.types, found.imports, found.exports) == ((), (), ())
    assert (found.memories, found.tables, found.sections, found.custom_sections) == ((), (), (), ())


def test_imports_exports_limits_and_start_are_resolved_through_the_index_spaces() -> None:
    found = parse_module(bytes(wasmtime.wat2wasm(RICH)))
    alloc = FunctionType(("i64",), ("i64",))
    assert found.imports == (
        Import("extism:host/env", "alloc", ExternKind.FUNCTION, alloc),
        Import("host", "memory", ExternKind.MEMORY, MemoryType(1, 4)),
        Import("host", "table", ExternKind.TABLE, TableType("externref", 2)),
        Import("host", "flag", ExternKind.GLOBAL, GlobalType("i32", mutable=True)),
    )
    assert found.exports == (
        Export("run", ExternKind.FUNCTION, 2, FunctionType((), ("i32",))),
        Export("alloc", ExternKind.FUNCTION, 0, alloc),
        Export("memory", ExternKind.MEMORY, 1, MemoryType(5, is_64=True)),
        Export("table", ExternKind.TABLE, 1, TableType("funcref", 3, 9)),
        Export("g", ExternKind.GLOBAL, 1, GlobalType("i64", mutable=False)),
        Export("stop", ExternKind.TAG, 0, TagType(("i32", "f64"))),
    )
    assert found.memories == (MemoryType(1, 4), MemoryType(5, is_64=True), MemoryType(6, 7, shared=True))
    assert found.tables == (TableType("externref", 2), TableType("funcref", 3, 9))
    assert found.start == 1


def test_only_functions_have_a_function_type() -> None:
    found = parse_module(bytes(wasmtime.wat2wasm(RICH)))
    assert [item.function is not None for item in found.imports] == [True, False, False, False]
    assert [item.function is not None for item in found.exports] == [True, True, False, False, False, False]


def test_sections_are_listed_with_the_place_and_size_of_their_content() -> None:
    data = module(section(5, b"\x01\0\x01"), b"\x07" + leb(5, 4) + b"\x01\x01m\x02\0")
    assert parse_module(data).sections == (Section(5, "memory", 10, 3), Section(7, "export", 18, 5))
    assert compile_module(data) is not None


@pytest.mark.parametrize(
    ("function", "spelled"),
    [
        (FunctionType(), "() -> ()"),
        (FunctionType((), ("i32",)), "() -> i32"),
        (FunctionType(("i32", "(ref null 0)"), ("f32", "f64")), "(i32, (ref null 0)) -> (f32, f64)"),
    ],
)
def test_function_types_are_spelled_for_messages(function: FunctionType, spelled: str) -> None:
    assert str(function) == spelled


@pytest.mark.parametrize("text", ["", "a\0b", "日本語", "\U0001f600", "\ufeff", "a" * 100_000])
def test_export_names_are_any_unicode_text(text: str) -> None:
    data = module(section(5, b"\x01\0\x01"), section(7, vector(name(text) + b"\x02\0")))
    assert [item.name for item in parse_module(data).exports] == [text]
    assert compile_module(data) is not None


def test_every_constant_instruction_may_stand_in_a_global() -> None:
    data = bytes(
        wasmtime.wat2wasm("""(module
          (type $s (struct (field i32))) (type $a (array i32)) (type $d (array (mut f32)))
          (import "a" "b" (global $i i32)) (func $f) (elem declare func $f)
          (global i32 (i32.mul (i32.sub (global.get $i) (i32.const -2147483648)) (i32.const 2147483647)))
          (global i64 (i64.mul (i64.sub (i64.const -9223372036854775808) (i64.const 1)) (i64.const 2)))
          (global f32 (f32.const nan)) (global f64 (f64.const inf)) (global v128 (v128.const i64x2 1 -1))
          (global funcref (ref.func $f)) (global (ref null $s) (ref.null $s)) (global anyref (ref.null any))
          (global (ref $s) (struct.new $s (i32.const 1))) (global (ref $s) (struct.new_default $s))
          (global (ref $a) (array.new $a (i32.const 1) (i32.const 2)))
          (global (ref $d) (array.new_default $d (i32.const 2)))
          (global (ref $a) (array.new_fixed $a 2 (i32.const 1) (i32.const 2)))
          (global (ref i31) (ref.i31 (i32.const 1)))
          (global externref (extern.convert_any (ref.null any)))
          (global anyref (any.convert_extern (ref.null extern))))""")
    )
    assert compile_module(data) is not None
    assert [item.name for item in parse_module(data).sections].count("global") == 1


def test_every_public_name_is_exported() -> None:
    assert sorted(wasm.__all__) == sorted(set(wasm.__all__))
    assert all(hasattr(wasm, item) for item in wasm.__all__)
