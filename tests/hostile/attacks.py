"""The table of hostile guests: a new attack is one line here, and every suite of this folder runs it.

Each row holds the module's bytes, what a publish says of it, and how a call of its export `go` ends where a server
holds it already (published before a bug was mended, or put into the store by hand). `ANSWERS` is an ordinary answer:
the attack comes to nothing. Where the engine may stop a guest in several ways, every one of them is listed.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.hostile.encoded import (
    body,
    chained_types,
    deep_blocks,
    giant_branch_table,
    huge_function,
    many_custom_sections,
    many_exports,
    many_functions,
    many_imports,
    many_locals,
    overlong_section_size,
    with_import_name,
)
from tests.inspection.wasm.encoding import HEADER, custom, section
from tests.support.guests import extism_wat, guest, wat

ANSWERS = "answers"
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile module."""

    name: str
    make: Callable[[], bytes]
    publish: frozenset[str]
    """Codes of a publish; `ANSWERS` where it is accepted."""
    call: frozenset[str]
    """Codes of a call; empty where no server would hold the module."""
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    input: bytes = b""

    @property
    def wasm(self) -> bytes:
        """The module's bytes."""
        return _made(self.make)


@functools.cache
def _made(make: Callable[[], bytes]) -> bytes:
    return make()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _attack(
    name: str, make: str | Callable[[], bytes], publish: str, call: str, *, data: bytes = b"", **limits: int
) -> Attack:
    build = functools.partial(extism_wat, make) if isinstance(make, str) else make
    return Attack(name, build, _words(publish), _words(call), limits, data)


def _go(text: str, *, before: str = "", locals_: str = "") -> str:
    """A module whose `go` does this and returns 0."""
    return f'{before} (func (export "go") (result i32) {locals_} {text} (i32.const 0))'


def _wasi(name: str, signature: str) -> str:
    return f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {signature}))'


def _plain(text: str) -> Callable[[], bytes]:
    return functools.partial(wat, f"(module {text})")


MEMORY = '(memory (export "memory") 1)'
LOOP = "(loop $again (br $again))"
NOTHING = '(func (export "go") (result i32) (i32.const 0))'
SLEEP_AN_HOUR = """(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"""
PROC_EXIT = _wasi("proc_exit", "(param i32)")
POLL = _wasi("poll_oneoff", "(param i32 i32 i32 i32) (result i32)")

LOOPS = (
    _attack("endless loop", _go(LOOP), ANSWERS, "timeout"),
    _attack("endless loop under fuel", _go(LOOP), ANSWERS, "out_of_fuel", fuel=1_000_000),
    _attack("loop in the start function", f"(func $f {LOOP}) (start $f) {NOTHING}", "invalid_wasm", "timeout"),
    _attack("loop in _initialize", f'(func (export "_initialize") {LOOP}) {NOTHING}', "invalid_wasm", "timeout"),
    _attack("loop in __wasm_call_ctors", f'(func (export "__wasm_call_ctors") {LOOP}) {NOTHING}',
            f"{ANSWERS} invalid_wasm", "timeout"),
    _attack("loop in _start", f'(func (export "_start") {LOOP}) {NOTHING}', ANSWERS, ANSWERS),
    _attack("loop of host calls", _go("(loop $again (drop (call $input_length )) (br $again))"), ANSWERS, "timeout"),
    _attack("loop of allocations", _go("(loop $again (drop (call $alloc (i64.const 1))) (br $again))"), ANSWERS,
            "timeout out_of_memory trap"),
    _attack("loop of variable reads",
            _go("(loop $again (drop (call $var_get (local.get $at))) (br $again))",
                locals_="(local $at i64) (local.set $at (call $alloc (i64.const 8)))"), ANSWERS, "timeout trap"),
    _attack("sleep of an hour by WASI", _go(SLEEP_AN_HOUR, before=f"{POLL} {MEMORY}"), ANSWERS, "timeout"),
    _attack("sleep of an hour in _initialize",
            f'{POLL} {MEMORY} (func (export "_initialize") {SLEEP_AN_HOUR}) {NOTHING}', "invalid_wasm", "timeout"),
    _attack("loop of clock readings", _go(
        "(loop $again (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 0))) (br $again))",
        before=_wasi("clock_time_get", "(param i32 i64 i32) (result i32)") + MEMORY), ANSWERS, "timeout"),
    _attack("loop of sched_yield", _go("(loop $again (drop (call $sched_yield )) (br $again))",
            before=_wasi("sched_yield", "(result i32)") + MEMORY), ANSWERS, "timeout"),
    _attack("loop of random bytes", _go(
        "(loop $again (drop (call $random_get (i32.const 0) (i32.const 65536))) (br $again))",
        before=_wasi("random_get", "(param i32 i32) (result i32)") + MEMORY), ANSWERS, "timeout"),
    _attack("bulk fills without end", _go(
        "(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576)) (br $again))",
        before='(memory (export "memory") 16)'), ANSWERS, "timeout"),
)  # fmt: skip

