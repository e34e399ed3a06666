"""Hidden characters: which are found, and which are not hidden at all."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.inspection.lint_text import hidden_character, hidden_in_value
from tool_server.model.json_value import JsonObject

HIDDEN = {
    "\x00": "U+0000",
    "\x1b[31m": "U+001B (ESC, the start of a terminal escape)",
    "\x7f": "U+007F",
    "\x9b": "U+009B",
    "a\rb": "U+000D",
    "a\u00ad": "SOFT HYPHEN",
    "\u034f": "GRAPHEME JOINER",
    "\u061c": "ARABIC LETTER MARK",
    "\u115f": "FILLER",
    "\u180e": "MONGOLIAN VOWEL SEPARATOR",
    "\u200b": "ZERO WIDTH SPACE",
    "a\u200d": "U+200D (ZERO WIDTH JOINER) at character 1",
    "\u2028": "LINE SEPARATOR",
    "\u202e": "RIGHT-TO-LEFT OVERRIDE",
    "\u2060": "WORD JOINER",
    "\u2067": "RIGHT-TO-LEFT ISOLATE",
    "\u3164": "FILLER",
    "\ufe0f": "VARIATION SELECTOR-16",
    "\ufeff": "ZERO WIDTH NO-BREAK SPACE",
    "\U000e0001": "a tag character",
    "\U000e0041": "a tag character",
    "\U000e007f": "a tag character",
    "\U000e0100": "VARIATION SELECTOR-17",
    "\ud800": "half of a surrogate pair",
    "\uffff": "an invisible character",
}

VISIBLE = [
    "",
    "a\tb\nc\r\nd",
    "naïve café — “quotes” … €",
    "日本語 العربية עברית हिन्दी",
    "😀👍🏽",
    "a\u0301",
    "\u00a0x\u2003",
    "\ufffd",
]


@pytest.mark.parametrize(("text", "words"), HIDDEN.items(), ids=[ascii(text) for text in HIDDEN])
def test_a_hidden_character_is_named_with_its_place(text: str, words: str) -> None:
    found = hidden_character(text)
    assert found is not None
    assert words in found


@pytest.mark.parametrize("text", VISIBLE)
def test_text_that_people_see_is_not_hidden(text: str) -> None:
    assert hidden_character(text) is None


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r\nb"])
def test_names_may_not_hold_line_ends_and_tabs(text: str) -> None:
    assert hidden_character(text) is None
    assert hidden_character(text, name=True) is not None


DRAWN = (
    *(f"ARABIC {word}" for word in ("NUMBER", "SIGN", "FOOTNOTE", "END", "POUND", "PIASTRE", "DISPUTED")),
    "SYRIAC ABBR",
    "KAITHI NUMBER",
    "EGYPTIAN HIEROGLYPH",
)
"""Names of format characters that have a shape of their own."""


@given(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
def test_every_control_and_format_character_is_found_but_those_that_are_drawn(character: str) -> None:
    drawn = unicodedata.name(character, "").startswith(DRAWN)
    assert (hidden_character(character) is None) == (drawn or character in "\t\n")


def test_keys_and_values_are_searched_at_every_depth() -> None:
    value: JsonObject = {"a": [{"\u200b": 1}, "ok", {"b": "x\u200d"}], "c": None}
    found = dict(hidden_in_value(value, "$.input_schema"))
    assert sorted(found) == ["$.input_schema.a[0]['\\u200b']", "$.input_schema.a[2].b"]
    assert found["$.input_schema.a[0]['\\u200b']"].endswith("of the key")
