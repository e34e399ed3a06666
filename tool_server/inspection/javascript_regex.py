"""Whether a pattern is a regular expression of JavaScript, in `u` mode as JSON Schema asks for it.

Grammar: ECMA-262 (2024), section 22.2.1 with UnicodeMode and NamedCaptureGroups. Modifiers (`(?i:…)`) and one group
name in two alternatives came a year later; clients still run engines that throw at them, so they are refused.
"""

from __future__ import annotations

import re
from typing import NoReturn

from tool_server.errors import InvalidInput
from tool_server.inspection.unicode_properties import is_property_expression

MAX_PATTERN = 10_000
"""Characters in a pattern."""

_SYNTAX_CHARACTERS = frozenset("^$\\.*+?()[]{}|/")
_QUANTIFIER = re.compile(r"[*+?]|\{([0-9]+)(?:(,)([0-9]*))?\}")
_CODE_POINT = re.compile(r"u\{([0-9a-fA-F]+)\}")
_LEAD_AND_TRAIL = re.compile(r"u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_FOUR_DIGITS = re.compile(r"u([0-9a-fA-F]{4})")
_TWO_DIGITS = re.compile(r"x([0-9a-fA-F]{2})")
_CONTROL = re.compile(r"c([a-zA-Z])")
_NULL = re.compile(r"0(?![0-9])")
_BACK_REFERENCE = re.compile(r"[1-9][0-9]*")
_PROPERTY = re.compile(r"[pP]\{([A-Za-z0-9_]+(?:=[A-Za-z0-9_]+)?)\}")
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
_CHARACTERS = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_ASSERTIONS = frozenset({"(?=", "(?!", "(?<=", "(?<!"})
_GROUP = re.compile(r"\((?:\?(?:<[=!]|[:=!]|<))?")

_ADVICE = {
    "(?P": "named groups are written (?<name>…) in JavaScript",
    "(?>": "JavaScript has no atomic groups: use (?:…)",
    "(?#": "JavaScript has no comments in patterns: drop it",
    "(?|": "JavaScript has no branch reset: use (?:…)",
    "(?(": "JavaScript has no conditional groups: write the alternatives out",
}
_ESCAPE_ADVICE = {
    "A": "\\A is not JavaScript: use ^",
    "Z": "\\Z is not JavaScript: use $",
    "z": "\\z is not JavaScript: use $",
    "h": "\\h is not JavaScript: use [ \\t]",
    "R": "\\R is not JavaScript: use (?:\\r\\n|\\n|\\r)",
    "Q": "\\Q is not JavaScript: escape each character",
    "a": "\\a is not JavaScript: use \\x07",
    "e": "\\e is not JavaScript: use \\x1b",
    "p": "\\p takes a property of Unicode in braces, spelled exactly, such as \\p{L} or \\p{Script=Greek}",
    "P": "\\P takes a property of Unicode in braces, spelled exactly, such as \\P{L} or \\P{Script=Greek}",
    "k": "\\k takes the name of a group, as in \\k<name>",
    "u": "\\u takes four hexadecimal digits, or up to 10FFFF in braces",
    "x": "\\x takes two hexadecimal digits",
    "c": "\\c takes a letter",
}


def check_javascript_regex(pattern: str) -> None:
    """Do nothing when JavaScript's `new RegExp(pattern, "u")` would take the pattern.

    Raises:
        InvalidInput: `not_a_javascript_regex`, naming the offset (characters from 0) and, where it is a habit of
            another language, what JavaScript writes instead.
    """
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput("not_a_javascript_regex", f"the pattern is longer than {MAX_PATTERN:,} characters")
    _Parser(pattern).parse()


def has_posix_class(pattern: str) -> bool:
    """Whether the pattern holds something like `[:alpha:]`, which JavaScript reads as plain characters."""
    return _POSIX_CLASS.search(pattern) is not None


class _Parser:
    """One pass over the pattern; open groups are kept on a list, so that nesting costs no recursion."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._open: list[str] = []
        self._groups = 0
        self._names: set[str] = set()
        self._number_references: list[tuple[int, int]] = []
        self._name_references: list[tuple[int, str]] = []
        self._may_repeat = False
        """Whether a quantifier may follow here."""

    def parse(self) -> None:
        while self._at < len(self._text):
            self._term()
        if self._open:
            self._fail("a group is not closed: add ')'")
        for offset, number in self._number_references:
            if number > self._groups:
                self._fail(f"\\{number} refers to a group that is not there", offset)
        for offset, name in self._name_references:
            if name not in self._names:
                self._fail(f"\\k<{name[:40]}> refers to a group that is not there", offset)

    def _term(self) -> None:
        character = self._text[self._at]
        match character:
            case "(":
                self._open_group()
            case ")":
                self._close_group()
            case "|" | "^" | "$":
                self._at += 1
                self._may_repeat = False
            case "*" | "+" | "?" | "{":
                self._quantifier()
            case "[":
                self._character_class()
            case "\\":
                self._escape()
            case "]" | "}":
                self._fail(f"'{character}' stands alone: write '\\{character}'")
            case _:
                self._at += 1
                self._may_repeat = True

    def _open_group(self) -> None:
        opening = _GROUP.match(self._text, self._at)
        start = opening.group() if opening else "("
        following = self._text[self._at + len(start) : self._at + len(start) + 1]
        if start == "(" and following == "?":
            habit = _ADVICE.get(self._text[self._at : self._at + 3])
            self._fail(habit or "'(?' begins no group of JavaScript: flags inside a pattern are not portable")
        self._at += len(start)
        if start == "(?<":
            name = self._group_name()
            if name in self._names:
                self._fail(f"the group name {name[:40]!r} is there twice")
            self._names.add(name)
        if start in ("(", "(?<"):
            self._groups += 1
        self._open.append(start)
        self._may_repeat = False

    def _close_group(self) -> None:
        if not self._open:
            self._fail("')' closes no group: write '\\)'")
        self._at += 1
        self._may_repeat = self._open.pop() not in _ASSERTIONS

    def _quantifier(self) -> None:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            self._fail("'{' begins no quantifier: write '\\{', or '{n}', '{n,}', '{n,m}'")
        if not self._may_repeat:
            possessive = found.group() == "+" and self._at > 0
            self._fail(
                f"{found.group()!r} repeats nothing"
                + (" (JavaScript has no possessive quantifiers)" if possessive else "")
            )
        low, _, high = found.groups()
        # Compared as text, since int() refuses thousands of digits.
        if low is not None and high and _digits(low) > _digits(high):
            self._fail(f"the quantifier {found.group()[:40]} is out of order")
        self._at = found.end()
        if self._text.startswith("?", self._at):
            self._at += 1
        self._may_repeat = False

    def _group_name(self) -> str:
        """The name up to `>`, its escapes resolved; the position is behind `<`."""
        end = self._text.find(">", self._at)
        if end < 0:
            self._fail("a group name is not closed: add '>'")
        letters: list[str] = []
        start = self._at
        while self._at < end:
            if self._text[self._at] == "\\":
                self._at += 1
                letters.append(chr(self._code_unit_escape() or self._fail_escape()))
            else:
                letters.append(self._text[self._at])
                self._at += 1
        name = "".join(letters)
        if self._at != end or not _is_group_name(name):
            self._fail(f"{name[:40]!r} is not a group name: use letters, digits, '_' and '$'", start)
        self._at = end + 1
        return name

    def _escape(self) -> None:
        offset = self._at
        self._at += 1
        following = self._text[self._at : self._at + 1]
        self._may_repeat = True
        if following in ("b", "B"):
            self._at += 1
            self._may_repeat = False
        elif reference := _BACK_REFERENCE.match(self._text, self._at):
            self._at = reference.end()
            self._number_references.append((offset, int(reference.group()[:6])))
        elif following == "k":
            if not self._text.startswith("<", self._at + 1):
                self._fail_escape()
            self._at += 2
            self._name_references.append((offset, self._group_name()))
        elif self._class_escape() is None:
            self._character_escape()

    def _class_escape(self) -> bool | None:
        """Pass over `d`, `D`, `s`, `S`, `w`, `W` or a property; None when something else stands here."""
        if self._text[self._at : self._at + 1] in ("d", "D", "s", "S", "w", "W"):
            self._at += 1
            return True
        found = _PROPERTY.match(self._text, self._at)
        if found is None or not is_property_expression(found.group(1)):
            return None
        self._at = found.end()
        return True

    def _character_escape(self) -> int:
        """Pass over an escape for one character, the backslash already read; returns its code point."""
        following = self._text[self._at : self._at + 1]
        if following in _CHARACTERS:
            self._at += 1
            return _CHARACTERS[following]
        if following in _SYNTAX_CHARACTERS and following:
            self._at += 1
            return ord(following)
        if found := _CONTROL.match(self._text, self._at):
            self._at = found.end()
            return ord(found.group(1)) % 32
        if found := _NULL.match(self._text, self._at):
            self._at = found.end()
            return 0
        if found := _TWO_DIGITS.match(self._text, self._at):
            self._at = found.end()
            return int(found.group(1), 16)
        value = self._code_unit_escape()
        return self._fail_escape() if value is None else value

    def _code_unit_escape(self) -> int | None:
        """Pass over `uXXXX`, a pair of surrogates or `u{…}`; None when none of them stands here."""
        if found := _LEAD_AND_TRAIL.match(self._text, self._at):
            self._at = found.end()
            lead, trail = (int(part, 16) for part in found.groups())
            return 0x10000 + ((lead - 0xD800) << 10) + (trail - 0xDC00)
        found = _FOUR_DIGITS.match(self._text, self._at) or _CODE_POINT.match(self._text, self._at)
        if found is None or int(found.group(1), 16) > 0x10FFFF:
            return None
        self._at = found.end()
        return int(found.group(1), 16)

    def _character_class(self) -> None:
        start = self._at
        self._at += 2 if self._text.startswith("^", self._at + 1) else 1
        while not self._text.startswith("]", self._at):
            first = self._class_atom(start)
            if not self._text.startswith("-", self._at) or self._text.startswith("-]", self._at):
                continue
            self._at += 1
            last = self._class_atom(start)
            if first is None or last is None:
                self._fail("a range in '[…]' needs single characters on both sides: write '\\-' for the hyphen")
            if first > last:
                self._fail("a range in '[…]' is out of order: write '\\-' for the hyphen")
        self._at += 1
        self._may_repeat = True

    def _class_atom(self, start: int) -> int | None:
        """One member of a class: its code point, or None for a set such as `\\d`."""
        if self._at >= len(self._text):
            self._fail("'[' is not closed: add ']', or write '\\['", start)
        character = self._text[self._at]
        self._at += 1
        if character != "\\":
            return ord(character)
        if self._text.startswith(("b", "-"), self._at):
            self._at += 1
            return 8 if self._text[self._at - 1] == "b" else ord("-")
        return None if self._class_escape() else self._character_escape()

    def _fail_escape(self) -> NoReturn:
        following = self._text[self._at : self._at + 1]
        if not following:
            self._fail("the pattern ends in a lone backslash: write '\\\\'")
        habit = _ESCAPE_ADVICE.get(following)
        self._fail(habit or f"\\{following} is no escape of JavaScript's u mode: drop the backslash", self._at - 1)

    def _fail(self, problem: str, offset: int | None = None) -> NoReturn:
        at = self._at if offset is None else offset
        raise InvalidInput("not_a_javascript_regex", f"at character {at}: {problem}", {"offset": at})


def _digits(number: str) -> tuple[int, str]:
    stripped = number.lstrip("0")
    return len(stripped), stripped


def _is_group_name(name: str) -> bool:
    # Python's identifiers are ECMAScript's but for "$" and the two joiners.
    plain = name.replace("$", "_")
    return plain[:1] not in ("\u200c", "\u200d") and plain.replace("\u200c", "").replace("\u200d", "").isidentifier()
