"""YAML as a JSON value, built from the parser's events so that nothing in a file decides how much work it is.

The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), as other hosts read it: `no` and
`2001-01-01` are texts. No tags, and no merge keys, which YAML 1.2 does not have.
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import yaml

from tool_server.errors import InvalidInput
from tool_server.model.json_value import JsonObject, JsonValue

MAX_DEPTH = 32
MAX_NODES = 20_000
"""Nodes of the value, each alias counted with all that it stands for."""

_yaml: Any = yaml  # it comes without types
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_WORDS: dict[str, JsonValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_KNOWN_TAGS = {None, "!", "tag:yaml.org,2002:str"}


def parse_yaml(text: str, *, what: str) -> JsonValue:
    """The one document of a YAML text; of an empty one, null.

    Raises:
        InvalidInput: `invalid_yaml`, with the line where the text breaks off.
    """
    builder = _Builder(what)
    try:
        for event in _yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", None) or "it cannot be read")[:200]
        line = None if mark is None else mark.line + 1
        place = "" if line is None else f" at line {line}"
        raise InvalidInput("invalid_yaml", f"{what} is not YAML: {problem}{place}", {"line": line}) from error
    return builder.document


class _Open:
    """A collection whose end has not come yet."""

    def __init__(self, value: JsonObject | list[JsonValue], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.nodes = 1
        self.depth = 1
        self.key: str | None = None


class _Builder:
    """Takes one event after the other; nothing recurses."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[JsonValue, int, int]] = {}
        """What each anchor stands for: the value, how many nodes it has, and how deep it is."""
        self._documents = 0
        self._nodes = 0
        self.document: JsonValue = None

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse("holds more than one document", line)
            case yaml.ScalarEvent():
                self._count(1, line)
                self._add(self._scalar(event, line), 1, 0, line, anchor=event.anchor, text=event.value)
            case yaml.AliasEvent():
                self._alias(event.anchor, line)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._begin(event, line)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self._open.pop()
                self._add(closed.value, closed.nodes, closed.depth, line, anchor=closed.anchor)
            case _:
                pass

    def _begin(self, event: Any, line: int) -> None:
        if event.tag not in (None, "!"):
            self._refuse(f"has the tag {str(event.tag)[:80]}, which is not read", line)
        self._count(1, line)
        self._check_depth(1, line)
        self._open.append(_Open([] if isinstance(event, yaml.SequenceStartEvent) else {}, event.anchor))

    def _alias(self, anchor: str, line: int) -> None:
        found = self._anchors.get(anchor)
        if found is None:
            # Of what is still open, too: a value that holds itself has no end.
            self._refuse(f"refers to {anchor[:80]!r}, which is not complete before it", line)
        value, nodes, depth = found
        self._count(nodes, line)
        self._check_depth(depth, line)
        self._add(value, nodes, depth, line)

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._refuse(f"holds more than {MAX_NODES} values, each alias counted with all that it stands for", line)

    def _check_depth(self, depth: int, line: int) -> None:
        if len(self._open) + depth > MAX_DEPTH:
            self._refuse(f"is nested deeper than {MAX_DEPTH} levels", line)

    def _add(
        self, value: JsonValue, nodes: int, depth: int, line: int, *, anchor: str | None = None, text: str | None = None
    ) -> None:
        """Put a value where it belongs; `text` is how a scalar is written."""
        if anchor is not None:
            self._anchors[anchor] = (value, nodes, depth)
        if not self._open:
            self.document = value
            return
        parent = self._open[-1]
        parent.nodes += nodes
        parent.depth = max(parent.depth, depth + 1)
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            parent.key = self._key(parent.value, value, text, line)
        else:
            parent.value[parent.key] = value
            parent.key = None

    def _key(self, fields: JsonObject, value: JsonValue, text: str | None, line: int) -> str:
        key = value if isinstance(value, str) else text
        if key is None:
            self._refuse("has a key that is no text", line)
        if key == "<<":
            self._refuse("has the merge key '<<', which YAML 1.2 does not know: write the fields out", line)
        if key in fields:
            self._refuse(f"has the key {key[:80]!r} twice in one mapping", line)
        return key

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> JsonValue:
        text: str = event.value
        if event.tag not in _KNOWN_TAGS:
            self._refuse(f"has the tag {str(event.tag)[:80]}, which is not read", line)
        # A plain scalar's style is None from one of the parsers, and empty from the other.
        if event.style or event.tag is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and len(text) <= 40 and math.isfinite(number := float(text)):
            return number
        return text

    def _refuse(self, problem: str, line: int) -> NoReturn:
        raise InvalidInput("invalid_yaml", f"{self._what} {problem} (line {line})", {"line": line})
