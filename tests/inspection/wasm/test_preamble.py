"""Files that are no core wasm module, told apart by their first bytes."""

from __future__ import annotations

import gzip

import pytest

from tests.inspection.wasm.encoding import HEADER, custom, module
from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import MAX_MODULE_SIZE, parse_module

CASES = {
    "nothing": (b"", "empty_wasm", 0, "0 bytes"),
    "a manifest": (b'{"wasm": [{"path": "x.wasm"}], "allowed_paths": {"/": "/"}}', "not_wasm", 0, "JSON manifest"),
    "a manifest after blanks": (b"\xef\xbb\xbf \r\n\t{}", "not_wasm", 0, "JSON manifest"),
    "text": (b"(module)", "not_wasm", 0, "WebAssembly text"),
    "text after a comment": (b";; made by hand\n(module)", "not_wasm", 0, "WebAssembly text"),
    "component text": (b"(component)", "not_wasm", 0, "wasm32-wasip1"),
    "a native program": (b"\x7fELF\x02\x01\x01", "not_wasm", 0, "ELF"),
    "gzip": (gzip.compress(HEADER), "not_wasm", 0, "gzip"),
    "zip": (b"PK\x03\x04\x14\0", "not_wasm", 0, "zip"),
    "an error page": (b"<!doctype html>", "not_wasm", 0, "HTML"),
    "zero bytes": (bytes(100), "not_wasm", 1, "0x00000000"),
    "another magic": (b"\0asn\x01\0\0\0", "not_wasm", 3, "0x0061736d"),
    "half a magic": (b"\0as", "invalid_wasm", 3, "cut off"),
    "half a header": (b"\0asm\x01\0", "invalid_wasm", 6, "cut off"),
    "a component": (b"\0asm\x0d\0\x01\0\0\x01\0", "component_wasm", 6, "wasm32-wasip1"),
    "version 2": (b"\0asm\x02\0\0\0", "invalid_wasm", 4, "version 2, expected 1"),
    "version 1 of a layer 2": (b"\0asm\x01\0\x02\0", "invalid_wasm", 4, "expected 1"),
}


@pytest.mark.parametrize(("data", "code", "offset", "says"), CASES.values(), ids=CASES)
def test_a_file_that_is_no_core_module_is_refused_by_what_it_is(data: bytes, code: str, offset: int, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_module(data)
    assert (caught.value.code, caught.value.data["offset"]) == (code, offset)
    assert says in caught.value.message


def test_a_module_of_exactly_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    data = module(custom("padding", bytes(100)))
    assert parse_module(data, max_size=len(data)).size == len(data)
    with pytest.raises(InvalidInput) as caught:
        parse_module(data, max_size=len(data) - 1)
    assert caught.value.code == "wasm_too_large"
    assert caught.value.data == {"offset": len(data) - 1, "size": len(data), "max_size": len(data) - 1}
    assert str(len(data)) in caught.value.message


def test_the_default_size_limit_is_64_mib() -> None:
    assert MAX_MODULE_SIZE == 64 * 2**20
    with pytest.raises(InvalidInput) as caught:
        parse_module(bytes(MAX_MODULE_SIZE + 1))
    assert caught.value.code == "wasm_too_large"
