"""Types of tables, memories, globals and tags, as imports and definitions share them.

Source: WebAssembly core specification 3.0, sections 5.3.10 to 5.3.15.
"""

from __future__ import annotations

from collections.abc import Sequence

from tool_server.inspection.wasm.caps import MAX_MEMORY32_PAGES, MAX_MEMORY64_PAGES
from tool_server.inspection.wasm.module import FunctionType, GlobalType, MemoryType, TableType, TagType, Type
from tool_server.inspection.wasm.reader import Cursor
from tool_server.inspection.wasm.refusals import Cause
from tool_server.inspection.wasm.value_types import read_reference_type, read_value_type

_HAS_MAXIMUM = 0x01
_SHARED = 0x02
_IS_64 = 0x04
_PAGE_SIZE = 0x08


def read_function_type(cursor: Cursor, types: Sequence[Type]) -> FunctionType:
    """The function type that a type index must point to."""
    start = cursor.offset
    index = cursor.unsigned("a function's type")
    if index >= len(types):
        raise cursor.refusal(Cause.INDEX, f"type {index} does not exist: the module has {len(types)}", start)
    found = types[index]
    if not isinstance(found, FunctionType):
        raise cursor.refusal(Cause.INDEX, f"type {index} is a type of {found.kind}s, not of functions", start)
    return found


def read_memory_type(cursor: Cursor) -> MemoryType:
    """Bounds in pages, checked against the address space."""
    start = cursor.offset
    flags = cursor.byte("a memory's flags")
    if flags & _PAGE_SIZE and flags < 0x10:
        raise cursor.refusal(Cause.PROPOSAL, "a memory with its own page size is not enabled here", start)
    if flags > (_HAS_MAXIMUM | _SHARED | _IS_64):
        raise cursor.refusal(Cause.ENCODING, f"0x{flags:02x} are no flags of a memory", start)
    if flags & _SHARED and not flags & _HAS_MAXIMUM:
        raise cursor.refusal(Cause.RANGE, "a shared memory must have a maximum", start)
    minimum, maximum = _read_bounds(cursor, flags, "a memory")
    reachable = MAX_MEMORY64_PAGES if flags & _IS_64 else MAX_MEMORY32_PAGES
    largest = minimum if maximum is None else maximum
    if largest > reachable:
        raise cursor.refusal(Cause.RANGE, f"a memory of {largest} pages: its addresses reach {reachable} pages", start)
    return MemoryType(minimum, maximum, shared=bool(flags & _SHARED), is_64=bool(flags & _IS_64))


def read_table_type(cursor: Cursor, types: int) -> TableType:
    """Element type and bounds in elements."""
    element = read_reference_type(cursor, types)
    start = cursor.offset
    flags = cursor.byte("a table's flags")
    if flags & _SHARED and flags <= (_HAS_MAXIMUM | _SHARED | _IS_64):
        raise cursor.refusal(Cause.PROPOSAL, "a shared table is not enabled here", start)
    if flags > (_HAS_MAXIMUM | _IS_64):
        raise cursor.refusal(Cause.ENCODING, f"0x{flags:02x} are no flags of a table", start)
    minimum, maximum = _read_bounds(cursor, flags, "a table")
    return TableType(element, minimum, maximum, is_64=bool(flags & _IS_64))


def read_global_type(cursor: Cursor, types: int) -> GlobalType:
    """Value type and mutability."""
    value = read_value_type(cursor, types)
    start = cursor.offset
    mutability = cursor.byte("a global's mutability")
    if mutability in (2, 3):
        raise cursor.refusal(Cause.PROPOSAL, "a shared global is not enabled here", start)
    if mutability > 1:
        raise cursor.refusal(Cause.ENCODING, f"a global's mutability is {mutability}: expected 0 or 1", start)
    return GlobalType(value, bool(mutability))


def read_tag_type(cursor: Cursor, types: Sequence[Type]) -> TagType:
    """A tag's parameters; its function type may have no results."""
    start = cursor.offset
    attribute = cursor.byte("a tag's attribute")
    if attribute:
        raise cursor.refusal(Cause.ENCODING, f"a tag's attribute is {attribute}: expected 0, an exception", start)
    start = cursor.offset
    function = read_function_type(cursor, types)
    if function.results:
        raise cursor.refusal(Cause.INDEX, f"a tag of type {function}: its results must be empty", start)
    return TagType(function.params)


def _read_bounds(cursor: Cursor, flags: int, what: str) -> tuple[int, int | None]:
    bits = 64 if flags & _IS_64 else 32
    start = cursor.offset
    minimum = cursor.unsigned(f"{what}'s minimum", bits)
    maximum = cursor.unsigned(f"{what}'s maximum", bits) if flags & _HAS_MAXIMUM else None
    if maximum is not None and minimum > maximum:
        raise cursor.refusal(Cause.RANGE, f"{what}'s minimum {minimum} is above its maximum {maximum}", start)
    return minimum, maximum
