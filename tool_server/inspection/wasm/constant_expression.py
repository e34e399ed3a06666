"""Walks over constant expressions, which stand in tables and globals without a size of their own.

Source: WebAssembly core specification 3.0, sections 3.4.14 "Constant expressions" and 5.4. Types are not checked.
"""

from __future__ import annotations

from tool_server.inspection.wasm.reader import Cursor
from tool_server.inspection.wasm.refusals import Cause
from tool_server.inspection.wasm.value_types import read_heap_type

_END = 0x0B
_REF_NULL = 0xD0
_GC_PREFIX = 0xFB
_VECTOR_PREFIX = 0xFD
_VECTOR_CONST = 0x0C

_INDEXES = {0x23: 1, 0xD2: 1, **dict.fromkeys((0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E), 0)}
"""Indexes that follow global.get, ref.func, and add, sub and mul of both integer types."""

_GC_INDEXES = {0x00: 1, 0x01: 1, 0x06: 1, 0x07: 1, 0x08: 2, 0x1A: 0, 0x1B: 0, 0x1C: 0}
"""Indexes that follow struct.new(_default), array.new(_default, _fixed), the conversions and ref.i31."""

_SIGNED = {0x41: 32, 0x42: 64}
_FLOATS = {0x43: 4, 0x44: 8}


def skip_constant_expression(cursor: Cursor, types: int) -> None:
    """Move past the `end` of the expression; `types` is how many types are defined."""
    while True:
        start = cursor.offset
        opcode = cursor.byte("a constant expression")
        if opcode == _END:
            return
        if opcode in _SIGNED:
            cursor.signed("a constant", _SIGNED[opcode])
        elif opcode in _FLOATS:
            cursor.skip(_FLOATS[opcode], "a constant")
        elif opcode == _REF_NULL:
            read_heap_type(cursor, types)
        elif opcode in _INDEXES:
            _skip_indexes(cursor, _INDEXES[opcode])
        else:
            _skip_prefixed(cursor, opcode, start)


def _skip_prefixed(cursor: Cursor, opcode: int, start: int) -> None:
    if opcode in (_GC_PREFIX, _VECTOR_PREFIX):
        second = cursor.unsigned("an instruction")
        if opcode == _VECTOR_PREFIX and second == _VECTOR_CONST:
            return cursor.skip(16, "a constant")
        if opcode == _GC_PREFIX and second in _GC_INDEXES:
            return _skip_indexes(cursor, _GC_INDEXES[second])
    raise cursor.refusal(Cause.ENCODING, f"0x{opcode:02x} is no instruction of a constant expression", start)


def _skip_indexes(cursor: Cursor, count: int) -> None:
    for _ in range(count):
        cursor.unsigned("an index")
