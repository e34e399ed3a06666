"""What reading a hostile module may cost: steps and memory linear in its size, and caps on everything."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

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
)
from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import Cause, caps, parse_module
from tool_server.inspection.wasm.parser import read_sections
from tool_server.inspection.wasm.reader import Cursor


class CountingCursor(Cursor):
    """Counts every read; all others are made of these three."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data, len(HEADER))
        self.steps = 0

    def byte(self, what: str) -> int:
        self.steps += 1
        return super().byte(what)

    def peek(self, what: str) -> int:
        self.steps += 1
        return super().peek(what)

    def skip(self, size: int, what: str) -> None:
        self.steps += 1
        super().skip(size, what)


def _repeated(section_id: int, entry: bytes, *, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    return lambda n: module(before, section(section_id, leb(n) + entry * n), after)


def _exports(n: int) -> bytes:
    entries = b"".join(name(f"e{i}") + b"\0\0" for i in range(n))
    return module(TYPES, ONE_FUNCTION, section(7, leb(n) + entries), ONE_BODY)


def _functions(n: int) -> bytes:
    return module(TYPES, section(3, leb(n) + b"\0" * n), section(10, leb(n) + b"\x02\0\x0b" * n))


SHAPES: dict[str, Callable[[int], bytes]] = {
    "types": _repeated(1, VOID),
    "reference parameters": _repeated(1, b"\x60\x04" + b"\x63\0" * 4 + b"\0"),
    "empty groups": _repeated(1, b"\x4e\0"),
    "structs": _repeated(1, b"\x5f\x02\x64\0\x01\x78\0"),
    "imports": _repeated(2, name("m") + name("n") + b"\0\0", before=TYPES),
    "functions": _functions,
    "globals": _repeated(6, b"\x7f\0\x41\0\x0b"),
    "one long expression": lambda n: module(section(6, b"\x01\x7f\0" + b"\x41\0\x6a" * n + b"\x0b")),
    "exports": _exports,
    "data": _repeated(11, b"\x01\0"),
    "elements": _repeated(9, b"\x01\0\0"),
    "custom sections": lambda n: module(*[custom("")] * min(n, 1_000)),
    "one large custom section": lambda n: module(custom("big", bytes(50 * n))),
    "a name section of many parts": lambda n: module(custom("name", b"\x01\0" * n)),
    "many producers": lambda n: module(custom("producers", b"\x01" + name("sdk") + leb(n) + b"\0\0" * n)),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_module_takes_fewer_steps_than_three_for_each_byte(shape: Callable[[int], bytes]) -> None:
    for size in (100, 1_000, 5_000):
        data = shape(size)
        cursor = CountingCursor(data)
        read_sections(cursor)
        assert 0 < cursor.steps < 3 * len(data)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_memory_stays_within_a_fixed_multiple_of_the_module(shape: Callable[[int], bytes]) -> None:
    for size in (1_000, 8_000):
        data = shape(size)
        tracemalloc.start()
        try:
            parse_module(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 80 * len(data) + 50_000


def test_what_is_not_decoded_is_not_copied_either() -> None:
    body = leb(2_000_000) + bytes(2_000_000)
    data = module(TYPES, ONE_FUNCTION, section(10, b"\x01" + body), section(11, b"\x01\x01" + body), custom("x", body))
    tracemalloc.start()
    try:
        parse_module(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000


def _name(size: int) -> bytes:
    return name("a" * size)


CAPS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "types": (_repeated(1, VOID), caps.MAX_TYPES),
    "types in groups": (_repeated(1, b"\x4e\x01" + VOID), caps.MAX_TYPES),
    "types of one group": (lambda n: module(section(1, b"\x01\x4e" + leb(n) + VOID * n)), caps.MAX_TYPES),
    "a group after a type": (
        lambda n: module(section(1, b"\x02" + VOID + b"\x4e" + leb(n - 1) + VOID * (n - 1))),
        caps.MAX_TYPES,
    ),
    "a type after a group": (
        lambda n: module(section(1, b"\x02\x4e" + leb(n - 1) + VOID * (n - 1) + VOID)),
        caps.MAX_TYPES,
    ),
    "parameters": (lambda n: module(section(1, b"\x01\x60" + leb(n) + b"\x7f" * n + b"\0")), caps.MAX_PARAMETERS),
    "results": (lambda n: module(section(1, b"\x01\x60\0" + leb(n) + b"\x7f" * n)), caps.MAX_PARAMETERS),
    "fields": (lambda n: module(section(1, b"\x01\x5f" + leb(n) + b"\x7f\0" * n)), caps.MAX_FIELDS),
    "imports": (_repeated(2, name("m") + name("n") + b"\0\0", before=TYPES), caps.MAX_IMPORTS),
    "functions": (_functions, caps.MAX_FUNCTIONS),
    "tables": (_repeated(4, b"\x70\0\x01"), caps.MAX_TABLES),
    "memories": (_repeated(5, b"\0\x01"), caps.MAX_MEMORIES),
    "tags": (_repeated(13, b"\0\0", before=TYPES), caps.MAX_TAGS),
    "globals": (_repeated(6, b"\x7f\0\x41\0\x0b"), caps.MAX_GLOBALS),
    "exports": (_exports, caps.MAX_EXPORTS),
    "elements": (_repeated(9, b"\x01\0\0"), caps.MAX_SEGMENTS),
    "data": (_repeated(11, b"\x01\0"), caps.MAX_SEGMENTS),
    "bytes of a body": (
        lambda n: module(TYPES, ONE_FUNCTION, section(10, b"\x01" + leb(n) + bytes(n))),
        caps.MAX_FUNCTION_SIZE,
    ),
    "bytes of an import's name": (
        lambda n: module(TYPES, section(2, b"\x01" + name("m") + _name(n) + b"\0\0")),
        caps.MAX_NAME,
    ),
    "bytes of a custom name": (lambda n: module(section(0, _name(n))), caps.MAX_CUSTOM_NAME),
    "custom sections": (lambda n: module(*[custom("")] * n), caps.MAX_CUSTOM_SECTIONS),
    "bytes of a decoded section": (
        lambda n: module(section(6, b"\x01\x7f\0" + b"\x6a" * (n - 4) + b"\x0b")),
        caps.MAX_DECODED_SECTION,
    ),
}


@pytest.mark.parametrize(("build", "cap"), CAPS.values(), ids=CAPS)
def test_a_cap_itself_is_accepted_and_one_more_is_refused(build: Callable[[int], bytes], cap: int) -> None:
    parse_module(build(cap))
    with pytest.raises(InvalidInput) as caught:
        parse_module(build(cap + 1))
    assert caught.value.code == "invalid_wasm"
    assert caught.value.data["cause"] == Cause.CAP
    assert str(cap) in caught.value.message
