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
    """Makes an entry of each command; the orders of `open` rest after it."""

    def __init__(self) -> None:
        self.open: list[OpenOrder] = []
        self.sequence = 0
        self._trade_id = 0

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

    def cancel(self, order: OpenOrder) -> pb.JournalEntry:
        """Cancel an order."""
        self.sequence += 1
        self.open.remove(order)
        command = pb.CancelOrder(account_id=1, order_id=order.order_id)
        return entry(self.sequence, canceled(order.order_id), cancel_order=command)

    def replace(self, order: OpenOrder, price_ticks: int, lots: int) -> pb.JournalEntry:
        """Replace an order by one with these lots left, of which `filled` were filled before."""
        self.sequence += 1
        filled = order.order_id % 3
        self.open.remove(order)
        taker = replace(order, order_id=self.sequence, price_ticks=price_ticks, lots=lots)
        replaced = pb.Event(
            order_replaced=pb.OrderReplaced(
                old_order_id=order.order_id,
                order_id=self.sequence,
                account_id=order.account_id,
                instrument_id=order.instrument_id,
                side=order.side,
                qty_lots=lots + filled,
                filled_lots=filled,
                limit_price_ticks=price_ticks,
            )
        )
        events = self._match(taker)
        if taker.lots:
            self.open.append(taker)
        command = pb.ReplaceOrder(account_id=1, order_id=order.order_id)
        return entry(self.sequence, replaced, *events, replace_order=command)

    def end_day(self, orders: list[OpenOrder]) -> pb.JournalEntry:
        """Expire orders of any instruments, all in one entry."""
        self.sequence += 1
        self.open = [order for order in self.open if order not in orders]
        events = [canceled(order.order_id, pb.REASON_DAY_ENDED) for order in orders]
        return entry(self.sequence, *events, end_trading_day=pb.EndTradingDay())

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
