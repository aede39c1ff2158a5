"""Runs migrations, one process at a time, all of them in one transaction.

An advisory lock makes concurrent migrators (pods of one rollout) wait for each other; who comes
second finds nothing left to do.
"""

import asyncio

from openvenue.db.tables import metadata
from openvenue.settings import get_settings
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from alembic import context

ADVISORY_LOCK = 0x6F70656E76656E75  # "openvenu"


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        context.run_migrations()


async def connect_and_migrate() -> None:
    url = context.config.attributes.get("database_url")
    if url is None:
        url = get_settings().database_url.get_secret_value()
    engine = create_async_engine(url, poolclass=pool.NullPool)
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
