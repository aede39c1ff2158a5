"""A plain price-time-priority book: the expected effect of a plan on the venue.

Levels are dictionaries in order of arrival, so that the rules are easy to read. The plan is made
with it before anything is sent; the venue's reports are then compared with it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from openvenue.replay.operation import Kind, Operation, Side, opposite


@dataclass(slots=True)
class Resting:
    """An open order of the model."""

    key: int
    side: Side
    price: int
    qty: int  # the rest


class _Fill(NamedTuple):
    key: int
    qty: int
    price: int


@dataclass(slots=True)
class ModelBook:
    """Both sides of one symbol. Each change is returned as the operation that does the same at the
    venue, with its expected result."""

    orders: dict[int, Resting] = field(default_factory=dict)
    # side → price → keys in time priority
    levels: dict[Side, dict[int, dict[int, None]]] = field(
        default_factory=lambda: {"buy": {}, "sell": {}}
    )

    def place(self, key: int, side: Side, price: int, qty: int) -> Operation:
        """Trade the part that crosses, and rest the remainder."""
        fills = self._match(side, price, qty)
        left = qty - sum(fill.qty for fill in fills)
        if left:
            self.orders[key] = Resting(key, side, price, left)
            self.levels[side].setdefault(price, {})[key] = None
        return _operation(Kind.PLACE, key, side, price, qty, fills)

    def take(self, key: int, side: Side, limit: int | None, qty: int) -> Operation:
        """Trade up to `qty` at `limit` or better (None: at any price); drop the rest."""
        return _operation(Kind.TAKE, key, side, limit, qty, self._match(side, limit, qty))

    def _match(self, side: Side, limit: int | None, qty: int) -> list[_Fill]:
        fills: list[_Fill] = []
        resting_side = opposite(side)
        while qty:
            best = self.best(resting_side)
            if best is None:
                break
            if limit is not None and (best > limit if side == "buy" else best < limit):
                break
            key = next(iter(self.levels[resting_side][best]))
            filled = min(qty, self.orders[key].qty)
            self.reduce(key, filled)
            fills.append(_Fill(key, filled, best))
            qty -= filled
        return fills

    def reduce(self, key: int, qty: int) -> None:
        """Take `qty` off an order, which keeps its place; remove it if nothing is left."""
        order = self.orders[key]
        if qty > order.qty:
            raise ValueError(f"order {key} has {order.qty} left, cannot lose {qty}")
        order.qty -= qty
        if not order.qty:
            del self.orders[key]
            level = self.levels[order.side][order.price]
            del level[key]
            if not level:
                del self.levels[order.side][order.price]

    def best(self, side: Side) -> int | None:
        prices = self.levels[side]
        if not prices:
            return None
        return max(prices) if side == "buy" else min(prices)

    def queue(self, side: Side, price: int) -> list[Resting]:
        """Return the orders of a level in time priority."""
        return [self.orders[key] for key in self.levels[side].get(price, ())]

    def total(self, side: Side, price: int) -> int:
        return sum(order.qty for order in self.queue(side, price))

    def top(self, side: Side, depth: int) -> tuple[tuple[int, int], ...]:
        """Return the best `depth` levels as (price, quantity), best first."""
        prices = sorted(self.levels[side], reverse=side == "buy")[:depth]
        return tuple((price, self.total(side, price)) for price in prices)


def _operation(
    kind: Kind, key: int, side: Side, price: int | None, qty: int, fills: list[_Fill]
) -> Operation:
    whole = sum(fill.qty for fill in fills) == qty
    return Operation(
        kind,
        key,
        side,
        price,
        qty,
        makers=tuple((fill.key, fill.qty) for fill in fills),
        first_price=fills[0].price if fills else None,
        last_price=fills[-1].price if fills and whole else None,
    )
