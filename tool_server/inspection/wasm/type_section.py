"""The type section: function types, and the recursive, sub-, struct and array types of garbage collection.

wasmtime and Extism enable these types by default, so a plugin in a garbage-collected language may bring them.
Subtyping itself is not checked: the engine does that when it compiles.
Source: WebAssembly core specification 3.0, sections 5.3.4 to 5.3.9.
"""

from __future__ import annotations

from tool_server.inspection.wasm.caps import MAX_FIELDS, MAX_PARAMETERS, MAX_TYPES
from tool_server.inspection.wasm.module import AggregateType, FunctionType, Type
from tool_server.inspection.wasm.reader import Cursor
from tool_server.inspection.wasm.refusals import Cause
from tool_server.inspection.wasm.value_types import read_value_type

_RECURSIVE_GROUP = 0x4E
_SUBTYPE_FINAL = 0x4F
_SUBTYPE = 0x50
_ARRAY = 0x5E
_STRUCT = 0x5F
_FUNCTION = 0x60

_PROPOSALS = {
    0x4C: "a descriptor type (custom descriptors proposal)",
    0x4D: "a described type (custom descriptors proposal)",
    0x5D: "a continuation type (stack switching proposal)",
    0x65: "a shared type (shared-everything-threads proposal)",
}

_PACKED = {0x78: "i8", 0x77: "i16"}


def read_types(cursor: Cursor) -> list[Type]:
    """The whole content of the section, recursive groups laid out flat, as type indexes count them."""
    types: list[Type] = []
    for _ in range(cursor.count("types", cap=MAX_TYPES, smallest=2)):
        members = 1
        if cursor.peek("a type") == _RECURSIVE_GROUP:
            cursor.skip(1, "a type")
            members = cursor.count("types of a recursive group", cap=MAX_TYPES, smallest=2)
        # The members of a group may refer to each other, a single type to itself.
        known = len(types) + members
        if known > MAX_TYPES:
            raise cursor.refusal(
                Cause.CAP, f"recursive groups make {known} types, and at most {MAX_TYPES} are accepted"
            )
        types.extend([_read_subtype(cursor, known) for _ in range(members)])
    return types


def _read_subtype(cursor: Cursor, known: int) -> Type:
    if cursor.peek("a type") in (_SUBTYPE, _SUBTYPE_FINAL):
        cursor.skip(1, "a type")
        if cursor.count("supertypes", cap=1, smallest=1):
            start = cursor.offset
            if (supertype := cursor.unsigned("a supertype")) >= known:
                raise cursor.refusal(Cause.INDEX, f"supertype {supertype} does not exist", start)
    return _read_composite(cursor, known)


def _read_composite(cursor: Cursor, known: int) -> Type:
    start = cursor.offset
    code = cursor.byte("a type")
    if code == _FUNCTION:
        return FunctionType(_read_value_types(cursor, known, "parameters"), _read_value_types(cursor, known, "results"))
    if code == _STRUCT:
        fields = cursor.count("fields", cap=MAX_FIELDS, smallest=2)
        return AggregateType("struct", tuple([_read_field(cursor, known) for _ in range(fields)]))
    if code == _ARRAY:
        return AggregateType("array", (_read_field(cursor, known),))
    if code in _PROPOSALS:
        raise cursor.refusal(Cause.PROPOSAL, f"{_PROPOSALS[code]} is not enabled here", start)
    raise cursor.refusal(
        Cause.ENCODING, f"0x{code:02x} begins no type: expected a function (0x60), struct or array", start
    )


def _read_value_types(cursor: Cursor, known: int, what: str) -> tuple[str, ...]:
    count = cursor.count(what, cap=MAX_PARAMETERS, smallest=1)
    return tuple([read_value_type(cursor, known) for _ in range(count)])


def _read_field(cursor: Cursor, known: int) -> str:
    packed = _PACKED.get(cursor.peek("a field's type"))
    if packed is None:
        storage = read_value_type(cursor, known)
    else:
        cursor.skip(1, "a field's type")
        storage = packed
    start = cursor.offset
    mutability = cursor.byte("a field's mutability")
    if mutability > 1:
        raise cursor.refusal(Cause.ENCODING, f"a field's mutability is {mutability}: expected 0 or 1", start)
    return f"(mut {storage})" if mutability else storage
