"""What installations offer, derived ready for listing and calling, and which plugin changed at which revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; what is installed counts as changed now. `revisions.migrate` fills the derived ones."""
    op.create_table(
        "installation_changes",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("plugin", name="pk_installation_changes"),
    )
    op.create_index("ix_installation_changes_revision", "installation_changes", ["revision"])
    op.execute(
        "INSERT INTO installation_changes (plugin, revision) "
        "SELECT plugin, (SELECT value FROM counters WHERE name = 'installations') FROM installations"
    )
    op.create_table(
        "offers",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("permissions", sa.Text, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("quarantined", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("plugin", name="pk_offers"),
        sa.ForeignKeyConstraint(["plugin"], ["installations.plugin"], name="fk_offers_installations"),
    )
    op.create_table(
        "offered_tools",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("needs_headers", sa.Boolean, nullable=False),
        sa.Column("listing", sa.LargeBinary, nullable=False),
        sa.Column("remainder", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("plugin", "position", name="pk_offered_tools"),
        sa.ForeignKeyConstraint(["plugin"], ["offers.plugin"], name="fk_offered_tools_offers"),
    )


def downgrade() -> None:
    """Remove them; nothing in them is not also elsewhere."""
    for table in ("offered_tools", "offers", "installation_changes"):
        op.drop_table(table)
