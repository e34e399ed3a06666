"""This server's installations in SQL: functions over a connection, each run in one transaction by `plugins`."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from tool_server.errors import NotFound, Unavailable
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, Release
from tool_server.storage import offers, releases
from tool_server.storage.offer_rows import INSTALLATION_REVISION
from tool_server.storage.offers import decode_settings, encode_settings
from tool_server.storage.tables import (
    AnyRow,
    counters,
    installation_changes,
    installations,
    versions,
)


def change_installation(
    connection: Connection, plugin: str, change: Callable[[Installation | None], Installation]
) -> tuple[Installation | None, Installation]:
    """See `PluginStore.change_installation`."""
    # Whoever changes an installation takes the counter first: databases with several writers queue here.
    counter = select(counters.c.value).where(counters.c.name == INSTALLATION_REVISION).with_for_update()
    connection.execute(counter).one()
    before = get_installation(connection, plugin)
    after = change(before)
    if after != before:
        release = _stored_release(connection, after)
        _write(connection, after, first=before is None)
        offers.replace(connection, release, after.settings)
        _advance_revision(connection, plugin)
    return before, after


def _stored_release(connection: Connection, installation: Installation) -> Release:
    plugin, version = installation.plugin, installation.version
    try:
        return releases.get_version(connection, plugin, version)
    except NotFound as error:
        raise NotFound(
            "unknown_version",
            f"{plugin} {version} is not in this registry: publish it first, or install another version",
            {"plugin": plugin, "version": version},
        ) from error


def _write(connection: Connection, installation: Installation, *, first: bool) -> None:
    plugin = installation.plugin
    values = {
        "version": installation.version,
        "requested": installation.requested,
        "previous": installation.previous,
        "granted": installation.granted.model_dump_json(exclude_unset=True),
        "installed_at": installation.installed_at,
        "settings": encode_settings(installation.settings),
    }
    if first:
        connection.execute(insert(installations).values(plugin=plugin, **values))
    else:
        connection.execute(update(installations).where(installations.c.plugin == plugin).values(values))


def remove_installation(connection: Connection, plugin: str) -> None:
    """See `PluginStore.remove_installation`."""
    offers.remove(connection, plugin)
    changed = connection.execute(delete(installations).where(installations.c.plugin == plugin))
    if changed.rowcount == 0:
        raise NotFound(
            "not_installed",
            f"{plugin!r} is not installed here: 'extism-registry list' shows what is",
            {"plugin": plugin},
        )
    _advance_revision(connection, plugin)


def _advance_revision(connection: Connection, plugin: str) -> None:
    connection.execute(
        update(counters).where(counters.c.name == INSTALLATION_REVISION).values(value=counters.c.value + 1)
    )
    now = revision(connection)
    noted = connection.execute(
        update(installation_changes).where(installation_changes.c.plugin == plugin).values(revision=now)
    )
    if noted.rowcount == 0:
        connection.execute(insert(installation_changes).values(plugin=plugin, revision=now))


def revision(connection: Connection) -> int:
    """See `PluginStore.revision`."""
    return connection.execute(select(counters.c.value).where(counters.c.name == INSTALLATION_REVISION)).scalar_one()


def get_installation(connection: Connection, plugin: str) -> Installation | None:
    """See `PluginStore.get_installation`."""
    row = connection.execute(select(installations).where(installations.c.plugin == plugin)).one_or_none()
    return None if row is None else _decode_installation(row)


def list_installed(connection: Connection, limit: int | None, after: str) -> tuple[Installation, ...]:
    """See `PluginStore.list_installed`."""
    found = select(installations).where(installations.c.plugin > after).order_by(installations.c.plugin)
    rows = connection.execute(found.limit(limit))
    return tuple(_decode_installation(row) for row in rows)


def _points_to() -> ColumnElement[bool]:
    return (versions.c.plugin == installations.c.plugin) & (versions.c.version == installations.c.version)


def _decode_installation(row: AnyRow) -> Installation:
    try:
        granted = Permissions.model_validate_json(row.granted)
        settings = decode_settings(row.settings)
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
        settings=settings,
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
