"""Run by Alembic: each migration in its own transaction, on the connection of upgrade.py."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    on_version_apply=context.config.attributes["record"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
