"""Which call asked for a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody asked for the calls there are but clients."""
    op.add_column("calls", sa.Column("parent", sa.Text))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("calls", "parent")
