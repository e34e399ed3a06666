"""The full-text index: what is found, in which order, under which filters, whatever the query."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput, Unavailable
from tool_server.inspection.search_words import terms_of, words_of
from tool_server.model.search import HINTS, ToolDocument, ToolFilter
from tool_server.model.view import View
from tool_server.storage import tool_index
from tool_server.storage.tool_index import FtsToolIndex


def document(
    name: str,
    description: str = "",
    *,
    plugin: str = "",
    title: str = "",
    keywords: tuple[str, ...] = (),
    **hints: bool,
) -> ToolDocument:
    """A tool whose plugin's name is the beginning of its own, unless it is given."""
    plugin = plugin or name.partition("_")[0]
    own = name.removeprefix(f"{plugin}_")
    return ToolDocument(
        name=name, plugin=plugin, words=" ".join(words_of(own)), plugin_words=" ".join(words_of(plugin)),
        title=title, description=description, parameters="", details="", keywords=keywords, hints={**HINTS, **hints},
    )  # fmt: skip


TOOLS = [
    document(
        "image_resize", "scale a picture to another width", keywords=("Graphics", "photo editing"), readOnlyHint=True
    ),
    document("image_delete", "remove a picture for good", keywords=("Graphics",)),
    document("files_delete", "remove a file for good", keywords=("disk",)),
    document("files_listFiles", "what is in a folder", readOnlyHint=True, idempotentHint=True),
    document("Text_at_to_of", "the name is made of words that say nothing"),
    document("mail_send", "send an email to somebody"),
]


@pytest.fixture
def index() -> Generator[FtsToolIndex]:
    made = FtsToolIndex()
    made.change((), TOOLS)
    yield made
    made.close()


def found(index: FtsToolIndex, query: str, limit: int = 10, **within: object) -> list[str]:
    return list(index.search(terms_of(query), ToolFilter(**within), limit))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("delete a picture", "image_delete"),
        ("deleting files", "files_delete"),
        ("resized pictures", "image_resize"),
        ("emails", "mail_send"),
        ("list files", "files_listFiles"),
        ("resi", "image_resize"),
        ("FILES_LISTFILES", "files_listFiles"),
        ("  mail_send ", "mail_send"),
        ("photo editing", "image_resize"),
    ],
)
def test_the_tool_that_is_meant_comes_first(index: FtsToolIndex, query: str, first: str) -> None:
    assert found(index, query)[0] == first


def test_every_tool_is_found_first_by_its_own_exact_name(index: FtsToolIndex) -> None:
    for tool in TOOLS:
        assert found(index, tool.name)[0] == tool.name


def test_names_that_differ_by_case_alone_are_both_found_the_exact_one_first(index: FtsToolIndex) -> None:
    index.change((), [document("MAIL_send", plugin="other")])
    assert found(index, "MAIL_send")[:2] == ["MAIL_send", "mail_send"]
    assert found(index, "mail_send")[:2] == ["mail_send", "MAIL_send"]


def test_a_tool_that_says_all_words_comes_before_one_that_says_one_of_them_often(index: FtsToolIndex) -> None:
    index.change((), [
        document("a_zebra", "zebra zebra zebra", title="zebra", plugin="a"),
        document("b_other", "a long text about many things in which a zebra and a giraffe appear once", plugin="b"),
    ])  # fmt: skip
    assert found(index, "zebra giraffe")[0] == "b_other"


def test_beginnings_come_after_whole_words(index: FtsToolIndex) -> None:
    index.change((), [document("x_one", "zebrafish"), document("x_two", "zebra")])
    assert found(index, "zebra") == ["x_two", "x_one"]


def test_without_words_tools_come_by_name(index: FtsToolIndex) -> None:
    assert found(index, "") == sorted(tool.name for tool in TOOLS)
    assert found(index, "!?", 2) == ["Text_at_to_of", "files_delete"]


def test_what_nothing_fits_finds_nothing(index: FtsToolIndex) -> None:
    assert found(index, "xylophone") == []


