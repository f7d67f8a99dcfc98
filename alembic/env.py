"""Alembic's entry. Imports nothing of ours but the tables; `pipeline/migrate.py` hands the connection in."""

from __future__ import annotations

from alembic import context

from pipeline.tables import metadata

config = context.config


def run() -> None:
    connection = config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,  # SQLite cannot alter a column
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
