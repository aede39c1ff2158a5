"""An account's activities: its executions, and movements of its cash and positions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    cast,
    literal,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import cash_movements, executions, orders

FILL = "FILL"


class Place(NamedTuple):
    """Place of an activity among all of the venue: nothing else has the same two numbers."""

    sequence: int
    number: int
    """Above 0 for an execution, by trade and side of it; 0 for a movement."""


@dataclass(frozen=True, kw_only=True)
class ActivityFilter:
    """Criteria of a list of activities. Times are exclusive, `since` is inclusive."""

    types: Collection[str]
    limit: int
    oldest_first: bool = False
    since: datetime | None = None
    after: datetime | None = None
    until: datetime | None = None
    beyond: tuple[Place, datetime] | None = None
    """Only activities that follow this one in the list's direction; its time cut to
    milliseconds."""


async def list_activities(
    connection: AsyncConnection, shard_id: int, account_id: int, wanted: ActivityFilter
) -> Sequence[Row[Any]]:
    """Return rows of both tables by time and place, in the direction of `wanted`."""
    found = await connection.execute(activities_query(shard_id, account_id, wanted))
    return list(found.all())


def activities_query(shard_id: int, account_id: int, wanted: ActivityFilter) -> Select[Any]:
    """Return the query of `list_activities`."""
    fills = select(
        literal(FILL).label("type"),
        executions.c.executed_at.label("at"),
        executions.c.sequence,
        (executions.c.trade_id * 2 + case((executions.c.liquidity == "taker", 1), else_=0)).label(
            "number"
        ),
        executions.c.instrument_id,
        executions.c.qty,
        executions.c.order_id,
        executions.c.side,
        executions.c.price,
        executions.c.cum_qty,
        cast(null(), cash_movements.c.amount.type).label("amount"),
    ).where(executions.c.shard_id == shard_id, executions.c.account_id == account_id)
    movements = select(
        cash_movements.c.type,
        cash_movements.c.moved_at.label("at"),
        cash_movements.c.sequence,
        literal(0).label("number"),
        cash_movements.c.instrument_id,
        cash_movements.c.qty,
        cast(null(), executions.c.order_id.type).label("order_id"),
        cast(null(), executions.c.side.type).label("side"),
        cast(null(), executions.c.price.type).label("price"),
        cast(null(), executions.c.cum_qty.type).label("cum_qty"),
        cash_movements.c.amount,
    ).where(
        cash_movements.c.shard_id == shard_id,
        cash_movements.c.account_id == account_id,
        cash_movements.c.type.in_(wanted.types),
    )
    # Each table gives its first rows by its index; the page is among them.
    parts = [_page(movements, wanted)]
    if FILL in wanted.types:
        parts.append(_page(fills, wanted))
    found = union_all(*(select(part.subquery()) for part in parts)).subquery()
    page = select(found, orders.c.qty.label("order_qty")).outerjoin(
        orders, and_(orders.c.shard_id == shard_id, orders.c.order_id == found.c.order_id)
    )
    return _ordered(page, found.c, wanted)


def _page(rows: Select[Any], wanted: ActivityFilter) -> Select[Any]:
    at, sequence, number = (rows.selected_columns[name] for name in ("at", "sequence", "number"))
    if wanted.since is not None:
        rows = rows.where(at >= wanted.since)
    if wanted.after is not None:
        rows = rows.where(at > wanted.after)
    if wanted.until is not None:
        rows = rows.where(at < wanted.until)
    if wanted.beyond is not None:
        place, time = wanted.beyond
        if wanted.oldest_first:
            rows = rows.where(at >= time, tuple_(sequence, number) > place)
        else:
            rows = rows.where(
                at < time + timedelta(milliseconds=1), tuple_(sequence, number) < place
            )
    return _ordered(rows, rows.selected_columns, wanted)


def _ordered(rows: Select[Any], columns: Any, wanted: ActivityFilter) -> Select[Any]:
    order: list[ColumnElement[Any]] = [columns[name] for name in ("at", "sequence", "number")]
    if not wanted.oldest_first:
        order = [column.desc() for column in order]
    return rows.order_by(*order).limit(wanted.limit)
