"""Shared by the market data routes: symbols, spans, pages, and reads of books and database."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import Depends, Query
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue import units
from openvenue.documents.resources import market_data as documents
from openvenue.documents.resources.market_data import (
    Bar,
    Orderbook,
    Snapshot,
)
from openvenue.documents.times import Moment, format_ns, in_range, now_ns
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import unary_call
from openvenue.http.history import answering_for_database
from openvenue.http.worker import Worker
from openvenue.queries import market
from openvenue.queries.market import Rows, Span
from openvenue.queries.timeframes import Timeframe, parse_timeframe
from openvenue.vocabulary import AssetClass

BOOK_DEPTH_MAX = 1000
SYMBOLS_MAX = 100
NO_QUOTES = {404: "The venue keeps no history of quotes"}
_BOOKS_AT_ONCE = 8


class Wanted(NamedTuple):
    """Which part of a history a request asks for; `until` is exclusive."""

    since: datetime
    until: datetime
    limit: int
    page_token: str | None
    newest_first: bool


def _wanted(
    start: Annotated[Moment, Query(description="Inclusive; today in UTC if left out.")] = None,
    end: Annotated[Moment, Query(description="Inclusive; now if left out.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Of all symbols together.")] = 1000,
    page_token: Annotated[str | None, Query(max_length=200)] = None,
    sort: Literal["asc", "desc"] = "asc",
) -> Wanted:
    now = datetime.now(UTC)
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) if start is None else start
    until = now if end is None else end
    since, until = in_range(since), in_range(until) + timedelta.resolution
    return Wanted(since, until, limit, page_token, sort == "desc")


WantedSpan = Annotated[Wanted, Depends(_wanted)]


def wanted_timeframe(
    timeframe: Annotated[str, Query(description="1Min, 5Min, 1Hour, 1Day, 1Week, 1Month, …")],
) -> Timeframe:
    """Return the time frame that a request asks for. Raises Problem 422."""
    try:
        return parse_timeframe(timeframe)
    except ValueError as error:
        raise problems.invalid(f"timeframe: {error}") from None


WantedTimeframe = Annotated[Timeframe, Depends(wanted_timeframe)]


class Page(NamedTuple):
    """A part of a history by symbol, and where the next one begins."""

    items: dict[str, list[Any]]
    next_page_token: str | None


class _After(msgspec.Struct, array_like=True):
    """Where a page ended: its last item's symbol, time and number.

    A trade's number is its id, a quote's that of its journal entry; a bar has none.
    """

    symbol: str
    at: Annotated[datetime, Meta(tz=True)]
    number: Annotated[int, Meta(ge=0, le=units.INT64_MAX)] = 0


async def instruments_of(worker: Worker, symbols: str, asset_class: AssetClass) -> list[Instrument]:
    """Return those of comma-separated symbols that the venue has in the class, by symbol."""
    names = {name.strip() for name in symbols.split(",")} - {""}
    if not names:
        raise problems.invalid("symbols: name at least one")
    if len(names) > SYMBOLS_MAX:
        raise problems.invalid(f"symbols names more than {SYMBOLS_MAX} symbols")
    found = await asyncio.gather(*(worker.instruments.find(name) for name in names))
    of_class = {each.symbol: each for each in found if each and each.asset_class == asset_class}
    return [of_class[symbol] for symbol in sorted(of_class)]


async def stock_of(worker: Worker, symbol: str) -> Instrument:
    """Return the stock of a symbol. Raises Problem 404."""
    instrument = await worker.instruments.find(symbol)
    if instrument is None or instrument.asset_class != "us_equity":
        raise problems.not_found(f"asset not found for {symbol}")
    return instrument


async def trades_page(worker: Worker, instruments: Sequence[Instrument], wanted: Wanted) -> Page:
    """Return a page of the instruments' trades."""

    async def read(connection: AsyncConnection, span: Span, after: _After | None) -> Rows:
        return await market.list_trades(connection, worker.settings.shard_id, span, _key(after))

    def last(symbol: str, row: Any) -> _After:
        return _After(symbol, row.executed_at, row.trade_id)

    return await _page(worker, instruments, wanted, read, last, documents.trade)


