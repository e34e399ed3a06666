"""Modules that no toolchain writes: each is refused with the byte and the cause."""

from __future__ import annotations

import pytest

from tests.inspection.wasm.encoding import (
    HEADER,
    ONE_BODY,
    ONE_FUNCTION,
    TYPES,
    VOID,
    custom,
    leb,
    module,
    name,
    section,
    vector,
)
from tests.inspection.wasm.engine import compile_module
from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import Cause, parse_module

FUNCTION = TYPES + ONE_FUNCTION
"""Its next section has its content at byte 24."""

CASES = {
    # Integers and sections
    "size with six bytes": (HEADER + b"\0" + leb(3, 6), 9, Cause.INTEGER, None),
    "size beyond 32 bits": (HEADER + b"\0\x81\x80\x80\x80\x10\0", 9, Cause.INTEGER, None),
    "size missing": (HEADER + b"\x01", 9, Cause.TRUNCATED, None),
    "size cut off": (HEADER + b"\x01\x80", 10, Cause.TRUNCATED, None),
    "section beyond the file": (HEADER + b"\x01\x05\0", 10, Cause.TRUNCATED, "type"),
    "section id 14": (module(section(14, b"")), 8, Cause.ENCODING, None),
    "section with a byte too many": (module(section(1, vector(VOID) + b"\0")), 14, Cause.LEFTOVER, "type"),
    "section without its count": (module(section(3, b"")), 10, Cause.TRUNCATED, "function"),
    "two type sections": (module(TYPES, TYPES), 18, Cause.ORDER, None),
    "import after function": (module(section(3, b"\0"), section(2, b"\0")), 11, Cause.ORDER, None),
    "global before tag": (module(section(6, b"\0"), section(13, b"\0")), 11, Cause.ORDER, None),
    "tag before memory": (module(section(13, b"\0"), section(5, b"\0")), 11, Cause.ORDER, None),
    "element after data count": (module(section(12, b"\0"), section(9, b"\0")), 11, Cause.ORDER, None),
    "data before code": (module(section(11, b"\0"), section(10, b"\0")), 11, Cause.ORDER, None),
    # Custom sections
    "custom section without a name": (module(section(0, b"")), 10, Cause.TRUNCATED, "custom"),
    "custom name beyond its section": (module(section(0, b"\x05ab"), TYPES), 11, Cause.OVERRUN, "custom"),
    "custom name of half a character": (module(custom(b"a\xc3")), 12, Cause.NAME, "custom"),
    "custom name with a surrogate": (module(custom(b"\xed\xa0\x80")), 11, Cause.NAME, "custom"),
    # Types
    "type of an unknown form": (module(section(1, b"\x01\x40\0")), 11, Cause.ENCODING, "type"),
    "parameter of no type": (module(section(1, b"\x01\x60\x01\x40\0")), 13, Cause.ENCODING, "type"),
    "more parameters than bytes": (module(section(1, b"\x01\x60\x05\x7f\0")), 12, Cause.COUNT, "type"),
    "more types than bytes": (module(section(1, b"\x03" + VOID)), 10, Cause.COUNT, "type"),
    "reference to a later type": (module(section(1, b"\x02\x60\x01\x63\x01\0" + VOID)), 14, Cause.INDEX, "type"),
    "reference to a negative heap": (module(section(1, b"\x01\x60\x01\x63\x40\0")), 14, Cause.ENCODING, "type"),
    "reference beyond 33 bits": (
        module(section(1, b"\x01\x60\x01\x63\xff\xff\xff\xff\x1f\0")),
        14,
        Cause.INTEGER,
        "type",
    ),
    "group in a group": (module(section(1, b"\x01\x4e\x01\x4e\x01" + VOID)), 13, Cause.ENCODING, "type"),
    "two supertypes": (module(section(1, b"\x01\x50\x02\0\0" + VOID)), 12, Cause.CAP, "type"),
    "supertype that is missing": (module(section(1, b"\x01\x50\x01\x07" + VOID)), 13, Cause.INDEX, "type"),
    "field with mutability 2": (module(section(1, b"\x01\x5f\x01\x7f\x02")), 14, Cause.ENCODING, "type"),
    "array without a field": (module(section(1, b"\x01\x5e\x7f")), 13, Cause.TRUNCATED, "type"),
    # Imports
    "import of kind 5": (module(TYPES, section(2, b"\x01\x01a\x01b\x05\0")), 25, Cause.ENCODING, "import"),
    "import of a missing type": (module(TYPES, section(2, b"\x01\x01a\x01b\0\x02")), 26, Cause.INDEX, "import"),
    "import of a struct as a function": (
        module(section(1, b"\x01\x5f\0"), section(2, b"\x01\x01a\x01b\0\0")),
        21,
        Cause.INDEX,
        "import",
    ),
    "import name that is not UTF-8": (module(TYPES, section(2, b"\x01\x01a\x01\xff\0\0")), 24, Cause.NAME, "import"),
    "import name beyond the section": (module(section(2, b"\x01\x7fab\0\0"), TYPES), 12, Cause.OVERRUN, "import"),
    "four billion imports": (module(section(2, leb(2**32 - 1) + b"\0" * 9)), 10, Cause.CAP, "import"),
    # Functions, tables, memories, tags, globals
    "function of a missing type": (module(TYPES, section(3, b"\x01\x02")), 21, Cause.INDEX, "function"),
    "table of numbers": (module(section(4, b"\x01\x7f\0\x01")), 11, Cause.ENCODING, "table"),
    "table with unknown flags": (module(section(4, b"\x01\x70\x08\x01")), 12, Cause.ENCODING, "table"),
    "table larger than its maximum": (module(section(4, b"\x01\x70\x01\x02\x01")), 13, Cause.RANGE, "table"),
    "table of 2^32 with 32 bits": (module(section(4, b"\x01\x70\0" + leb(2**32))), 13, Cause.INTEGER, "table"),
    "table with half an initializer": (module(section(4, b"\x01\x40\x01\x70\0\x01")), 12, Cause.ENCODING, "table"),
    "initializer without an end": (
        module(section(4, b"\x01\x40\0\x70\0\x01\xd0\x70")),
        18,
        Cause.TRUNCATED,
        "table",
    ),
    "initializer that calls": (
        module(section(4, b"\x01\x40\0\x70\0\x01\x10\0\x0b")),
        16,
        Cause.ENCODING,
        "table",
    ),
    "memory with unknown flags": (module(section(5, b"\x01\x10\x01")), 11, Cause.ENCODING, "memory"),
    "shared memory without a maximum": (module(section(5, b"\x01\x02\x01")), 11, Cause.RANGE, "memory"),
    "memory of 65537 pages": (module(section(5, b"\x01\0" + leb(65537))), 11, Cause.RANGE, "memory"),
    "memory that may grow too far": (module(section(5, b"\x01\x01\0" + leb(65537))), 11, Cause.RANGE, "memory"),
    "64-bit memory beyond its space": (module(section(5, b"\x01\x04" + leb(2**48 + 1))), 11, Cause.RANGE, "memory"),
    "memory larger than its maximum": (module(section(5, b"\x01\x01\x02\x01")), 12, Cause.RANGE, "memory"),
    "tag with an attribute": (module(TYPES, section(13, b"\x01\x01\0")), 21, Cause.ENCODING, "tag"),
    "tag with results": (module(TYPES, section(13, b"\x01\0\x01")), 22, Cause.INDEX, "tag"),
    "global with mutability 4": (module(section(6, b"\x01\x7f\x04\x41\0\x0b")), 12, Cause.ENCODING, "global"),
    "constant beyond 32 bits": (
        module(section(6, b"\x01\x7f\0\x41\xff\xff\xff\xff\x4f\x0b")),
        14,
        Cause.INTEGER,
        "global",
    ),
    "constant of six bytes": (
        module(section(6, b"\x01\x7f\0\x41" + leb(0, 6) + b"\x0b")),
        14,
        Cause.INTEGER,
        "global",
    ),
    "vector instruction in a global": (module(section(6, b"\x01\x7b\0\xfd\x0d\x0b")), 13, Cause.ENCODING, "global"),
    "constant cut off": (module(section(6, b"\x01\x7c\0\x44\0\0\x0b")), 14, Cause.TRUNCATED, "global"),
    # Exports and start
    "two exports of one name": (
        module(FUNCTION, section(7, vector(name("f") + b"\0\0", name("f") + b"\0\0")), ONE_BODY),
        29,
        Cause.DUPLICATE,
        "export",
    ),
    "export of a missing function": (module(FUNCTION, section(7, b"\x01\x01f\0\x01")), 28, Cause.INDEX, "export"),
    "export of a missing memory": (module(FUNCTION, section(7, b"\x01\x01m\x02\0")), 28, Cause.INDEX, "export"),
    "export of kind 5": (module(FUNCTION, section(7, b"\x01\x01f\x05\0")), 27, Cause.ENCODING, "export"),
    "start that is missing": (module(FUNCTION, section(8, b"\x01")), 24, Cause.INDEX, "start"),
    "start that returns": (module(TYPES, section(3, b"\x01\x01"), section(8, b"\0")), 24, Cause.INDEX, "start"),
    # Code and data
    "functions without code": (module(FUNCTION), 22, Cause.MISMATCH, None),
    "code without functions": (module(ONE_BODY), 10, Cause.MISMATCH, "code"),
    "fewer bodies than functions": (
        module(TYPES, section(3, b"\x02\0\0"), ONE_BODY),
        25,
        Cause.MISMATCH,
        "code",
    ),
    "body beyond its section": (
        module(FUNCTION, section(10, b"\x01\x09\0\x0b"), custom("x")),
        26,
        Cause.OVERRUN,
        "code",
    ),
    "bytes after the last body": (module(FUNCTION, section(10, b"\x01\x02\0\x0b\0")), 28, Cause.LEFTOVER, "code"),
    "announced data that is missing": (module(section(12, b"\x01")), 11, Cause.MISMATCH, None),
    "more data than announced": (
        module(section(12, b"\x01"), section(11, b"\x02\x01\0\x01\0")),
        13,
        Cause.MISMATCH,
        "data",
    ),
    "more segments than bytes": (module(section(9, b"\x05\x01\0\0")), 10, Cause.COUNT, "element"),
}

