"""A recorded LOBSTER day, and what a market does that follows it message by message.

The prices are moved by a constant, so that the day starts at the instrument's present price. Sizes
are scaled, so that a usual order of the day is a usual order of the market. A mirrored day has its
prices reflected at the start, and buys for sells: two laps, the second of them mirrored, end at the
price and with the positions with which they began.

A file tells what happened in view. An announced order that was canceled out of view is never
mentioned again; it is canceled here as soon as the day shows that it is gone. Promises, whatever
the file says (tests/unit/market/test_day.py):

- no two resting orders of the day can trade with each other;
- at most `orders_max` rest;
- prices are whole ticks, quantities whole lots, both at least 1.
"""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openvenue.market.agents import Side
from openvenue.replay.lines import MalformedFile
from openvenue.replay.lobster import Message, MessageType, read_messages
from openvenue.replay.operation import opposite

PRICE_UNITS_PER_DOLLAR = 10_000
ORDERS_MAX = 200


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A message file. Each lap reads it anew, so that its length takes no memory."""

    path: Path
    messages: int
    first_s: float
    first_price: int
    """That of the first trade, in the file's unit; without trades that of the first order."""
    usual_size: float
    """Median of the orders' sizes."""

    @classmethod
    def read(cls, path: Path) -> "RecordedDay":
        """Read the whole file once. Raises MalformedFile, also if it has no orders, and OSError."""
        count = 0
        first_s, traded, placed = math.inf, 0, 0
        sizes: list[int] = []
        for message in read_messages(path):
            count += 1
            first_s = min(first_s, message.time_s)
            if message.type is MessageType.NEW:
                placed = placed or message.price
                sizes.append(message.size)
            elif message.type in _TRADES:
                traded = traded or message.price
        if not sizes:
            raise MalformedFile(f"{path} has no new order: give a message file of LOBSTER's form")
        return cls(path, count, first_s, traded or placed, statistics.median(sizes))

    def __iter__(self) -> Iterator[Message]:
        return read_messages(self.path)


@dataclass(frozen=True, slots=True)
class Move:
    """Moves the day's prices and sizes to an instrument's ticks and lots."""

    first_price: int
    start_ticks: int
    ticks_per_unit: float
    lots_per_share: float
    mirrored: bool = False

    def price(self, price: int) -> int:
        """Return a price in ticks; it may be below 1."""
        ticks = round((price - self.first_price) * self.ticks_per_unit)
        return self.start_ticks - ticks if self.mirrored else self.start_ticks + ticks

    def side(self, side: Side) -> Side:
        return opposite(side) if self.mirrored else side

    def lots(self, size: int) -> int:
        return max(1, round(size * self.lots_per_share))


@dataclass(frozen=True, slots=True)
class Rest:
    """Enter a limit order that rests. `key` names it in later actions."""

    key: int
    side: Side
    price: int
    qty: int


@dataclass(frozen=True, slots=True)
class Reduce:
    """Lower an order's total quantity, of which some may be filled; its price stays."""

    key: int
    price: int
    qty: int


@dataclass(frozen=True, slots=True)
class Take:
    """Trade with what rests at this price or better; what does not trade at once is canceled."""

    side: Side
    price: int
    qty: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Cancel what is left of an order, if anything is."""

    key: int


DayAction = Rest | Reduce | Take | Remove


@dataclass(slots=True)
class _Resting:
    side: Side
    price: int
    size: int
    """How much of the order the file still has resting, in the file's unit."""
    open: int
    """The same in lots."""
    total: int
    """Total quantity of the order, in lots."""


@dataclass(slots=True)
class DayBook:
    """The day's resting orders as the file tells them, moved."""

    move: Move
    orders_max: int = ORDERS_MAX
    last_price: int | None = None
    """Price of the last trade of the day, in ticks."""
    _orders: dict[int, _Resting] = field(default_factory=dict)  # the oldest first

    def follow(self, message: Message) -> list[DayAction]:
        """Return what a message makes the market do, in this order."""
        if message.type in _WITHOUT_ORDER:
            return []
        price = self.move.price(message.price)
        if price < 1:  # The instrument is cheaper than the day's price fell.
            return []
        match message.type:
            case MessageType.NEW:
                return self._new(message, price)
            case MessageType.REDUCE:
                return self._reduce(message)
            case MessageType.DELETE:
                return self._remove(message.order_id)
            case MessageType.EXECUTE:
                return self._execute(message, price)
            case _:
                self.last_price = price
                return []

    def _new(self, message: Message, price: int) -> list[DayAction]:
        if message.order_id in self._orders:
            return []
        side = self.move.side(message.side)
        # It rested, so what it would have met was gone.
        actions = self._gone(opposite(side), price, or_at=True)
        if len(self._orders) >= self.orders_max:
            actions += self._remove(next(iter(self._orders)))
        lots = self.move.lots(message.size)
        self._orders[message.order_id] = _Resting(side, price, message.size, lots, lots)
        return [*actions, Rest(message.order_id, side, price, lots)]

    def _reduce(self, message: Message) -> list[DayAction]:
        order = self._orders.get(message.order_id)
        if order is None:
            return []
        lots = self._shrink(order, message.size)
        if not order.size:
            return self._remove(message.order_id)
        if not lots:
            return []
        order.total -= lots
        return [Reduce(message.order_id, order.price, order.total)]

    def _execute(self, message: Message, price: int) -> list[DayAction]:
        self.last_price = price
        side = self.move.side(message.side)
        # It was first in the queue, so what was better was gone.
        actions = self._gone(side, price, or_at=False)
        order = self._orders.get(message.order_id)
        lots = self._shrink(order, message.size) if order else self.move.lots(message.size)
        if lots:
            actions.append(Take(opposite(side), price, lots))
        # Somebody else may have given what it should have, and it would stay.
        if order is not None and not order.size:
            actions += self._remove(message.order_id)
        return actions

    def _shrink(self, order: _Resting, size: int) -> int:
        """Take a size off an order; return by how many lots that lowers it."""
        order.size = max(0, order.size - size)
        before = order.open
        order.open = min(before, self.move.lots(order.size)) if order.size else 0
        return before - order.open

    def _remove(self, key: int) -> list[DayAction]:
        return [Remove(key)] if self._orders.pop(key, None) else []

    def _gone(self, side: Side, price: int, *, or_at: bool) -> list[DayAction]:
        """Remove the orders of a side that are better than a price, or at it too."""
        sign = 1 if side == "buy" else -1
        limit = sign * price - or_at
        gone = [
            key
            for key, order in self._orders.items()
            if order.side == side and sign * order.price > limit
        ]
        return [action for key in gone for action in self._remove(key)]


_TRADES = (MessageType.EXECUTE, MessageType.EXECUTE_HIDDEN)
_WITHOUT_ORDER = (MessageType.CROSS, MessageType.HALT)