def test_filters_hold_for_every_way_of_finding(index: FtsToolIndex) -> None:
    assert found(index, "delete", plugin="files") == ["files_delete"]
    assert found(index, "files_delete", plugin="image") == ["image_delete"]
    assert found(index, "", keyword="GRAPHICS") == ["image_delete", "image_resize"]
    assert found(index, "", keyword="graph") == []
    assert found(index, "", hints={"readOnlyHint": True}) == ["files_listFiles", "image_resize"]
    assert found(index, "", hints={"readOnlyHint": True, "idempotentHint": False}) == ["image_resize"]
    assert found(index, "delete", hints={"destructiveHint": False}) == []
    assert found(index, "remove", view=View(plugins=("image",), tools=("mail_send",))) == ["image_delete"]
    assert found(index, "files_delete", view=View(tools=("mail_send",))) == []
    assert found(index, "", plugin="files", keyword="disk", hints={"destructiveHint": True}) == ["files_delete"]


def test_what_is_gone_is_not_found_and_what_changed_is_found_by_its_new_text_alone(index: FtsToolIndex) -> None:
    index.change(["mail_send", "never_there"], [replace(TOOLS[0], description="a kangaroo")])
    assert found(index, "email") == []
    assert found(index, "kangaroo") == ["image_resize"]
    assert found(index, "width") == []
    assert len(found(index, "", 50)) == len(TOOLS) - 1


def test_a_change_that_fails_changes_nothing(index: FtsToolIndex) -> None:
    with pytest.raises(KeyError):
        index.change(["mail_send"], [replace(TOOLS[0], name="half", hints={})])
    assert found(index, "", 50) == sorted(tool.name for tool in TOOLS)
    index.change(["mail_send"], [])
    assert found(index, "email") == []


@pytest.mark.parametrize(
    "query",
    [
        *('"', "'", '""" OR', "a AND", "NOT", "OR OR OR", "NEAR(", "a*", "*", "^a", "name : x", "{a b} : c", "-x", "+"),
        *("a\x00b", "(", ")", "texts MATCH 1", "'; DROP TABLE tools; --", "①", "\ud800", "\u0300", "ﷺ", "a:b:c"),
    ],
)
def test_no_query_is_a_syntax_error(index: FtsToolIndex, query: str) -> None:
    assert isinstance(found(index, query), list)
    assert len(found(index, "", 50)) == len(TOOLS)


SHARED = FtsToolIndex()
SHARED.change((), TOOLS)
TEXTS = st.text(st.characters(), max_size=60) | st.lists(
    st.sampled_from(["AND", "OR", "NOT", "NEAR", '"', "*", "(", ")", ":", "delete", "picture", "^", "-", "\x00"])
).map(" ".join)


@given(TEXTS, TEXTS, TEXTS, st.dictionaries(st.sampled_from(list(HINTS)), st.booleans()))
def test_whatever_is_asked_names_of_tools_are_the_answer(
    query: str, plugin: str, keyword: str, hints: dict[str, bool]
) -> None:
    names = {tool.name for tool in TOOLS}
    try:
        terms = terms_of(query)
    except InvalidInput:
        return
    for within in (ToolFilter(), ToolFilter(plugin, keyword, hints), ToolFilter(hints=hints)):
        answer = SHARED.search(terms, within, 3)
        assert len(answer) <= 3
        assert len(set(answer)) == len(answer)
        assert names.issuperset(answer)


@given(st.sets(st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), max_size=15))
def test_whatever_tools_are_called_each_is_first_for_its_own_name(names: set[str]) -> None:
    index = FtsToolIndex()
    try:
        index.change((), [document(name, "the same text for all of them", plugin="p") for name in names])
        for name in names:
            assert index.search(terms_of(name), ToolFilter(), 2)[0] == name
    finally:
        index.close()


def test_an_sqlite_without_full_text_search_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    # The very error of such an SQLite: there is none here to try.
    monkeypatch.setattr(tool_index, "_SCHEMA", tool_index._SCHEMA.replace("fts5", "fts5_that_is_not_there"))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(Unavailable) as failed:
        FtsToolIndex()
    assert failed.value.code == "search_index"


def test_a_closed_index_fails_as_unavailable() -> None:
    index = FtsToolIndex()
    index.close()
    with pytest.raises(Unavailable) as failed:
        index.search(terms_of("x"), ToolFilter(), 1)
    assert failed.value.code == "search_index"
