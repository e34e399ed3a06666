"""`TokenStore` on SQL."""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, or_, select, update

from tool_server.errors import Conflict, NotFound
from tool_server.model.caller import Scope, TokenRecord
from tool_server.model.view import EVERYTHING, View
from tool_server.storage.database import Database
from tool_server.storage.tables import AnyRow, tokens

_scopes = TypeAdapter(tuple[Scope, ...])


class SqlTokenStore:
    """The `TokenStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: TokenRecord) -> None:
        """See `TokenStore.add`. A token lives until it is revoked or has expired when the new one is made."""
        await self._database.write(_add, token)

    async def get(self, token_id: str) -> TokenRecord | None:
        """See `TokenStore.get`."""
        return await self._database.read(_get, token_id)

    async def list_tokens(self) -> tuple[TokenRecord, ...]:
        """See `TokenStore.list_tokens`."""
        return await self._database.read(_list)

    async def revoke(self, name_or_id: str, at: datetime) -> TokenRecord:
        """See `TokenStore.revoke`. Returns the newest token of that name as it is afterwards; one that is revoked
        already keeps its moment. An id is preferred to an equal name."""
        return await self._database.write(_revoke, name_or_id, at)


_newest_first = (tokens.c.created_at.desc(), tokens.c.id.desc())


def _decode(row: AnyRow) -> TokenRecord:
    return TokenRecord(
        id=row.id,
        name=row.name,
        secret_hash=row.secret_hash,
        scopes=_scopes.validate_json(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        view=EVERYTHING if row.view is None else View.model_validate_json(row.view),
    )


def _add(connection: Connection, token: TokenRecord) -> None:
    unexpired = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > token.created_at)
    live = (tokens.c.name == token.name) & tokens.c.revoked_at.is_(None) & unexpired
    if connection.execute(select(tokens.c.id).where(or_(live, tokens.c.id == token.id)).limit(1)).first():
        raise Conflict(
            "token_exists",
            f"there is a token named {token.name!r}: choose another name, or revoke it with "
            f"'tool-server token revoke {token.name}'",
            {"name": token.name},
        )
    connection.execute(
        insert(tokens).values(
            id=token.id,
            name=token.name,
            secret_hash=token.secret_hash,
            scopes=_scopes.dump_json(token.scopes).decode(),
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            view=None if token.view == EVERYTHING else token.view.model_dump_json(exclude_defaults=True),
        )
    )


def _get(connection: Connection, token_id: str) -> TokenRecord | None:
    row = connection.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    return None if row is None else _decode(row)


def _list(connection: Connection) -> tuple[TokenRecord, ...]:
    return tuple(_decode(row) for row in connection.execute(select(tokens).order_by(*_newest_first)))


def _revoke(connection: Connection, name_or_id: str, at: datetime) -> TokenRecord:
    named = tokens.c.name == name_or_id
    if _get(connection, name_or_id) is not None:
        named = tokens.c.id == name_or_id
    connection.execute(update(tokens).where(named, tokens.c.revoked_at.is_(None)).values(revoked_at=at))
    row = connection.execute(select(tokens).where(named).order_by(*_newest_first).limit(1)).one_or_none()
    if row is None:
        raise NotFound(
            "unknown_token",
            f"no token has the name or id {name_or_id!r}: 'tool-server token list' shows them",
            {"token": name_or_id},
        )
    return _decode(row)
