"""Which schema a database has, and how it comes to the newest one.

Reading the revision is plain SQL. Alembic (150 ms to import) is loaded only where a migration must run.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, Table, Text, select

from tool_server.errors import Conflict
from tool_server.storage import offers
from tool_server.storage.schema_revisions import HEAD, REVISIONS

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic's own table, in a catalogue of its own since no migration of ours makes it.
_alembic_version = Table("alembic_version", MetaData(), Column("version_num", Text, primary_key=True))


def stored_revision(connection: Connection) -> str | None:
    """The revision of a database, None where it holds no schema yet."""
    if not connection.dialect.has_table(connection, _alembic_version.name):
        return None
    return connection.execute(select(_alembic_version.c.version_num)).scalar()


def check_not_newer(revision: str | None) -> None:
    """Do nothing for a revision that this version knows.

    Raises:
        Conflict: `newer_database`, the schema was made by a later version of the product.
    """
    if revision is not None and revision not in REVISIONS:
        raise Conflict(
            "newer_database",
            f"the database has schema revision {revision!r}, and this version of tool-server knows revisions up to "
            f"{HEAD!r}: run the newer version that made it, or restore a backup from before its upgrade",
            {"found": revision, "supported": HEAD},
        )


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to `revision`, forwards or back, inside the connection's transaction.

    At the newest schema, all derived data is made again: migrations themselves know nothing of today's code.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if revision == "head" or stored_revision(connection) is None:
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)
    if stored_revision(connection) == HEAD:
        offers.rebuild(connection)
