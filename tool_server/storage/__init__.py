"""SQL and blobs; the only place that imports SQLAlchemy, Alembic and obstore."""
