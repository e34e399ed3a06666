"""What is offered, read from a SQLite file by the standard library alone.

Importing SQLAlchemy takes longer than all else that a client of `tool-server stdio` waits for before its first list.
This reads for that list what `SqlPluginStore` reads for every other, by the same statements, and only where nothing
is out of the ordinary: it makes nothing, upgrades nothing, waits for nobody and explains no failure.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tool_server.model.catalog import OfferChanges
from tool_server.storage import offer_rows
from tool_server.storage.offer_rows import Head
from tool_server.storage.schema_revisions import HEAD

_SELECT_SCHEMA = "SELECT version_num FROM alembic_version"


def read_offers(url: str) -> OfferChanges | None:
    """All that is offered, as `SqlPluginStore.offers_since(-1)` tells it.

    None where that store must be asked: the database is none of SQLite, not there yet, of another schema than today's,
    locked, or damaged.
    """
    dialect, _, path = url.partition(":///")
    if dialect not in ("sqlite", "sqlite+pysqlite") or not path or "?" in path:
        return None
    try:
        with closing(
            sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=0, isolation_level=None)
        ) as connection:
            return _read(connection)
    except (sqlite3.Error, ValueError):
        # ValueError: a moment or a quarantined tool that cannot be read.
        return None


def _read(connection: sqlite3.Connection) -> OfferChanges | None:
    connection.execute("BEGIN")  # one snapshot for all that follows
    if connection.execute(_SELECT_SCHEMA).fetchone() != (HEAD,):
        return None
    counter = connection.execute(offer_rows.SELECT_REVISION).fetchone()
    if counter is None:
        return None
    heads = [
        Head(plugin, changed, version, None if installed_at is None else _moment(installed_at), *rest)
        for plugin, changed, version, installed_at, *rest in connection.execute(offer_rows.SELECT_HEADS, {"seen": -1})
    ]
    tools, items = (connection.execute(text) for text in (offer_rows.SELECT_ALL_TOOLS, offer_rows.SELECT_ALL_ITEMS))
    return offer_rows.changes(counter[0], heads, tools, items, complete=True)


def _moment(stored: str) -> datetime:
    # As `tables.UtcDateTime` keeps it: in UTC, and not saying so.
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
