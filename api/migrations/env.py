"""What alembic runs for each migration: on the connection that `api.database.migrate` hands over."""

from alembic import context

from api.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # MySQL commits at each DDL statement: there, every migration counts on its own
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