TRAPS = (
    _attack("unreachable", _go("unreachable"), ANSWERS, "trap"),
    _attack("recursion without end",
            '(func $deep (export "go") (result i32) (i32.add (call $deep ) (i32.const 1)))', ANSWERS, "trap"),
    _attack("tail calls without end", '(func $deep (export "go") (result i32) (return_call $deep))', ANSWERS,
            "timeout"),
    _attack("recursion with large frames",
            '(func $deep (export "go") (result i32) ' + "(local v128)" * 4_000
            + "(i32.add (call $deep ) (i32.const 1)))",
            ANSWERS, "trap"),
    _attack("division by zero", _go("(drop (i32.div_u (i32.const 1) (i32.const 0)))"), ANSWERS, "trap"),
    _attack("integer overflow", _go("(drop (i32.div_s (i32.const -2147483648) (i32.const -1)))"), ANSWERS, "trap"),
    _attack("float that is no integer", _go("(drop (i32.trunc_f64_s (f64.const nan)))"), ANSWERS, "trap"),
    _attack("read far out of bounds", _go("(drop (i32.load offset=4294967295 (i32.const -1)))", before=MEMORY), ANSWERS,
            "trap"),
    _attack("call of an empty table slot", _go("(drop (call_indirect (result i32) (i32.const 3)))",
            before="(table 10 funcref)"), ANSWERS, "trap"),
    _attack("call of a wrong signature",
        _go("(drop (call_indirect (param i64) (result i32) (i64.const 1) (i32.const 0)))",
            before="(table funcref (elem $f)) (func $f (result i32) (i32.const 1))"), ANSWERS, "trap"),
    _attack("trap in the start function", f"(func $f unreachable) (start $f) {NOTHING}", "invalid_wasm", "trap"),
    _attack("trap in _initialize", f'(func (export "_initialize") unreachable) {NOTHING}',
            f"{ANSWERS} invalid_wasm", "trap"),
    _attack("an exception that nobody catches", _go("(throw $e)", before="(tag $e)"), f"{ANSWERS} invalid_wasm",
            "trap guest_error"),
    _attack("end by proc_exit(3)", _go("(call $proc_exit (i32.const 3))",
            before=_wasi("proc_exit", "(param i32)") + MEMORY), ANSWERS, "guest_error"),
    _attack("end by proc_exit(0)", _go("(call $proc_exit (i32.const 0))",
            before=_wasi("proc_exit", "(param i32)") + MEMORY), ANSWERS, f"guest_error {ANSWERS}"),
    _attack("proc_exit in _initialize",
            f'{PROC_EXIT} {MEMORY} (func (export "_initialize") (call $proc_exit (i32.const 3)))'
            f" {NOTHING}", f"{ANSWERS} invalid_wasm", "trap guest_error"),
    _attack("return code 134, which means a trap", '(func (export "go") (result i32) (i32.const 134))', ANSWERS,
            "guest_error"),
    _attack("return code -1, which means the runtime", '(func (export "go") (result i32) (i32.const -1))', ANSWERS,
            "guest_error"),
)  # fmt: skip

