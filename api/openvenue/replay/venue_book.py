"""The book by the venue's own reports, one after the other.

It knows nothing of the plan, only the order of each operation. So it is the venue's own account,
and can be compared with `GET /v1/book`.
"""

from dataclasses import dataclass, field

from openvenue.replay.execute import Levels, Outcome
from openvenue.replay.operation import Kind, Side


@dataclass(slots=True)
class _Resting:
    side: Side
    price: int
    left: int


@dataclass(slots=True)
class VenueBook:
    """Quantities by price. `taken` and `given` are the total fills of takers and makers: the venue
    reports them separately, and they must be equal."""

    taken: int = 0
    given: int = 0
    _orders: dict[int, _Resting] = field(default_factory=dict)
    _totals: dict[Side, dict[int, int]] = field(default_factory=lambda: {"buy": {}, "sell": {}})

    def apply(self, outcome: Outcome) -> None:
        """Apply one report; outcomes must come in the order of their operations."""
        operation = outcome.operation
        if operation.kind is Kind.READ_BOOK or outcome.refused is not None:
            return
        self.taken += outcome.filled
        for key, filled in outcome.makers:
            self.given += filled
            self._change(key, -filled)
        if operation.kind is Kind.PLACE and outcome.left and operation.price is not None:
            self._orders[operation.key] = _Resting(operation.side, operation.price, 0)
            self._change(operation.key, outcome.left)
        elif operation.kind in (Kind.REDUCE, Kind.CANCEL) and operation.key in self._orders:
            self._change(operation.key, outcome.left - self._orders[operation.key].left)

    def top(self, side: Side, depth: int) -> Levels:
        """The best `depth` levels as (price, quantity), best first."""
        totals = self._totals[side]
        prices = sorted(totals, reverse=side == "buy")[:depth]
        return tuple((price, totals[price]) for price in prices)

    def _change(self, key: int, qty: int) -> None:
        order = self._orders[key]
        order.left += qty
        if not order.left:
            del self._orders[key]
        totals = self._totals[order.side]
        total = totals.get(order.price, 0) + qty
        if total:
            totals[order.price] = total
        else:
            totals.pop(order.price, None)
