"""Differences that a refusal explains are distinguished from the venue's own."""

import pytest
from openvenue.replay.execute import Outcome
from openvenue.replay.operation import Kind, Operation, observation
from openvenue.replay.plan import Cause
from openvenue.replay.tally import Tally


def take(key: int, price: int, maker: int) -> Operation:
    """Return a buyer of 10 at `price`, who must meet `maker`."""
    return Operation(
        Kind.TAKE, key, "buy", price, 10, ((maker, 10),), first_price=price, last_price=price
    )


def refuse(tally: Tally, operation: Operation) -> None:
    tally.add_outcome(Cause.MESSAGE, Outcome(operation, refused="403: not enough cash"))


def meet_others(tally: Tally, operation: Operation) -> None:
    """Fill the operation without a report of its maker."""
    tally.add_outcome(Cause.MESSAGE, Outcome(operation, filled=10))
    tally.add_outcome(Cause.MESSAGE, Outcome(observation(operation)))


def judged(tally: Tally) -> tuple[int, int]:
    """Return how many trades were called a fault, and how many could not be judged."""
    return tally.priority_broken, tally.priority_not_judged


def test_another_maker_than_foretold_is_a_fault_where_nothing_was_refused() -> None:
    tally = Tally()
    meet_others(tally, take(9, 100, maker=1))
    assert judged(tally) == (1, 0)


@pytest.mark.parametrize(("limit", "found"), [(99, (1, 0)), (100, (0, 1)), (101, (0, 1))])
def test_a_trade_that_reaches_a_refused_order_cannot_be_judged(
    limit: int, found: tuple[int, int]
) -> None:
    tally = Tally()
    refuse(tally, Operation(Kind.PLACE, 1, "sell", 100, 10))
    meet_others(tally, take(9, limit, maker=2))
    assert judged(tally) == found


def test_the_makers_of_a_refused_taker_are_still_there_for_the_next() -> None:
    tally = Tally()
    refused = take(8, 100, maker=1)
    refuse(tally, refused)
    tally.add_outcome(Cause.MESSAGE, Outcome(observation(refused)))
    meet_others(tally, take(9, 100, maker=2))
    assert judged(tally) == (0, 2)
