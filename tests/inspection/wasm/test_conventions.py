"""What imports and exports mean to Extism and its ABIs."""

from __future__ import annotations

import pytest
import wasmtime

from tool_server.inspection.wasm import (
    RESERVED_EXPORTS,
    RESERVED_PREFIXES,
    Module,
    describes_itself,
    host_imports,
    is_reserved,
    needs_wasi,
    parse_module,
    plain_exports,
    void_exports,
)
from tool_server.model.release import Abi, HostImport


def _module(fields: str) -> Module:
    return parse_module(bytes(wasmtime.wat2wasm(f"(module {fields})")))


def _exporting(*names: str, signature: str = "(result i32)") -> Module:
    return _module(" ".join(f'(func (export "{name}") {signature} unreachable)' for name in names))


def test_host_imports_are_the_functions_beyond_the_kernel_and_wasi_each_once() -> None:
    found = _module("""
      (import "extism:host/env" "alloc" (func (param i64) (result i64)))
      (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
      (import "extism:host/user" "notify" (func (param i64)))
      (import "extism:host/user" "notify" (func (param i64)))
      (import "extism:host/user" "notify" (func (param i32)))
      (import "env" "mix" (func (param i32 f32) (result f64)))
      (import "env" "memory" (memory 1))
      (import "wasi_unstable" "fd_close" (func (param i32) (result i32)))""")
    assert host_imports(found) == (
        HostImport(module="extism:host/user", name="notify", params=("i64",)),
        HostImport(module="extism:host/user", name="notify", params=("i32",)),
        HostImport(module="env", name="mix", params=("i32", "f32"), results=("f64",)),
        HostImport(module="wasi_unstable", name="fd_close", params=("i32",), results=("i32",)),
    )


@pytest.mark.parametrize(
    ("module", "needed"),
    [("wasi_snapshot_preview1", True), ("wasi_unstable", False), ("extism:host/env", False)],
)
def test_wasi_is_needed_where_preview_1_is_imported(module: str, needed: bool) -> None:
    assert needs_wasi(_module(f'(import "{module}" "f" (func))')) is needed


def test_plain_exports_return_a_code_and_void_exports_nothing() -> None:
    found = _module("""
      (memory (export "memory") 1) (global (export "g") i32 (i32.const 0))
      (func (export "b") (result i32) i32.const 0) (func (export "a") (result i32) i32.const 0)
      (func (export "quiet")) (func (export "takes") (param i32) (result i32) i32.const 0)
      (func (export "wide") (result i64) i64.const 0) (func (export "two") (result i32 i32) unreachable)""")
    assert plain_exports(found) == ("b", "a")
    assert void_exports(found) == ("quiet",)


@pytest.mark.parametrize("name", sorted(RESERVED_EXPORTS) + [f"{prefix}x" for prefix in RESERVED_PREFIXES])
def test_what_a_runtime_reserves_is_never_a_plain_export(name: str) -> None:
    assert is_reserved(name)
    assert plain_exports(_exporting(name, "greet")) == ("greet",)
    assert void_exports(_exporting(name, "greet", signature="")) == ("greet",)


@pytest.mark.parametrize(
    "name", ["__wasm_call_ctors", "cabi_realloc", "asyncify_start_unwind", "_start", "_initialize"]
)
def test_names_that_toolchains_write_are_reserved(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name", ["start", "initialize", "count_words", "_private", "memory_size", "free_text", "resume", "", "日本"]
)
def test_names_that_only_resemble_reserved_ones_are_not(name: str) -> None:
    assert not is_reserved(name)


@pytest.mark.parametrize(
    ("exports", "abi"),
    [
        (("describe", "call"), Abi.SERVLET),
        (("describe", "call", "list_tools", "call_tool"), Abi.SERVLET),
        (("list_tools", "call_tool"), Abi.HYPER_V2),
        (("list_prompts", "get_prompt"), Abi.HYPER_V2),
        (("list_resources", "read_resource"), Abi.HYPER_V2),
        (("list_resource_templates", "read_resource"), Abi.HYPER_V2),
        (("describe", "list_tools", "call_tool"), Abi.HYPER_V2),
        (("describe",), None),
        (("call",), None),
        (("list_tools",), None),
        (("call_tool", "list_prompts"), None),
        (("greet",), None),
        ((), None),
    ],
)
def test_a_module_tells_by_its_exports_how_it_describes_itself(exports: tuple[str, ...], abi: Abi | None) -> None:
    assert describes_itself(_exporting(*exports)) == abi
    assert describes_itself(_exporting(*exports, signature="")) == abi


def test_functions_with_parameters_and_other_kinds_describe_nothing() -> None:
    assert describes_itself(_exporting("describe", "call", signature="(param i32) (result i32)")) is None
    assert describes_itself(_module('(memory (export "describe") 1) (func (export "call"))')) is None
