"""An account's equity at moments within days, valued at the last prices before each."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.queries.equity import account_at_close, prices_at_close

_ONE_DAY = timedelta(days=1)

# What executions and movements changed in each step, at the step's end.
_CHANGES = text(
    """
SELECT date_bin(:step, executed_at, :begin) + :step AS at, instrument_id,
  sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) AS qty,
  sum(CASE side WHEN 'buy' THEN -qty * price ELSE qty * price END) AS cash, false AS is_flow
FROM executions
WHERE shard_id = :shard_id AND account_id = :account_id
  AND executed_at >= :begin AND executed_at < :end
GROUP BY at, instrument_id
UNION ALL
SELECT date_bin(:step, moved_at, :begin) + :step, instrument_id, coalesce(sum(qty), 0),
  sum(amount), true
FROM cash_movements
WHERE shard_id = :shard_id AND account_id = :account_id AND moved_at >= :begin AND moved_at < :end
GROUP BY 1, instrument_id
"""
)

_PRICES = text(
    """
SELECT DISTINCT ON (at, instrument_id)
  date_bin(:step, started_at, :begin) + :step AS at, instrument_id, close
FROM bars
WHERE shard_id = :shard_id AND instrument_id = ANY(:instrument_ids) AND timeframe = '1Min'
  AND started_at >= :begin AND started_at < :end
ORDER BY at, instrument_id, started_at DESC
"""
)


class Change(NamedTuple):
    """Cash and quantity that an account got until a moment, since the step before."""

    at: datetime
    instrument_id: int | None
    qty: Decimal
    cash: Decimal
    is_flow: bool
    """True for what was deposited or withdrawn: no profit."""


class Price(NamedTuple):
    """The last price of an instrument before a moment."""

    at: datetime
    instrument_id: int
    price: Decimal


class Point(NamedTuple):
    """Equity at a moment, and what was deposited less what was withdrawn since the point before."""

    at: datetime
    equity: Decimal
    flow: Decimal


@dataclass
class Holdings:
    """What an account has, and the last prices of it."""

    cash: Decimal = Decimal(0)
    qty: defaultdict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    prices: dict[int, Decimal] = field(default_factory=dict)
    costs: dict[int, Decimal] = field(default_factory=dict)
    """The value of positions in what never traded."""

    def equity(self) -> Decimal:
        """Return cash and the value of all positions."""
        return self.cash + sum(
            (self._value(instrument_id, qty) for instrument_id, qty in self.qty.items()),
            start=Decimal(0),
        )

    def apply(self, change: Change) -> Decimal:
        """Take a change; return how much of it is a flow."""
        self.cash += change.cash
        if change.instrument_id is not None:
            self.qty[change.instrument_id] += change.qty
        if not change.is_flow:
            return Decimal(0)
        if change.instrument_id is None:
            return change.cash
        return change.cash + self._value(change.instrument_id, change.qty)

    def _value(self, instrument_id: int, qty: Decimal) -> Decimal:
        price = self.prices.get(instrument_id)
        if price is not None:
            return qty * price
        return self.costs.get(instrument_id, Decimal(0)) if qty else Decimal(0)


def points_of(
    holdings: Holdings,
    changes: Iterable[Change],
    prices: Iterable[Price],
    moments: Iterable[datetime],
) -> Iterator[Point]:
    """Yield a point for each moment. `holdings`, those before the first, take the changes."""
    changed: defaultdict[datetime, list[Change]] = defaultdict(list)
    for change in changes:
        changed[change.at].append(change)
    priced: defaultdict[datetime, list[Price]] = defaultdict(list)
    for price in prices:
        priced[price.at].append(price)
    for moment in moments:
        for price in priced[moment]:
            holdings.prices[price.instrument_id] = price.price
        flow = sum((holdings.apply(change) for change in changed[moment]), start=Decimal(0))
        yield Point(moment, holdings.equity(), flow)


async def equity_within_days(
    connection: AsyncConnection,
    shard_id: int,
    account_id: int,
    first_day: date,
    end: datetime,
    step: timedelta,
) -> tuple[Decimal | None, list[Point]]:
    """Return the equity before the first day (UTC), None if there was none, and a point for each
    step of the days until `end`, from the first one on at which the account had something.

    A step divides a day.
    """
    day_before = first_day - _ONE_DAY
    before = await account_at_close(connection, shard_id, account_id, day_before)
    at_end = await account_at_close(connection, shard_id, account_id, end.astimezone(UTC).date())
    begin = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    steps = {"shard_id": shard_id, "begin": begin, "end": end, "step": step}
    changes = [
        Change(*row)
        for row in await connection.execute(_CHANGES, {**steps, "account_id": account_id})
    ]
    ids = before.positions.keys() | {change.instrument_id for change in changes}
    instrument_ids = [each for each in ids if each is not None]
    closes = await prices_at_close(connection, shard_id, instrument_ids, day_before)
    prices = await connection.execute(_PRICES, {**steps, "instrument_ids": instrument_ids})

    positions = before.positions | at_end.positions
    holdings = Holdings(prices=closes, costs={each: row.cost for each, row in positions.items()})
    for each, row in before.positions.items():
        holdings.qty[each] = row.qty
    holdings.cash = (before.equity or Decimal(0)) - holdings.equity()

    first = begin + step
    if before.equity is None:
        first = min((change.at for change in changes), default=end + step)
    priced = [Price(*row) for row in prices]
    moments = _moments(first, end, step)
    # Thousands of points of many positions take longer than other requests may wait.
    points = await asyncio.to_thread(lambda: list(points_of(holdings, changes, priced, moments)))
    return before.equity, points


def _moments(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    moment = first
    while moment <= last:
        yield moment
        moment += step
