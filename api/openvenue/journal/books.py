"""Folds journal entries into every instrument's book.

It is a pure function of the entries: no clock, database or network, in ticks and lots. After entry
N its levels are those that the engine's GetBook reports as of sequence N.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sortedcontainers import SortedDict

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.vocabulary import STOP_ORDER_TYPES


class BookTrade(NamedTuple):
    """A trade, without the accounts that made it."""

    trade_id: int
    sequence: int
    timestamp_ns: int
    instrument_id: int
    price_ticks: int
    qty_lots: int
    taker_side: int


class TouchedLevel(NamedTuple):
    """A price level that changed; `qty_lots` is the new total, 0 if it is gone."""

    instrument_id: int
    side: int
    price_ticks: int
    qty_lots: int


class Top(NamedTuple):
    """The best bid and ask of a book, each a price in ticks and lots; None: the side is empty."""

    bid: tuple[int, int] | None = None
    ask: tuple[int, int] | None = None


class Changes(NamedTuple):
    """Changes by one entry: trades in their order, each touched level once, and by instrument the
    tops that are not what they were before the entry."""

    trades: list[BookTrade]
    levels: list[TouchedLevel]
    tops: dict[int, Top]


class UnknownOrder(ValueError):
    """An entry changes an order that neither rests nor waits: the books are not those before it."""


_EMPTY = Top()


@dataclass(slots=True)
class RestingOrder:
    """An order in a book; `lots` is what it has left."""

    order_id: int
    instrument_id: int
    side: int
    price_ticks: int
    lots: int


@dataclass(slots=True)
class Book:
    """One instrument's levels: lots by price in ticks, in the order of prices."""

    bids: SortedDict = field(default_factory=SortedDict)
    asks: SortedDict = field(default_factory=SortedDict)

    def top(self) -> Top:
        """Return the highest bid and the lowest ask."""
        return Top(
            self.bids.peekitem(-1) if self.bids else None,
            self.asks.peekitem(0) if self.asks else None,
        )


