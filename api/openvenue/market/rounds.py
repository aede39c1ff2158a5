"""Plays rounds: the agents see, decide and act.

A round reads all quotes, and each account's positions and open orders. It asks each agent about
each instrument, and carries out what they decide through the REST API. Nothing that a later round
needs is kept but values, last middle prices and homes, which a restart makes anew. The clock is a
parameter: a simulation runs the same rounds without waiting.
"""

import asyncio
import math
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from openvenue.market import metrics
from openvenue.market.agents import Action, Agent, View
from openvenue.market.client import Asset, MarketClient, OpenOrder, Position, Quote
from openvenue.market.day_trader import Start
from openvenue.market.settings import MarketSettings
from openvenue.market.value import Value
from openvenue.replay.venue import Refused
from openvenue.telemetry import get_logger

_ASSETS_EVERY_S = 60.0
_TREND_S = 60.0
# An order that ended before it could be canceled or replaced.
_LATE = frozenset((404, 422))

_log = get_logger(__name__)


@dataclass(slots=True)
class _Instrument:
    asset: Asset
    value: Value
    unit: int
    middles: deque[float]
    homes: dict[str, float] = field(default_factory=dict)  # by agent
    randoms: dict[str, Random] = field(default_factory=dict)

    @property
    def trend(self) -> float:
        return math.log(self.middles[-1] / self.middles[0]) if len(self.middles) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """One account's state."""

    positions: dict[str, Position]  # by asset id
    orders: list[OpenOrder]


@dataclass(frozen=True, slots=True)
class _Turn:
    """Actions of one agent in one instrument in a round."""

    account: int
    instrument: _Instrument
    actions: list[Action]


