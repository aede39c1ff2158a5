"""The clock and the calendar: the venue trades around the clock, on every day of the week.

All times are UTC. A trading day of 24 hours ends when DAY orders expire, and the next one begins at
that moment; it has the date of its end.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents import resources
from openvenue.documents.times import Moment, format_ns, in_range, now_ns, ns_of, utc_date
from openvenue.engine.trading_day import TradingDay
from openvenue.http import problems
from openvenue.http.dependencies import (
    ReaderOfMarketData,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.openapi import answers

_FIRST, _LAST = date(1970, 1, 1), date(2029, 12, 31)  # as Alpaca's
_DAY = timedelta(days=1)
_DEFAULT_LENGTH = timedelta(days=7)
# Clients sleep until `next_open`, and wake in the next trading day.
_OPENS_AFTER_NS = 1_000_000_000

# The exchange that the assets name, in Alpaca's words.
_MARKET = resources.Market("NASDAQ", "XNAS", "OpenVenue", "UTC")
_MARKET_NAMES = (_MARKET.acronym, _MARKET.mic)

Day = TypeVar("Day", resources.CalendarDay, resources.MarketDay)

router = APIRouter(tags=["market"])


@router.get("/v2/clock", openapi_extra=answers(resources.Clock))
async def get_clock(worker: WorkerOf, _principal: ReaderOfMarketData) -> Response:
    """Return the time. The venue is always open; `next_close` is the end of the trading day."""
    end_ns = await worker.trading_day.end_ns()
    return json_response(
        resources.Clock(
            timestamp=format_ns(now_ns()),
            is_open=True,
            next_open=format_ns(end_ns + _OPENS_AFTER_NS),
            next_close=format_ns(end_ns),
        )
    )


@router.get(
    "/v2/calendar",
    openapi_extra=answers(list[resources.CalendarDay], 422),
    dependencies=[Depends(only_known_parameters)],
)
async def get_calendar(
    _worker: WorkerOf,
    _principal: ReaderOfMarketData,
    start: Moment = None,
    end: Moment = None,
    date_type: Annotated[
        Literal["TRADING", "SETTLEMENT"],
        Query(description="Without effect: trades settle at once."),
    ] = "TRADING",
) -> Response:
    """List the days from `start` to `end`, both included: all from 1970 to 2029 are market days."""
    first = _FIRST if start is None else utc_date(start)
    last = _LAST if end is None else utc_date(end)
    return json_response(_between(first, last, _calendar_days()))


@router.get(
    "/v3/clock",
    openapi_extra=answers(resources.MarketClocks, 422),
    dependencies=[Depends(only_known_parameters)],
)
async def get_market_clocks(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    markets: Annotated[
        str | None, Query(description="Comma-separated; this venue is NASDAQ, or XNAS.")
    ] = None,
    time: Annotated[Moment, Query(description="Instead of now.")] = None,
) -> Response:
    """Return the venue's clock."""
    for name in (markets or _MARKET.acronym).split(","):
        if name.strip() not in _MARKET_NAMES:
            raise problems.invalid(_no_market(name.strip()))
    await worker.trading_day.end_ns()
    clock_ns = now_ns() if time is None else ns_of(in_range(time))
    end_ns = worker.trading_day.end_after(clock_ns)
    clock = resources.MarketClock(
        market=_MARKET,
        timestamp=format_ns(clock_ns),
        is_market_day=True,
        next_market_open=format_ns(end_ns + _OPENS_AFTER_NS),
        next_market_close=format_ns(end_ns),
        phase="core",
        phase_until=format_ns(end_ns),
    )
    return json_response(resources.MarketClocks([clock]))


@router.get(
    "/v3/calendar/{market}",
    openapi_extra=answers(
        resources.MarketCalendar, 404, 422, meanings={404: "This venue is no such market"}
    ),
    dependencies=[Depends(only_known_parameters)],
)
async def get_market_calendar(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    market: str,
    start: Annotated[Moment, Query(description="Today if it is left out.")] = None,
    end: Annotated[Moment, Query(description="A week after `start` if it is left out.")] = None,
    timezone: Literal["UTC"] = "UTC",
) -> Response:
    """List the venue's trading days from `start` to `end`, both included."""
    if market not in _MARKET_NAMES:
        raise problems.not_found(_no_market(market))
    day_end_ns = await worker.trading_day.end_ns() % TradingDay.LENGTH_NS
    first = datetime.now(UTC).date() if start is None else utc_date(start)
    last = min(first, _LAST) + _DEFAULT_LENGTH if end is None else utc_date(end)
    days = _between(first, last, _trading_days(day_end_ns))
    return json_response(resources.MarketCalendar(_MARKET, days))


def _between(first: date, last: date, days: Sequence[Day]) -> Sequence[Day]:
    """Return the days from `first` to `last` of all days. Raises Problem 422."""
    if first > last:
        raise problems.invalid("start must not be after end")
    return days[max(0, (first - _FIRST).days) : max(0, (last - _FIRST).days + 1)]


# Clients ask for all days at once; they are the same every time.
@cache
def _calendar_days() -> Sequence[resources.CalendarDay]:
    return [resources.CalendarDay(day, settlement_date=day) for day in _dates()]


@lru_cache(maxsize=1)
def _trading_days(day_end_ns: int) -> Sequence[resources.MarketDay]:
    """Return every trading day; `day_end_ns` is the time of day in UTC at which each one ends."""
    ends_ns = itertools.count(day_end_ns or TradingDay.LENGTH_NS, TradingDay.LENGTH_NS)
    return [
        resources.MarketDay(
            day,
            core_start=format_ns(end_ns - TradingDay.LENGTH_NS),
            core_end=format_ns(end_ns),
            settlement_date=day,
        )
        for day, end_ns in zip(_dates(), ends_ns, strict=False)
    ]


def _dates() -> list[str]:
    return [(_FIRST + number * _DAY).isoformat() for number in range((_LAST - _FIRST).days + 1)]


def _no_market(name: str) -> str:
    return f"this venue is no market {name!r}: ask for {' or '.join(_MARKET_NAMES)}"
