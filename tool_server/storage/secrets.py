"""`SecretStore` on SQL."""

from __future__ import annotations

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select, update

from tool_server.errors import NotFound, Unavailable
from tool_server.model.secret import Secret, SecretRecord
from tool_server.storage.database import Database
from tool_server.storage.sealing import Sealer
from tool_server.storage.tables import AnyRow, secrets

_hosts = TypeAdapter(tuple[str, ...])


class SqlSecretStore:
    """The `SecretStore` of a database.

    Args:
        database: where the ciphertexts are.
        sealer: has the key, which is not there.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def put(self, record: SecretRecord, value: str) -> SecretRecord:
        """See `SecretStore.put`. A key is made with the first secret; two keys never stand beside each other."""
        return await self._database.write(_put, self._sealer, record, value)

    async def get(self, name: str) -> Secret | None:
        """See `SecretStore.get`."""
        return await self._database.read(_get, self._sealer, name)

    async def list_secrets(self) -> tuple[SecretRecord, ...]:
        """See `SecretStore.list_secrets`."""
        return await self._database.read(_list)

    async def remove(self, name: str) -> None:
        """See `SecretStore.remove`."""
        await self._database.write(_remove, name)


def _bound_to(record: SecretRecord) -> bytes:
    return b"tool-server secret 1\0" + orjson.dumps([record.name, record.hosts, record.plain_http])


def _decode(row: AnyRow) -> SecretRecord:
    return SecretRecord(
        name=row.name,
        hosts=_hosts.validate_json(row.hosts),
        plain_http=row.plain_http,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _open(sealer: Sealer, row: AnyRow) -> Secret:
    record = _decode(row)
    try:
        return Secret(record, sealer.open(row.sealed, _bound_to(record)).decode())
    except UnicodeDecodeError as error:
        raise Unavailable("secrets_key", f"what is stored of the secret {record.name} is no text") from error


def _put(connection: Connection, sealer: Sealer, record: SecretRecord, value: str) -> SecretRecord:
    any_row = connection.execute(select(secrets).order_by(secrets.c.name).limit(1)).first()
    if any_row is None:
        sealer.make_key()
    else:
        _open(sealer, any_row)  # raises where the key is another one
    values = {
        "hosts": _hosts.dump_json(record.hosts).decode(),
        "plain_http": record.plain_http,
        "sealed": sealer.seal(value.encode(), _bound_to(record)),
        "updated_at": record.updated_at,
    }
    named = secrets.c.name == record.name
    existing = connection.execute(select(secrets).where(named)).one_or_none()
    if existing is None:
        connection.execute(insert(secrets).values(name=record.name, created_at=record.created_at, **values))
        return record
    connection.execute(update(secrets).where(named).values(**values))
    return record.model_copy(update={"created_at": _decode(existing).created_at})


def _get(connection: Connection, sealer: Sealer, name: str) -> Secret | None:
    row = connection.execute(select(secrets).where(secrets.c.name == name)).one_or_none()
    return None if row is None else _open(sealer, row)


def _list(connection: Connection) -> tuple[SecretRecord, ...]:
    return tuple(_decode(row) for row in connection.execute(select(secrets).order_by(secrets.c.name)))


def _remove(connection: Connection, name: str) -> None:
    if not connection.execute(delete(secrets).where(secrets.c.name == name).returning(secrets.c.name)).all():
        raise NotFound(
            "unknown_secret",
            f"there is no secret {name[:80]!r}: 'tool-server secret list' shows them",
            {"secret": name},
        )
