"""What a token sees, and the keywords of what is offered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. `revisions.migrate` fills the derived one; tokens see what they saw, which is everything."""
    op.add_column("tokens", sa.Column("view", sa.Text))
    op.add_column("offers", sa.Column("keywords", sa.Text))


def downgrade() -> None:
    """Take both away. A token that saw a part must not see everything: it is revoked."""
    op.execute("UPDATE tokens SET revoked_at = created_at WHERE view IS NOT NULL AND revoked_at IS NULL")
    op.drop_column("offers", "keywords")
    op.drop_column("tokens", "view")
