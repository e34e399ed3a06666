"""URI templates: which are none, and which URIs they stand for."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.model.uri_template import MAX_URI, UriTemplate, check_uri


@pytest.mark.parametrize(
    ("template", "uri", "matches"),
    [
        ("a://{b}", "a://x", True),
        ("a://{b}", "a://", False),
        ("a://{b}", "a://x/y", False),
        ("a://{b}", "b://x", False),
        ("a://{+b}", "a://x/y?z#f", True),
        ("a://{b}/{c}/d", "a://x/y/d", True),
        ("a://{b}/{c}/d", "a://x/y/e", False),
        ("a://{b}{c}", "a://x", False),
        ("a://{b}{c}", "a://xy", True),
        ("a://b{/c*}", "a://b/x/y", True),
        ("a://b{/c*}", "a://b", True),
        ("a://b{?q,r}", "a://b?q=1&r=/", True),
        ("a://b{?q}", "a://b", True),
        ("a://b{?q}", "a://b&q=1", False),
        ("a://b{#f}", "a://b#x", True),
        ("a://b{.e:3}", "a://b.txt", True),
        ("a://b{;p}{&q}", "a://b;p=1&q=2", True),
        ("test://template/{id}/data", "test://template/123/data", True),
        ("a://{b}c{d}", "a://xcy", True),
        ("a://{b}c{d}", "a://xy", False),
    ],
)
def test_a_template_stands_for_some_uris(template: str, uri: str, matches: bool) -> None:
    assert UriTemplate(template).matches(uri) is matches


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "{a}", "a://b", "a://{", "a://}", "a://{}", "a://{a b}", "a://{a{b}}", "a://{=a}", "a://{a:0}"),
        *("a://{a:12345}", "a://{a**}", "a://{a..b}", "a:// {b}", "a://é{b}", "a://%zz{b}", "a://{b}" + "c" * MAX_URI),
        "a://" + "{b}" * 33,
    ],
)
def test_what_is_no_template_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        UriTemplate(text)
    assert caught.value.code == "invalid_uri_template"


def test_the_variables_are_known_by_name() -> None:
    assert UriTemplate("a://{b}{?c,d*,e:3}/{f.g}").variables == ("b", "c", "d", "e", "f.g")


@pytest.mark.parametrize("text", ["", "a", "a:", "://b", "1a:b", "a:b c", "a:é", "a:%", "a:b\n", "a:" + "b" * MAX_URI])
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_uri(text)


@given(st.text("ab%:/{}?&#+.;,*0 ", max_size=40))
def test_whatever_the_template_it_is_read_or_refused(text: str) -> None:
    try:
        template = UriTemplate(f"a:{text}")
    except InvalidInput:
        return
    template.matches("a:ab/ab?a=b")


@given(st.lists(st.text("abc123-._~", min_size=1, max_size=9), min_size=3, max_size=3))
def test_what_a_template_is_expanded_to_it_stands_for(values: list[str]) -> None:
    first, second, third = values
    assert UriTemplate("n://{a}/{b}{?c}").matches(f"n://{first}/{second}?c={third}")


def test_no_uri_takes_long() -> None:
    template = UriTemplate("a://" + "{b}c" * 32)
    began = time.process_time()
    assert not template.matches(("a://" + "bc" * 1_000)[: MAX_URI - 1] + "!")
    assert time.process_time() - began < 0.5
