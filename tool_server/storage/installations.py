"""This server's installations in SQL: functions over a connection, each run in one transaction by `plugins`."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from tool_server.errors import NotFound, Unavailable
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, InstalledRelease
from tool_server.storage import releases
from tool_server.storage.tables import INSTALLATION_REVISION, AnyRow, counters, installations, versions


def put_installation(connection: Connection, installation: Installation) -> None:
    """See `PluginStore.put_installation`."""
    plugin, version = installation.plugin, installation.version
    stored = exists().where(versions.c.plugin == plugin, versions.c.version == version)
    if not connection.scalar(select(stored)):
        raise NotFound(
            "unknown_version",
            f"{plugin} {version} is not in this registry: publish it first, or install another version",
            {"plugin": plugin, "version": version},
        )
    values = {
        "version": version,
        "requested": installation.requested,
        "previous": installation.previous,
        "granted": installation.granted.model_dump_json(exclude_unset=True),
        "installed_at": installation.installed_at,
    }
    changed = connection.execute(update(installations).where(installations.c.plugin == plugin).values(values))
    if changed.rowcount == 0:
        connection.execute(insert(installations).values(plugin=plugin, **values))
    _advance_revision(connection)


def remove_installation(connection: Connection, plugin: str) -> None:
    """See `PluginStore.remove_installation`."""
    changed = connection.execute(delete(installations).where(installations.c.plugin == plugin))
    if changed.rowcount == 0:
        raise NotFound(
            "not_installed",
            f"{plugin!r} is not installed here: 'extism-registry list' shows what is",
            {"plugin": plugin},
        )
    _advance_revision(connection)


def _advance_revision(connection: Connection) -> None:
    connection.execute(
        update(counters).where(counters.c.name == INSTALLATION_REVISION).values(value=counters.c.value + 1)
    )


def revision(connection: Connection) -> int:
    """See `PluginStore.revision`."""
    return connection.execute(select(counters.c.value).where(counters.c.name == INSTALLATION_REVISION)).scalar_one()


def get_installation(connection: Connection, plugin: str) -> Installation | None:
    """See `PluginStore.get_installation`."""
    row = connection.execute(select(installations).where(installations.c.plugin == plugin)).one_or_none()
    return None if row is None else _decode_installation(row)


def list_installed(connection: Connection) -> tuple[InstalledRelease, ...]:
    """See `PluginStore.list_installed`."""
    rows = connection.execute(
        select(installations, versions.c.release, versions.c.yanked, versions.c.yank_reason)
        .join(versions, onclause=_points_to())
        .order_by(installations.c.plugin)
    )
    return tuple(
        InstalledRelease(
            installation=_decode_installation(row),
            release=releases.decode_release(row.release, yanked=row.yanked, yank_reason=row.yank_reason),
        )
        for row in rows
    )


def _points_to() -> ColumnElement[bool]:
    return (versions.c.plugin == installations.c.plugin) & (versions.c.version == installations.c.version)


def _decode_installation(row: AnyRow) -> Installation:
    try:
        granted = Permissions.model_validate_json(row.granted)
    except ValidationError as error:
        raise Unavailable(
            "database_error",
            f"the installation of {row.plugin!r} cannot be read: install it again, or run 'tool-server db check'",
        ) from error
    return Installation(
        plugin=row.plugin,
        version=row.version,
        requested=row.requested,
        previous=row.previous,
        granted=granted,
        installed_at=row.installed_at,
    )


def dangling(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Plugin and version of the installations whose version is not stored."""
    rows = connection.execute(
        select(installations.c.plugin, installations.c.version)
        .outerjoin(versions, onclause=_points_to())
        .where(versions.c.version.is_(None))
        .order_by(installations.c.plugin)
    )
    return tuple((row.plugin, row.version) for row in rows)