MEMORIES = (
    _attack("memory.grow without end",
            _go(f"(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) {LOOP}",
                before=MEMORY), ANSWERS, "out_of_memory timeout"),
    _attack("memory.grow and touch every page", _go(
        """(loop $again (local.set $at (memory.grow (i32.const 16)))
        (if (i32.eq (local.get $at) (i32.const -1)) (then (drop (call $alloc (i64.const 1073741824)))))
        (memory.fill (i32.mul (local.get $at) (i32.const 65536)) (i32.const 7) (i32.const 1048576)) (br $again))""",
        before=MEMORY, locals_="(local $at i32)"), ANSWERS, "out_of_memory timeout trap"),
    _attack("table.grow without end", _go(
        "(loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const -1)))) "
        f"{LOOP}", before="(table $t 1 funcref)"), ANSWERS, "out_of_memory timeout"),
    _attack("a table of a billion entries", f"(table 1000000000 funcref) {NOTHING}", "invalid_wasm compile_limit",
            "out_of_memory trap worker_lost"),
    _attack("a hundred tables of ten million entries", "(table 10000000 funcref)" * 100 + NOTHING,
            "invalid_wasm compile_limit", "out_of_memory trap worker_lost"),
    _attack("initial memory of 1 GiB", f'(memory (export "memory") 16384) {NOTHING}', "invalid_wasm",
            "out_of_memory trap"),
    _attack("initial memory of 4 GiB", f'(memory (export "memory") 65536) {NOTHING}', "invalid_wasm",
            "out_of_memory trap"),
    _attack("a hundred memories of 64 MiB", "(memory 1024)" * 100 + NOTHING, f"{ANSWERS} invalid_wasm compile_limit",
            f"out_of_memory trap worker_lost {ANSWERS}"),
    _attack("a hundred memories, all grown and touched", _go(
        "".join(f"(drop (memory.grow {i} (i32.const 512)))"
                f"(if (i32.gt_u (memory.size {i}) (i32.const 512)) (then (memory.fill {i} (i32.const 0) (i32.const 9) "
                f"(i32.mul (memory.size {i}) (i32.const 65536)))))" for i in range(100)) + LOOP,
        before="(memory 1)" * 100), f"{ANSWERS} invalid_wasm", "out_of_memory timeout trap worker_lost"),
    _attack("a 64-bit memory of 1 TiB", f"(memory i64 16777216) {NOTHING}", "invalid_wasm",
            "out_of_memory trap worker_lost"),
    _attack("a 64-bit memory that grows", _go(
        f"(loop $again (br_if $again (i64.ne (memory.grow (i64.const 16)) (i64.const -1)))) {LOOP}",
        before="(memory i64 1)"), f"{ANSWERS} invalid_wasm", "out_of_memory timeout trap"),
    _attack("a kernel block of 4 GiB", _go("(drop (call $alloc (i64.const 4294967295)))"), ANSWERS,
            "out_of_memory trap"),
    _attack("a kernel block of 2^63 bytes", _go("(drop (call $alloc (i64.const -1)))"), ANSWERS,
            f"out_of_memory trap worker_lost {ANSWERS}"),
    _attack("garbage that is never collected", _go(
        "(loop $again (local.set $list (struct.new $node (local.get $list))) (br $again))",
        before="(type $node (struct (field (ref null $node))))", locals_="(local $list (ref null $node))"),
        f"{ANSWERS} invalid_wasm", "out_of_memory timeout trap worker_lost"),
    _attack("an array of a gigabyte on the collected heap", _go(
        "(drop (array.new $bytes (i32.const 1) (i32.const 1073741824)))", before="(type $bytes (array (mut i8)))"),
        f"{ANSWERS} invalid_wasm", "out_of_memory timeout trap worker_lost"),
    _attack("a data segment beyond the memory", f'(memory 1) (data (i32.const 2000000000) "x") {NOTHING}',
            "invalid_wasm", "trap"),
    _attack("a shared memory", f"(memory 1 65536 shared) {NOTHING}", f"{ANSWERS} invalid_wasm",
            f"trap out_of_memory {ANSWERS}"),
    _attack("an atomic wait without end", _go(
        "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", before="(memory 1 1 shared)"),
        f"{ANSWERS} invalid_wasm", "trap timeout"),
    _attack("vectors in a loop", _go(
        "(loop $again (local.set $v (i8x16.add (local.get $v) (local.get $v))) (br $again))",
        locals_="(local $v v128)"), ANSWERS, "timeout"),
)  # fmt: skip

