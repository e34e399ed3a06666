"""YAML as other hosts read it, and nothing that makes work without end."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.inspection.foreign import yaml_document
from tool_server.inspection.foreign.yaml_document import MAX_DEPTH, MAX_NODES, parse_yaml

CHARACTERS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)
"""Beyond these JSON writes two escapes for one character, which YAML does not know."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | CHARACTERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CHARACTERS, inner, max_size=4),
    max_leaves=20,
)


def bomb(levels: int) -> str:
    """Lists that each refer ten times to the one before."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [1, -2, 1.5, 1e3, .5]", {"a": [1, -2, 1.5, 1000.0, 0.5]}),
        ("[null, ~, true, FALSE, yes, no, On, 2001-01-01, 0x10, 1_000, .inf]",
         [None, None, True, False, "yes", "no", "On", "2001-01-01", "0x10", "1_000", ".inf"]),
        ("[\"1\", 'true', !!str 5]", ["1", "true", "5"]),
        ("a: &x {k: v}\nb: *x", {"a": {"k": "v"}, "b": {"k": "v"}}),
        ("1: one\ntrue: two", {"1": "one", "true": "two"}),
        ("text: |\n  two\n  lines\n", {"text": "two\nlines\n"}),
        ("[99999999999999999999, 1e999]", [1e20, "1e999"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_a_document_is_read_by_the_core_schema(
    text: str, value: object, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_document, "_LOADER", getattr(yaml, loader))
    assert parse_yaml(text, what="the file") == value


@given(VALUES)
def test_what_is_written_in_json_is_read_as_it_was(value: object) -> None:
    text = json.dumps(value)
    try:
        assert parse_yaml(text, what="the file") == value
    except InvalidInput:
        assert '"<<"' in text or value == {"<<": None}


@given(st.text(max_size=200) | st.text(alphabet="&*a:[]{},-?|>!%#\n '\"<", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInput):  # anything else would be a defect
        value = parse_yaml(text, what="the file")
        assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not YAML"),
        ("a: *gone", "'gone'"),
        ("a: &a [*a]", "'a', which is not complete"),
        ("a: 1\na: 2", "key 'a' twice"),
        ("? [1]\n: 2", "a key that is no text"),
        ("a: &x {b: 1}\nc: {<<: *x}", "merge key"),
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("a: !!binary aGk=", "tag"),
        ("a\n---\nb", "more than one document"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper"),
        ("\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 1))]), "nested deeper"),
        ("[" + "1," * (MAX_NODES + 1) + "]", "more than"),
        (bomb(12), "more than"),
    ],
    ids=range(13),
)
def test_what_other_programs_would_not_read_alike_is_refused(text: str, words: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidInput, match="the file") as caught:
        parse_yaml(text, what="the file")
    assert caught.value.code == "invalid_yaml"
    assert words in caught.value.message
    assert time.perf_counter() - started < 5
