"""Runs migrations, one process at a time, each migration in its own transaction.

An advisory lock makes concurrent migrators (pods of one rollout) take turns; the second finds
nothing left to do. A migration waits for a table's lock only for a limited time, because later
users of the table wait behind it; then it fails, to be run again. A failed migration leaves nothing
behind, except an index that is built beside trading: the next run builds it again.
"""

import asyncio
import time

from openvenue.db.alchemy import open_engine
from openvenue.db.tables import metadata
from openvenue.settings import Settings, get_settings
from sqlalchemy import Connection, pool, text

from alembic import context

CONNECT_TIMEOUT_S = 10
ADVISORY_LOCK = 0x6F70656E76656E75  # "openvenu"
TURN_POLL_S = 0.1


def migrate(connection: Connection) -> None:
    take_turn(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def take_turn(connection: Connection) -> None:
    """Hold the lock until the connection is closed. Raises TimeoutError if that takes too long.

    It polls, because an index that is built beside trading waits for every transaction that began
    earlier, including those that wait for a lock.
    """
    deadline = time.monotonic() + settings().migration_statement_timeout_s
    asked = text("SELECT pg_try_advisory_lock(:key)")
    while not connection.scalar(asked, {"key": ADVISORY_LOCK}):
        connection.rollback()
        if time.monotonic() > deadline:
            raise TimeoutError("another process has been migrating this database for too long")
        time.sleep(TURN_POLL_S)
    connection.rollback()


def settings() -> Settings:
    given: Settings | None = context.config.attributes.get("settings")
    return given or get_settings()


def bound(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


async def connect_and_migrate() -> None:
    engine = open_engine(
        settings().database_url.get_secret_value(),
        "openvenue-migration",
        timeout_s=CONNECT_TIMEOUT_S,
        server_settings={
            "lock_timeout": bound(settings().migration_lock_timeout_s),
            "statement_timeout": bound(settings().migration_statement_timeout_s),
        },
        poolclass=pool.NullPool,
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


def render_sql() -> None:
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    render_sql()
else:
    asyncio.run(connect_and_migrate())
