"""Alembic's migrations, run by `revisions.migrate`."""
