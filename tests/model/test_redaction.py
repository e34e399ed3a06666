"""Redaction finds a value in every spelling that programs give it, and leaves everything else alone."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.model.redaction import Redactor

_values = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40)


def redactor_of(value: str) -> Redactor:
    redactor = Redactor()
    redactor.add("KEY", value)
    return redactor


@given(_values, st.binary(max_size=5), st.binary(max_size=5))
def test_a_value_does_not_come_out_in_any_spelling(value: str, before: bytes, after: bytes) -> None:
    redactor, raw = redactor_of(value), value.encode()
    spellings = [
        raw,
        quote(value, safe="").encode(),
        quote(value, safe="").lower().encode() if value.isascii() and value == value.lower() else raw,
        quote_plus(value).encode(),
        "".join(f"%{byte:02x}" for byte in raw).encode(),
        json.dumps(value)[1:-1].encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        raw.hex().encode(),
        raw.hex().upper().encode(),
        raw.decode("latin-1").encode(),
    ]
    for spelling in spellings:
        shown = redactor.data(b"\x00" + spelling + b"\x00")
        assert spelling not in shown
        assert b"[secret KEY]" in shown


@given(_values, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_is_found_wherever_the_value_stands_in_what_was_encoded(value: str, before: bytes, after: bytes) -> None:
    redactor, text = redactor_of(value), before + value.encode() + after
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redactor.data(encode(text))
        assert b"[secret KEY]" in shown
        # What is left decides less than one byte at each end.
        assert len(shown) - len(b"[secret KEY]") <= len(encode(before)) + len(encode(after)) + 8


@given(st.binary(max_size=60))
def test_nothing_is_changed_where_there_is_nothing_to_hide(data: bytes) -> None:
    assert Redactor().data(data) == data
    assert redactor_of("a value that is not in there, surely").data(data) == data


def test_json_values_are_redacted_within() -> None:
    redactor = redactor_of("the-value")
    assert redactor.json({"the-value": ["a the-value b", 1, None, {"x": True}]}) == {
        "[secret KEY]": ["a [secret KEY] b", 1, None, {"x": True}]
    }
    assert redactor.text("half \ud800 the-value") == "half \ud800 [secret KEY]"


def test_one_value_inside_of_another_does_not_save_it() -> None:
    redactor = Redactor()
    redactor.add("SHORT", "value")
    redactor.add("LONG", "a-value-that-is-longer")
    assert redactor.text("a-value-that-is-longer, value") == "[secret LONG], [secret SHORT]"


@pytest.mark.parametrize("value", ["a", "ab", "é"])
def test_a_very_short_value_is_taken_out_as_it_is(value: str) -> None:
    assert redactor_of(value).text(f"<{value}>") == "<[secret KEY]>"


def test_a_large_value_costs_no_more_than_looking_for_it() -> None:
    value = "x" * 30_000 + "/" + "y" * 35_000
    assert redactor_of(value).text(f"{value * 20}.") == "[secret KEY]" * 20 + "."
