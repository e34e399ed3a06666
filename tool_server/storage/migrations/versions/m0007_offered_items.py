"""Prompts, resources and resource templates that installations offer, derived ready for listing and asking."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. `revisions.migrate` fills it."""
    op.create_table(
        "offered_items",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("listing", sa.LargeBinary, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("plugin", "kind", "position", name="pk_offered_items"),
        sa.ForeignKeyConstraint(["plugin"], ["offers.plugin"], name="fk_offered_items_offers"),
    )


def downgrade() -> None:
    """Remove it; nothing in it is not also elsewhere."""
    op.drop_table("offered_items")
