"""Turns a LOBSTER day into operations for the venue, each with its expected result.

The file shows what NASDAQ's members did *in view*: at the levels that it covers. Their other
actions show only when a level comes into view with a size that the messages do not explain. The
plan replays the messages as they are and then, row by row, corrects the book to what the file
shows, each correction with its cause:

- `seeded`: rested before the file began; its first row shows it.
- `surfaced`: was placed out of view and came into view: the row shows more than was announced.
- `vanished`: was announced and cancelled or reduced out of view: the row shows less.

Where possible, the rest of the file identifies the orders behind an unexplained size: an order that
is executed or deleted later was there, at that price, with at least that size. NASDAQ's order ids
rise with the time of arrival, so they also give the queue. The rest becomes one anonymous order
behind them. In the same way, of announced orders that must have vanished, those that the file never
mentions again go first.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import count

from openvenue.replay.lobster import VISIBLE, Day, Message, MessageType, Row
from openvenue.replay.model_book import ModelBook, Resting
from openvenue.replay.operation import Kind, Operation, Side, opposite

# LOBSTER prices are 1e-4 dollars; the venue's shares trade in whole cents.
PRICE_UNITS_PER_TICK = 100

SIDES: tuple[Side, Side] = ("buy", "sell")


class Cause(Enum):
    """Cause of an operation."""

    MESSAGE = "message"
    SEEDED = "seeded"
    SURFACED = "surfaced"
    VANISHED = "vanished"


class Skip(Enum):
    """Reason why a message led to no request."""

    HIDDEN_EXECUTION = "execution of a hidden order: no effect on the visible book"
    HALT = "trading halt or resumption notice"
    CROSS = "auction cross: no effect on the visible book"
    SUB_PENNY = "price is not a whole cent: the venue's tick is 0.01"
    NOTHING_THERE = "names an order that was never announced, at a level where nothing rests"
    ANNOUNCED_TWICE = "announces an order id that already rests"


class Target(Enum):
    """The order that an execution is expected to meet."""

    NAMED = "the order that NASDAQ names"
    ANONYMOUS = "an unannounced order: NASDAQ's was placed out of view and cannot be told apart"
    OLDER_UNANNOUNCED = (
        "an order placed out of view, whose place in the queue the file does not show"
    )
    OTHER = "another announced order that was ahead in the queue"
    SEVERAL = "the named order and others: its size here is smaller than NASDAQ's"
    NOBODY = "nothing: no visible order is left at that price"
    BEFORE_FILE = "nothing: the order rested before the file began, and no orderbook file shows it"
    REFUSED = "other orders than expected, or none: the venue had refused one that belongs there"
    NOT_FORETOLD = "another order than price-time priority requires: a fault of the venue"


@dataclass(frozen=True, slots=True)
class Request:
    operation: Operation
    cause: Cause


@dataclass(frozen=True, slots=True)
class Step:
    """One message of the file and its requests.

    `requests` are the message's own; `corrections` follow them. `target` is set for executions.
    """

    message: Message
    row: Row | None
    requests: tuple[Request, ...]
    corrections: tuple[Request, ...]
    skip: Skip | None = None
    target: Target | None = None
    size_differs: bool = False


@dataclass(slots=True)
class _Mentions:
    """All mentions of one order id in the file."""

    price: int
    side: Side
    first_row: int
    last_row: int
    announced_row: int | None = None
    removed: int = 0  # executed, cancelled and deleted


# side, price, quantity, cause, NASDAQ's order id if known
_Arrival = tuple[Side, int, int, Cause, int | None]


@dataclass(slots=True)
class Planner:
    """Makes the steps of a day, in order. Use once."""

    day: Day
    correct: bool = True
    book: ModelBook = field(default_factory=ModelBook)
    _keys: Iterator[int] = field(default_factory=lambda: count(1))
    _key_of_id: dict[int, int] = field(default_factory=dict)
    _id_of_key: dict[int, int] = field(default_factory=dict)
    _mentions: dict[int, _Mentions] = field(default_factory=dict)
    _unannounced: dict[tuple[Side, int], list[int]] = field(default_factory=dict)
    # side → price → rows at which the level came into view
    _entries: dict[Side, dict[int, list[int]]] = field(
        default_factory=lambda: {"buy": {}, "sell": {}}
    )
    _newest_id: int = 0

    def __post_init__(self) -> None:
        self._read_mentions()
        self._read_entries()

    def seeds(self) -> list[Request]:
        """Return the orders that rested before the first message: its row, less its effect."""
        if not self.day.rows:
            return []
        first = self.day.messages[0]
        row = self.day.rows[0]
        self._newest_id = min((order_id for order_id in self._mentions if order_id), default=0)
        if first.type is MessageType.NEW:
            self._newest_id = first.order_id - 1
        requests: list[Request] = []
        for side in SIDES:
            levels = dict(row.levels(side))
            if first.side == side:
                undone = levels.get(first.price, 0) + _size_before(first)
                levels[first.price] = undone
            for price in sorted(levels, reverse=side == "buy"):
                if levels[price] > 0 and price % PRICE_UNITS_PER_TICK == 0:
                    _, seeded = self._level(side, price, levels[price], 0, Cause.SEEDED)
                    requests += [self._place(*arrival) for arrival in seeded]
        return requests

    def steps(self) -> Iterator[Step]:
        """Yield every message's step; call `seeds` first."""
        for index, message in enumerate(self.day.messages):
            row = self.day.rows[index] if self.day.rows else None
            requests, skip, target, size_differs = self._message(message)
            corrections = self._corrections(row, index) if row and self.correct else []
            yield Step(
                message, row, tuple(requests), tuple(corrections), skip, target, size_differs
            )

    def _read_mentions(self) -> None:
        for message in self.day.messages:
            if message.type not in VISIBLE:
                continue
            known = self._mentions.get(message.order_id)
            if known is None:
                known = self._mentions[message.order_id] = _Mentions(
                    message.price, message.side, message.row, message.row
                )
                if message.type is not MessageType.NEW:
                    self._unannounced.setdefault((message.side, message.price), []).append(
                        message.order_id
                    )
            known.last_row = message.row
            if message.type is MessageType.NEW:
                known.announced_row = message.row
            else:
                known.removed += message.size
        for order_ids in self._unannounced.values():
            order_ids.sort()

    def _read_entries(self) -> None:
        for side in SIDES:
            before: frozenset[int] = frozenset()
            for index, row in enumerate(self.day.rows):
                shown = frozenset(price for price, _ in row.levels(side))
                for price in shown - before:
                    self._entries[side].setdefault(price, []).append(index)
                before = shown

    # Messages

    def _message(self, message: Message) -> tuple[list[Request], Skip | None, Target | None, bool]:
        if message.type not in VISIBLE:
            return [], _SKIPS[message.type], None, False
        if message.price % PRICE_UNITS_PER_TICK:
            return [], Skip.SUB_PENNY, None, False
        if message.type is MessageType.NEW:
            return self._new(message)
        if message.type is MessageType.EXECUTE:
            return self._execute(message)
        return self._remove(message)

    def _new(self, message: Message) -> tuple[list[Request], Skip | None, None, bool]:
        key = self._key_of_id.get(message.order_id)
        if key is not None and key in self.book.orders:
            return [], Skip.ANNOUNCED_TWICE, None, False
        self._newest_id = max(self._newest_id, message.order_id)
        request = self._place(
            message.side, message.price, message.size, Cause.MESSAGE, message.order_id
        )
        return [request], None, None, False

    def _remove(self, message: Message) -> tuple[list[Request], Skip | None, None, bool]:
        """Cancel or reduce the named order, or an anonymous one at its level."""
        named = self._named(message)
        if named is not None:
            whole = message.type is MessageType.DELETE
            differs = named.qty != message.size if whole else named.qty < message.size
            qty = named.qty if whole else min(message.size, named.qty)
            return [self._reduce(named.key, qty, Cause.MESSAGE)], None, None, differs
        left = message.size
        requests: list[Request] = []
        for order in reversed(self.book.queue(message.side, message.price)):
            if left and order.key not in self._id_of_key:
                qty = min(left, order.qty)
                requests.append(self._reduce(order.key, qty, Cause.MESSAGE))
                left -= qty
        if not requests:
            return [], Skip.NOTHING_THERE, None, False
        return requests, None, None, left > 0

    def _execute(self, message: Message) -> tuple[list[Request], Skip | None, Target, bool]:
        named = self._named(message)
        side = opposite(message.side)
        operation = self.book.take(next(self._keys), side, message.price, message.size)
        target = self._target(named, operation.makers, message)
        return [Request(operation, Cause.MESSAGE)], None, target, False

    def _target(
        self, named: Resting | None, makers: tuple[tuple[int, int], ...], message: Message
    ) -> Target:
        if named is not None and makers == ((named.key, message.size),):
            return Target.NAMED
        if not makers:
            announced = self._mentions[message.order_id].announced_row is not None
            return Target.NOBODY if announced or self.day.rows else Target.BEFORE_FILE
        anonymous = [key for key, _ in makers if key not in self._id_of_key]
        if named is None:
            return Target.ANONYMOUS if len(anonymous) == len(makers) else Target.OTHER
        if any(key == named.key for key, _ in makers) and makers[0][0] == named.key:
            return Target.SEVERAL
        unannounced = [
            key
            for key, _ in makers
            if key != named.key
            and (
                key not in self._id_of_key
                or self._mentions[self._id_of_key[key]].announced_row is None
            )
        ]
        return Target.OLDER_UNANNOUNCED if unannounced else Target.OTHER

    def _named(self, message: Message) -> Resting | None:
        key = self._key_of_id.get(message.order_id)
        return self.book.orders.get(key) if key is not None else None

    # Corrections

    def _corrections(self, row: Row, index: int) -> list[Request]:
        """Return the requests that make the book equal to `row` at the levels that it covers.

        Removals on both sides come first: orders that are gone must not meet those that surfaced.
        """
        before = self.day.rows[index - 1] if index else row
        removals: list[Request] = []
        arrivals: list[_Arrival] = []
        for side in SIDES:
            levels = row.levels(side)
            if levels == before.levels(side) == self.book.top(side, len(levels)):
                continue
            shown = dict(levels)
            known = dict(before.levels(side))
            for price in self._prices_in_view(side, row):
                if price not in shown:
                    removals += self._vanish(side, price, self.book.total(side, price), index)
            for price, size in levels:
                if price % PRICE_UNITS_PER_TICK:
                    continue
                if price not in known or self.book.total(side, price) != size:
                    gone, surfaced = self._level(side, price, size, index, Cause.SURFACED)
                    removals += gone
                    arrivals += surfaced
        return [*removals, *(self._place(*arrival) for arrival in arrivals)]

    def _prices_in_view(self, side: Side, row: Row) -> list[int]:
        levels = row.levels(side)
        if len(levels) < row.depth:
            return list(self.book.levels[side])
        worst = levels[-1][0]
        return [
            price
            for price in self.book.levels[side]
            if (price >= worst if side == "buy" else price <= worst)
        ]

    def _level(
        self, side: Side, price: int, size: int, index: int, cause: Cause
    ) -> tuple[list[Request], list[_Arrival]]:
        """Give one level `size`: orders that the rest of the file requires stay or are placed;
        orders that it never mentions again fill the remainder or go."""
        queue = self.book.queue(side, price)
        spare = size - sum(order.qty for order in queue if self._survives(order, index) == 2)
        arrivals: list[_Arrival] = []
        for order_id in self._unannounced.get((side, price), ()):
            mentions = self._mentions[order_id]
            if (
                order_id not in self._key_of_id
                and mentions.first_row >= (index if cause is Cause.SEEDED else index + 1)
                and self._arrived(order_id, side, price, index)
                and mentions.removed <= spare
            ):
                arrivals.append((side, price, mentions.removed, cause, order_id))
                spare -= mentions.removed
        forgotten = sum(order.qty for order in queue if self._survives(order, index) < 2)
        removals: list[Request] = []
        if forgotten > spare:
            removals = self._vanish(side, price, forgotten - spare, index)
        elif forgotten < spare:
            arrivals.append((side, price, spare - forgotten, cause, None))
        return removals, arrivals

    def _arrived(self, order_id: int, side: Side, price: int, index: int) -> bool:
        """True if an unannounced order rested by row `index`: its id is older than one seen, or its
        level stays in view from that row until its first mention, so its arrival would show."""
        if order_id <= self._newest_id:
            return True
        entries = self._entries[side].get(price, [])
        position = bisect_right(entries, index)
        return position == len(entries) or entries[position] > self._mentions[order_id].first_row

    def _survives(self, order: Resting, index: int) -> int:
        """Return how likely an order still rests after row `index`: 2 if the file mentions it
        later, 1 if it is anonymous, 0 if it was announced and is never mentioned again."""
        order_id = self._id_of_key.get(order.key)
        if order_id is None:
            return 1
        return 2 if self._mentions[order_id].last_row > index else 0

    def _vanish(self, side: Side, price: int, surplus: int, index: int) -> list[Request]:
        """Remove `surplus` from a level: the least likely orders first, among equals a single order
        of exactly that size, then the newest."""
        candidates = sorted(
            reversed(self.book.queue(side, price)),
            key=lambda order: (self._survives(order, index), order.qty != surplus),
        )
        requests: list[Request] = []
        for order in candidates:
            if not surplus:
                break
            qty = min(surplus, order.qty)
            requests.append(self._reduce(order.key, qty, Cause.VANISHED))
            surplus -= qty
        return requests

    # Operations

    def _place(
        self, side: Side, price: int, qty: int, cause: Cause, order_id: int | None
    ) -> Request:
        key = next(self._keys)
        if order_id is not None:
            self._key_of_id[order_id] = key
            self._id_of_key[key] = order_id
        return Request(self.book.place(key, side, price, qty), cause)

    def _reduce(self, key: int, qty: int, cause: Cause) -> Request:
        order = self.book.orders[key]
        kind = Kind.CANCEL if qty == order.qty else Kind.REDUCE
        operation = Operation(kind, key, order.side, order.price, qty)
        self.book.reduce(key, qty)
        return Request(operation, cause)


def _size_before(message: Message) -> int:
    """Return the size that undoing a message adds to its level."""
    if message.type is MessageType.NEW:
        return -message.size
    return message.size if message.type in VISIBLE else 0


_SKIPS = {
    MessageType.EXECUTE_HIDDEN: Skip.HIDDEN_EXECUTION,
    MessageType.CROSS: Skip.CROSS,
    MessageType.HALT: Skip.HALT,
}