KERNEL = (
    _attack("forged block header, then error_set", _go(
        """(local.set $at (call $alloc (i64.const 64)))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 16)) (i64.const -1))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 8)) (i64.const -1))
        (call $error_set (local.get $at))""", locals_="(local $at i64)"), ANSWERS,
        f"worker_lost out_of_memory trap guest_error timeout output_too_large {ANSWERS}"),
    _attack("forged block header, then config_get", _go(
        """(local.set $at (call $alloc (i64.const 64)))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 12)) (i64.const -1))
        (drop (call $config_get (local.get $at)))""", locals_="(local $at i64)"), ANSWERS,
        f"worker_lost out_of_memory trap guest_error timeout {ANSWERS}"),
    _attack("forged block header, then log", _go(
        """(local.set $at (call $alloc (i64.const 64)))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 12)) (i64.const -1))
        (call $log_error (local.get $at))""", locals_="(local $at i64)"), ANSWERS,
        f"worker_lost out_of_memory trap guest_error host_function timeout {ANSWERS}"),
    _attack("forged block header, then http_request", _go(
        """(local.set $at (call $alloc (i64.const 64)))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 12)) (i64.const -1))
        (drop (call $http_request (local.get $at) (local.get $at)))""", locals_="(local $at i64)"), ANSWERS,
        "worker_lost out_of_memory trap guest_error host_function timeout"),
    *(
        _attack(f"the word at {offset} of the kernel's memory overwritten with {value}", _go(
            f"""(drop (call $alloc (i64.const 64)))
            (call $store_u64 (i64.const {offset}) (i64.const {value}))
            (call $error_set (call $alloc (i64.const 8)))"""), ANSWERS,
            f"worker_lost out_of_memory trap guest_error host_function timeout output_too_large {ANSWERS}")
        for offset in (0, 8, 16, 24, 32, 40, 48, 56, 64)
        for value in (-1, 8, 3000000, 4294967288)
    ),
    _attack("a list of blocks in a circle", _go(
        """(local.set $at (call $alloc (i64.const 64)))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 12)) (i64.const 0))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 8)) (i64.const 0))
        (call $error_set (local.get $at))""", locals_="(local $at i64)"), ANSWERS,
        f"worker_lost out_of_memory trap guest_error timeout {ANSWERS}"),
    _attack("an output of 1 TiB that is not there", _go("(call $output_set (i64.const 8) (i64.const 1099511627776))"),
            ANSWERS, f"output_too_large trap worker_lost {ANSWERS}"),
    _attack("an output of 1 MiB that is not there", _go("(call $output_set (i64.const 8) (i64.const 1048576))"),
            ANSWERS, f"output_too_large trap worker_lost {ANSWERS}"),
    _attack("an output at the end of all addresses", _go("(call $output_set (i64.const -16) (i64.const 64))"),
            ANSWERS, f"output_too_large trap worker_lost {ANSWERS}"),
    _attack("an output of negative length", _go("(call $output_set (i64.const 8) (i64.const -1))"), ANSWERS,
            f"output_too_large trap worker_lost {ANSWERS}"),
    _attack("an error at the end of all addresses", _go("(call $error_set (i64.const -16))"), ANSWERS,
            f"trap worker_lost guest_error {ANSWERS}"),
    _attack("an error of 40 MB", _go("(call $error_set (call $alloc (i64.const 40000000)))"), ANSWERS,
            f"guest_error out_of_memory trap {ANSWERS}"),
    _attack("an error that is not UTF-8", _go(
        """(local.set $at (call $alloc (i64.const 8))) (call $store_u64 (local.get $at) (i64.const -2))
        (call $error_set (local.get $at))""", locals_="(local $at i64)"), ANSWERS, "guest_error"),
    _attack("free of what was never allocated", _go("(call $free (i64.const 99999999999))"), ANSWERS,
            f"trap worker_lost {ANSWERS}"),
    _attack("free of the same block twice", _go(
        """(local.set $at (call $alloc (i64.const 64))) (call $free (local.get $at)) (call $free (local.get $at))
        (call $output_set (call $alloc (i64.const 4)) (i64.const 4))""", locals_="(local $at i64)"), ANSWERS, ANSWERS),
    _attack("load at the end of all addresses", _go("(drop (call $load_u64 (i64.const -8)))"), ANSWERS,
            f"trap worker_lost {ANSWERS}"),
    _attack("store at the end of all addresses", _go("(call $store_u64 (i64.const -8) (i64.const -1))"), ANSWERS,
            f"trap worker_lost {ANSWERS}"),
    _attack("input_load beyond the input", _go("(drop (call $input_load_u64 (i64.const 1099511627776)))"), ANSWERS,
            f"trap {ANSWERS}"),
    _attack("variables until there is no room", _go(
        """(local $key i64) (loop $again
          (local.set $key (call $alloc (i64.const 8)))
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (call $store_u64 (local.get $key) (i64.add (local.get $i) (i64.const 3472328296227680304)))
          (call $var_set (local.get $key) (call $alloc (i64.const 200000)))
          (br $again))""", locals_="(local $i i64)"), ANSWERS, "trap out_of_memory timeout"),
    _attack("a variable named by nothing", _go("(call $var_set (i64.const 0) (i64.const 0))"), ANSWERS,
            f"trap {ANSWERS} worker_lost"),
    _attack("log lines without end", _go(
        "(local.set $at (call $alloc (i64.const 4096))) (loop $again (call $log_error (local.get $at)) (br $again))",
        locals_="(local $at i64)"), ANSWERS, "timeout"),
    _attack("one log line of 30 MB", _go("(call $log_error (call $alloc (i64.const 30000000)))"), ANSWERS,
            f"{ANSWERS} out_of_memory"),
    _attack("log from the start function",
            f"(func $talk (call $log_error (call $alloc (i64.const 8)))) (start $talk) {NOTHING}", "invalid_wasm",
            "worker_lost trap"),
    _attack("var_set from the start function",
            f"(func $f (call $var_set (call $alloc (i64.const 8)) (call $alloc (i64.const 8)))) (start $f) {NOTHING}",
            "invalid_wasm", "worker_lost trap"),
    _attack("config_get from the start function",
            f"(func $f (drop (call $config_get (call $alloc (i64.const 8))))) (start $f) {NOTHING}",
            "invalid_wasm", "worker_lost trap"),
    _attack("http_request from the start function",
            f"(func $f (drop (call $http_request (call $alloc (i64.const 8)) (i64.const 0)))) (start $f) {NOTHING}",
            "invalid_wasm", "worker_lost trap host_function"),
    _attack("HTTP requests without end", _go(
        "(local.set $at (call $alloc (i64.const 64))) "
        "(loop $again (drop (call $http_request (local.get $at) (i64.const 0))) (br $again))",
        locals_="(local $at i64)"), ANSWERS, "host_function"),
)  # fmt: skip

