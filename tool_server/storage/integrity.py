"""`tool-server db check`: what is wrong with the database itself, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from tool_server.errors import Unavailable
from tool_server.storage import installations, offers, releases, revisions, sqlite
from tool_server.storage.schema_revisions import HEAD
from tool_server.storage.tables import versions


def check(connection: Connection) -> tuple[str, ...]:
    """See `PluginStore.check`. What ends the search early is one more problem, not an error."""
    problems: list[str] = []
    try:
        problems += sqlite.integrity_problems(connection)
        problems += _schema_problems(connection)
        problems += _dangling_installations(connection)
        problems += _unreadable_versions(connection)
        problems += offers.contradictions(connection)
    except DBAPIError as error:
        problems.append(f"the search ended early: {sqlite.unavailable(error).message}")
    return tuple(problems)


def _schema_problems(connection: Connection) -> Iterator[str]:
    revision = revisions.stored_revision(connection)
    if revision != HEAD:
        yield f"the schema has revision {revision!r}, expected {HEAD!r}: run 'tool-server db upgrade'"


def _dangling_installations(connection: Connection) -> Iterator[str]:
    for plugin, version in installations.dangling(connection):
        yield f"{plugin} is installed at version {version}, which is not stored: publish it again, or uninstall"


def _unreadable_versions(connection: Connection) -> Iterator[str]:
    columns = (versions.c.plugin, versions.c.version, versions.c.digest, versions.c.manifest_digest, versions.c.release)
    for row in connection.execute(select(*columns).order_by(versions.c.plugin, versions.c.version)):
        try:
            release = releases.decode_release(row.release, yanked=False, yank_reason=None)
        except Unavailable:
            yield f"the stored form of {row.plugin} {row.version} cannot be read"
            continue
        decoded = (release.plugin, release.version, release.program.digest, release.manifest_digest)
        if decoded != (row.plugin, row.version, row.digest, row.manifest_digest):
            yield f"the stored form of {row.plugin} {row.version} contradicts its row: names or digests differ"
