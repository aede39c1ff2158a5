"""Runs migrations, one process at a time, all of them in one transaction.

An advisory lock makes concurrent migrators (pods of one rollout) wait for each other; who comes
second finds nothing left to do. A migration waits for a table's lock only so long, because whoever
comes to the table after it waits behind it: it fails then, having changed nothing, to be run again.
"""

import asyncio

from openvenue.db.connection import connect_options
from openvenue.db.tables import metadata
from openvenue.settings import Settings, get_settings
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from alembic import context

CONNECT_TIMEOUT_S = 10
ADVISORY_LOCK = 0x6F70656E76656E75  # "openvenu"


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        # From here on only: migrators may wait longer for each other.
        lock_timeout = f"{round(settings().migration_lock_timeout_s * 1000)}ms"
        connection.execute(
            text("SELECT set_config('lock_timeout', :bound, true)"), {"bound": lock_timeout}
        )
        context.run_migrations()


def settings() -> Settings:
    given: Settings | None = context.config.attributes.get("settings")
    return given or get_settings()


async def connect_and_migrate() -> None:
    statement_timeout = f"{round(settings().migration_statement_timeout_s * 1000)}ms"
    engine = create_async_engine(
        settings().database_url.get_secret_value(),
        poolclass=pool.NullPool,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            **connect_options("openvenue-migration", statement_timeout=statement_timeout),
        },
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


def render_sql() -> None:
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    render_sql()
else:
    asyncio.run(connect_and_migrate())
