"""Partitions of a day (UTC), so that old rows go at once and leave no holes.

A partition is named after its table and day; others, which somebody else made, stay as they are.

https://www.postgresql.org/docs/current/ddl-partitioning.html
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from openvenue.telemetry import get_logger

# Dropping a partition locks the whole table: rather keep it for longer than make readers wait.
_LOCK_TIMEOUT = "1s"

_DAY_NS = 24 * 3600 * 10**9
_EPOCH = date(1970, 1, 1)

_log = get_logger(__name__)


def days_of(times_ns: Iterable[int]) -> list[date]:
    """Return the days of these times since the Unix epoch, each once."""
    numbers = {time_ns // _DAY_NS for time_ns in times_ns}
    return [_EPOCH + timedelta(number) for number in sorted(numbers)]


async def ensure_days(
    connection: "asyncpg.Connection[Any]", table: str, days: Iterable[date], kept_days: int
) -> int:
    """Make the partitions of those of these days that are kept, within a transaction.

    Days more than `kept_days` before the newest one are not kept: a new day drops their partitions.
    Returns when the kept days begin, in nanoseconds since the Unix epoch.
    """
    wanted = set(days)
    existing = await _partitions(connection, table)
    if not wanted <= existing.keys():
        # The projectors of several shards share the table.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", table)
        existing = await _partitions(connection, table)
    first_kept = max(wanted | existing.keys(), default=_EPOCH) - timedelta(kept_days)
    for day in sorted(wanted - existing.keys()):
        if day >= first_kept:
            await _make(connection, table, day)
    if max(wanted, default=_EPOCH) > max(existing, default=_EPOCH):
        for day, name in existing.items():
            if day < first_kept:
                await _drop(connection, name)
    return (first_kept - _EPOCH).days * _DAY_NS


async def drop_days(
    connection: "asyncpg.Connection[Any]", table: str, newest: date, kept_days: int
) -> None:
    """Drop the partitions of days more than `kept_days` before the newest, in a transaction."""
    for day, name in (await _partitions(connection, table)).items():
        if day < newest - timedelta(kept_days):
            await _drop(connection, name)


async def _partitions(connection: "asyncpg.Connection[Any]", table: str) -> dict[date, str]:
    names = await connection.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = $1::regclass AND relname ~ ('^' || $1 || '_[0-9]{8}$')",
        table,
    )
    return {_day(name): name for (name,) in names}


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _day(partition: str) -> date:
    return datetime.strptime(partition[-8:], "%Y%m%d").replace(tzinfo=UTC).date()


async def _make(connection: "asyncpg.Connection[Any]", table: str, day: date) -> None:
    # A table is attached while others read its parent; one made as a partition is not.
    name = _name(table, day)
    await connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    await connection.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {name} "
        f"FOR VALUES FROM ('{day}T00:00Z') TO ('{day + timedelta(1)}T00:00Z')"
    )


async def _drop(connection: "asyncpg.Connection[Any]", partition: str) -> None:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            await connection.execute(f"DROP TABLE {partition}")
    except asyncpg.LockNotAvailableError:
        _log.warning("old rows stay for another day: the table is being read", table=partition)
