"""Operations of a replay, and the rule which of them may overlap.

A replay is a list of operations in the order of the file. Running them one by one gives one book;
running them concurrently must give the same book, so two operations may overlap only if they
commute. `conflicts` is that rule.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Side = Literal["buy", "sell"]


class Kind(Enum):
    PLACE = "place"  # a resting limit order
    REDUCE = "reduce"  # to a smaller quantity, keeping its place
    CANCEL = "cancel"
    TAKE = "take"  # an immediate-or-cancel order against the resting side
    OBSERVE = "observe"  # asks the venue which makers an earlier operation filled
    READ_BOOK = "read book"  # of the whole symbol, with nothing else under way


def opposite(side: Side) -> Side:
    return "sell" if side == "buy" else "buy"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. Prices and quantities are in the plan's own integer units.

    `key` names the order within the plan. `side` is the order's own side; for TAKE the taker's.
    `price` is None for a market order, which may sweep a whole side. `makers` are the fills that
    price-time priority requires, as (key, quantity), and `first_price` is that of the first of
    them; `last_price`, that of the last, is set if they fill the operation completely.
    """

    kind: Kind
    key: int
    side: Side
    price: int | None
    qty: int
    makers: tuple[tuple[int, int], ...] = ()
    first_price: int | None = None
    last_price: int | None = None

    def names(self, other: "Operation") -> bool:
        """True if both are about one order."""
        if self.key == other.key:
            return True
        if not self.makers and not other.makers:
            return False
        mine = {self.key, *(key for key, _ in self.makers)}
        return not mine.isdisjoint((other.key, *(key for key, _ in other.makers)))


def observation(operation: Operation) -> Operation:
    """Return the operation that asks for the fills of `operation`, with its price."""
    return Operation(
        Kind.OBSERVE,
        operation.key,
        operation.side,
        operation.price,
        operation.qty,
        operation.makers,
    )


def conflicts(earlier: Operation, later: Operation) -> bool:
    """True if `later` must wait until `earlier` is finished.

    They conflict if they are about one order; if both join the queue of one level; or if one may
    match, or must not match, against a level that the other changes. Reading the book conflicts
    with everything. Cancels and reductions of different orders commute with each other, and with
    orders that join behind them.
    """
    kinds = (earlier.kind, later.kind)
    if Kind.READ_BOOK in kinds:
        return True
    if Kind.OBSERVE in kinds:
        return earlier.names(later)
    if earlier.key == later.key:
        return True
    if earlier.side != later.side:
        return _reaches(earlier, later) or _reaches(later, earlier)
    if kinds == (Kind.PLACE, Kind.PLACE) and earlier.price == later.price:
        return True
    return _leaves_less(earlier, later)


def _reaches(incoming: Operation, other: Operation) -> bool:
    """True if `other` changes a level of its side that `incoming`, of the other, could meet."""
    if incoming.kind not in (Kind.PLACE, Kind.TAKE) or other.kind is Kind.TAKE:
        return False
    if other.price is None:
        return True
    return _crosses(incoming, other.price)


def _leaves_less(earlier: Operation, later: Operation) -> bool:
    """True if `later`, coming in on the same side, may miss what `earlier` takes away.

    An earlier one that does not trade takes nothing away. A later one that stops short of the first
    traded price does not reach the levels where something is missing.
    """
    incoming = (Kind.PLACE, Kind.TAKE)
    if earlier.kind not in incoming or later.kind not in incoming:
        return False
    return earlier.first_price is not None and _crosses(later, earlier.first_price)


def _crosses(incoming: Operation, price: int) -> bool:
    """True if an incoming order reaches `price`, by its limit or by its fills."""
    limit = incoming.price if incoming.last_price is None else incoming.last_price
    if limit is None:
        return True
    return price <= limit if incoming.side == "buy" else price >= limit
