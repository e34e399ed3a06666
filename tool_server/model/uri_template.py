"""URI templates (RFC 6570) as MCP uses them: which URIs a template can stand for, and which variables it has."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, NoReturn

from tool_server.errors import InvalidInput

MAX_URI = 2_048
"""Characters of a URI, and of a template."""

MAX_EXPRESSIONS = 32
"""Of one template."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_LITERAL = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_EXPRESSION = re.compile(r"([+#./;?&]?)([^{}]*)")
_VARIABLE = re.compile(
    r"((?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*)(?::[1-9][0-9]{0,3}|\*)?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_SEGMENT = frozenset("/?#")
_WHOLE = frozenset[str]()
_QUERY = frozenset("#")


class _Part(NamedTuple):
    """A piece of a template: a literal, or what an expression may become."""

    literal: str = ""
    begins: str = ""
    """How an expression's text begins where it has any; without, it always has some."""
    ends: frozenset[str] = _WHOLE
    """Characters that its text does not hold."""
    is_literal: bool = False


_BY_OPERATOR = {
    "": _Part(ends=_SEGMENT),
    "+": _Part(),
    "#": _Part(begins="#"),
    ".": _Part(begins=".", ends=_SEGMENT),
    "/": _Part(begins="/", ends=_QUERY | {"?"}),
    ";": _Part(begins=";", ends=_SEGMENT),
    "?": _Part(begins="?", ends=_QUERY),
    "&": _Part(begins="&", ends=_QUERY),
}


class UriTemplate:
    """A template that was read.

    Args:
        text: such as `notes://{folder}/{name}`.

    Raises:
        InvalidInput: `invalid_uri_template`, naming what is wrong.
    """

    def __init__(self, text: str) -> None:
        self.variables: tuple[str, ...] = ()
        """Their names, in order."""
        self._parts: list[_Part] = []
        if len(text) > MAX_URI:
            _refuse(text, f"it has {len(text)} characters, {MAX_URI} are the most")
        if not _SCHEME.match(text):
            _refuse(text, "it does not begin with a scheme, such as 'notes:'")
        rest = text
        while rest:
            literal = _LITERAL.match(rest)
            taken = "" if literal is None else literal.group()
            if taken:
                self._parts.append(_Part(taken, is_literal=True))
                rest = rest[len(taken) :]
            elif rest[0] == "{":
                inside, closed, rest = rest[1:].partition("}")
                if not closed:
                    _refuse(text, "a '{' has no '}'")
                self._expression(text, inside)
            else:
                _refuse(text, f"{rest[0]!a} stands for nothing there: write it percent-encoded")
        if not self.variables:
            _refuse(text, "it has no variable: a URI without one is a resource")

    @property
    def prefix(self) -> str:
        """How every URI begins that it can stand for."""
        return self._parts[0].literal

    def matches(self, uri: str) -> bool:
        """Whether some values make it this URI; in time linear in the URI, for each of the template's parts."""
        if len(uri) > MAX_URI or not uri.startswith(self.prefix):
            return False
        reached = {0}
        for part in self._parts:
            reached = _after(part, uri, reached)
            if not reached:
                return False
        return len(uri) in reached

    def _expression(self, text: str, inside: str) -> None:
        found = _EXPRESSION.fullmatch(inside)
        if found is None:
            _refuse(text, "a '{' stands inside of another")
        operator, names = found.groups()
        for name in names.split(","):
            variable = _VARIABLE.fullmatch(name)
            if variable is None:
                _refuse(text, f"{name[:40]!a} is no name of a variable")
            self.variables = (*self.variables, variable.group(1))
        self._parts.append(_BY_OPERATOR[operator])
        if sum(not part.is_literal for part in self._parts) > MAX_EXPRESSIONS:
            _refuse(text, f"it has more than {MAX_EXPRESSIONS} expressions")


def _after(part: _Part, uri: str, reached: set[int]) -> set[int]:
    """The positions in a URI that a part leads to from those that are reached."""
    if part.is_literal:
        size = len(part.literal)
        return {start + size for start in reached if uri.startswith(part.literal, start)}
    after = set(reached) if part.begins else set[int]()
    far = -1
    for start in sorted(reached):
        if part.begins and not uri.startswith(part.begins, start):
            continue
        position = max(start + len(part.begins), far)
        if position == far and far > start:
            continue  # an earlier start went this way already
        if part.begins:
            after.add(position)
        while position < len(uri) and uri[position] not in part.ends:
            position += 1
            after.add(position)
        far = position
    return after


def check_uri(text: str) -> str:
    """Return `text` when it is an absolute URI (RFC 3986) of at most `MAX_URI` characters.

    Raises:
        InvalidInput: `invalid_uri`.
    """
    if len(text) > MAX_URI or not _URI.fullmatch(text):
        raise InvalidInput(
            "invalid_uri",
            f"{text[:80]!a} is no URI: write a scheme and what follows it, such as 'notes://today', other "
            f"characters percent-encoded, at most {MAX_URI} in all",
        )
    return text


@lru_cache(maxsize=4_096)
def read_template(text: str) -> UriTemplate:
    """The template, which is kept: reading one takes longer than matching it.

    Raises:
        InvalidInput: `invalid_uri_template`.
    """
    return UriTemplate(text)


def _refuse(text: str, problem: str) -> NoReturn:
    raise InvalidInput("invalid_uri_template", f"{text[:80]!a} is no URI template: {problem}")