PROPOSALS = {
    "custom page size": (module(section(5, b"\x01\x08\x01\0")), 11),
    "shared table": (module(section(4, b"\x01\x70\x03\x01\x01")), 12),
    "shared global": (module(section(6, b"\x01\x7f\x02\x41\0\x0b")), 12),
    "shared function type": (module(section(1, b"\x01\x65" + VOID)), 11),
    "shared heap type": (module(section(1, b"\x01\x60\x01\x63\x65\x70\0")), 14),
    "continuation type": (module(section(1, vector(VOID, b"\x5d\0"))), 14),
    "continuation reference": (module(section(1, b"\x01\x60\x01\x68\0")), 13),
    "exact reference": (module(section(1, vector(VOID, b"\x60\x01\x63\x62\0\0"))), 17),
    "descriptor type": (module(section(1, b"\x01\x4e\x01\x4d\0\x5f\0")), 13),
    "compact imports": (module(TYPES, section(2, b"\x01\x01a\0\x7f\x01\x01b\0\0")), 24),
    "exact import": (module(TYPES, section(2, b"\x01\x01a\x01b\x20\0")), 25),
}


@pytest.mark.parametrize(("data", "offset", "cause", "where"), CASES.values(), ids=CASES)
def test_a_malformed_module_is_refused_with_its_byte_and_cause(
    data: bytes, offset: int, cause: Cause, where: str | None
) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_module(data)
    expected = {"offset": offset, "cause": cause} | ({"section": where} if where else {})
    assert (caught.value.code, caught.value.data) == ("invalid_wasm", expected)
    assert f"byte {offset}" in caught.value.message
    assert compile_module(data) is None


@pytest.mark.parametrize(("data", "offset"), PROPOSALS.values(), ids=PROPOSALS)
def test_a_proposal_that_the_engine_does_not_enable_is_named_as_such(data: bytes, offset: int) -> None:
    with pytest.raises(InvalidInput, match="is not enabled here") as caught:
        parse_module(data)
    assert caught.value.data["offset"] == offset
    assert caught.value.data["cause"] == Cause.PROPOSAL
    assert compile_module(data) is None
