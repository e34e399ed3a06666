"""The open database: transactions in worker threads, errors translated in one place."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from tool_server.errors import InvalidInput, Unavailable
from tool_server.storage import revisions, sqlite
from tool_server.storage.schema_revisions import HEAD

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

QUEUE_SECONDS = 30.0
"""How long a transaction waits for others of this process before it is refused, and closing for those that run."""


class Database:
    """One engine with the limiters of its transactions. `open_database` makes and closes it."""

    def __init__(self, engine: Engine, queue_seconds: float) -> None:
        self._engine = engine
        self._queue_seconds = queue_seconds
        self._writing_engine = engine.execution_options(write=True)
        self._readers = CapacityLimiter(sqlite.READERS)
        self._writers = CapacityLimiter(sqlite.WRITERS)
        self._closed = False

    async def read(
        self,
        query: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """The result of `query(connection, …)`, run on one snapshot in a worker thread.

        Raises:
            Unavailable: `database_locked`, `disk_full`, `database_error`, or `shutting_down` after closing.
        """
        return await self._run(self._readers, self._read, lambda connection: query(connection, *args, **kwargs))

    async def write(
        self,
        change: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """The result of `change(connection, …)`, run as one transaction in a worker thread.

        It is committed when `change` returns, and undone when it raises. A transaction that has begun runs to its
        end also when the awaiting task is cancelled.

        Raises:
            Unavailable: as for `read`.
        """
        return await self._run(self._writers, self._write, lambda connection: change(connection, *args, **kwargs))

    async def close(self) -> None:
        """Let running transactions end, then close every connection. Closing twice is no error."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(self._queue_seconds):
                for limiter in (self._writers, self._readers):
                    for _ in range(int(limiter.total_tokens)):
                        await limiter.acquire_on_behalf_of(object())
            await to_thread.run_sync(self._engine.dispose)

    def _read(self, query: Callable[[Connection], Result]) -> Result:
        with translated_errors(), self._engine.connect() as connection:
            return query(connection)

    def _write(self, change: Callable[[Connection], Result]) -> Result:
        with translated_errors(), self._writing_engine.begin() as connection:
            return change(connection)

    async def _run(
        self,
        limiter: CapacityLimiter,
        transact: Callable[[Callable[[Connection], Result]], Result],
        work: Callable[[Connection], Result],
    ) -> Result:
        # Only waiting for the limiter can be cut short: once in its thread, a transaction is not abandoned.
        with anyio.move_on_after(self._queue_seconds):
            if self._closed:
                raise Unavailable("shutting_down", "the database is closed: the server is shutting down")
            return await to_thread.run_sync(transact, work, limiter=limiter)
        raise Unavailable(
            "database_locked", f"{limiter.statistics().tasks_waiting} other transactions are waiting: try again later"
        )


@contextmanager
def translated_errors() -> Generator[None]:
    """Turn what the driver raises into `Unavailable`, and text that is not Unicode into `InvalidInput`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise sqlite.unavailable(error) from error
    except UnicodeEncodeError as error:
        raise InvalidInput("invalid_text", "the text holds half of a surrogate pair and cannot be stored") from error


@asynccontextmanager
async def open_database(
    url: str, *, busy_timeout_ms: int = 5_000, queue_seconds: float = QUEUE_SECONDS
) -> AsyncGenerator[Database]:
    """Open a database, made or upgraded to the newest schema first where that is needed.

    Args:
        url: `sqlite:///PATH`; missing folders are made.
        busy_timeout_ms: how long a transaction waits for a writer in another process, milliseconds.
        queue_seconds: how long it waits for other transactions of this process.

    Raises:
        InvalidInput: `invalid_database_url`.
        Conflict: `newer_database`, the schema is newer than this version of the product.
        Unavailable: `database_locked`, `disk_full`, `database_error`.
    """
    engine = sqlite.open_engine(sqlite.parse_url(url), busy_timeout_ms)
    database = Database(engine, queue_seconds)
    try:
        await to_thread.run_sync(_prepare, engine, busy_timeout_ms)
        if await database.read(revisions.stored_revision) != HEAD:
            await database.write(_upgrade)
        yield database
    finally:
        await database.close()


def _prepare(engine: Engine, busy_timeout_ms: int) -> None:
    with translated_errors():
        try:
            sqlite.prepare_file(engine, busy_timeout_ms)
        except OSError as error:
            raise Unavailable(
                "database_error", f"cannot open the database file {engine.url.database}: {error.strerror}"
            ) from error


def _upgrade(connection: Connection) -> None:
    # Asked again, under the write lock: another process may have upgraded meanwhile, perhaps beyond us.
    revisions.check_not_newer(revisions.stored_revision(connection))
    revisions.migrate(connection)