async def quotes_page(worker: Worker, instruments: Sequence[Instrument], wanted: Wanted) -> Page:
    """Return a page of the instruments' quotes. Raises Problem 404 if the venue keeps none."""
    if not worker.settings.quotes_history:
        # An empty list would say that nobody quoted.
        raise problems.not_found(
            "this venue keeps no history of quotes: read quotes/latest, or follow the stream"
        )

    async def read(connection: AsyncConnection, span: Span, after: _After | None) -> Rows:
        return await market.list_quotes(connection, worker.settings.shard_id, span, _key(after))

    def last(symbol: str, row: Any) -> _After:
        return _After(symbol, row.quoted_at, row.sequence)

    return await _page(worker, instruments, wanted, read, last, documents.quote)


def _key(after: _After | None) -> tuple[datetime, int] | None:
    return None if after is None else (after.at, after.number)


async def bars_page(
    worker: Worker, instruments: Sequence[Instrument], wanted: Wanted, timeframe: Timeframe
) -> Page:
    """Return a page of the instruments' bars."""

    async def read(connection: AsyncConnection, span: Span, after: _After | None) -> Rows:
        if after is not None and span.newest_first:
            span = span._replace(until=min(span.until, after.at))
        elif after is not None:
            span = span._replace(since=max(span.since, timeframe.after(after.at)))
        return await market.list_bars(connection, worker.settings.shard_id, span, timeframe)

    def last(symbol: str, row: Any) -> _After:
        return _After(symbol, row.started_at)

    def document(row: Any, _instrument: Instrument) -> documents.Bar:
        return documents.bar(row)

    return await _page(worker, instruments, wanted, read, last, document)


async def _page(
    worker: Worker,
    instruments: Sequence[Instrument],
    wanted: Wanted,
    read: Callable[[AsyncConnection, Span, _After | None], Awaitable[Rows]],
    last: Callable[[str, Any], _After],
    document: Callable[[Any, Instrument], Any],
) -> Page:
    """Read symbol by symbol until the page is full. A symbol without items is left out."""
    after = None if not wanted.page_token else _decoded(wanted.page_token)
    end = after
    items: dict[str, list[Any]] = {}
    room = wanted.limit
    async with market_database(worker) as connection:
        for instrument in instruments:
            symbol = instrument.symbol
            if after is not None and symbol < after.symbol:
                continue
            span = Span(
                instrument.instrument_id,
                wanted.since,
                wanted.until,
                wanted.newest_first,
                limit=room + 1,
            )
            here = after if after is not None and symbol == after.symbol else None
            rows = await read(connection, span, here)
            if rows[:room]:
                items[symbol] = [document(row, instrument) for row in rows[:room]]
            if len(rows) > room:
                end = last(symbol, rows[room - 1]) if room else end
                return Page(items, _encoded(end))
            if rows:
                end = last(symbol, rows[-1])
            room -= len(rows)
    return Page(items, None)


def _encoded(after: _After | None) -> str | None:
    return base64.urlsafe_b64encode(msgspec.json.encode(after)).decode()


def _decoded(token: str) -> _After:
    """Raises Problem 422 if it is no token of ours."""
    try:
        after = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_After)
    except ValueError:
        raise problems.invalid("page_token: it came with no earlier page") from None
    after.at = in_range(after.at)
    return after


async def latest_trades(worker: Worker, instruments: Sequence[Instrument]) -> dict[str, Any]:
    """Return the last trade of each instrument that has one, by symbol."""
    async with market_database(worker) as connection:
        rows = await market.latest_trades(connection, worker.settings.shard_id, _ids(instruments))
    return {
        each.symbol: documents.trade(rows[each.instrument_id], each)
        for each in instruments
        if each.instrument_id in rows
    }


