"""`text` counts as Python counts, and its diffs are taken by the real `patch`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plugins.running import BundledPlugins

# str.split and str.splitlines know separators (1c to 1f, vertical tab, form feed) that are no line ends elsewhere.
plain_text = st.text(
    st.characters(exclude_characters="\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029", codec="utf-8"), max_size=200
)
few_lines = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "- x\n", "+++ y\n", "é\r\n"]), max_size=15)
documents = st.tuples(few_lines, st.sampled_from(["", "", "end"])).map(lambda parts: "".join(parts[0]) + parts[1])


@settings(max_examples=100)
@given(text=plain_text)
def test_statistics_equal_what_python_counts(plugins: BundledPlugins, text: str) -> None:
    result = plugins.call("text", "statistics", text=text)
    lines = text.splitlines()
    assert result["bytes"] == len(text.encode())
    assert result["code_points"] == len(text)
    assert result["utf16_units"] == len(text.encode("utf-16-le")) // 2
    assert result["words"] == len(text.split())
    assert result["code_points_without_blanks"] == sum(len(word) for word in text.split())
    assert result["lines"] == len(lines)
    assert result["longest_line"] == max((len(line) for line in lines), default=0)
    blocks = "".join("x" if line.strip() else "\n" for line in lines).split("\n")
    assert result["paragraphs"] == sum(1 for block in blocks if block)
    assert result["characters"] <= len(text)


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("e\u0301", 1), ("\U0001f469\u200d\U0001f469\u200d\U0001f467", 1),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 2),
        ("\U0001f44d\U0001f3fd", 1), ("\r\n", 1), ("\n\r", 2), ("\u2764\ufe0f!", 2), ("\u0301a", 2),
        ("\U0001f1e9a\U0001f1ea", 3),
    ],
)  # fmt: skip
def test_characters_are_what_people_see(plugins: BundledPlugins, text: str, characters: int) -> None:
    assert plugins.call("text", "statistics", text=text)["characters"] == characters


@pytest.mark.parametrize(
    ("text", "sentences"),
    [("", 0), ("  ", 0), ("One", 1), ("One. Two", 2), ("3.14 is pi.", 1), ('"Why?" he said.', 2), ("Hm… So! Yes?!", 3)],
)
def test_sentences_end_with_a_mark_before_white_space(plugins: BundledPlugins, text: str, sentences: int) -> None:
    assert plugins.call("text", "statistics", text=text)["sentences"] == sentences


@settings(max_examples=100)
@given(
    text=st.text("abAäß\n", max_size=80), wanted=st.text("abäß\n", min_size=1, max_size=3), overlapping=st.booleans()
)
def test_occurrences_are_those_that_a_search_finds(
    plugins: BundledPlugins, text: str, wanted: str, overlapping: bool
) -> None:
    result = plugins.call("text", "count", text=text, substring=wanted, overlapping=overlapping)
    pattern = f"(?={re.escape(wanted)})" if overlapping else re.escape(wanted)
    starts = [match.start() for match in re.finditer(pattern, text)]
    assert result["count"] == len(starts)
    assert [place["offset"] for place in result["places"]] == starts[:100]
    for place in result["places"]:
        before = text[: place["offset"]]
        assert (place["line"], place["column"]) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
    folded = plugins.call("text", "count", text=text, substring=wanted.upper(), ignore_case=True)
    ascii_lower = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
    assert folded["count"] == text.translate(ascii_lower).count(wanted.upper().translate(ascii_lower))


LINE = re.compile(r"[^\n]*\n|[^\n]+")


def apply_by_hand(old: str, diff: str) -> str:
    """The text that a unified diff makes of another, trusting nothing but the format."""
    lines = LINE.findall(old)
    result: list[str] = []
    position = 0
    sign = " "
    for line in LINE.findall(diff)[2:]:
        if header := re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n", line):
            start = int(header[1]) - (header[2] != "0")
            result += lines[position:start]
            position = start
            assert int(header[3]) - (header[4] != "0") == len(result)
            continue
        if line.startswith("\\"):
            if sign == "+":
                result[-1] = result[-1].removesuffix("\n")
            continue
        sign = line[0]
        if sign in " -":
            assert lines[position].removesuffix("\n") == line[1:].removesuffix("\n")
            position += 1
        if sign in " +":
            result.append(lines[position - 1] if sign == " " else line[1:])
    return "".join(result + lines[position:])


def shortest_edit(old: list[str], new: list[str]) -> int:
    """Fewest removed and added lines, by the longest common subsequence."""
    row = [0] * (len(new) + 1)
    for line in old:
        above = row
        row = [0]
        for index, other in enumerate(new):
            row.append(above[index] + 1 if line == other else max(above[index + 1], row[index]))
    return len(old) + len(new) - 2 * row[-1]


@settings(max_examples=150)
@given(old=documents, new=documents, context=st.integers(0, 4))
def test_a_diff_is_minimal_and_leads_from_one_text_to_the_other(
    plugins: BundledPlugins, old: str, new: str, context: int
) -> None:
    result = plugins.call("text", "diff", old=old, new=new, context=context)
    assert result["identical"] is (old == new)
    assert result["removed"] + result["added"] == shortest_edit(LINE.findall(old), LINE.findall(new))
    assert result["minimal"] is True
    assert apply_by_hand(old, result["diff"]) == new


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=documents, new=documents.filter(bool))
def test_the_real_patch_applies_a_diff(plugins: BundledPlugins, tmp_path: Path, old: str, new: str) -> None:
    program = shutil.which("patch")
    if program is None and os.environ.get("REQUIRE_ALL") != "1":
        pytest.skip("the program 'patch' is not installed")
    assert program is not None, "the program 'patch' is not installed"
    (tmp_path / "file").write_bytes(old.encode())
    diff = plugins.call("text", "diff", old=old, new=new, old_name="a/file", new_name="b/file")["diff"]
    if diff:
        command = [program, "--binary", "--silent", "--force", "file"]
        subprocess.run(command, input=diff.encode(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "file").read_bytes() == new.encode()


def test_a_diff_of_long_unlike_texts_is_right_even_where_it_is_not_minimal(plugins: BundledPlugins) -> None:
    old = "".join(f"{number * 7919 % 1009}\n" for number in range(6_000))
    new = "".join(f"{number * 104_729 % 1013}\n" for number in range(6_000))
    result = plugins.call("text", "diff", old=old, new=new)
    assert result["minimal"] is False
    assert apply_by_hand(old, result["diff"]) == new


def levenshtein(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for index, character in enumerate(left, 1):
        above = row
        row = [index]
        for column, other in enumerate(right, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (character != other)))
    return row[-1]


@settings(max_examples=80)
@given(left=st.text("abcä😀", max_size=25), right=st.text("abcä😀", max_size=25))
def test_distances_are_levenshteins(plugins: BundledPlugins, left: str, right: str) -> None:
    result = plugins.call("text", "distance", a=left, b=right)
    expected = levenshtein(left, right)
    assert result["distance"] == expected
    assert abs(result["similarity"] - (1 - expected / max(len(left), len(right), 1))) <= 0.00005
    swapping = plugins.call("text", "distance", a=left, b=right, transpositions=True)["distance"]
    assert (expected + 1) // 2 <= swapping <= expected


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("count", {"text": "a", "substring": ""}, "'substring' is empty"),
        ("distance", {"a": "x" * 10_001, "b": ""}, "10001 code points, more than 10000"),
        ("diff", {"old": "", "new": "\n" * 100_001}, "100001 lines, more than 100000"),
        ("diff", {"old": "a", "new": "b", "old_name": "x\ny"}, "must be one line"),
        ("diff", {"old": "a", "new": "b", "context": -1}, "from 0 to 1000"),
    ],
)
def test_what_is_too_large_or_empty_is_refused(
    plugins: BundledPlugins, tool: str, arguments: dict[str, object], expected: str
) -> None:
    assert expected in plugins.refusal("text", tool, **arguments)
