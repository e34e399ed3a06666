"""Tasks, and which tools may run as one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tool_server.storage.tables import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; no tool from before may run as a task."""
    op.add_column("offered_tools", sa.Column("task", sa.Text))
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("poll_interval_ms", sa.Integer, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("owned_until", UtcDateTime),
        sa.Column("requests", sa.Text),
        sa.Column("answers", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("result", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_caller_size", "tasks", ["caller", "size"])
    op.create_index("ix_tasks_expires_at", "tasks", ["expires_at"])
    op.create_index("ix_tasks_owned_until", "tasks", ["owned_until"])


def downgrade() -> None:
    """Take both away: what ran as a task is called and waited for."""
    op.drop_table("tasks")
    op.drop_column("offered_tools", "task")
