"""Alembic migrations; `dinsight.database.migrate` runs them at start."""
