"""Runs the migrations on the connection that `dinsight.database.migrate` hands over."""

from alembic import context

from dinsight.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
