"""Settings of installations, and the secrets that a call's guest asked to hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: an installation from before has no settings."""
    op.add_column("installations", sa.Column("settings", sa.Text))
    op.add_column("calls", sa.Column("secret_reads", sa.Text))


def downgrade() -> None:
    """Take them away: what was left out is offered again."""
    op.drop_column("calls", "secret_reads")
    op.drop_column("installations", "settings")