IMPORTS = (
    _attack("call of an unknown function of the kernel", _plain(
        f'(import "extism:host/env" "become_root" (func $f)) {NOTHING}'), "invalid_wasm", "trap"),
    _attack("call of an unknown host function without end", _plain(
        '(import "extism:host/user" "x" (func $f (param i64) (result i64)))'
        ' (func (export "go") (result i32) (loop $again (drop (call $f (i64.const 0))) (br $again)) (i32.const 0))'),
        "unknown_host_function", "host_function"),
    _attack("an import of no known module", _plain(
        '(import "env" "system" (func $f (param i32)))'
        ' (func (export "go") (result i32) (call $f (i32.const 0)) (i32.const 0))'), ANSWERS, "host_function"),
    _attack("a kernel function with a wrong signature", _plain(
        f'(import "extism:host/env" "alloc" (func (param f64 f64) (result f32))) {NOTHING}'), "invalid_wasm", "trap"),
    _attack("http_request with a wrong signature", _plain(
        f'(import "extism:host/env" "http_request" (func (param i32))) {NOTHING}'), "invalid_wasm", "trap"),
    _attack("a log function with a wrong signature", _plain(
        f'(import "extism:host/env" "log_info" (func (param i32 i32) (result i64))) {NOTHING}'), "invalid_wasm",
            "trap"),
    _attack("config_get of the user's module with a wrong signature", _plain(
        '(import "extism:host/user" "config_get" (func $f (param f64) (result f32)))'
        ' (func (export "go") (result i32) (drop (call $f (f64.const 1))) (i32.const 0))'), f"{ANSWERS} invalid_wasm",
        "host_function trap"),
    _attack("a host function of a thousand parameters", _plain(
        f'(import "extism:host/user" "f" (func {"(param i64)" * 1000})) {NOTHING}'), "unknown_host_function", ""),
    _attack("a host function of two results", _plain(
        '(import "extism:host/user" "f" (func $f (param i64) (result i64 i64)))'
        ' (func (export "go") (result i32) (call $f (i64.const 1)) (drop) (drop) (i32.const 0))'),
        "unknown_host_function", "host_function trap"),
    _attack("a host function of references", _plain(
        f'(import "extism:host/user" "f" (func (param externref) (result funcref))) {NOTHING}'),
        "invalid_wasm", ""),
    _attack("an imported memory", _plain(f'(import "extism:host/env" "memory" (memory 1)) {NOTHING}'), "invalid_wasm",
            "trap"),
    _attack("an imported function named with NUL", functools.partial(with_import_name, b"a\0b"),
            "unknown_host_function", "trap worker_lost"),
    _attack("an imported function named by 100,000 bytes", functools.partial(with_import_name, b"a" * 100_000),
            "unknown_host_function", ""),
    _attack("an imported function named by escapes and half of a pair",
            functools.partial(with_import_name, "\x1b[31m\u202e\uffff".encode()),
            "unknown_host_function", ""),
)  # fmt: skip

