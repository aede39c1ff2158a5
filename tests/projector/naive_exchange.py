"""An obvious exchange: it searches a list of all open orders, and makes entries of the journal."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from openvenue.engine.v1 import engine_pb2 as pb

from tests.projector.entries import canceled, entry, new_order

Best = tuple[int, int] | None
Tops = dict[int, tuple[Best, Best]]


@dataclass
class OpenOrder:
    """An order with lots left."""

    order_id: int
    instrument_id: int
    side: "pb.Side.ValueType"
    price_ticks: int
    lots: int
    account_id: int = 1
    stop_price_ticks: int = 0
    """0: it is no stop order."""
    keeps_rest: bool = True
    prevention: "pb.SelfTradePrevention.ValueType" = pb.SELF_TRADE_PREVENTION_UNSPECIFIED
    due: bool = False
    """A trade has reached the stop price."""


def tops(orders: Iterable[OpenOrder]) -> Tops:
    """Return price and lots of the best bid and ask of each instrument that has orders."""
    found: Tops = {}
    orders = list(orders)
    for instrument_id in {order.instrument_id for order in orders}:
        bids, asks = (
            [each for each in orders if (each.instrument_id, each.side) == (instrument_id, side)]
            for side in (pb.SIDE_BUY, pb.SIDE_SELL)
        )
        found[instrument_id] = (
            _best(bids, max((each.price_ticks for each in bids), default=0)),
            _best(asks, min((each.price_ticks for each in asks), default=0)),
        )
    return found


def _best(orders: list[OpenOrder], price_ticks: int) -> Best:
    lots = sum(order.lots for order in orders if order.price_ticks == price_ticks)
    return (price_ticks, lots) if orders else None


class NaiveExchange:
    """Makes an entry of each command.

    After it the orders of `open` rest, and those of `waiting` wait for their stop prices. `trigger`
    comes after each command until it has nothing to do.
    """

    def __init__(self) -> None:
        self.open: list[OpenOrder] = []
        self.waiting: list[OpenOrder] = []
        self.sequence = 0
        self._trade_id = 0
        self._last_prices: dict[int, int] = {}

    def place(
        self,
        instrument_id: int,
        side: "pb.Side.ValueType",
        price_ticks: int,
        lots: int,
        *,
        rests: bool = True,
        account_id: int = 1,
        prevention: "pb.SelfTradePrevention.ValueType" = pb.SELF_TRADE_PREVENTION_UNSPECIFIED,
    ) -> pb.JournalEntry:
        """Enter an order; one that does not rest is canceled as far as it does not trade."""
        self.sequence += 1
        taker = OpenOrder(self.sequence, instrument_id, side, price_ticks, lots, account_id)
        events = self._match(taker, prevention)
        if taker.lots and rests:
            self.open.append(taker)
        elif taker.lots:
            events.append(canceled(taker.order_id, pb.REASON_IMMEDIATE_OR_CANCEL))
        return new_order(
            self.sequence,
            *events,
            account_id=account_id,
            instrument_id=instrument_id,
            side=side,
            qty_lots=lots,
            limit_price_ticks=price_ticks,
            self_trade_prevention=prevention,
        )

    def place_stop(
        self,
        instrument_id: int,
        side: "pb.Side.ValueType",
        stop_price_ticks: int,
        price_ticks: int,
        lots: int,
        *,
        of_limit: bool,
        account_id: int = 1,
        prevention: "pb.SelfTradePrevention.ValueType" = pb.SELF_TRADE_PREVENTION_UNSPECIFIED,
    ) -> pb.JournalEntry:
        """Enter a stop or stop-limit order."""
        self.sequence += 1
        order = OpenOrder(
            self.sequence,
            instrument_id,
            side,
            price_ticks,
            lots,
            account_id,
            stop_price_ticks,
            keeps_rest=of_limit,
            prevention=prevention,
        )
        self._wait(order)
        return new_order(
            self.sequence,
            account_id=account_id,
            instrument_id=instrument_id,
            side=side,
            type=_stop_type(order),
            qty_lots=lots,
            limit_price_ticks=price_ticks,
            stop_price_ticks=stop_price_ticks,
            self_trade_prevention=prevention,
        )

    def trigger(self) -> pb.JournalEntry | None:
        """Bring the oldest order into force whose stop price a trade has reached, if one is due."""
        taker = next((order for order in self.waiting if order.due), None)
        if taker is None:
            return None
        self.sequence += 1
        self.waiting.remove(taker)
        triggered = pb.OrderTriggered(
            order_id=taker.order_id,
            account_id=taker.account_id,
            instrument_id=taker.instrument_id,
            side=taker.side,
            type=_stop_type(taker),
            qty_lots=taker.lots,
            limit_price_ticks=taker.price_ticks,
        )
        events = self._match(taker, taker.prevention)
        if taker.lots and taker.keeps_rest:
            self.open.append(taker)
        elif taker.lots:
            events.append(canceled(taker.order_id, pb.REASON_NO_LIQUIDITY))
        first = pb.Event(order_triggered=triggered)
        return entry(self.sequence, first, *events, trigger_order=pb.TriggerOrder())

    def cancel(self, order: OpenOrder) -> pb.JournalEntry:
        """Cancel an order."""
        self.sequence += 1
        self._remove(order)
        command = pb.CancelOrder(account_id=1, order_id=order.order_id)
        return entry(self.sequence, canceled(order.order_id), cancel_order=command)

    def replace(self, order: OpenOrder, price_ticks: int, lots: int) -> pb.JournalEntry:
        """Replace an order by one with these lots left, of which `filled` were filled before.

        The price is the stop price of an order that waits.
        """
        self.sequence += 1
        waiting = order in self.waiting
        filled = 0 if waiting else order.order_id % 3
        self._remove(order)
        taker = replace(order, order_id=self.sequence, lots=lots)
        if waiting:
            taker.stop_price_ticks, taker.due = price_ticks, False
        else:
            taker.price_ticks = price_ticks
        replaced = pb.Event(
            order_replaced=pb.OrderReplaced(
                old_order_id=order.order_id,
                order_id=self.sequence,
                account_id=order.account_id,
                instrument_id=order.instrument_id,
                side=order.side,
                qty_lots=lots + filled,
                filled_lots=filled,
                limit_price_ticks=taker.price_ticks,
                stop_price_ticks=taker.stop_price_ticks,
                waiting=waiting,
            )
        )
        events = []
        if waiting:
            self._wait(taker)
        else:
            events = self._match(taker)
            if taker.lots:
                self.open.append(taker)
        command = pb.ReplaceOrder(account_id=1, order_id=order.order_id)
        return entry(self.sequence, replaced, *events, replace_order=command)

    def end_day(self, orders: list[OpenOrder]) -> pb.JournalEntry:
        """Expire orders of any instruments, all in one entry."""
        self.sequence += 1
        self.open = [order for order in self.open if order not in orders]
        self.waiting = [order for order in self.waiting if order not in orders]
        events = [canceled(order.order_id, pb.REASON_DAY_ENDED) for order in orders]
        return entry(self.sequence, *events, end_trading_day=pb.EndTradingDay())

    def _wait(self, order: OpenOrder) -> None:
        self.waiting.append(order)
        last_price = self._last_prices.get(order.instrument_id)
        order.due = last_price is not None and _reaches(last_price, order)

    def _remove(self, order: OpenOrder) -> None:
        (self.waiting if order in self.waiting else self.open).remove(order)

    def _match(
        self,
        taker: OpenOrder,
        prevention: "pb.SelfTradePrevention.ValueType" = pb.SELF_TRADE_PREVENTION_UNSPECIFIED,
    ) -> list[pb.Event]:
        events = []
        sign = 1 if taker.side == pb.SIDE_BUY else -1
        while taker.lots:
            makers = [
                order
                for order in self.open
                if order.instrument_id == taker.instrument_id
                and order.side != taker.side
                and sign * order.price_ticks <= sign * taker.price_ticks
            ]
            if not makers:
                break
            maker = min(makers, key=lambda order: (sign * order.price_ticks, order.order_id))
            if prevention and maker.account_id == taker.account_id:
                if prevention != pb.SELF_TRADE_PREVENTION_CANCEL_NEWEST:
                    self.open.remove(maker)
                    events.append(canceled(maker.order_id, pb.REASON_SELF_TRADE))
                if prevention != pb.SELF_TRADE_PREVENTION_CANCEL_OLDEST:
                    taker.lots = 0
                    events.append(canceled(taker.order_id, pb.REASON_SELF_TRADE))
                continue
            lots = min(maker.lots, taker.lots)
            maker.lots -= lots
            taker.lots -= lots
            self.open = [order for order in self.open if order.lots]
            self._trade_id += 1
            self._last_prices[taker.instrument_id] = maker.price_ticks
            for order in self.waiting:
                if order.instrument_id == taker.instrument_id:
                    order.due = order.due or _reaches(maker.price_ticks, order)
            events.append(
                pb.Event(
                    trade=pb.Trade(
                        trade_id=self._trade_id,
                        instrument_id=taker.instrument_id,
                        taker_side=taker.side,
                        price_ticks=maker.price_ticks,
                        qty_lots=lots,
                        maker=pb.TradeSide(order_id=maker.order_id),
                        taker=pb.TradeSide(order_id=taker.order_id),
                    )
                )
            )
        return events


def _reaches(price_ticks: int, order: OpenOrder) -> bool:
    if order.side == pb.SIDE_BUY:
        return price_ticks >= order.stop_price_ticks
    return price_ticks <= order.stop_price_ticks


def _stop_type(order: OpenOrder) -> "pb.OrderType.ValueType":
    return pb.ORDER_TYPE_STOP_LIMIT if order.keeps_rest else pb.ORDER_TYPE_STOP
