"""Value, reference and heap types, spelled as in the text format.

Source: WebAssembly core specification 3.0, section 5.3 "Types".
"""

from __future__ import annotations

from tool_server.inspection.wasm.reader import Cursor
from tool_server.inspection.wasm.refusals import Cause

_NUMBERS_AND_VECTORS = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}

_HEAPS = {
    0x74: "noexn",
    0x73: "nofunc",
    0x72: "noextern",
    0x71: "none",
    0x70: "func",
    0x6F: "extern",
    0x6E: "any",
    0x6D: "eq",
    0x6C: "i31",
    0x6B: "struct",
    0x6A: "array",
    0x69: "exn",
}

_NULLABLE = {
    code: {"none": "nullref", "noexn": "nullexnref", "nofunc": "nullfuncref", "noextern": "nullexternref"}.get(
        heap, f"{heap}ref"
    )
    for code, heap in _HEAPS.items()
}

_PROPOSALS = {
    0x62: "an exact reference (custom descriptors proposal)",
    0x65: "a shared type (shared-everything-threads proposal)",
    0x68: "a continuation reference (stack switching proposal)",
    0x75: "a continuation reference (stack switching proposal)",
}
"""Encodings that wasmtime knows and does not enable by default."""

REFERENCE_NULLABLE = 0x63
REFERENCE = 0x64


def read_value_type(cursor: Cursor, types: int) -> str:
    """A number, vector or reference type; `types` is how many types an index may point to."""
    code = cursor.peek("a value type")
    if code in _NUMBERS_AND_VECTORS:
        cursor.skip(1, "a value type")
        return _NUMBERS_AND_VECTORS[code]
    return read_reference_type(cursor, types)


def read_reference_type(cursor: Cursor, types: int) -> str:
    """A reference type alone, as tables hold it."""
    start = cursor.offset
    code = cursor.byte("a reference type")
    if code in _NULLABLE:
        return _NULLABLE[code]
    if code in (REFERENCE_NULLABLE, REFERENCE):
        nullable = code == REFERENCE_NULLABLE
        heap = cursor.peek("a heap type")
        if nullable and heap in _NULLABLE:
            cursor.skip(1, "a heap type")
            return _NULLABLE[heap]
        return f"(ref {'null ' if nullable else ''}{read_heap_type(cursor, types)})"
    if code in _PROPOSALS:
        raise cursor.refusal(Cause.PROPOSAL, f"{_PROPOSALS[code]} is not enabled here", start)
    raise cursor.refusal(Cause.ENCODING, f"0x{code:02x} is no type that can stand here", start)


def read_heap_type(cursor: Cursor, types: int) -> str:
    """An abstract heap type such as `func`, or a type index in decimal."""
    start = cursor.offset
    code = cursor.peek("a heap type")
    if code in _HEAPS:
        cursor.skip(1, "a heap type")
        return _HEAPS[code]
    if code in _PROPOSALS:
        raise cursor.refusal(Cause.PROPOSAL, f"{_PROPOSALS[code]} is not enabled here", start)
    index = cursor.signed("a heap type", 33)
    if index < 0:
        raise cursor.refusal(Cause.ENCODING, f"0x{code:02x} is no heap type", start)
    if index >= types:
        raise cursor.refusal(Cause.INDEX, f"type {index} does not exist: {types} are defined so far", start)
    return str(index)
