"""Characters that a person does not see and a model reads: control, direction, zero width, tags, variation selectors.

They serve to smuggle instructions past a reviewer (tag characters U+E0000 to U+E007F spell ASCII; ANSI escapes hide
text in terminals; direction marks reorder it). See Unicode TR36 and TR39.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from tool_server.inspection.schema_graph import json_path
from tool_server.model.json_value import JsonValue

_CONTROL = "\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f"
_FORMAT = "\\xad\\u061c\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\ufff0-\\ufffb"
_SEPARATORS = "\\u2028\\u2029"
_FILLERS = "\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u3164\\uffa0\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a"
_VARIATION_SELECTORS = "\\u180b-\\u180d\\u180f\\ufe00-\\ufe0f"
_TAGS = "\\U000e0000-\\U000e0fff"
_NO_CHARACTERS = "\\ud800-\\udfff\\ufffe\\uffff"

_HIDDEN = f"[{_CONTROL}{_FORMAT}{_SEPARATORS}{_FILLERS}{_VARIATION_SELECTORS}{_TAGS}{_NO_CHARACTERS}]"
_IN_TEXT = re.compile(f"{_HIDDEN}|\\r(?!\\n)")
_IN_NAME = re.compile(f"{_HIDDEN}|[\\t\\n\\r]")


def hidden_character(text: str, *, name: bool = False) -> str | None:
    """The first hidden character as words, such as `U+200B (ZERO WIDTH SPACE) at character 3`, or None.

    Line ends and tabs are fine in texts, and hidden in names (`name=True`), where no person expects them.
    """
    found = (_IN_NAME if name else _IN_TEXT).search(text)
    if found is None:
        return None
    character = found.group()[0]
    title = _title(character)
    return f"U+{ord(character):04X} ({title}) at character {found.start()}"


def hidden_in_value(value: JsonValue, path: str) -> Iterator[tuple[str, str]]:
    """Every string of a JSON value, keys included, that holds a hidden character: its JSON path, and words for it."""
    pending: list[tuple[tuple[str, ...], JsonValue]] = [((), value)]
    while pending:
        pointer, item = pending.pop()
        match item:
            case str():
                words = hidden_character(item)
                if words is not None:
                    yield json_path(pointer, path), words
            case dict():
                for key, inner in item.items():
                    words = hidden_character(key, name=True)
                    if words is not None:
                        yield json_path((*pointer, key), path), f"{words} of the key"
                    pending.append(((*pointer, key), inner))
            case list():
                pending += [((*pointer, str(index)), inner) for index, inner in enumerate(item)]
            case _:
                pass


def _title(character: str) -> str:
    code = ord(character)
    if code == 0x1B:
        return "ESC, the start of a terminal escape"
    if 0xE0000 <= code <= 0xE007F:
        return "a tag character"
    if 0xD800 <= code <= 0xDFFF:
        return "half of a surrogate pair"
    return unicodedata.name(character, "a control character" if code < 0xA0 else "an invisible character")