class Books:
    """The books of all instruments, as of the last entry that was applied.

    `resting` are the orders in them before the first one, `waiting` the ids of those that are open
    and in no book, because no trade has reached their stop price.
    """

    def __init__(self, resting: Iterable[RestingOrder] = (), waiting: Iterable[int] = ()) -> None:
        self._books: dict[int, Book] = {}
        self._resting: dict[int, RestingOrder] = {}
        self._waiting = set(waiting)
        self._touched: dict[tuple[int, int, int], None] = {}
        for order in resting:
            self._rest(order)
        self._touched.clear()  # No entry changed these.
        self._tops = {instrument_id: book.top() for instrument_id, book in self._books.items()}

    def book(self, instrument_id: int) -> Book:
        """Return an instrument's book, an empty one if nothing ever rested in it."""
        book = self._books.get(instrument_id)
        if book is None:
            book = self._books[instrument_id] = Book()
        return book

    def resting(self) -> Iterator[RestingOrder]:
        """Iterate over all orders in the books."""
        return iter(self._resting.values())

    def apply(self, entry: pb.JournalEntry) -> Changes:
        """Fold the entry that follows those folded before; return what it changed.

        Raises UnknownOrder.
        """
        trades: list[BookTrade] = []
        taker: RestingOrder | None = None
        for event in entry.events:
            kind = event.WhichOneof("body")
            if kind == "trade":
                trade = event.trade
                trades.append(_trade(entry, trade))
                self._take(trade.maker.order_id, trade.qty_lots)
                if taker is not None:
                    taker.lots -= trade.qty_lots
            elif kind == "order_accepted":
                if entry.new_order.type in STOP_ORDER_TYPES:
                    self._waiting.add(entry.sequence)
                else:
                    taker = _accepted(entry)
            elif kind == "order_triggered":
                self._stop_waiting(event.order_triggered.order_id)
                taker = _triggered(event.order_triggered)
            elif kind == "order_canceled":
                canceled_id = event.order_canceled.order_id
                if taker is not None and canceled_id == taker.order_id:
                    taker = None
                elif canceled_id in self._waiting:
                    self._stop_waiting(canceled_id)
                else:
                    self._remove(canceled_id)
            elif kind == "order_replaced":
                replaced = event.order_replaced
                if replaced.waiting:
                    self._stop_waiting(replaced.old_order_id)
                    self._waiting.add(replaced.order_id)
                else:
                    self._remove(replaced.old_order_id)
                    taker = _replaced(replaced)
        if taker is not None and taker.lots:
            self._rest(taker)
        levels = self._changed_levels()
        return Changes(trades, levels, self._changed_tops(levels))

    def _changed_levels(self) -> list[TouchedLevel]:
        levels = [
            TouchedLevel(*level, self._side(level[0], level[1]).get(level[2], 0))
            for level in self._touched
        ]
        self._touched.clear()
        return levels

    def _changed_tops(self, levels: list[TouchedLevel]) -> dict[int, Top]:
        changed: dict[int, Top] = {}
        for instrument_id in dict.fromkeys(level.instrument_id for level in levels):
            top = self.book(instrument_id).top()
            if top != self._tops.get(instrument_id, _EMPTY):
                changed[instrument_id] = self._tops[instrument_id] = top
        return changed

    def _rest(self, order: RestingOrder) -> None:
        self._resting[order.order_id] = order
        self._add(order, order.lots)

    def _take(self, order_id: int, lots: int) -> None:
        order = self._order(order_id)
        order.lots -= lots
        self._add(order, -lots)
        if not order.lots:
            del self._resting[order_id]

    def _remove(self, order_id: int) -> None:
        order = self._order(order_id)
        del self._resting[order_id]
        self._add(order, -order.lots)

    def _stop_waiting(self, order_id: int) -> None:
        if order_id not in self._waiting:
            raise UnknownOrder(f"order {order_id} does not wait for its stop price")
        self._waiting.remove(order_id)

    def _order(self, order_id: int) -> RestingOrder:
        order = self._resting.get(order_id)
        if order is None:
            raise UnknownOrder(f"order {order_id} is in no book")
        return order

    def _add(self, order: RestingOrder, lots: int) -> None:
        side = self._side(order.instrument_id, order.side)
        total = side.get(order.price_ticks, 0) + lots
        if total:
            side[order.price_ticks] = total
        else:
            side.pop(order.price_ticks, None)
        self._touched[order.instrument_id, order.side, order.price_ticks] = None

    def _side(self, instrument_id: int, side: int) -> SortedDict:
        book = self.book(instrument_id)
        return book.bids if side == pb.SIDE_BUY else book.asks


def changed_orders(entry: pb.JournalEntry) -> Iterator[int]:
    """Iterate over the ids of earlier orders that an entry filled, canceled, replaced or
    triggered."""
    for event in entry.events:
        kind = event.WhichOneof("body")
        if kind == "trade":
            yield event.trade.maker.order_id
        elif kind == "order_canceled":
            yield event.order_canceled.order_id
        elif kind == "order_replaced":
            yield event.order_replaced.old_order_id
        elif kind == "order_triggered":
            yield event.order_triggered.order_id


def _trade(entry: pb.JournalEntry, trade: pb.Trade) -> BookTrade:
    return BookTrade(
        trade.trade_id,
        entry.sequence,
        entry.timestamp_ns,
        trade.instrument_id,
        trade.price_ticks,
        trade.qty_lots,
        trade.taker_side,
    )


def _accepted(entry: pb.JournalEntry) -> RestingOrder:
    # The same entry cancels the rest of a market order, and of any other that must not rest.
    order = entry.new_order
    return RestingOrder(
        entry.sequence, order.instrument_id, order.side, order.limit_price_ticks, order.qty_lots
    )


def _triggered(order: pb.OrderTriggered) -> RestingOrder:
    # The same entry cancels the rest of a stop order.
    return RestingOrder(
        order.order_id, order.instrument_id, order.side, order.limit_price_ticks, order.qty_lots
    )


def _replaced(order: pb.OrderReplaced) -> RestingOrder:
    return RestingOrder(
        order.order_id,
        order.instrument_id,
        order.side,
        order.limit_price_ticks,
        order.qty_lots - order.filled_lots,
    )
