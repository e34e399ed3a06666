"""`RequestStates`: encrypted with a key of the data folder, remembered in the database."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from pathlib import Path

import anyio.to_thread
from sqlalchemy import Connection, delete, insert, select

from tool_server.errors import InvalidInput, Unavailable
from tool_server.storage.database import Database
from tool_server.storage.sealing import Sealer
from tool_server.storage.tables import spent_states

FILE_NAME = "states.key"
_BINDING = b"tool-server request state 1\0"


class SqlRequestStates:
    """The `RequestStates` of a database.

    Args:
        database: where it is noted which were used.
        key: 64 hexadecimal digits, which all servers of one database share, or empty for a file.
        folder: where the key file is.
    """

    def __init__(self, database: Database, key: str, folder: Path) -> None:
        self._database = database
        self._sealer = Sealer(key, folder, FILE_NAME)

    async def seal(self, state: bytes, bound_to: bytes) -> str:
        """See `RequestStates.seal`."""
        return await anyio.to_thread.run_sync(self._seal, state, bound_to)

    def _seal(self, state: bytes, bound_to: bytes) -> str:
        self._sealer.make_key()
        return base64.urlsafe_b64encode(self._sealer.seal(state, _BINDING + bound_to)).decode()

    async def open(self, sealed: str, bound_to: bytes) -> bytes:
        """See `RequestStates.open`."""
        return await anyio.to_thread.run_sync(self._open, sealed, bound_to)

    def _open(self, sealed: str, bound_to: bytes) -> bytes:
        try:
            data = base64.b64decode(sealed, altchars=b"-_", validate=True)
            return self._sealer.open(data, _BINDING + bound_to)
        except (binascii.Error, ValueError, Unavailable) as error:
            raise InvalidInput("invalid_request_state", "this state is not one of this call's") from error

    async def spend(self, state_id: str, expires_at: datetime, now: datetime) -> bool:
        """See `RequestStates.spend`."""
        return await self._database.write(_spend, state_id, expires_at, now)


def _spend(connection: Connection, state_id: str, expires_at: datetime, now: datetime) -> bool:
    connection.execute(delete(spent_states).where(spent_states.c.expires_at <= now))
    if connection.execute(select(spent_states.c.id).where(spent_states.c.id == state_id)).one_or_none() is not None:
        return False
    connection.execute(insert(spent_states).values(id=state_id, expires_at=expires_at))
    return True
