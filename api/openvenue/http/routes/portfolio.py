"""The history of an account's equity, a point a day."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents import resources
from openvenue.documents.resources.market_data import number
from openvenue.documents.times import Moment, utc_date
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

_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
_DAYS_MAX = 3660
_ONE_DAY = timedelta(days=1)
_RATIO_DIGITS = 6

router = APIRouter(tags=["account"])


def _without_effect(
    intraday_reporting: Annotated[
        Literal["market_hours", "extended_hours", "continuous"],
        Query(description="Without effect."),
    ] = "market_hours",
    pnl_reset: Annotated[
        Literal["per_day", "no_reset"], Query(description="Without effect.")
    ] = "per_day",
    extended_hours: Annotated[bool, Query(description="Without effect.")] = False,
) -> None:
    """Take what clients send, and what only concerns points within a day."""


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
    timeframe: Annotated[Literal["1D"], Query(description="A point a day of UTC.")] = "1D",
    start: Moment = None,
    end: Moment = None,
    cashflow_types: Annotated[
        Literal["NONE"], Query(description="Deposits count as no profit anyway.")
    ] = "NONE",
) -> Response:
    """Return the account's equity at the end of each day, at that day's last prices.

    The profit counts from the equity of the day before the first, or from the first deposit, and
    without what was deposited or withdrawn since. Days before the account had anything are left
    out.
    """
    first, last = _days(period, start, end)
    async with history_of(worker, principal.account_id) as connection:
        days = await daily_equity(
            connection, principal.shard_id, principal.account_id, first - _ONE_DAY, last
        )
    before, points = days[:1], days[1:]
    if not before or before[0].day >= first:
        before, points = [], days
    base = before[0].equity if before else points[0].flow if points else Decimal(0)
    history = resources.PortfolioHistory(base_value=number(base), timeframe=timeframe)
    if before:
        history.base_value_asof = before[0].day.isoformat()
    deposited = Decimal(0) if before else -base
    for point in points:
        deposited += point.flow
        profit = point.equity - base - deposited
        history.timestamp.append(_seconds(point.day))
        history.equity.append(number(point.equity))
        history.profit_loss.append(number(profit))
        history.profit_loss_pct.append(
            number(round(profit / base, _RATIO_DIGITS)) if base > 0 else 0
        )
    return json_response(history)


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
