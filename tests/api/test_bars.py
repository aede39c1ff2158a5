"""Bars of every time frame, made of the stored ones, against a second way to make them."""

import random
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from openvenue.db.alchemy import open_engine
from openvenue.db.tables import bars
from openvenue.queries.market import Span, list_bars
from openvenue.queries.timeframes import parse_timeframe
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

BEGIN = datetime(2023, 11, 27, 9, 30, tzinfo=UTC)
DAYS = 420


def start_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0)


def start_of(timeframe: str, moment: datetime) -> datetime:
    """Return the start of a bar by the calendar, not by arithmetic on the epoch."""
    day = start_of_day(moment)
    amount = int(re.sub("[A-Za-z]", "", timeframe))
    if timeframe.endswith("Min"):
        minutes = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)
        return moment - timedelta(minutes=minutes % amount)
    if timeframe.endswith("Hour"):
        hours = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(hours=1)
        return moment.replace(minute=0) - timedelta(hours=hours % amount)
    if timeframe.endswith("Day"):
        return day
    if timeframe.endswith("Week"):
        return day - timedelta(days=moment.weekday())
    return day.replace(day=1, month=(moment.month - 1) // amount * amount + 1)


def stored() -> list[dict[str, Any]]:
    """Return minutes of three bursts a day, with gaps of days, and the days that they make."""
    dice = random.Random(5)
    minutes = []
    for day in range(DAYS):
        if dice.random() < 0.3:
            continue
        for burst in range(3):
            first = BEGIN + timedelta(days=day, hours=6 * burst, minutes=dice.randint(0, 90))
            minutes += [
                minute_bar(first + timedelta(minutes=minute), dice)
                for minute in sorted(dice.sample(range(40), 5))
            ]
    return minutes + grouped(minutes, "1Day")


def minute_bar(started_at: datetime, dice: random.Random) -> dict[str, Any]:
    prices = [Decimal(dice.randint(9000, 11000)) / 100 for _ in range(4)]
    volume = dice.randint(1, 50)
    return {
        "shard_id": 0,
        "instrument_id": 1,
        "timeframe": "1Min",
        "started_at": started_at,
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[3],
        "volume": Decimal(volume),
        "value": volume * prices[1],
        "trades": dice.randint(1, 9),
        "updated_sequence": 1,
    }


def grouped(minutes: list[dict[str, Any]], timeframe: str) -> list[dict[str, Any]]:
    """Make bars of a time frame, oldest first."""
    made: dict[datetime, dict[str, Any]] = {}
    for row in minutes:
        start = start_of(timeframe, row["started_at"])
        if start not in made:
            made[start] = {**row, "timeframe": timeframe, "started_at": start}
            continue
        bar = made[start]
        bar["high"] = max(bar["high"], row["high"])
        bar["low"] = min(bar["low"], row["low"])
        bar["close"] = row["close"]
        for total in ("volume", "value", "trades"):
            bar[total] += row[total]
    return list(made.values())


ROWS = stored()
MINUTES = [row for row in ROWS if row["timeframe"] == "1Min"]
COLUMNS = ("started_at", "open", "high", "low", "close", "volume", "value", "trades")


@pytest.fixture(scope="module")
async def connection(new_migrated_database: Callable[[], str]) -> AsyncIterator[AsyncConnection]:
    engine = open_engine(new_migrated_database(), "test", timeout_s=10)
    async with engine.connect() as connection:
        await connection.execute(insert(bars), ROWS)
        yield connection
    await engine.dispose()


@pytest.mark.parametrize(
    "timeframe",
    [
        *("1Min", "5Min", "7Min", "15Min", "59Min", "1Hour", "4Hour", "23Hour", "1Day", "1Week"),
        *("1Month", "2Month", "3Month", "4Month", "6Month", "12Month"),
    ],
)
async def test_bars_are_made_of_the_stored_ones(
    connection: AsyncConnection, timeframe: str
) -> None:
    expected = [tuple(row[column] for column in COLUMNS) for row in grouped(MINUTES, timeframe)]
    since, until = expected[0][0], expected[-1][0] + timedelta(minutes=1)
    for newest_first in (False, True):
        span = Span(1, since, until, newest_first, limit=100_000)
        rows = await list_bars(connection, 0, span, parse_timeframe(timeframe))
        found = [tuple(getattr(row, column) for column in COLUMNS) for row in rows]
        assert found == (expected[::-1] if newest_first else expected)


async def test_a_bar_that_began_before_the_span_is_not_in_it_and_the_last_one_is_whole(
    connection: AsyncConnection,
) -> None:
    whole = grouped(MINUTES, "1Week")
    since = whole[2]["started_at"] + timedelta(minutes=1)
    until = whole[5]["started_at"] + timedelta(minutes=1)
    span = Span(1, since, until, newest_first=False, limit=10)
    rows = await list_bars(connection, 0, span, parse_timeframe("1Week"))
    assert [row.started_at for row in rows] == [row["started_at"] for row in whole[3:6]]
    assert rows[-1].trades == whole[5]["trades"]


@pytest.mark.parametrize(
    "text",
    ["", "Min", "0Min", "60Min", "24Hour", "2Day", "2Week", "5Month", "1Minute", "1x", "1m\n"],
)
def test_a_time_frame_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1Min to 59Min"):
        parse_timeframe(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [("5T", "5Min"), ("1H", "1hour"), ("1D", "1Day"), ("1min", "1Min"), ("3M", "3Month")],
)
def test_time_frames_have_short_names(text: str, same: str) -> None:
    assert parse_timeframe(text) == parse_timeframe(same)
