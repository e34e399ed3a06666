"""All that is SQLite's own: setting up connections, beginning transactions, reading its errors and checking a file.

The settings (https://www.sqlite.org/pragma.html):

- `journal_mode=WAL`: readers see a snapshot and never wait for the one writer.
- `synchronous=FULL`: every commit reaches the disk before it is acknowledged. NORMAL survives `kill -9` as well, but
  in WAL mode a power failure may take back the last commits, and a publish that was acknowledged must stay.
- `foreign_keys=ON`: off by default, and a setting of the connection.
- `BEGIN IMMEDIATE` for writes: the write lock is taken at the start, where the busy timeout is honoured. A
  transaction that turns from reading to writing later fails at once when another one has written meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from tool_server.errors import InvalidInput, Unavailable

WRITERS = 1
READERS = 4

_RETRY_SECONDS = 0.01

# Result codes: https://www.sqlite.org/rescode.html. An extended code holds its primary code in the low byte.
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL_EXTENDED = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})


def parse_url(url: str) -> URL:
    """The parsed URL of a database file.

    Raises:
        InvalidInput: `invalid_database_url`.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _invalid_url("it is not a URL") from error
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise _invalid_url(f"{parsed.drivername!r} is not a database that this version can use")
    if not parsed.database or parsed.database == ":memory:" or parsed.query or parsed.host:
        raise _invalid_url("it does not name a file (a path must not hold '?')")
    return parsed


def _invalid_url(problem: str) -> InvalidInput:
    return InvalidInput("invalid_database_url", f"the database URL is refused: {problem}; write sqlite:///PATH")


def open_engine(url: URL, busy_timeout_ms: int) -> Engine:
    """An engine whose transactions are ours to begin; it opens no connection yet.

    A transaction writes when its connection carries the execution option `write=True`.
    """
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=WRITERS + READERS,
        max_overflow=0,
        connect_args={"timeout": busy_timeout_ms / 1_000, "isolation_level": None},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def prepare_file(engine: Engine, busy_timeout_ms: int) -> None:
    """Make the file and its folder where they are missing, and turn write-ahead logging on."""
    path = Path(engine.url.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Private from the start: it will hold token hashes. SQLite gives the same mode to its two side files.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    pooled = engine.raw_connection()
    try:
        connection = cast(sqlite3.Connection, pooled.driver_connection)
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            _turn_on_write_ahead_log(connection, busy_timeout_ms)
    finally:
        pooled.close()


def _turn_on_write_ahead_log(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    # SQLite does not honour its busy timeout here: of two processes that switch at once, one fails immediately.
    deadline = time.monotonic() + busy_timeout_ms / 1_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _LOCKED or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_RETRY_SECONDS)


def unavailable(error: DBAPIError | sqlite3.Error) -> Unavailable:
    """The typed form of a failed statement; a database without an answer is never a caller's mistake."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(cause, "sqlite_errorname", "SQLITE_ERROR")
    data = {"sqlite": name}
    if code & 0xFF in _LOCKED:
        return Unavailable(
            "database_locked", "another process is writing to the database and did not finish in time: try again", data
        )
    if code & 0xFF == sqlite3.SQLITE_FULL or code in _FULL_EXTENDED:
        return Unavailable("disk_full", "the database cannot grow: free some disk space or quota and try again", data)
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Unavailable(
            "database_error",
            "the database file is damaged or is no database: run 'tool-server db check' and restore a backup",
            data,
        )
    return Unavailable("database_error", f"the database failed ({name}): run 'tool-server db check'", data)


def integrity_problems(connection: Connection) -> Iterator[str]:
    """What SQLite itself finds wrong with the file, as sentences."""
    for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if finding != "ok":
            yield f"integrity check: {finding}"
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"a row of {table!r} refers to a row of {parent!r} that does not exist"
