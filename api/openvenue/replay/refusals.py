"""Effects of a venue's refusals on a plan: they explain later differences that are no fault.

A plan counts on every order. If the venue refuses one, its book differs from the plan's at that
price, possibly until the end; orders that trade through that price may meet others.
"""

from dataclasses import dataclass, field

from openvenue.replay.execute import Outcome
from openvenue.replay.operation import Kind, Operation, Side, opposite


@dataclass(slots=True)
class Refusals:
    """Follows the outcomes of one replay, in order."""

    _refused: set[int] = field(default_factory=set)
    # side → prices at which the venue's book may differ from the plan's
    _prices: dict[Side, set[int]] = field(default_factory=lambda: {"buy": set(), "sell": set()})

    def add(self, operation: Operation) -> None:
        """Note an operation that the venue refused."""
        self._refused.add(operation.key)
        if operation.kind is not Kind.TAKE and operation.price is not None:
            self._prices[operation.side].add(operation.price)
        # Its makers stay. An order that reaches any of them passes the first.
        if operation.first_price is not None:
            self._prices[opposite(operation.side)].add(operation.first_price)

    def explain(self, outcome: Outcome) -> bool:
        """True if a refusal may explain why an operation met other orders than expected."""
        operation = outcome.operation
        return (
            bool(outcome.absent)
            or operation.key in self._refused
            or any(_comes_to(operation, price) for price in self._prices[opposite(operation.side)])
        )


def _comes_to(operation: Operation, price: int) -> bool:
    if operation.price is None:
        return True
    return price <= operation.price if operation.side == "buy" else price >= operation.price
