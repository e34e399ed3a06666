from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.model.names import (
    PLUGIN_NAME_PATTERN,
    TOOL_PREFIX_PATTERN,
    check_plugin_name,
    check_tool_prefix,
    tool_name,
)
from tool_server.model.versions import best_match, check_range, check_version, compare, is_prerelease, newest_first

number = st.integers(0, 30).map(str)
tag = st.sampled_from(["", "-alpha", "-alpha.1", "-beta.2", "-rc.11", "-0.3.7"])
build = st.sampled_from(["", "", "+build.5"])
version_texts = st.tuples(number, st.just("."), number, st.just("."), number, tag, build).map("".join)


@pytest.mark.parametrize("name", ["text", "text-tools", "a", "t2", "@acme/text", "@a/b-c"])
def test_plugin_names_are_accepted_with_and_without_a_scope(name: str) -> None:
    assert check_plugin_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Text", "2text", "-text", "te xt", "text/", "@acme", "@acme/", "@/text", "@a/b/c", "té", "text\n", "a" * 65,
     "../x", "text_tools", "@acme/a" + "b" * 64, "te\u200bxt"],
)  # fmt: skip
def test_names_outside_the_grammar_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a plugin name"):
        check_plugin_name(name)


@given(st.from_regex(re.compile(PLUGIN_NAME_PATTERN), fullmatch=True), st.text(max_size=30))
def test_every_tool_name_is_made_of_letters_that_all_clients_take(plugin: str, tool: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", tool_name(plugin, tool))


def test_the_scope_is_part_of_the_tool_name() -> None:
    assert tool_name("@acme/text", "count words") == "acme_text_count_words"


@pytest.mark.parametrize(
    ("prefix", "name"), [(None, "acme_text_count_words"), ("", "count_words"), ("words", "words_count_words")]
)
def test_a_prefix_stands_where_the_plugins_name_would(prefix: str | None, name: str) -> None:
    assert tool_name("@acme/text", "count words", prefix) == name


@given(st.from_regex(re.compile(TOOL_PREFIX_PATTERN), fullmatch=True).filter(lambda text: len(text) <= 32))
def test_prefixes_of_the_grammar_are_accepted_and_kept_as_they_are(prefix: str) -> None:
    assert check_tool_prefix(prefix) == prefix
    assert tool_name("text", "count", prefix) == (f"{prefix}_count" if prefix else "count")


@pytest.mark.parametrize("prefix", [" ", "a b", "a.b", "a/", "@acme", "té", "a\n", "\n", "a" * 33, "\u200b"])
def test_prefixes_that_some_client_would_not_take_are_refused(prefix: str) -> None:
    with pytest.raises(InvalidInput, match="cannot stand before tool names"):
        check_tool_prefix(prefix)


@pytest.mark.parametrize("version", ["0.0.0", "1.2.3", "1.0.0-rc.1", "1.0.0+5", "1.0.0-a-b.0+x.y", "999999.0.1"])
def test_semantic_versions_are_accepted(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.x", " 1.2.3", "1.2.3\n",
     "1.2.3-é", "1" * 17 + ".0.0", "1.0.0-" + "a" * 300, "\u0661.2.3"],
)  # fmt: skip
def test_what_is_no_semantic_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidInput, match="is not a semantic version"):
        check_version(version)


@pytest.mark.parametrize("text", ["not a range", "^x.y", ">>1", "1 ||| 2", "^" * 300])
def test_what_npm_takes_for_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a version range"):
        check_range(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "2.1.0"),
        ("latest", "2.1.0"),
        ("*", "2.1.0"),
        ("^1.2", "1.10.0"),
        ("~1.2.0", "1.2.9"),
        ("1.x", "1.10.0"),
        (">=1 <2", "1.10.0"),
        ("1.2.0 - 1.2.5", "1.2.0"),
        ("<1 || ^2", "2.1.0"),
        ("=3.0.0-rc.2", "3.0.0-rc.2"),
        ("^3.0.0-rc.1", "3.0.0-rc.2"),
        ("^9", None),
    ],
)
def test_a_range_takes_the_newest_version_that_npm_would_take(text: str, expected: str | None) -> None:
    versions = ["1.2.0", "2.1.0", "1.10.0", "1.2.9", "3.0.0-rc.2", "2.0.5", "3.0.0-rc.1"]
    assert best_match(versions, text) == expected


def test_where_only_pre_releases_exist_the_newest_of_them_is_the_latest() -> None:
    assert best_match(["1.0.0-a", "1.0.0-b"], "") == "1.0.0-b"
    assert best_match([], "") is None


@given(st.lists(version_texts, max_size=8))
def test_order_is_total_and_does_not_depend_on_the_input_order(versions: list[str]) -> None:
    ordered = newest_first(versions)
    assert ordered == newest_first(reversed(versions))
    assert all(compare(left, right) >= 0 for left, right in pairwise(ordered))


@given(version_texts, st.sampled_from(["", "^1", "~2.1", ">=0.1 <9", "*", "1.x || 3"]))
def test_a_match_is_one_of_the_versions_offered(version: str, text: str) -> None:
    assert best_match([version], text) in (version, None)


def test_pre_releases_are_told_apart_from_build_metadata() -> None:
    assert is_prerelease("1.0.0-rc.1+build")
    assert not is_prerelease("1.0.0+build-1")
