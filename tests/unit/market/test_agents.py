"""What every resident trader keeps to, whatever it sees."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvenue.market.agents import (
    Action,
    Agent,
    Cancel,
    OwnOrder,
    Place,
    Replace,
    Side,
    View,
    residents,
)
from openvenue.market.value import Value

AGENTS = residents()
SIDES: tuple[Side, Side] = ("buy", "sell")


@st.composite
def own_orders(draw: st.DrawFn, position: int, home: int, limit: int) -> tuple[OwnOrder, ...]:
    """Return open orders that do not meet each other, and that the limit allowed."""
    cut = draw(st.integers(2, 60_000))
    orders = []
    room: dict[Side, int] = {
        "buy": home + limit - position,
        "sell": min(position, position - home + limit),
    }
    for number in range(draw(st.integers(0, 3))):
        side: Side = draw(st.sampled_from(SIDES))
        if room[side] < 1:
            continue
        left = draw(st.integers(1, room[side]))
        room[side] -= left
        filled = draw(st.integers(0, 50))
        prices = st.integers(1, cut - 1) if side == "buy" else st.integers(cut, 70_000)
        orders.append(OwnOrder(str(number), side, draw(prices), left + filled, filled))
    return tuple(orders)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Return a view of a book that has both sides, one or none, and whose prices may be absurd."""
    bid = draw(st.none() | st.integers(1, 60_000))
    ask = draw(st.none() | st.integers((bid or 0) + 1, 65_000))
    home = draw(st.integers(0, 5000))
    limit = draw(st.integers(1, 2000))
    position = draw(st.integers(0, home + limit))
    return View(
        bid=bid,
        ask=ask,
        value=draw(st.floats(1.0, 60_000.0)),
        activity=draw(st.floats(0.2, 5.0)),
        trend=draw(st.floats(-0.1, 0.1)),
        position=position,
        home=home,
        limit=limit,
        unit=draw(st.integers(1, 200)),
        orders=draw(own_orders(position, home, limit)),
    )


cases = given(agent=st.sampled_from(AGENTS), view=views(), seed=st.integers(0, 1000))


def after(orders: Sequence[OwnOrder], action: Action) -> list[OwnOrder]:
    """Return the open orders after an action, if nobody else trades."""
    if isinstance(action, Place):
        if action.now:
            return list(orders)
        return [*orders, OwnOrder("new", action.side, action.price, action.qty)]
    found = [order for order in orders if order.order_id == action.order_id]
    assert found, "the agent names an order that it does not have"
    kept = [order for order in orders if order.order_id != action.order_id]
    if isinstance(action, Cancel):
        return kept
    old = found[0]
    return [*kept, OwnOrder(old.order_id, old.side, action.price, action.qty, old.filled)]


@cases
def test_positions_stay_within_their_limit_even_if_everything_is_filled(
    agent: Agent, view: View, seed: int
) -> None:
    orders = list(view.orders)
    taken = {"buy": 0, "sell": 0}
    for action in agent.decide(view, Random(seed)):
        orders = after(orders, action)
        if isinstance(action, Place) and action.now:
            taken[action.side] += action.qty
    bought = taken["buy"] + sum(each.left for each in orders if each.side == "buy")
    sold = taken["sell"] + sum(each.left for each in orders if each.side == "sell")
    if bought:
        assert view.position + bought <= view.home + view.limit
    if sold:
        assert view.position - sold >= max(0, view.home - view.limit)


@cases
def test_no_order_of_an_agent_can_trade_with_another_of_its_own(
    agent: Agent, view: View, seed: int
) -> None:
    orders = list(view.orders)
    for action in agent.decide(view, Random(seed)):
        if isinstance(action, Place):
            for other in orders:
                if other.side != action.side:
                    below, above = sorted((action.price, other.price))
                    assert below < above
                    assert (action.price < other.price) == (action.side == "buy")
        orders = after(orders, action)
        bids = [order.price for order in orders if order.side == "buy"]
        asks = [order.price for order in orders if order.side == "sell"]
        assert not bids or not asks or max(bids) < min(asks)


@cases
def test_prices_and_quantities_are_whole_and_at_least_one(
    agent: Agent, view: View, seed: int
) -> None:
    for action in agent.decide(view, Random(seed)):
        if isinstance(action, (Place, Replace)):
            assert isinstance(action.price, int)
            assert isinstance(action.qty, int)
            assert action.price >= 1
            assert action.qty >= 1
        if isinstance(action, Replace):
            (old,) = (each for each in view.orders if each.order_id == action.order_id)
            assert action.qty > old.filled


@cases
def test_the_same_view_and_random_stream_give_the_same_decision(
    agent: Agent, view: View, seed: int
) -> None:
    assert agent.decide(view, Random(seed)) == agent.decide(view, Random(seed))


@pytest.mark.parametrize("maker", AGENTS[:2], ids=lambda agent: agent.name)
@given(seed=st.integers(0, 10_000), value=st.floats(50.0, 60_000.0), stretch=st.floats(-0.9, 0.9))
def test_a_maker_with_room_quotes_both_sides_of_an_empty_book(
    maker: Agent, seed: int, value: float, stretch: float
) -> None:
    view = View(None, None, value, 1.0, 0.0, 5000 + int(stretch * 500), 5000, 500, 5)
    placed = {
        action.side: action.price
        for action in maker.decide(view, Random(seed))
        if isinstance(action, Place)
    }
    assert placed["buy"] < placed["sell"]


@given(seed=st.integers(0, 1000), start=st.floats(0.1, 10.0), steps=st.integers(1, 200))
def test_a_value_never_leaves_the_reach_of_its_anchor(seed: int, start: float, steps: int) -> None:
    value = Value(1000.0, 1000.0 * start, Random(seed), daily_volatility=0.5)
    for _ in range(steps):
        value.advance(1800.0)
        assert 749.9 <= value.now <= 1250.1
        assert 0.2 <= value.activity <= 5.0


def test_a_value_is_reproducible_by_its_seed() -> None:
    one, other = (Value(1000.0, 1000.0, Random(7)) for _ in range(2))
    for _ in range(100):
        one.advance(2.0)
        other.advance(2.0)
    assert one.now == other.now != 1000.0
