"""`ToolIndex` in memory, on SQLite's full-text search (https://www.sqlite.org/fts5.html)."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from tool_server.errors import Unavailable
from tool_server.model.search import HINTS, SearchTerms, ToolDocument, ToolFilter

WEIGHTS = {
    "words": 8.0,
    "title": 5.0,
    "description": 2.0,
    "plugin_words": 2.0,
    "parameters": 1.0,
    "keywords": 1.0,
    "details": 0.5,
}
"""How much a word counts in each column: a tool's own name says the most, and what is said of a plugin, and so of all
its tools alike, less than what is said of the tool."""

CANDIDATES = 30
"""Tools, or three times those that are wanted, that are ranked once more by how much of the query they hold."""

_HINT_COLUMNS = {hint: f"hint_{number}" for number, hint in enumerate(HINTS)}

_SCHEMA = f"""
CREATE TABLE tools (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    plugin TEXT NOT NULL,
    keywords TEXT NOT NULL,
    {", ".join(f"{column} INTEGER NOT NULL" for column in _HINT_COLUMNS.values())}
);
CREATE INDEX tools_by_plugin ON tools (plugin);
CREATE VIRTUAL TABLE texts USING fts5({", ".join(WEIGHTS)}, tokenize = "porter unicode61 remove_diacritics 2");
"""

_INSERT_TOOL = (
    f"INSERT INTO tools (name, plugin, keywords, {', '.join(_HINT_COLUMNS.values())}) "  # noqa: S608 - constants
    f"VALUES (?, ?, ?, {', '.join('?' * len(_HINT_COLUMNS))})"
)
_INSERT_TEXT = f"INSERT INTO texts (rowid, {', '.join(WEIGHTS)}) VALUES (?, {', '.join('?' * len(WEIGHTS))})"  # noqa: S608
_RANK = f"bm25(texts, {', '.join(map(str, WEIGHTS.values()))})"


class FtsToolIndex:
    """The index. It belongs to whoever makes it and uses it from one thread at a time.

    Raises:
        Unavailable: `search_index`, this Python's SQLite has no FTS5.
    """

    def __init__(self) -> None:
        with _translated():
            self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            self._connection.executescript(_SCHEMA)

    def change(self, gone: Sequence[str], documents: Sequence[ToolDocument]) -> None:
        """See `ToolIndex.change`."""
        with _translated(), self._transaction() as connection:
            for name in (*gone, *(document.name for document in documents)):
                row = connection.execute("SELECT id FROM tools WHERE name = ?", (name,)).fetchone()
                if row is not None:
                    connection.execute("DELETE FROM texts WHERE rowid = ?", row)
                    connection.execute("DELETE FROM tools WHERE id = ?", row)
            for document in documents:
                _insert(connection, document)

    def search(self, terms: SearchTerms, within: ToolFilter, limit: int) -> tuple[str, ...]:
        """See `ToolIndex.search`. Words are looked for whole; only where they find too little, as beginnings, too."""
        with _translated():
            named = self._select(
                "tools.name = :name COLLATE NOCASE", within, limit, "tools.name != :name", name=terms.name
            )
            if not terms.words:
                return named or self._select("1", within, limit, "tools.name")
            found = dict.fromkeys(named)
            for star in ("", "*"):
                if len(found) < limit:
                    found.update(dict.fromkeys(self._match(terms, within, max(CANDIDATES, 3 * limit), star)))
            return tuple(found)[:limit]

    def close(self) -> None:
        """See `ToolIndex.close`."""
        self._connection.close()

    def _match(self, terms: SearchTerms, within: ToolFilter, limit: int, star: str) -> Iterable[str]:
        """Tools that hold any of the words; with a star, words that begin like them.

        BM25 alone puts a tool that says one of the words often before one that says all of them once. So the score is
        multiplied by the share of the words that the tool holds.
        """
        # In quotes every word is a string to FTS5 and none an operator; words hold no quotes.
        quoted = [f'"{word}"{star}' for word in terms.words]
        # The whole query is one more term: rare, and so of weight, where a tool says the very same.
        sentence = [f'"{terms.sentence}"'] if " " in terms.sentence else []
        conditions, values = _conditions(within)
        rows = self._connection.execute(
            f"SELECT texts.rowid, tools.name, {_RANK} AS rank FROM texts JOIN tools ON tools.id = texts.rowid "  # noqa: S608
            f"WHERE {' AND '.join(['texts MATCH :query', *conditions])} ORDER BY rank, tools.name LIMIT :limit",
            {**values, "query": " OR ".join(quoted + sentence), "limit": limit},
        ).fetchall()
        held = self._held([row for row, _, _ in rows], quoted)
        # BM25 is negative here, the best score the lowest; sorting keeps what is equal in the order it has.
        return (name for _, name, _ in sorted(rows, key=lambda row: row[2] * held[row[0]]))

    def _held(self, rows: Sequence[int], quoted: Sequence[str]) -> Counter[int]:
        """How many of the words each row holds."""
        held: Counter[int] = Counter()
        # Numbers of our own making: a list of them cannot be bound.
        listed = ", ".join(map(str, rows))
        for word in quoted:
            held.update(
                row
                for (row,) in self._connection.execute(
                    f"SELECT rowid FROM texts WHERE texts MATCH ? AND rowid IN ({listed})",  # noqa: S608
                    (word,),
                )
            )
        return held

    def _select(self, condition: str, within: ToolFilter, limit: int, order: str, **bound: str) -> tuple[str, ...]:
        conditions, values = _conditions(within)
        rows = self._connection.execute(
            f"SELECT tools.name FROM tools WHERE {' AND '.join([condition, *conditions])} "  # noqa: S608 - constants
            f"ORDER BY {order} LIMIT :limit",
            {**values, **bound, "limit": limit},
        )
        return tuple(name for (name,) in rows)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, document: ToolDocument) -> None:
    keywords = [keyword.casefold() for keyword in document.keywords]
    hints = [document.hints[hint] for hint in _HINT_COLUMNS]
    row = connection.execute(_INSERT_TOOL, (document.name, document.plugin, json.dumps(keywords), *hints))
    texts = {column: " ".join(keywords) if column == "keywords" else getattr(document, column) for column in WEIGHTS}
    connection.execute(_INSERT_TEXT, (row.lastrowid, *texts.values()))


def _conditions(within: ToolFilter) -> tuple[list[str], dict[str, Any]]:
    conditions = [f"tools.{_HINT_COLUMNS[hint]} = {int(wanted)}" for hint, wanted in within.hints.items()]
    values: dict[str, Any] = {}
    if within.plugin is not None:
        conditions.append("tools.plugin = :plugin")
        values["plugin"] = _bindable(within.plugin)
    if within.keyword is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(tools.keywords) WHERE value = :keyword)")
        values["keyword"] = _bindable(within.keyword.casefold())
    if within.view.restricted:
        conditions.append(
            "(tools.plugin IN (SELECT value FROM json_each(:plugins)) OR tools.name IN (SELECT value FROM "
            "json_each(:tools)))"
        )
        values["plugins"] = json.dumps(within.view.plugins)
        values["tools"] = json.dumps(within.view.tools)
    return conditions, values


def _bindable(text: str) -> str:
    # Half of a surrogate pair, which a Python program can hand in, is nothing that SQLite takes.
    return text.encode("utf-8", "replace").decode()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if "no such module: fts5" in str(error):
            reason = "the SQLite of this Python has no full-text search (FTS5): use a Python whose SQLite has it"
        else:
            reason = f"the index of the tools failed ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
        raise Unavailable("search_index", f"tools cannot be searched here: {reason}") from error
