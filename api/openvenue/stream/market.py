"""Folds journal entries into market data: trades, quotes, changes of books, and bars.

It is a pure function of the entries, and of the times at which bars are closed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from zlib import crc32

from openvenue import units
from openvenue.documents.resources.market_data import (
    EXCHANGE,
    QUOTE_CONDITION,
    TAPE,
    TRADE_CONDITION,
    number_of_nanos,
)
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.journal.books import Books, BookTrade, Top, TouchedLevel
from openvenue.stream.messages import (
    Bar,
    Channel,
    DailyBar,
    Document,
    Level,
    OrderBook,
    Quote,
    Time,
    Trade,
    UpdatedBar,
)

CHECKED_LEVELS = 10
MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS

Publication = tuple[Channel, Document]


@dataclass(slots=True)
class Interval:
    """Trades of one instrument in a minute or a day, in ticks and lots."""

    start_ns: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    value: int = 0
    trades: int = 0
    sent: bool = False

    @classmethod
    def beginning(cls, start_ns: int, price: int) -> "Interval":
        return cls(start_ns, price, price, price, price)

    def extend(self, later: "Interval") -> None:
        """Add the trades of an interval that follows."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.value += later.value
        self.trades += later.trades

    def add(self, trade: BookTrade) -> None:
        self.high = max(self.high, trade.price_ticks)
        self.low = min(self.low, trade.price_ticks)
        self.close = trade.price_ticks
        self.lots += trade.qty_lots
        self.value += trade.qty_lots * trade.price_ticks
        self.trades += 1


class MarketData:
    """The books of all instruments, their last quotes and current bars.

    `instruments` must know each entry's instrument before the entry is applied. A bar is sent only
    if all its trades were seen: it began at `whole_from_ns` or later; None: at the first entry.
    `has_readers` says of a channel whether anybody gets its messages. `days` are the trades of the
    day before the first entry, by instrument, None if they are not known.
    """

    def __init__(
        self,
        books: Books,
        instruments: Mapping[int, Instrument],
        whole_from_ns: int | None,
        has_readers: Callable[[Channel], bool],
        days: Mapping[int, Interval] | None,
    ) -> None:
        self.books = books
        self._instruments = instruments
        self._whole_from_ns = whole_from_ns
        self._has_readers = has_readers
        self._minutes: dict[int, Interval] = {}
        self._days = dict(days or {})
        self._days_are_whole = days is not None
        self._minute_end_ns: int | None = None

    def apply(self, entry: pb.JournalEntry) -> Iterator[Publication]:
        """Fold the entry that follows those folded before."""
        if self._whole_from_ns is None:
            self._whole_from_ns = entry.timestamp_ns
        changes = self.books.apply(entry)
        for trade in changes.trades:
            instrument = self._instruments[trade.instrument_id]
            yield _channel(instrument, "trades"), _trade(instrument, trade)
            yield from self._count(instrument, trade)
        touched: dict[int, list[TouchedLevel]] = {}
        for level in changes.levels:
            touched.setdefault(level.instrument_id, []).append(level)
        for instrument_id, levels in touched.items():
            instrument = self._instruments[instrument_id]
            time = Time(entry.timestamp_ns)
            top = changes.tops.get(instrument_id)
            if top is not None:
                yield _channel(instrument, "quotes"), _quote(instrument, top, time)
            channel = _channel(instrument, "orderbooks")
            delta = _delta(instrument, levels, time)
            # Dear, and for nobody else: who subscribes later begins with a whole book.
            if self._has_readers(channel):
                delta.checksum = self.checksum(instrument)
            yield channel, delta

    def close_bars(self, until_ns: int) -> Iterator[Publication]:
        """Send the bars of a minute that ended at or before a time, and the day up to then."""
        if self._minute_end_ns is None or until_ns < self._minute_end_ns:
            return
        self._minute_end_ns = None
        for instrument_id, minute in self._minutes.items():
            if minute.sent:
                continue
            minute.sent = True
            instrument = self._instruments[instrument_id]
            if self._is_whole(minute):
                yield _channel(instrument, "bars"), _bar(Bar, instrument, minute)
            day = self._days[instrument_id]
            if self._days_are_whole or self._is_whole(day):
                yield _channel(instrument, "dailyBars"), _bar(DailyBar, instrument, day)

    def snapshot(self, instrument: Instrument, time_ns: int) -> OrderBook:
        """Return an instrument's whole book, best levels first."""
        book = self.books.book(instrument.instrument_id)
        return OrderBook(
            symbol=instrument.symbol,
            time=Time(time_ns),
            bids=[_level(instrument, *level) for level in reversed(book.bids.items())],
            asks=[_level(instrument, *level) for level in book.asks.items()],
            reset=True,
            checksum=self.checksum(instrument),
        )

    def checksum(self, instrument: Instrument) -> int:
        """Return the CRC-32 of the top ten levels: offers from the lowest, then bids from the
        highest, `price:size` each as plain decimals, joined by colons."""
        book = self.books.book(instrument.instrument_id)
        levels = (
            *islice(book.asks.items(), CHECKED_LEVELS),
            *islice(reversed(book.bids.items()), CHECKED_LEVELS),
        )
        tick_nanos, lot_nanos = instrument.tick_nanos, instrument.lot_nanos
        parts = [
            f"{units.format_steps(ticks, tick_nanos)}:{units.format_steps(lots, lot_nanos)}"
            for ticks, lots in levels
        ]
        return crc32(":".join(parts).encode())

    def _is_whole(self, interval: Interval) -> bool:
        return self._whole_from_ns is not None and interval.start_ns >= self._whole_from_ns

    def _count(self, instrument: Instrument, trade: BookTrade) -> Iterator[Publication]:
        day = _interval(self._days, trade, DAY_NS)
        minute = _interval(self._minutes, trade, MINUTE_NS)
        day.add(trade)
        minute.add(trade)
        if not minute.sent:
            self._minute_end_ns = minute.start_ns + MINUTE_NS
        elif self._is_whole(minute):
            yield _channel(instrument, "updatedBars"), _bar(UpdatedBar, instrument, minute)


