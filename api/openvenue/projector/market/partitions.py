"""Partitions of a day, so that old rows go at once and leave no holes.

https://www.postgresql.org/docs/current/ddl-partitioning.html
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import asyncpg

from openvenue.telemetry import get_logger

# Dropping a partition locks the whole table: rather keep it for longer than make readers wait.
_LOCK_TIMEOUT = "1s"

_log = get_logger(__name__)


async def ensure_days(
    connection: "asyncpg.Connection[Any]", table: str, days: Iterable[date], kept_days: int
) -> None:
    """Make the partitions of these days, within a transaction.

    With each new one, drop those of days more than `kept_days` before it.
    """
    for day in days:
        name = f"{table}_{day:%Y%m%d}"
        if await _exists(connection, name):
            continue
        # The projectors of several shards share the table.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", table)
        if await _exists(connection, name):
            continue
        # A table is attached while others read its parent; one made as a partition is not.
        await connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        await connection.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{day}T00:00Z') TO ('{day + timedelta(1)}T00:00Z')"
        )
        await _drop_before(connection, table, day - timedelta(kept_days))


async def _exists(connection: "asyncpg.Connection[Any]", name: str) -> bool:
    exists: bool = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name)
    return exists


async def _drop_before(connection: "asyncpg.Connection[Any]", table: str, day: date) -> None:
    names = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits "
        "WHERE inhparent = $1::regclass ORDER BY 1",
        table,
    )
    for (name,) in names:
        if name >= f"{table}_{day:%Y%m%d}":
            continue
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                await connection.execute(f"DROP TABLE {name}")
        except asyncpg.LockNotAvailableError:
            _log.warning("old rows stay for another day: the table is being read", table=name)
