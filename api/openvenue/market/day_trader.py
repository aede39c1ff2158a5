"""Trades a recorded day in a loop, as two accounts: one whose orders rest, and one that takes.

A lap begins with cancels of whatever the accounts have open, so that after a kill there is nothing
to recover. Within a lap the venue is not read: an order that others filled is found to be gone when
the day changes it.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from openvenue.market import metrics
from openvenue.market.agents import Action, Cancel, Place, Replace
from openvenue.market.client import Asset, MarketClient
from openvenue.market.day import (
    PRICE_UNITS_PER_DOLLAR,
    DayAction,
    DayBook,
    Move,
    RecordedDay,
    Reduce,
    Remove,
    Rest,
    Take,
)
from openvenue.market.pace import Pace
from openvenue.replay.lobster import Message
from openvenue.replay.venue import Refused
from openvenue.telemetry import get_logger

MAKERS, TAKERS = "market day makers", "market day takers"
ACCOUNTS = (MAKERS, TAKERS)

_KEY_REFUSED = 401
# An order that ended before it could be canceled or replaced.
_LATE = frozenset((404, 422))

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a lap begins: in an instrument, at a price in ticks, with usual orders in lots."""

    asset: Asset
    ticks: int
    unit: int

    def move(self, day: RecordedDay, *, mirrored: bool) -> Move:
        return Move(
            day.first_price,
            self.ticks,
            float(1 / (self.asset.price_increment * PRICE_UNITS_PER_DOLLAR)),
            self.unit / day.usual_size,
            mirrored,
        )


class DayTrader:
    """One recorded day on one instrument; `makers` and `takers` are accounts of the client.

    `on_trade` is called with the price of each trade of the day, in ticks.
    """

    def __init__(
        self,
        client: MarketClient,
        makers: int,
        takers: int,
        day: RecordedDay,
        on_trade: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._accounts = {MAKERS: makers, TAKERS: takers}
        self._day = day
        self._on_trade = on_trade
        self._run = secrets.token_hex(6)  # Client order ids are the run's own.
        self._requests = 0
        self._laps = 0
        self._open: dict[int, str] = {}  # the venue's order ids, by the day's
        for name in ACCOUNTS:
            for outcome in metrics.OUTCOMES:
                metrics.ACTIONS.labels(name, outcome)

    async def lap(self, start: Start, pace: Pace) -> None:
        """Play the day once; every second lap is mirrored.

        Raises VenueUnavailable if the venue is away, Refused if it refuses the keys, and
        MalformedFile or OSError if the file is no longer what it was.
        """
        await self.leave()
        book = DayBook(start.move(self._day, mirrored=self._laps % 2 == 1))
        metrics.DAY_LAPS.inc()
        for message in self._day:
            await self._wait(message, pace)
            for action in book.follow(message):
                await self._act(start.asset, action, pace)
            if book.last_price is not None:
                self._on_trade(book.last_price)
                book.last_price = None
        await self.leave()
        # One that was broken off is played again in the same direction.
        self._laps += 1

    async def leave(self) -> None:
        """Cancel all orders of both accounts."""
        self._open.clear()
        for account in self._accounts.values():
            await self._client.cancel_all(account)

    async def _wait(self, message: Message, pace: Pace) -> None:
        # Also for 0 s: a stretch without requests would keep the other residents waiting.
        await asyncio.sleep(pace.until_due_s(message.time_s))
        metrics.DAY_TIME.set(message.time_s)

    async def _act(self, asset: Asset, action: DayAction, pace: Pace) -> None:
        name, request = self._request(action)
        if request is None:
            return
        if wait_s := pace.until_allowed_s():
            await asyncio.sleep(wait_s)
        self._requests += 1
        client_order_id = f"market-day-{self._run}-{self._requests}"
        try:
            order_id = await self._client.perform(
                self._accounts[name], asset, request, client_order_id
            )
        except Refused as refused:
            if refused.status == _KEY_REFUSED:
                raise
            late = refused.status in _LATE and not isinstance(request, Place)
            metrics.ACTIONS.labels(name, "late" if late else "refused").inc()
            if not late:
                _log.info("refused", agent=name, symbol=asset.symbol, reason=str(refused)[:200])
            elif not isinstance(action, Take):
                self._open.pop(action.key, None)
            return
        metrics.ACTIONS.labels(name, "done").inc()
        if isinstance(action, Rest | Reduce):
            self._open[action.key] = order_id

    def _request(self, action: DayAction) -> tuple[str, Action | None]:
        """Return who does what; None if the venue has no such order, because it was refused."""
        match action:
            case Rest():
                return MAKERS, Place(action.side, action.price, action.qty)
            case Take():
                return TAKERS, Place(action.side, action.price, action.qty, now=True)
            case Reduce():
                order_id = self._open.get(action.key)
                return MAKERS, Replace(order_id, action.price, action.qty) if order_id else None
            case Remove():
                order_id = self._open.pop(action.key, None)
                return MAKERS, Cancel(order_id) if order_id else None
