"""The first schema: plugins, versions, installations, counters, tokens and calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make every table."""
    _make_registry()
    _make_tokens()
    _make_calls()
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "installations", "value": 0}])


def downgrade() -> None:
    """Remove every table, those that refer to others first."""
    for table in ("calls", "tokens", "counters", "installations", "versions", "plugins"):
        op.drop_table(table)


def _make_registry() -> None:
    op.create_table(
        "plugins",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("versions", sa.Integer, nullable=False),
        sa.Column("latest", sa.Text),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("keywords", sa.Text, nullable=False),
        sa.Column("published_at", _MOMENT, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_plugins"),
    )
    op.create_table(
        "versions",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("manifest_digest", sa.Text, nullable=False),
        sa.Column("publisher", sa.Text, nullable=False),
        sa.Column("published_at", _MOMENT, nullable=False),
        sa.Column("yanked", sa.Boolean, nullable=False),
        sa.Column("yank_reason", sa.Text),
        sa.Column("release", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("plugin", "version", name="pk_versions"),
        sa.ForeignKeyConstraint(["plugin"], ["plugins.name"], name="fk_versions_plugins"),
    )
    op.create_index("ix_versions_digest", "versions", ["digest"])
    op.create_table(
        "installations",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("requested", sa.Text, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("granted", sa.Text, nullable=False),
        sa.Column("installed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("plugin", name="pk_installations"),
        sa.ForeignKeyConstraint(
            ["plugin", "version"], ["versions.plugin", "versions.version"], name="fk_installations_versions"
        ),
    )


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
    )
    op.create_index("ix_tokens_name", "tokens", ["name"])


def _make_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("arguments_hash", sa.Text, nullable=False),
        sa.Column("arguments_bytes", sa.BigInteger, nullable=False),
        sa.Column("result_hash", sa.Text),
        sa.Column("result_bytes", sa.BigInteger),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("queue_us", sa.BigInteger, nullable=False),
        sa.Column("instantiate_us", sa.BigInteger, nullable=False),
        sa.Column("run_us", sa.BigInteger, nullable=False),
        sa.Column("total_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_calls"),
    )
    op.create_index("ix_calls_started_at", "calls", ["started_at"])
    op.create_index("ix_calls_tool_started_at", "calls", ["tool", "started_at"])
