"""Resident traders. Each is a pure function of what it sees and of its own random stream.

An agent trades one instrument in each call, from its own account. It keeps no state: its orders and
its position are what the venue says they are. So a restart needs no recovery, and an order that
no agent remembers cannot exist.

Promises of every agent, whatever it sees (tests/unit/market/test_agents.py):

- its position stays within `limit` of `home`, even if all its orders are filled;
- it sells only what it holds;
- prices are whole ticks, quantities whole lots, both at least 1;
- none of its orders can trade with another of its own.
"""

import math
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An open order of the agent: `qty` lots in total, of which `filled` are."""

    order_id: str
    side: Side
    price: int  # ticks
    qty: int
    filled: int = 0

    @property
    def left(self) -> int:
        return self.qty - self.filled


@dataclass(frozen=True, slots=True)
class View:
    """One instrument as an agent sees it: prices in ticks, quantities in lots."""

    bid: int | None
    ask: int | None
    value: float
    """Value of the instrument, the same for all agents."""
    activity: float
    """How much happens: 1 on average; spreads and orders grow with it."""
    trend: float
    """Relative change of the middle price over the last minute."""
    position: int
    home: int
    """Position that the agent wants to come back to."""
    limit: int
    """How far the position may be from `home`."""
    unit: int
    """Usual quantity of an order, at least 1."""
    orders: tuple[OwnOrder, ...] = ()

    @property
    def middle(self) -> float | None:
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2

    def room(self, side: Side) -> int:
        """Return how many lots more the agent may buy or sell, its open orders aside."""
        if side == "buy":
            return max(0, self.home + self.limit - self.position)
        return max(0, min(self.position, self.position - self.home + self.limit))

    @property
    def stretch(self) -> float:
        """How far the position is from home, as a share of the limit, from -1 to 1."""
        return max(-1.0, min(1.0, (self.position - self.home) / max(1, self.limit)))


@dataclass(frozen=True, slots=True)
class Place:
    """Enter a limit order; if `now`, what does not trade at once is canceled."""

    side: Side
    price: int
    qty: int
    now: bool = False


@dataclass(frozen=True, slots=True)
class Replace:
    """Give an open order another price and another total quantity."""

    order_id: str
    price: int
    qty: int


@dataclass(frozen=True, slots=True)
class Cancel:
    order_id: str


Action = Place | Replace | Cancel


class Agent(Protocol):
    """A trader."""

    @property
    def name(self) -> str:
        """Name of its account, and its label in metrics."""
        ...

    def decide(self, view: View, random: Random) -> list[Action]:
        """Return what it does now, in this order; the driver may stop after any action."""
        ...


@dataclass(frozen=True, slots=True)
class Maker:
    """Quotes both sides around the value, lower if it holds much, and wider if much happens."""

    name: str
    half_spread_bps: float
    size: float  # in units
    skew_bps: float = 8.0
    tolerance: float = 0.35
    """Share of the half spread by which a quote may be off before it moves."""

    def decide(self, view: View, random: Random) -> list[Action]:
        fair = view.value * (1 - self.skew_bps * 1e-4 * view.stretch)
        half = max(0.5, fair * self.half_spread_bps * 1e-4 * math.sqrt(view.activity))
        half *= random.uniform(0.85, 1.15)
        bid = max(1, math.floor(fair - half))
        ask = max(bid + 1, math.ceil(fair + half))
        kept: dict[Side, OwnOrder] = {}
        extra: list[Action] = []
        for order in view.orders:
            if order.side in kept:
                extra.append(Cancel(order.order_id))
            else:
                kept[order.side] = order
        old_bid, old_ask = kept.get("buy"), kept.get("sell")
        buy = self._side(view, "buy", bid, half, old_bid, other=ask)
        sell = self._side(view, "sell", ask, half, old_ask, other=bid)
        # The side that makes way goes first, so that the other never meets it.
        rises = old_ask is not None and old_ask.price <= bid
        return [*extra, *(sell + buy if rises else buy + sell)]

    def _side(
        self, view: View, side: Side, price: int, half: float, order: OwnOrder | None, other: int
    ) -> list[Action]:
        """Return what brings one side to `price`; `other` is the price of the other side."""
        wanted = min(max(1, round(view.unit * self.size)), view.room(side))
        if not wanted:
            return [Cancel(order.order_id)] if order else []
        if order is None:
            return [Place(side, price, wanted)]
        near = abs(order.price - price) <= max(1.0, self.tolerance * half)
        apart = order.price < other if side == "buy" else order.price > other
        enough = order.left <= wanted <= order.left * 2
        if near and apart and enough:
            return []
        return [Replace(order.order_id, price, order.filled + wanted)]


@dataclass(frozen=True, slots=True)
class Noise:
    """Trades for reasons of its own: takes what is quoted, or waits between the quotes."""

    name: str
    chance: float  # to act in a round
    patience: float = 0.35
    """Share of its orders that wait."""

    def decide(self, view: View, random: Random) -> list[Action]:
        acts = random.random() < min(1.0, self.chance * view.activity)
        buys = random.random() < 0.5 - 0.4 * view.stretch
        size = random.lognormvariate(0.0, 0.8)
        waits = random.random() < self.patience
        place = random.random()
        old: list[Action] = [Cancel(order.order_id) for order in view.orders]
        if not acts:
            # Orders that wait do so for a few rounds.
            return old if old and place < 0.25 else []
        if view.bid is None or view.ask is None:
            return old
        side: Side = "buy" if buys else "sell"
        qty = min(max(1, round(view.unit * size)), view.room(side), 20 * view.unit)
        if not qty:
            return old
        if waits and view.ask - view.bid > 1:
            price = view.bid + 1 + int(place * (view.ask - view.bid - 1))
            return [*old, Place(side, price, qty)]
        return [*old, _take(view, side, qty)]


@dataclass(frozen=True, slots=True)
class ValueTrader:
    """Buys what is cheap and sells what is dear, and so brings prices back to the value."""

    name: str
    chance: float
    threshold_bps: float = 10.0

    def decide(self, view: View, random: Random) -> list[Action]:
        old: list[Action] = [Cancel(order.order_id) for order in view.orders]
        if random.random() >= self.chance or view.bid is None or view.ask is None:
            return old
        threshold = self.threshold_bps * 1e-4 * math.sqrt(view.activity)
        if view.ask < view.value * (1 - threshold):
            side: Side = "buy"
        elif view.bid > view.value * (1 + threshold):
            side = "sell"
        elif abs(view.stretch) > 0.5:  # There is nothing to gain: go home.
            side = "sell" if view.stretch > 0 else "buy"
        else:
            return old
        qty = min(2 * view.unit, view.room(side))
        return [*old, _take(view, side, qty)] if qty else old


@dataclass(frozen=True, slots=True)
class MomentumTrader:
    """Follows a price that moved, and goes home when it rests."""

    name: str
    chance: float
    threshold_bps: float = 12.0

    def decide(self, view: View, random: Random) -> list[Action]:
        old: list[Action] = [Cancel(order.order_id) for order in view.orders]
        if random.random() >= self.chance or view.bid is None or view.ask is None:
            return old
        if abs(view.trend) > self.threshold_bps * 1e-4:
            side: Side = "buy" if view.trend > 0 else "sell"
        elif abs(view.stretch) > 0.05:
            side = "sell" if view.stretch > 0 else "buy"
        else:
            return old
        qty = min(view.unit, view.room(side))
        return [*old, _take(view, side, qty)] if qty else old


def _take(view: View, side: Side, qty: int) -> Place:
    """Trade with what is quoted now, at most a tenth of a percent worse."""
    assert view.bid is not None
    assert view.ask is not None
    if side == "buy":
        return Place("buy", view.ask + max(1, view.ask // 1000), qty, now=True)
    return Place("sell", max(1, view.bid - max(1, view.bid // 1000)), qty, now=True)


def residents() -> tuple[Agent, ...]:
    """Return the traders of a market; the makers first."""
    return (
        Maker("market maker 1", half_spread_bps=2.5, size=4),
        # Wide and large: it is there while the first one was just filled.
        Maker("market maker 2", half_spread_bps=6.0, size=40),
        Noise("market noise", chance=0.4),
        ValueTrader("market value", chance=0.2),
        MomentumTrader("market momentum", chance=0.1),
    )
