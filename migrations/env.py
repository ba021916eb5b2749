"""Alembic's environment: one connection, one lock, the address from DURABILL_DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql

from models import tables
from models.database import sqlalchemy_url
from models.usage import TransactionId

# So that the drift check compares the column instead of warning about it.
postgresql.base.ischema_names["xid8"] = TransactionId

# Two starters must not migrate at once; any constant known to nobody else will do.
MIGRATION_LOCK = 7_316_092_245


def run() -> None:
    """Migrates in one transaction, under an advisory lock."""
    url = context.config.get_main_option("sqlalchemy.url") or os.environ["DURABILL_DATABASE_URL"]
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=tables.metadata, compare_type=True)
        with context.begin_transaction():
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
            )
            context.run_migrations()
    engine.dispose()


run()
