"""The tables, as SQLAlchemy Core sees them. `migrations` builds them; a test holds the two in agreement.

Whatever is looked up, sorted or counted has a column of its own; the rest of a release is one JSON text, which a
reader hands to pydantic without an intermediate form. Text, not a JSON type, for that reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC also where the database forgets time zones, as SQLite does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive moment is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back to an aware moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row whose columns are read by name."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

plugins = Table(
    "plugins",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The rest is what a listing shows, kept up to date by every publish and yank, so that a listing reads one table.
    Column("versions", Integer, nullable=False),
    Column("latest", Text),
    Column("description", Text, nullable=False),
    Column("keywords", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    # Case-folded here, not by the database: SQLite knows the cases of ASCII alone.
    Column("search", Text, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("plugin", Text, ForeignKey("plugins.name"), primary_key=True),
    Column("version", Text, primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("manifest_digest", Text, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("yanked", Boolean, nullable=False),
    Column("yank_reason", Text),
    # Last, so that the short columns are read without the pages that a long text spills over to.
    Column("release", Text, nullable=False),
)

installations = Table(
    "installations",
    metadata,
    Column("plugin", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("requested", Text, nullable=False),
    Column("previous", Text),
    Column("granted", Text, nullable=False),
    Column("installed_at", UtcDateTime, nullable=False),
    # Null for the many that have none.
    Column("settings", Text),
    ForeignKeyConstraint(["plugin", "version"], ["versions.plugin", "versions.version"]),
)

# What became of which plugin when; rows of uninstalled plugins stay, so that everybody learns of it.
installation_changes = Table(
    "installation_changes",
    metadata,
    Column("plugin", Text, primary_key=True),
    # Of the counter `offer_rows.INSTALLATION_REVISION`, after the plugin's last change.
    Column("revision", BigInteger, nullable=False, index=True),
)

# The next three are derived from the version that is installed: `offers` writes them, and compares them for `db check`.
offers = Table(
    "offers",
    metadata,
    Column("plugin", Text, ForeignKey("installations.plugin"), primary_key=True),
    Column("program", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("quarantined", Text, nullable=False),
    # A JSON list of texts; null where there are none.
    Column("keywords", Text),
)

offered_tools = Table(
    "offered_tools",
    metadata,
    Column("plugin", Text, ForeignKey("offers.plugin"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("needs_headers", Boolean, nullable=False),
    Column("listing", LargeBinary, nullable=False),
    # Null for the many that may not become tasks.
    Column("task", Text),
    # What the listing does not say; not read before the tool's first call.
    Column("remainder", Text, nullable=False),
)

# Prompts, resources and resource templates.
offered_items = Table(
    "offered_items",
    metadata,
    Column("plugin", Text, ForeignKey("offers.plugin"), primary_key=True),
    # An `ItemKind`.
    Column("kind", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("listing", LargeBinary, nullable=False),
    # Not read before the item is first asked for.
    Column("definition", Text, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("secret_hash", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    # JSON; null for the many tokens that see everything.
    Column("view", Text),
)

calls = Table(
    "calls",
    metadata,
    # The order of arrival, which breaks ties between calls of one microsecond.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("caller", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("plugin", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("arguments_hash", Text, nullable=False),
    Column("arguments_bytes", BigInteger, nullable=False),
    Column("result_hash", Text),
    Column("result_bytes", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("queue_us", BigInteger, nullable=False),
    Column("instantiate_us", BigInteger, nullable=False),
    Column("run_us", BigInteger, nullable=False),
    Column("total_us", BigInteger, nullable=False),
    # A JSON list; null for the many calls that ask nothing of the network.
    Column("requests", Text),
    # The id of the call whose plugin asked for this one.
    Column("parent", Text),
    # The same of those that ask for no secret.
    Column("secret_reads", Text),
    Index(None, "started_at"),
    Index(None, "tool", "started_at"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hosts", Text, nullable=False),
    Column("plain_http", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

spent_states = Table(
    "spent_states",
    metadata,
    Column("id", Text, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
"""States of calls that went on with their clients' answers, until they would have expired: none is taken twice."""

# Calls that outlive their requests; `storage.tasks`.
tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("caller", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("poll_interval_ms", Integer, nullable=False),
    Column("message", Text),
    # The process that runs it, and until when that is known to live; the latter is null once the task is over.
    Column("owner", Text),
    Column("owned_until", UtcDateTime),
    # JSON; what is asked of the client, and what it has answered.
    Column("requests", Text),
    Column("answers", Text),
    Column("failure", Text),
    # Bytes of the result, so that bounds are kept without reading it.
    Column("size", BigInteger, nullable=False),
    Column("result", LargeBinary),
    # Covers the sums by which bounds are kept.
    Index(None, "caller", "size"),
    Index(None, "expires_at"),
    Index(None, "owned_until"),
)
