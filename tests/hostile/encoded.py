"""Modules that no toolchain would write, byte by byte: https://webassembly.github.io/spec/core/binary/modules.html."""

from __future__ import annotations

from tests.inspection.wasm.encoding import CODE, HEADER, VOID, custom, leb, module, name, section, vector
from tests.support.guests import extism_wat

_TYPES = section(1, vector(CODE))
_FUNCTIONS = section(3, vector(b"\0"))
_EXPORTS = section(7, vector(name("go") + b"\0\0"))


def body(instructions: bytes, local_groups: bytes = b"\0") -> bytes:
    """A module whose `go: () -> i32` has these instructions; the final `end` is added."""
    code = local_groups + instructions + b"\x0b"
    return module(_TYPES, _FUNCTIONS, _EXPORTS, section(10, vector(leb(len(code)) + code)))


def saying(export: str, text: bytes, others: str = "", times: int = 1) -> bytes:
    """A guest whose export answers with these bytes, `times` times over, out of a data segment."""
    escaped = "".join(f"\\{byte:02x}" for byte in text)
    return extism_wat(
        f"""(memory {len(text) // 65_536 + 1}) (data (i32.const 0) "{escaped}") {others}
        (func (export "{export}") (result i32) (local $at i64) (local $i i32) (local $n i32)
          (local.set $at (call $alloc (i64.const {len(text) * times})))
          (loop $again
            (if (i32.lt_u (local.get $n) (i32.const {len(text) * times})) (then
              (call $store_u8 (i64.add (local.get $at) (i64.extend_i32_u (local.get $n)))
                (i32.load8_u (local.get $i)))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (if (i32.eq (local.get $i) (i32.const {len(text)})) (then (local.set $i (i32.const 0))))
              (br $again))))
          (call $output_set (local.get $at) (i64.const {len(text) * times})) (i32.const 0))"""
    )


def many_exports(count: int) -> bytes:
    """One function under `count` names."""
    exports = b"".join(name(f"e{number}") + b"\0\0" for number in range(count))
    return module(_TYPES, _FUNCTIONS, section(7, leb(count) + exports), section(10, vector(b"\x04\0\x41\0\x0b")))


def many_imports(count: int) -> bytes:
    """`count` imports of user functions of one type."""
    imports = b"".join(name("extism:host/user") + name(f"f{number}") + b"\0\0" for number in range(count))
    return module(section(1, vector(VOID)), section(2, leb(count) + imports))


def many_functions(count: int) -> bytes:
    """`count` functions that return 0, the first exported as `go`."""
    functions, bodies = leb(count) + b"\0" * count, leb(count) + b"\x04\0\x41\0\x0b" * count
    return module(_TYPES, section(3, functions), _EXPORTS, section(10, bodies))


def many_custom_sections(count: int) -> bytes:
    """Empty custom sections after a good module."""
    return body(b"\x41\0") + custom("") * count


def huge_function(steps: int) -> bytes:
    """One function that adds `steps` times: no block, no branch, six bytes for each step."""
    return body(b"\x41\0" + b"\x41\xff\xff\x03\x6a\x01" * steps)


def deep_blocks(depth: int) -> bytes:
    """Blocks in blocks."""
    return body(b"\x02\x40" * depth + b"\x0b" * depth + b"\x41\0")


def giant_branch_table(targets: int) -> bytes:
    """One `br_table` whose targets are all the same block."""
    return body(b"\x02\x40\x41\0\x0e" + leb(targets) + b"\0" * (targets + 1) + b"\x0b\x41\0")


def chained_types(count: int) -> bytes:
    """A good `go`, and array types of which each holds references to the one before."""
    arrays = b"".join(b"\x5e\x63" + leb(index, 2) + b"\0" for index in range(count))
    types = section(1, leb(count + 1) + CODE + arrays)
    return module(types, _FUNCTIONS, _EXPORTS, section(10, vector(b"\x04\0\x41\0\x0b")))


def many_locals(count: int) -> bytes:
    """A function with that many i64 locals in one group."""
    return body(b"\x41\0", vector(leb(count) + b"\x7e"))


def with_import_name(raw: bytes) -> bytes:
    """A module that imports a user function by these bytes and exports `go`."""
    imports = section(2, vector(name("extism:host/user") + name(raw) + b"\0\x01"))
    exports = section(7, vector(name("go") + b"\0\x01"))
    return module(
        section(1, vector(CODE, VOID)), imports, _FUNCTIONS, exports, section(10, vector(b"\x04\0\x41\0\x0b"))
    )


def overlong_section_size() -> bytes:
    """A type section whose size takes six bytes where five are allowed."""
    return HEADER + b"\x01\x81\x80\x80\x80\x80\x00\x00"
