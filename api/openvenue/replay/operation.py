"""What a replay asks of the venue, and which of it may happen at once.

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
    READ_BOOK = "read book"  # of the whole symbol, with nothing else under way


def opposite(side: Side) -> Side:
    return "sell" if side == "buy" else "buy"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. Prices are in the plan's own integer unit, quantities in the plan's own.

    `key` names the order within the plan. `side` is that order's own side; for TAKE the taker's.
    `price` is None for a market order, which may sweep a whole side. `makers` are the fills that
    price-time priority must give, as (key, quantity); None where the plan does not foretell them.
    """

    kind: Kind
    key: int
    side: Side
    price: int | None
    qty: int
    makers: tuple[tuple[int, int], ...] | None = ()

    @property
    def may_trade(self) -> bool:
        """Whether it may change the opposite side."""
        return self.makers is None or bool(self.makers) or self.kind is Kind.TAKE


def conflicts(earlier: Operation, later: Operation) -> bool:
    """Whether `later` must wait until `earlier` is finished.

    They conflict if they are about one order; if both join the queue of one level; or if one may
    match, or must not match, against a level that the other changes; and reading the book conflicts
    with all. Cancels and reductions of
    different orders commute with each other and with whoever joins behind them.
    """
    if earlier.key == later.key or Kind.READ_BOOK in (earlier.kind, later.kind):
        return True
    if (
        earlier.kind is Kind.PLACE
        and later.kind is Kind.PLACE
        and earlier.side == later.side
        and earlier.price == later.price
    ):
        return True
    if _reaches(earlier, later) or _reaches(later, earlier):
        return True
    # Both come in on one side. What the earlier one takes away is what the later one meets; an
    # earlier one that is known not to trade leaves nothing to meet.
    incoming = (Kind.PLACE, Kind.TAKE)
    return (
        earlier.kind in incoming
        and later.kind in incoming
        and earlier.side == later.side
        and earlier.may_trade
    )


def _reaches(incoming: Operation, other: Operation) -> bool:
    """Whether `other` changes a level on the opposite side that `incoming` could trade with."""
    if incoming.kind in (Kind.REDUCE, Kind.CANCEL) or other.kind is Kind.TAKE:
        return False
    if other.side == incoming.side:
        return False
    if incoming.price is None or other.price is None:
        return True
    if incoming.side == "buy":
        return other.price <= incoming.price
    return other.price >= incoming.price
