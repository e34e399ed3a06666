"""LEB128 numbers, strict in both directions."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inspection.wasm.encoding import leb
from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import Cause
from tool_server.inspection.wasm.reader import Cursor


def _signed_leb(value: int, size: int) -> bytes:
    """Two's complement in exactly `size` groups of seven bits."""
    return leb(value & ((1 << 7 * size) - 1), size)


@given(st.sampled_from([32, 64]), st.data())
def test_an_unsigned_number_is_read_from_every_padding_that_its_type_allows(bits: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 2**bits - 1))
    encoded = leb(value, data.draw(st.integers(1, -(-bits // 7))))
    cursor = Cursor(encoded + b"\0")
    assert (cursor.unsigned("a number", bits), cursor.offset) == (value, len(encoded))


@given(st.sampled_from([32, 33, 64]), st.data())
def test_a_signed_number_is_read_from_every_padding_that_its_type_allows(bits: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    smallest = value.bit_length() // 7 + 1 if value >= 0 else (value + 1).bit_length() // 7 + 1
    encoded = _signed_leb(value, data.draw(st.integers(smallest, -(-bits // 7))))
    cursor = Cursor(encoded + b"\0")
    assert (cursor.signed("a number", bits), cursor.offset) == (value, len(encoded))


@pytest.mark.parametrize("bits", [32, 64])
@given(excess=st.integers(0, 2**5))
def test_an_unsigned_number_beyond_its_type_is_refused(bits: int, excess: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        Cursor(leb(2**bits + excess)).unsigned("a number", bits)
    assert caught.value.data == {"offset": 0, "cause": Cause.INTEGER}


@pytest.mark.parametrize(
    ("encoded", "bits"),
    [
        (b"\xff\xff\xff\xff\x08", 32),  # 2^31 with a sign bit of zero
        (b"\x80\x80\x80\x80\x77", 32),  # just below -2^31
        (b"\x80\x80\x80\x80\x10", 33),
        (b"\x80" * 9 + b"\x01", 64),
        (leb(0, 6), 32),
        (leb(0, 11), 64),
    ],
)
def test_a_signed_number_beyond_its_type_or_its_bytes_is_refused(encoded: bytes, bits: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        Cursor(encoded).signed("a number", bits)
    assert caught.value.data == {"offset": 0, "cause": Cause.INTEGER}


@given(st.binary(max_size=12), st.sampled_from([32, 64]))
def test_no_bytes_make_a_number_raise_anything_else_or_read_past_the_end(data: bytes, bits: int) -> None:
    cursor = Cursor(data)
    with suppress(InvalidInput):
        assert 0 <= cursor.unsigned("a number", bits) < 2**bits
    assert cursor.offset <= min(len(data), -(-bits // 7))


def test_a_section_cannot_be_left_before_its_end_nor_read_past_it() -> None:
    cursor = Cursor(b"\x01\x02\x03")
    cursor.begin_section("type", 2)
    assert cursor.byte("a byte") == 1
    with pytest.raises(InvalidInput, match="goes on for 1 bytes"):
        cursor.end_section()
    with pytest.raises(InvalidInput, match="needs 2 more bytes, and the section has 1"):
        cursor.take(2, "a pair")
    assert cursor.take(1, "a byte") == b"\x02"
    cursor.end_section()
    assert (cursor.section, cursor.remaining) == (None, 1)
