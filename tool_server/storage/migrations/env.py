"""Alembic's entry point: migrates the connection that `revisions.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from tool_server.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