def _interval(intervals: dict[int, Interval], trade: BookTrade, length_ns: int) -> Interval:
    start_ns = trade.timestamp_ns // length_ns * length_ns
    interval = intervals.get(trade.instrument_id)
    if interval is None or interval.start_ns != start_ns:
        interval = Interval.beginning(start_ns, trade.price_ticks)
        intervals[trade.instrument_id] = interval
    return interval


def _channel(instrument: Instrument, kind: str) -> Channel:
    return Channel(instrument.asset_class, kind, instrument.symbol)


def _trade(instrument: Instrument, trade: BookTrade) -> Trade:
    document = Trade(
        symbol=instrument.symbol,
        trade_id=trade.trade_id,
        price=number_of_nanos(trade.price_ticks * instrument.tick_nanos),
        size=number_of_nanos(trade.qty_lots * instrument.lot_nanos),
        time=Time(trade.timestamp_ns),
    )
    if instrument.asset_class == "crypto":
        document.taker_side = "B" if trade.taker_side == pb.SIDE_BUY else "S"
    else:
        document.exchange, document.tape = EXCHANGE, TAPE
        document.conditions = (TRADE_CONDITION,)
    return document


def _quote(instrument: Instrument, top: Top, time: Time) -> Quote:
    (bid_ticks, bid_lots), (ask_ticks, ask_lots) = (side or (0, 0) for side in top)
    document = Quote(
        symbol=instrument.symbol,
        bid_price=number_of_nanos(bid_ticks * instrument.tick_nanos),
        bid_size=number_of_nanos(bid_lots * instrument.lot_nanos),
        ask_price=number_of_nanos(ask_ticks * instrument.tick_nanos),
        ask_size=number_of_nanos(ask_lots * instrument.lot_nanos),
        time=time,
    )
    if instrument.asset_class != "crypto":
        document.bid_exchange = document.ask_exchange = EXCHANGE
        document.conditions, document.tape = (QUOTE_CONDITION,), TAPE
    return document


def _delta(instrument: Instrument, levels: list[TouchedLevel], time: Time) -> OrderBook:
    sides: dict[int, list[Level]] = {pb.SIDE_BUY: [], pb.SIDE_SELL: []}
    for level in levels:
        sides[level.side].append(_level(instrument, level.price_ticks, level.qty_lots))
    return OrderBook(
        symbol=instrument.symbol, time=time, bids=sides[pb.SIDE_BUY], asks=sides[pb.SIDE_SELL]
    )


def _level(instrument: Instrument, price_ticks: int, lots: int) -> Level:
    return Level(
        number_of_nanos(price_ticks * instrument.tick_nanos),
        number_of_nanos(lots * instrument.lot_nanos),
    )


def _bar(
    kind: type[Bar | UpdatedBar | DailyBar], instrument: Instrument, interval: Interval
) -> Bar | UpdatedBar | DailyBar:
    tick_nanos = instrument.tick_nanos
    return kind(
        symbol=instrument.symbol,
        open=number_of_nanos(interval.open * tick_nanos),
        high=number_of_nanos(interval.high * tick_nanos),
        low=number_of_nanos(interval.low * tick_nanos),
        close=number_of_nanos(interval.close * tick_nanos),
        volume=number_of_nanos(interval.lots * instrument.lot_nanos),
        time=Time(interval.start_ns),
        trade_count=interval.trades,
        average=number_of_nanos(interval.value * tick_nanos // interval.lots),
    )
