"""Words of texts and queries, and what search sees and shows of a tool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.inspection.search_document import (
    MAX_PARAMETERS,
    MAX_SHOWN,
    ONE_LINE,
    document_of,
    found_tool,
    one_line,
)
from tool_server.inspection.search_words import MAX_QUERY, MAX_WORDS, terms_of, words_of
from tool_server.model.catalog import OfferedTool


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parse_json_file", ["parse", "json", "file"]),
        ("parse-json-file", ["parse", "json", "file"]),
        ("parseJsonFile", ["parse", "json", "file"]),
        ("HTTPServer v2", ["http", "server", "v2"]),
        ("getX", ["get", "x"]),
        ("sha256", ["sha256"]),
        ("Straße, Éclair; \ufb01le", ["strasse", "eclair", "file"]),
        ("\uff26\uff35\uff2c\uff2c", ["full"]),
        ("\U0001d608\U0001d623", ["ab"]),
        ("数える tool", ["数える", "tool"]),
        ("  ", []),
        ("__--!?", []),
        ("\ud800", []),
    ],
)
def test_names_fall_into_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_words_are_clean_and_split_no_further(text: str) -> None:
    for word in words_of(text):
        assert word
        assert words_of(word) == [word]


def test_every_character_of_unicode_folds_to_what_folds_no_further() -> None:
    for number in range(0x110000):
        for word in words_of(chr(number)):
            assert words_of(word) == [word], hex(number)


def test_words_that_only_hold_a_sentence_together_are_left_out_where_others_remain() -> None:
    assert terms_of("What is the hash of it?").words == ("hash",)
    assert terms_of("what is it").words == ("what", "is", "it")
    assert terms_of("what is it").sentence == "what is it"


def test_a_query_is_asked_for_each_word_once_and_for_so_many_at_most() -> None:
    assert terms_of("count Count count_words").words == ("count", "words")
    assert len(terms_of(" ".join(f"w{number}" for number in range(300))[:MAX_QUERY]).words) == MAX_WORDS


def test_a_query_beyond_its_bound_is_refused() -> None:
    assert terms_of("x" * MAX_QUERY).words == ("x" * MAX_QUERY,)
    with pytest.raises(InvalidInput) as refused:
        terms_of("x" * (MAX_QUERY + 1))
    assert refused.value.code == "query_too_long"


def offered(**listing: Any) -> OfferedTool:
    """A tool as it is listed."""
    document = {"name": "text-tools_countWords", "inputSchema": {"type": "object"}, **listing}
    return OfferedTool(
        "text-tools_countWords", "text-tools", "1", "countWords", 0, 1, False, json.dumps(document).encode()
    )


def test_a_document_holds_the_words_of_all_that_is_searched() -> None:
    schema = {
        "type": "object",
        "properties": {
            "inputText": {"type": "string", "description": "What is counted."},
            "options": {"type": "object", "properties": {"ignore_case": {"description": "Deeply said"}}},
            "rows": {"type": "array", "items": {"type": "object", "properties": {"cell": True}}},
        },
    }
    document = document_of(
        offered(title="Count words", description="Counts them.", inputSchema=schema), ("text", "Word count")
    )
    assert (document.words, document.plugin_words) == ("count words", "text tools")
    assert (document.title, document.description) == ("count words", "counts them")
    assert document.parameters == "input text options rows ignore case cell"
    assert document.details == "what is counted deeply said"
    assert document.keywords == ("text", "Word count")
    assert document.hints == {
        "readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True,
    }  # fmt: skip


def test_a_tool_that_only_reads_destroys_nothing_whatever_it_says() -> None:
    document = document_of(offered(annotations={"readOnlyHint": True, "destructiveHint": True}), ())
    assert (document.hints["readOnlyHint"], document.hints["destructiveHint"]) == (True, False)


@pytest.mark.parametrize(
    "properties",
    [
        {"a": True, "b": {"description": 1, "properties": "none", "items": 1}},
        "none",
        {f"p{number}": True for number in range(3 * MAX_PARAMETERS)},
        {"a": {"properties": {"b": {"properties": {"c": {"properties": {"d": {"properties": {"e": True}}}}}}}}},
    ],
)
def test_odd_and_vast_schemas_are_looked_through_as_far_as_they_go(properties: object) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": "a"}
    assert len(document_of(offered(inputSchema=schema), ()).parameters.split()) <= MAX_PARAMETERS
    assert len(found_tool(offered(inputSchema=schema)).parameters) <= MAX_SHOWN


def test_a_result_names_required_parameters_first() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["c", "missing"]}
    assert found_tool(offered(inputSchema=schema)).parameters == ("c", "a", "b")


@given(st.text(max_size=2_000))
def test_a_description_is_shown_in_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= ONE_LINE
    assert "\n" not in line


def test_the_line_is_the_first_sentence_or_ends_between_words() -> None:
    assert one_line("Counts\n words. And more.") == "Counts words."
    assert one_line("word " * 100).endswith("word…")
