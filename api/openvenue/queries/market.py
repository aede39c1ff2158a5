"""Public market data in the database: trades, quotes and bars of an instrument."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Row,
    Select,
    Table,
    cast,
    column,
    func,
    lateral,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import bars, market_offsets, quotes, trades
from openvenue.queries.timeframes import Timeframe

Rows = Sequence[Row[Any]]


class Span(NamedTuple):
    """A part of an instrument's history, in the order wanted; `until` is exclusive."""

    instrument_id: int
    since: datetime
    until: datetime
    newest_first: bool
    limit: int


async def list_trades(
    connection: AsyncConnection,
    shard_id: int,
    span: Span,
    after: tuple[datetime, int] | None = None,
) -> Rows:
    """Return rows of `trades`; those that follow the one executed at `after[0]` with that id."""
    query = _listed(trades, trades.c.executed_at, trades.c.trade_id, shard_id, span, after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def list_quotes(
    connection: AsyncConnection,
    shard_id: int,
    span: Span,
    after: tuple[datetime, int] | None = None,
) -> Rows:
    """Return rows of `quotes`; those that follow the one at `after[0]` of that entry."""
    query = _listed(quotes, quotes.c.quoted_at, quotes.c.sequence, shard_id, span, after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def list_bars(
    connection: AsyncConnection, shard_id: int, span: Span, timeframe: Timeframe
) -> Rows:
    """Return bars that begin within the span: `started_at` and the columns of `bars`."""
    rows: Rows = (await connection.execute(bars_query(shard_id, span, timeframe))).all()
    return rows


def bars_query(shard_id: int, span: Span, timeframe: Timeframe) -> Select[Any]:
    """Return the query of `list_bars`."""
    begin, end = timeframe.cover(span.since, span.until)
    query = _bars(shard_id, timeframe.source).where(
        bars.c.instrument_id == span.instrument_id,
        bars.c.started_at >= begin,
        bars.c.started_at < end,
    )
    start: ColumnElement[Any] = bars.c.started_at
    if not timeframe.stored:
        made = query.add_columns(timeframe.start_of(start).label("frame")).subquery()
        start = made.c.frame
        first = aggregate_order_by(made.c.open, made.c.started_at)
        last = aggregate_order_by(made.c.close, made.c.started_at.desc())
        query = select(
            start.label("started_at"),
            func.array_agg(first)[1].label("open"),
            func.max(made.c.high).label("high"),
            func.min(made.c.low).label("low"),
            func.array_agg(last)[1].label("close"),
            func.sum(made.c.volume).label("volume"),
            func.sum(made.c.value).label("value"),
            func.sum(made.c.trades).label("trades"),
        ).group_by(start)
    return query.order_by(start.desc() if span.newest_first else start).limit(span.limit)


async def latest_trades(
    connection: AsyncConnection, shard_id: int, instrument_ids: Sequence[int]
) -> dict[int, Row[Any]]:
    """Return the last trade of each instrument that has one."""
    wanted = _unnested(instrument_ids)
    last = lateral(
        select(trades)
        .where(trades.c.shard_id == shard_id, trades.c.instrument_id == wanted.c.wanted_id)
        .order_by(trades.c.executed_at.desc(), trades.c.trade_id.desc())
        .limit(1)
    )
    query = select(last).select_from(wanted.join(last, true()))
    return {row.instrument_id: row for row in await connection.execute(query)}


async def latest_bars(
    connection: AsyncConnection,
    shard_id: int,
    instrument_ids: Sequence[int],
    source: str,
    *,
    count: int = 1,
) -> dict[int, list[Row[Any]]]:
    """Return the last bars of each instrument that has any, newest first."""
    wanted = _unnested(instrument_ids)
    last = lateral(
        _bars(shard_id, source)
        .where(bars.c.instrument_id == wanted.c.wanted_id)
        .order_by(bars.c.started_at.desc())
        .limit(count)
    )
    query = select(last).select_from(wanted.join(last, true()))
    found: dict[int, list[Row[Any]]] = {}
    for row in await connection.execute(query.order_by(last.c.started_at.desc())):
        found.setdefault(row.instrument_id, []).append(row)
    return found


def _listed(
    table: Table,
    time: Column[Any],
    number: Column[Any],
    shard_id: int,
    span: Span,
    after: tuple[datetime, int] | None,
) -> Select[Any]:
    """Return the query of a span's rows by time; those of one time are ordered by number."""
    query = select(table).where(
        table.c.shard_id == shard_id,
        table.c.instrument_id == span.instrument_id,
        time >= span.since,
        time < span.until,
    )
    key = tuple_(time, number)
    if after is not None:
        query = query.where(key < after if span.newest_first else key > after)
    order = (time.desc(), number.desc()) if span.newest_first else (time, number)
    return query.order_by(*order).limit(span.limit)


def _bars(shard_id: int, source: str) -> Select[Any]:
    return select(bars).where(bars.c.shard_id == shard_id, bars.c.timeframe == source)


def _unnested(instrument_ids: Sequence[int]) -> Any:
    return (
        func.unnest(cast(literal(list(instrument_ids), ARRAY(BigInteger)), ARRAY(BigInteger)))
        .table_valued(column("wanted_id", BigInteger))
        .render_derived()
    )


async def traded_by(
    connection: AsyncConnection, shard_id: int, sequence: int, day: datetime
) -> tuple[Rows, Rows] | None:
    """Return what was traded on a day (UTC) up to an entry, each in its order: minute bars, with
    the columns of `bars`, and the trades since the last of them, with those of `trades`.

    None if market data is not that far. Precondition: the connection's transaction is REPEATABLE
    READ.
    """
    offset = select(market_offsets.c.sequence).where(market_offsets.c.shard_id == shard_id)
    if ((await connection.execute(offset)).scalar() or 0) < sequence:
        return None
    minutes = (
        select(bars)
        .where(
            bars.c.shard_id == shard_id,
            bars.c.timeframe == "1Min",
            bars.c.started_at >= day,
            bars.c.started_at < day + timedelta(days=1),
        )
        .order_by(bars.c.started_at)
    )
    found = (await connection.execute(minutes)).all()
    # Later trades are in these minutes too.
    unfinished = next((row.started_at for row in found if row.updated_sequence > sequence), None)
    if unfinished is None:
        return found, ()
    rest = (
        select(trades)
        .where(
            trades.c.shard_id == shard_id,
            trades.c.executed_at >= unfinished,
            trades.c.sequence <= sequence,
        )
        .order_by(trades.c.trade_id)
    )
    whole = [row for row in found if row.started_at < unfinished]
    return whole, (await connection.execute(rest)).all()