async def latest_bars(worker: Worker, instruments: Sequence[Instrument]) -> dict[str, Bar]:
    """Return the last bar of a minute of each instrument that has one, by symbol."""
    async with market_database(worker) as connection:
        rows = await market.latest_bars(
            connection, worker.settings.shard_id, _ids(instruments), "1Min"
        )
    return {
        each.symbol: documents.bar(rows[each.instrument_id][0])
        for each in instruments
        if each.instrument_id in rows
    }


async def latest_quotes(worker: Worker, instruments: Sequence[Instrument]) -> dict[str, Any]:
    """Return the best bid and ask of each instrument, by symbol."""
    books = await _books(worker, instruments, depth=1)
    at = format_ns(now_ns())
    return {
        each.symbol: documents.quote_of_book(books[each.symbol], at, each) for each in instruments
    }


async def orderbooks(worker: Worker, instruments: Sequence[Instrument]) -> dict[str, Orderbook]:
    """Return the best levels of each instrument's book, by symbol."""
    books = await _books(worker, instruments, BOOK_DEPTH_MAX)
    at = format_ns(now_ns())
    return {each.symbol: documents.orderbook(books[each.symbol], at, each) for each in instruments}


async def snapshots(
    worker: Worker, instruments: Sequence[Instrument]
) -> dict[str, Snapshot[Any, Any]]:
    """Return what is known of each instrument now, by symbol."""
    shard_id, ids = worker.settings.shard_id, _ids(instruments)
    async with market_database(worker) as connection:
        trades = await market.latest_trades(connection, shard_id, ids)
        minutes = await market.latest_bars(connection, shard_id, ids, "1Min")
        days = await market.latest_bars(connection, shard_id, ids, "1Day", count=2)
    quotes = await latest_quotes(worker, instruments)
    found: dict[str, Snapshot[Any, Any]] = {}
    for each in instruments:
        number = each.instrument_id
        snapshot: Snapshot[Any, Any] = Snapshot(quotes[each.symbol])
        found[each.symbol] = snapshot
        if number in trades:
            snapshot.latest_trade = documents.trade(trades[number], each)
        if number in minutes:
            snapshot.minute_bar = documents.bar(minutes[number][0])
            snapshot.daily_bar, *before = map(documents.bar, days[number])
            if before:
                snapshot.prev_daily_bar = before[0]
    return found


async def _books(
    worker: Worker, instruments: Sequence[Instrument], depth: int
) -> dict[str, pb.BookSnapshot]:
    turns = asyncio.Semaphore(_BOOKS_AT_ONCE)

    async def read(instrument: Instrument) -> pb.BookSnapshot:
        async with turns:
            return await read_book(worker, instrument, depth)

    books = await asyncio.gather(*(read(each) for each in instruments))
    return dict(zip((each.symbol for each in instruments), books, strict=True))


async def read_book(worker: Worker, instrument: Instrument, depth: int) -> pb.BookSnapshot:
    """Return an instrument's book as the engine holds it. Raises Problem 429 or 503."""
    request = pb.GetBookRequest(
        instrument_id=instrument.instrument_id, depth=depth, shard_id=worker.settings.shard_id
    )
    with unary_call(worker):
        book: pb.BookSnapshot = await worker.engine.market_data.GetBook(
            request, timeout=worker.settings.engine_reply_timeout_s
        )
    return book


def _ids(instruments: Sequence[Instrument]) -> list[int]:
    return [each.instrument_id for each in instruments]


@asynccontextmanager
async def market_database(worker: Worker) -> AsyncIterator[AsyncConnection]:
    """Lend a connection to read market data. Raises Problem 503 if the database is down."""
    with answering_for_database("market data cannot be read at the moment"):
        async with worker.database.connect() as connection:
            yield connection