NO_MODULES = (
    _attack("nothing", lambda: b"", "empty_wasm", "trap"),
    _attack("a hundred zero bytes", lambda: bytes(100), "not_wasm", "trap"),
    _attack("a manifest of Extism's that grants itself the root folder", lambda: json.dumps(
        {"wasm": [{"data": list(guest("echo"))}], "allowed_paths": {"/": "/"}}).encode(), "not_wasm", "trap"),
    _attack("a manifest of Extism's that downloads its module", lambda: json.dumps(
        {"wasm": [{"url": "http://127.0.0.1:9/x.wasm"}]}).encode(), "not_wasm", "trap"),
    _attack("text format in place of bytes", lambda: b'(module (func (export "go") (result i32) (i32.const 0)))',
            "not_wasm", "trap"),
    _attack("a component", lambda: b"\0asm\x0d\0\x01\0", "component_wasm", "trap"),
    _attack("a gzipped module", lambda: gzip.compress(guest("echo")), "not_wasm", "trap"),
    _attack("an ELF file", lambda: b"\x7fELF\x02\x01\x01" + bytes(57), "not_wasm", "trap"),
    _attack("the header alone", lambda: HEADER, "lint", "missing_export"),
    _attack("the magic alone", lambda: HEADER[:4], "invalid_wasm", "trap"),
    _attack("a module cut in its middle", lambda: guest("echo")[:len(guest("echo")) // 2], "invalid_wasm", "trap"),
    _attack("a header and a megabyte of 0xff", lambda: HEADER + b"\xff" * MEBIBYTE, "invalid_wasm", "trap"),
    _attack("a section size of six bytes", overlong_section_size, "invalid_wasm", "trap"),
    _attack("a section that claims 4 GiB", lambda: HEADER + b"\x01\xff\xff\xff\xff\x0f", "invalid_wasm", "trap"),
    _attack("four billion types announced", lambda: HEADER + section(1, b"\xff\xff\xff\xff\x0f"), "invalid_wasm",
        "trap"),
    _attack("a data segment that claims gigabytes", lambda: HEADER + section(5, b"\x01\0\x01") + section(
        11, b"\x01\0\x41\0\x0b\xff\xff\xff\xff\x0f"), "invalid_wasm", "trap"),
)  # fmt: skip

COMPILE_BOMBS = (
    _attack("100,000 exports", functools.partial(many_exports, 100_000), "invalid_wasm", ""),
    _attack("100,000 imports", functools.partial(many_imports, 100_000), "invalid_wasm", ""),
    _attack("20,000 functions", functools.partial(many_functions, 20_000), f"{ANSWERS} compile_limit", ""),
    _attack("100,000 custom sections", functools.partial(many_custom_sections, 100_000), "invalid_wasm", ""),
    _attack("a custom section of 30 MB", lambda: body(b"\x41\0") + custom("x", bytes(30 * MEBIBYTE)), ANSWERS, ""),
    _attack("a function of a megabyte", functools.partial(huge_function, 150_000),
            f"{ANSWERS} compile_limit invalid_wasm", ""),
    _attack("blocks nested 100,000 deep", functools.partial(deep_blocks, 100_000),
            f"{ANSWERS} compile_limit invalid_wasm", ""),
    _attack("a br_table of a million targets", functools.partial(giant_branch_table, 1_000_000),
            f"{ANSWERS} compile_limit invalid_wasm", ""),
    _attack("a function of four billion locals", functools.partial(many_locals, 2**32 - 1), "invalid_wasm", ""),
    _attack("a function of 50,000 locals", functools.partial(many_locals, 50_000), f"{ANSWERS} compile_limit", ""),
    _attack("a custom section named by 100,000 bytes", lambda: body(b"\x41\0") + custom("n" * 100_000), "invalid_wasm",
            ""),
    _attack("a thousand names sections that contradict each other", lambda: body(b"\x41\0") + b"".join(
        custom("name", bytes([1, 4, 1, 0, 1, 65 + number % 26])) for number in range(900)), ANSWERS, ANSWERS),
    _attack("types that refer to each other 1,000 deep", functools.partial(chained_types, 1_000), ANSWERS, ""),
)  # fmt: skip

ATTACKS = (*LOOPS, *TRAPS, *MEMORIES, *KERNEL, *IMPORTS, *NO_MODULES, *COMPILE_BOMBS)
CATEGORIES = {
    "loops": LOOPS,
    "traps": TRAPS,
    "memories": MEMORIES,
    "kernel": KERNEL,
    "imports": IMPORTS,
    "no modules": NO_MODULES,
    "compile bombs": COMPILE_BOMBS,
}
