"""The history of an account's equity."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Row

from openvenue.documents import resources
from openvenue.documents.resources.market_data import number
from openvenue.documents.times import Moment, in_range, utc_date
from openvenue.http import problems
from openvenue.http.dependencies import (
    Authenticated,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.history import history_of
from openvenue.http.openapi import answers
from openvenue.queries.equity import daily_equity
from openvenue.queries.equity_within_days import Point, equity_within_days

Timeframe = Literal["1Min", "5Min", "15Min", "1H", "1D"]
_STEPS: dict[Timeframe, timedelta] = {
    "1Min": timedelta(minutes=1),
    "5Min": timedelta(minutes=5),
    "15Min": timedelta(minutes=15),
    "1H": timedelta(hours=1),
}
_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
_DAYS_MAX = 3660
_STEPS_DAYS_MAX = timedelta(days=30)
_STEPS_MAX = 7 * 24 * 60
_ONE_DAY = timedelta(days=1)
_RATIO_DIGITS = 6

router = APIRouter(tags=["account"])


def _without_effect(
    intraday_reporting: Annotated[
        Literal["market_hours", "extended_hours", "continuous"],
        Query(description="Without effect."),
    ] = "market_hours",
    extended_hours: Annotated[bool, Query(description="Without effect.")] = False,
) -> None:
    """Take what clients send, and what only concerns a market that closes."""


@router.get(
    "/v2/account/portfolio/history",
    openapi_extra=answers(resources.PortfolioHistory, 403, 422, 429),
    dependencies=[Depends(only_known_parameters), Depends(_without_effect)],
)
async def get_portfolio_history(
    worker: WorkerOf,
    principal: Authenticated,
    period: Annotated[
        str | None, Query(description="7D, 2W, 3M or 1A; a month is 30 days.", max_length=10)
    ] = None,
    timeframe: Annotated[
        Timeframe | None,
        Query(description="Default: 1Min for less than 7 days, 15Min for less than 30, else 1D."),
    ] = None,
    start: Moment = None,
    end: Moment = None,
    pnl_reset: Annotated[
        Literal["per_day", "no_reset"],
        Query(description="Whether profits within days count from the equity of the day before."),
    ] = "per_day",
    cashflow_types: Annotated[
        Literal["NONE"], Query(description="Deposits count as no profit anyway.")
    ] = "NONE",
) -> Response:
    """Return the account's equity at the last prices: at the end of each day of UTC, or at the end
    of each step within the days.

    The profit counts from the equity of the day before the first, or from the first deposit, and
    without what was deposited or withdrawn since. Days before the account had anything are left
    out.
    """
    first, last = _days(period, start, end)
    timeframe = timeframe or _usual_timeframe((last - first).days + 1)
    async with history_of(worker, principal.account_id, priced=True) as connection:
        if timeframe == "1D":
            days = await daily_equity(
                connection, principal.shard_id, principal.account_id, first - _ONE_DAY, last
            )
            history = _of_days(days, first)
        else:
            step = _STEPS[timeframe]
            span = _span(first, last, start, end, step)
            base, points = await equity_within_days(
                connection, principal.shard_id, principal.account_id, first, span[1], step
            )
            history = _of_steps(base, points, first, span[0], resets=pnl_reset == "per_day")
    history.timeframe = timeframe
    return json_response(history)


def _of_days(days: Sequence[Row[Any]], first: date) -> resources.PortfolioHistory:
    before, points = days[:1], days[1:]
    if not before or before[0].day >= first:
        before, points = [], days
    base = before[0].equity if before else points[0].flow if points else Decimal(0)
    history = resources.PortfolioHistory(base_value=number(base))
    if before:
        history.base_value_asof = before[0].day.isoformat()
    deposited = Decimal(0) if before else -base
    for point in points:
        deposited += point.flow
        _add(history, _seconds(point.day), point.equity, point.equity - base - deposited, base)
    return history


def _of_steps(
    before: Decimal | None, points: list[Point], first: date, begin: datetime, *, resets: bool
) -> resources.PortfolioHistory:
    """Leave out the points before `begin`; their flows count."""
    base = before if before is not None else points[0].flow if points else Decimal(0)
    history = resources.PortfolioHistory(base_value=number(base))
    if before is not None:
        history.base_value_asof = (first - _ONE_DAY).isoformat()
    day_base, deposited = base, Decimal(0) if before is not None else -base
    for point in points:
        deposited += point.flow
        profit = point.equity - day_base - deposited
        if point.at >= begin:
            _add(history, int(point.at.timestamp()), point.equity, profit, day_base)
        # Midnight ends a day.
        if resets and point.at.astimezone(UTC).time() == time():
            day_base, deposited = point.equity, Decimal(0)
    return history


def _add(
    history: resources.PortfolioHistory, at_s: int, equity: Decimal, profit: Decimal, base: Decimal
) -> None:
    history.timestamp.append(at_s)
    history.equity.append(number(equity))
    history.profit_loss.append(number(profit))
    ratio = number(round(profit / base, _RATIO_DIGITS)) if base > 0 else 0
    history.profit_loss_pct.append(ratio)


def _usual_timeframe(days: int) -> Timeframe:
    return "1Min" if days < 7 else "15Min" if days < 30 else "1D"


def _span(
    first: date, last: date, start: datetime | None, end: datetime | None, step: timedelta
) -> tuple[datetime, datetime]:
    """Return the first and the last moment wanted. Raises Problem 422."""
    days = last - first + _ONE_DAY
    if days > _STEPS_DAYS_MAX or days // step > _STEPS_MAX:
        raise problems.invalid(
            f"timeframe: at most {_STEPS_MAX} points and {_STEPS_DAYS_MAX.days} days, such as "
            "7 days of 1Min; take a longer one, or 1D"
        )
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    begin = midnight if start is None else max(midnight, _floor(in_range(start), step))
    until = midnight + days
    if end is not None:
        until = min(until, _floor(in_range(end), step))
    return begin, min(until, _floor(datetime.now(UTC), step))


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % step


def _days(period: str | None, start: Any, end: Any) -> tuple[date, date]:
    """Return the first and the last day wanted. Raises Problem 422."""
    if None not in (period, start, end):
        raise problems.invalid("give two of period, start and end")
    length = _length(period or "1M")
    if start is not None and end is None and period is not None:
        first = utc_date(start)
        last = first + length - _ONE_DAY
    else:
        last = datetime.now(UTC).date() if end is None else utc_date(end)
        first = last - length + _ONE_DAY if start is None else utc_date(start)
    last = min(last, datetime.now(UTC).date())
    if first > last:
        raise problems.invalid("start must not be after end, nor in the future")
    if (last - first).days >= _DAYS_MAX:
        raise problems.invalid(f"start and end: at most {_DAYS_MAX} days")
    return first, last


def _length(period: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,3})([DWMA])", period)
    if match is None:
        raise problems.invalid("period: it is a number and D, W, M or A")
    days = int(match[1]) * _DAYS[match[2]]
    if days > _DAYS_MAX:
        raise problems.invalid(f"period: at most {_DAYS_MAX} days")
    return timedelta(days=days)


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