class Rounds:
    """The market. `agents` are in the order of the client's accounts."""

    def __init__(
        self, client: MarketClient, agents: Sequence[Agent], settings: MarketSettings
    ) -> None:
        self._client = client
        self._agents = agents
        self._settings = settings
        self.seed = secrets.randbits(32) if settings.seed is None else settings.seed
        self._run = secrets.token_hex(6)  # Client order ids are the run's own.
        self._orders = 0
        self._random = self._stream("order of turns")
        self._instruments: dict[str, _Instrument] = {}
        self._assets_age_s = math.inf
        self.quotes: dict[str, Quote] = {}
        for agent in agents:
            for outcome in metrics.OUTCOMES:
                metrics.ACTIONS.labels(agent.name, outcome)

    @property
    def symbols(self) -> list[str]:
        return list(self._instruments)

    async def play(self, seconds: float, *, spread_over_s: float = 0.0) -> None:
        """Play the round that comes `seconds` after the one before.

        Its actions are spread over `spread_over_s` of real time. Raises VenueUnavailable if the
        venue is away, Refused if it refuses a read.
        """
        seen = [await self._look(account) for account in range(len(self._agents))]
        self._assets_age_s += seconds
        if self._assets_age_s >= _ASSETS_EVERY_S:
            await self._refresh(seen)
            self._assets_age_s = 0.0
        self.quotes = await self._client.quotes([one.asset for one in self._instruments.values()])
        await self._cancel_strangers(seen)
        turns = self._decide(seen, seconds)
        pause_s = spread_over_s / len(turns) if turns else 0.0
        left = math.ceil(self._settings.orders_per_second_max * seconds)
        for turn in turns:
            started = time.monotonic()
            left -= await self._act(turn, left)
            if pause_s:
                await asyncio.sleep(max(0.0, pause_s - (time.monotonic() - started)))
        metrics.ROUNDS.inc()
        metrics.SYMBOLS.set(len(self._instruments))
        metrics.ONE_SIDED.set(sum(1 for each in self.quotes.values() if not each.bid * each.ask))

    async def leave(self) -> None:
        """Cancel all orders of all accounts: nobody would look after them."""
        for account in range(len(self._agents)):
            await self._client.cancel_all(account)

    async def start_of(self, symbol: str) -> Start | None:
        """Return what a recorded day starts from: the present price, within the value's reach.

        None if the instrument is not traded here.
        """
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return None
        asset = instrument.asset
        bid, ask = _ticks(asset, (await self._client.quotes([asset])).get(symbol))
        if bid is not None and ask is not None:
            instrument.value.follow((bid + ask) / 2)
        return Start(asset, max(1, round(instrument.value.now)), instrument.unit)

    def follow(self, symbol: str, ticks: int) -> None:
        """Let the instrument's value follow a trade of a recorded day, within its reach."""
        if instrument := self._instruments.get(symbol):
            instrument.value.follow(ticks)

    async def _look(self, account: int) -> _Seen:
        positions = await self._client.positions(account)
        orders = await self._client.open_orders(account)
        return _Seen({each.asset_id: each for each in positions}, orders)

    async def _cancel_strangers(self, seen: list[_Seen]) -> None:
        """Cancel orders in what is not traded here, or no longer."""
        for account, each in enumerate(seen):
            for order in each.orders:
                if order.symbol not in self._instruments:
                    await self._client.cancel(account, order.id)

    async def _refresh(self, seen: list[_Seen]) -> None:
        """Take up instruments that can be traded, and drop those that no longer can."""
        wanted = self._settings.symbols
        assets = {
            asset.symbol: asset
            for asset in await self._client.assets()
            if not wanted or asset.symbol in wanted
        }
        for symbol in self._instruments.keys() - assets.keys():
            del self._instruments[symbol]
        room = 50 - len(self._instruments)
        new = [asset for symbol, asset in assets.items() if symbol not in self._instruments]
        quotes = await self._client.quotes(new[:room])
        for asset in new[:room]:
            made = self._instrument(asset, quotes.get(asset.symbol), seen)
            if made is None:
                _log.info("not traded: no price is known", symbol=asset.symbol)
            else:
                self._instruments[asset.symbol] = made

    def _instrument(
        self, asset: Asset, quote: Quote | None, seen: list[_Seen]
    ) -> _Instrument | None:
        anchor = self._settings.prices.get(asset.symbol)
        held = (each.positions.get(asset.asset_id) for each in seen)
        last = next((each.current_price for each in held if each is not None), None)
        anchor = anchor or last
        if not anchor:
            return None
        now = anchor
        if quote and quote.bid and quote.ask:
            now = (quote.bid + quote.ask) / 2
        elif last:
            now = last
        settings = self._settings
        random = self._stream(f"{asset.symbol}/value")
        value = Value(
            float(anchor / asset.price_increment), float(now / asset.price_increment), random
        )
        return _Instrument(
            asset,
            value,
            unit=max(1, asset.lots(settings.order_value / anchor)),
            middles=deque(maxlen=1 + max(1, round(_TREND_S / settings.round_s))),
            randoms={
                agent.name: self._stream(f"{asset.symbol}/{agent.name}") for agent in self._agents
            },
        )

    def _stream(self, name: str) -> Random:
        """Return a random stream of its own for each decision maker."""
        return Random(f"{self.seed}/{name}")  # noqa: S311

    def _decide(self, seen: list[_Seen], seconds: float) -> list[_Turn]:
        """Return the turns of a round, the makers' first."""
        by_agent: list[list[_Turn]] = [[] for _ in self._agents]
        kept = 0.5 ** (seconds / self._settings.home_half_life_s)
        for symbol, instrument in self._instruments.items():
            instrument.value.advance(seconds)
            quote = self.quotes.get(symbol)
            bid, ask = _ticks(instrument.asset, quote)
            if bid is not None and ask is not None:
                instrument.middles.append((bid + ask) / 2)
            for account, agent in enumerate(self._agents):
                own = seen[account]
                position = own.positions.get(instrument.asset.asset_id)
                lots = instrument.asset.lots(position.qty) if position else 0
                home = instrument.homes.get(agent.name, float(lots))
                instrument.homes[agent.name] = home = lots + (home - lots) * kept
                view = View(
                    bid=bid,
                    ask=ask,
                    value=instrument.value.now,
                    activity=instrument.value.activity,
                    trend=instrument.trend,
                    position=lots,
                    home=round(home),
                    limit=self._settings.limit_orders * instrument.unit,
                    unit=instrument.unit,
                    orders=tuple(
                        order.own(instrument.asset)
                        for order in own.orders
                        if order.symbol == symbol
                    ),
                )
                actions = agent.decide(view, instrument.randoms[agent.name])
                if actions:
                    by_agent[account].append(_Turn(account, instrument, actions))
        for turns in by_agent:
            self._random.shuffle(turns)
        return [turn for turns in by_agent for turn in turns]

    async def _act(self, turn: _Turn, left: int) -> int:
        """Carry out a turn until an action fails, or none is left; return how many were tried."""
        name = self._agents[turn.account].name
        for number, action in enumerate(turn.actions):
            if number >= left:
                metrics.ACTIONS.labels(name, "dropped").inc(len(turn.actions) - number)
                return number
            self._orders += 1
            client_order_id = f"market-{self._run}-{self._orders}"
            asset = turn.instrument.asset
            try:
                await self._client.perform(turn.account, asset, action, client_order_id)
            except Refused as refused:
                late = refused.status in _LATE and hasattr(action, "order_id")
                metrics.ACTIONS.labels(name, "late" if late else "refused").inc()
                if not late:
                    _log.info("refused", agent=name, symbol=asset.symbol, reason=str(refused)[:200])
                return number + 1
            metrics.ACTIONS.labels(name, "done").inc()
        return len(turn.actions)


def _ticks(asset: Asset, quote: Quote | None) -> tuple[int | None, int | None]:
    if quote is None:
        return None, None
    return (
        asset.ticks(quote.bid) if quote.bid else None,
        asset.ticks(quote.ask) if quote.ask else None,
    )
