"""A generated day of order flow: seeded, plausible, and the same for the same seed.

The zero-intelligence model of Smith, Farmer, Gillemot and Krishnamurthy (Quantitative Finance 3,
2003): limit orders, market orders and cancellations arrive as independent Poisson processes, so the
next event is of a kind with probability in proportion to the kind's rate, and every open order is
cancelled at one rate, which keeps the book's depth in balance. Around it the mid drifts.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from openvenue.replay.model_book import ModelBook
from openvenue.replay.operation import Kind, Operation, Side

# Rates relative to each other, per event; cancellations are per open order.
_LIMIT_RATE = 1.0
_TAKE_RATE = 0.25
_CANCEL_RATE_PER_ORDER = 0.0015

_DISTANCE_MEAN_TICKS = 6.0
_DRIFT_TICKS = 0.15
_QTY_MEAN_LOTS = 120
_QTY_MAX_LOTS = 2000


@dataclass(slots=True)
class SyntheticDay:
    """`orders` operations (≥ 1) around `mid_ticks`. Iterate once."""

    orders: int
    seed: int
    mid_ticks: int
    book: ModelBook = field(default_factory=ModelBook)

    def __iter__(self) -> Iterator[Operation]:
        dice = random.Random(self.seed)  # noqa: S311
        keys = count(1)
        mid = float(self.mid_ticks)
        open_keys: list[int] = []
        for _ in range(self.orders):
            mid = max(self.mid_ticks / 2, mid + dice.gauss(0, _DRIFT_TICKS))
            cancel_rate = _CANCEL_RATE_PER_ORDER * len(self.book.orders)
            kind = dice.choices(
                (Kind.PLACE, Kind.TAKE, Kind.CANCEL), (_LIMIT_RATE, _TAKE_RATE, cancel_rate)
            )[0]
            if kind is Kind.CANCEL:
                yield self._cancel(dice, open_keys)
                continue
            side: Side = dice.choice(("buy", "sell"))
            qty = min(_QTY_MAX_LOTS, 1 + int(dice.expovariate(1 / _QTY_MEAN_LOTS)))
            key = next(keys)
            if kind is Kind.TAKE:
                yield self.book.take(key, side, None, qty)
                continue
            distance = dice.expovariate(1 / _DISTANCE_MEAN_TICKS) - 1
            price = max(1, round(mid - distance if side == "buy" else mid + distance))
            open_keys.append(key)
            yield self.book.place(key, side, price, qty)

    def _cancel(self, dice: random.Random, open_keys: list[int]) -> Operation:
        """Cancel a random open order; `open_keys` still has those that have traded away."""
        while True:
            position = dice.randrange(len(open_keys))
            open_keys[position], open_keys[-1] = open_keys[-1], open_keys[position]
            order = self.book.orders.get(open_keys.pop())
            if order is not None:
                operation = Operation(Kind.CANCEL, order.key, order.side, order.price, order.qty)
                self.book.reduce(order.key, order.qty)
                return operation
