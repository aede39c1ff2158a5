"""An account's equity at the end of days of UTC, valued at each day's last prices."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

# A position in what never traded is worth what it cost.
_EQUITY = text(
    """
WITH days AS (
  SELECT day::date AS day
  FROM generate_series(CAST(:first AS timestamp), CAST(:last AS timestamp), interval '1 day') AS day
)
SELECT days.day, cash.cash + coalesce(held.value, 0) AS equity, coalesce(moved.flow, 0) AS flow
FROM days
JOIN LATERAL (
  SELECT c.cash FROM daily_cash AS c
  WHERE c.shard_id = :shard_id AND c.account_id = :account_id AND c.day <= days.day
  ORDER BY c.day DESC LIMIT 1
) AS cash ON true
LEFT JOIN LATERAL (
  SELECT sum(coalesce(p.qty * b.close, p.cost)) AS value
  FROM (
    SELECT DISTINCT ON (d.instrument_id) d.instrument_id, d.qty, d.cost FROM daily_positions AS d
    WHERE d.shard_id = :shard_id AND d.account_id = :account_id AND d.day <= days.day
    ORDER BY d.instrument_id, d.day DESC
  ) AS p
  LEFT JOIN LATERAL (
    SELECT close FROM bars
    WHERE shard_id = :shard_id AND instrument_id = p.instrument_id AND timeframe = '1Day'
      AND started_at <= days.day::timestamp AT TIME ZONE 'UTC'
    ORDER BY started_at DESC LIMIT 1
  ) AS b ON true
  WHERE p.qty <> 0
) AS held ON true
LEFT JOIN LATERAL (
  SELECT sum(m.amount + coalesce(m.qty * b.close, 0)) AS flow
  FROM cash_movements AS m
  LEFT JOIN LATERAL (
    SELECT close FROM bars
    WHERE shard_id = :shard_id AND instrument_id = m.instrument_id AND timeframe = '1Day'
      AND started_at <= days.day::timestamp AT TIME ZONE 'UTC'
    ORDER BY started_at DESC LIMIT 1
  ) AS b ON true
  WHERE m.shard_id = :shard_id AND m.account_id = :account_id
    AND m.moved_at >= days.day::timestamp AT TIME ZONE 'UTC'
    AND m.moved_at < (days.day + 1)::timestamp AT TIME ZONE 'UTC'
) AS moved ON true
ORDER BY days.day
"""
)

_POSITIONS = text(
    """
SELECT DISTINCT ON (instrument_id) instrument_id, qty, cost FROM daily_positions
WHERE shard_id = :shard_id AND account_id = :account_id AND day <= :day
ORDER BY instrument_id, day DESC
"""
)

_CLOSES = text(
    """
SELECT i.instrument_id, b.close
FROM unnest(CAST(:instrument_ids AS bigint[])) AS i(instrument_id)
JOIN LATERAL (
  SELECT close FROM bars
  WHERE shard_id = :shard_id AND instrument_id = i.instrument_id AND timeframe = '1Day'
    AND started_at <= CAST(CAST(:day AS date) AS timestamp) AT TIME ZONE 'UTC'
  ORDER BY started_at DESC LIMIT 1
) AS b ON true
"""
)


class AtClose(NamedTuple):
    """What an account had at the end of a day."""

    equity: Decimal | None
    """None if the account had nothing yet."""
    positions: dict[int, Row[Any]]
    """`qty` and `cost` by instrument."""


class DayBefore(NamedTuple):
    """An account, and the prices of all assets, at the end of the day before."""

    account: AtClose
    prices: dict[int, Decimal]
    """By instrument; what had never traded has none."""


async def daily_equity(
    connection: AsyncConnection, shard_id: int, account_id: int, first: date, last: date
) -> Sequence[Row[Any]]:
    """Return `day`, `equity` and `flow` of each day on which the account had something.

    The flow is what was deposited on the day, less what was withdrawn.
    """
    parameters = {"shard_id": shard_id, "account_id": account_id, "first": first, "last": last}
    return (await connection.execute(_EQUITY, parameters)).all()


async def account_at_close(
    connection: AsyncConnection, shard_id: int, account_id: int, day: date
) -> AtClose:
    """Return an account at the end of a day."""
    parameters = {"shard_id": shard_id, "account_id": account_id, "day": day}
    days = await daily_equity(connection, shard_id, account_id, day, day)
    positions = await connection.execute(_POSITIONS, parameters)
    equity = days[0].equity if days else None
    return AtClose(equity, {row.instrument_id: row for row in positions})


async def prices_at_close(
    connection: AsyncConnection, shard_id: int, instrument_ids: Sequence[int], day: date
) -> dict[int, Decimal]:
    """Return the last prices at the end of a day; what had never traded has none."""
    parameters = {"shard_id": shard_id, "instrument_ids": list(instrument_ids), "day": day}
    rows = await connection.execute(_CLOSES, parameters)
    return {row.instrument_id: row.close for row in rows}
