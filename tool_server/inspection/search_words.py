"""Words: of the texts of a tool, and of a query. Pure, and the same for both.

Names are split where their writers put words together (`snake_case`, `kebab-case`, `camelCase`, `HTTPServer`). Words
come out in lower case without accents; what they have in common beyond that, such as plurals, is the index's matter.
"""

from __future__ import annotations

import re
import unicodedata

from tool_server.errors import InvalidInput
from tool_server.model.search import SearchTerms

MAX_QUERY = 1_000
"""Characters of a query."""

MAX_WORDS = 24
"""Words of a query that are looked for; there are no more in a sentence that says what a tool is to do."""

_RUN = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

STOP_WORDS = frozenset(
    "a about all an and any are as at be by can could did do does for from had has have how i if in into is it its me "
    "my of on or our out please so some than that the their them then there these they this those to up us was we were "
    "what when where which who whom why will with would you your".split()
)
"""English words that hold sentences together and say nothing about a tool."""


def words_of(text: str) -> list[str]:
    """The words of a text in order, names in it split: `"parseJSONFile v2"` gives parse, json, file, v2."""
    found: list[str] = []
    for run in _RUN.findall(text):
        for part in _HUMP.split(run):
            found += _RUN.findall(_folded(part))
    return found


def terms_of(query: str) -> SearchTerms:
    """What a query asks for; every text is one.

    Words that only hold sentences together are left out where others remain.

    Raises:
        InvalidInput: `query_too_long`.
    """
    if len(query) > MAX_QUERY:
        raise InvalidInput(
            "query_too_long",
            f"the query has {len(query)} characters: say in at most {MAX_QUERY} what the tool is to do",
        )
    words = words_of(query)
    telling = [word for word in words if word not in STOP_WORDS]
    name = query.strip()
    return SearchTerms(
        name if name.isascii() else "", " ".join(words), tuple(dict.fromkeys(telling or words))[:MAX_WORDS]
    )


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Compatibility forms first, so that half and full width, ligatures and superscripts are what they look like; and
    # twice, for some letters have capitals in their compatibility form and some decompose only once they are folded
    # (Unicode, section 3.13, compatibility caseless matching).
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text).casefold()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))
