"""Custom sections: found, appended, and never a reason to refuse a module."""

from __future__ import annotations

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from tests.inspection.wasm.encoding import HEADER, ONE_BODY, ONE_FUNCTION, TYPES, custom, module, name, vector
from tests.inspection.wasm.engine import compile_module
from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import append_custom_section, custom_section, parse_module

PRODUCERS = vector(
    name("language") + vector(name("Rust") + name("1.96"), name("C11") + name("")),
    name("processed-by") + vector(name("rustc") + name("1.96.0")),
)


def _module_name(text: str | bytes) -> bytes:
    content = name(text)
    return b"\0" + bytes([len(content)]) + content


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.binary(max_size=300))
def test_an_appended_section_is_found_again_and_leaves_the_module_valid(section_name: str, content: bytes) -> None:
    data = append_custom_section(module(TYPES, ONE_FUNCTION, ONE_BODY), section_name, content)
    found = parse_module(data)
    assert custom_section(found, section_name) == content
    assert [(item.name, item.size) for item in found.custom_sections] == [(section_name, len(content))]
    assert data[found.custom_sections[0].offset :] == content
    assert compile_module(data) is not None


def test_the_section_appended_last_counts_and_the_earlier_one_is_kept() -> None:
    data = append_custom_section(append_custom_section(HEADER, "extism-tools", b"old"), "extism-tools", b"new")
    found = parse_module(data)
    assert custom_section(found, "extism-tools") == b"new"
    assert [item.content for item in found.custom_sections] == [b"old", b"new"]
    assert custom_section(found, "extism") is None


@pytest.mark.parametrize(
    ("data", "section_name", "code"),
    [
        (b"", "x", "empty_wasm"),
        (b"{}", "x", "not_wasm"),
        (b"\0asm\x0d\0\x01\0", "x", "component_wasm"),
        (HEADER, "x" * 1_001, "invalid_section_name"),
        (HEADER, "\ud800", "invalid_section_name"),
    ],
)
def test_appending_to_what_is_no_module_or_under_an_impossible_name_is_refused(
    data: bytes, section_name: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        append_custom_section(data, section_name, b"")
    assert caught.value.code == code


def test_producers_and_the_module_name_are_read() -> None:
    found = parse_module(module(custom("producers", PRODUCERS), custom("name", _module_name("greeter"))))
    assert found.producers == {
        "language": (("Rust", "1.96"), ("C11", "")),
        "processed-by": (("rustc", "1.96.0"),),
    }
    assert found.module_name == "greeter"


def test_the_name_that_wat2wasm_writes_is_read() -> None:
    data = bytes(wasmtime.wat2wasm("(module $greeter (func $f (param $p i32)) (memory $m 1))"))
    assert parse_module(data).module_name == "greeter"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0\x7f",
        b"\0\x02\x7fa",
        _module_name(b"\xff"),
        b"\x01\x01\0",
        b"\x01\x01\0" + _module_name("out of order"),
        b"\xff" * 20,
    ],
)
def test_a_missing_or_malformed_name_is_no_name_and_no_error(content: bytes) -> None:
    data = module(custom("name", content))
    assert parse_module(data).module_name is None
    assert compile_module(data) is not None


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7f", b"\x01\x01\xff\0", PRODUCERS[:-1], vector(name("sdk") + b"\xff\xff\xff\xff\x0f"), bytes(70_000)],
)
def test_malformed_producers_are_no_producers_and_no_error(content: bytes) -> None:
    data = module(custom("producers", content))
    assert parse_module(data).producers == {}
    assert compile_module(data) is not None


def test_producers_of_more_than_64_kib_are_left_unread() -> None:
    def producers(size: int) -> bytes:
        head = b"\x01" + name("sdk") + b"\x01" + name("")
        return head + name("v" * (size - len(head) - 3))

    assert parse_module(module(custom("producers", producers(2**16)))).producers.keys() == {"sdk"}
    assert parse_module(module(custom("producers", producers(2**16 + 1)))).producers == {}


def test_a_name_may_not_borrow_bytes_from_the_section_that_follows() -> None:
    data = module(custom("name", b"\0\x09\x08abc"), custom("secret", b"defgh"))
    assert parse_module(data).module_name is None


def test_custom_sections_may_stand_anywhere_and_more_than_once() -> None:
    data = module(custom("a"), TYPES, custom("a", b"1"), ONE_FUNCTION, custom("b"), ONE_BODY, custom("c"))
    found = parse_module(data)
    assert [item.name for item in found.custom_sections] == ["a", "a", "b", "c"]
    assert [item.name for item in found.sections] == [
        "custom",
        "type",
        "custom",
        "function",
        "custom",
        "code",
        "custom",
    ]
