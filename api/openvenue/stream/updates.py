"""Folds journal entries into the updates of accounts' orders, in Alpaca's words.

    new            the order was accepted; also the order that replaces another
    partial_fill   the order traded, and has a rest
    fill           the order traded, and has none
    canceled       somebody, the order's time in force or self-trade prevention canceled the rest
    expired        the trading day ended
    replaced       another order replaced it

An order whose stop price a trade reached has no update for that alone.

It is a pure function of the entries and of the orders that were open before them.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from openvenue import units
from openvenue.documents import resources
from openvenue.documents.times import format_ns
from openvenue.documents.views import Views
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.stream.messages import LateDocument
from openvenue.vocabulary import STOP_ORDER_TYPES

EventName = Literal["new", "partial_fill", "fill", "canceled", "expired", "replaced"]


class Execution(NamedTuple):
    """One order's side of a trade."""

    trade_id: int
    is_taker: bool
    price_ticks: int
    qty_lots: int
    position_lots: int
    """The account's position after it."""


class UpdateData(Struct, kw_only=True, gc=False):
    """Alpaca's trade update, and its place in the journal."""

    event: EventName
    execution_id: str | UnsetType = UNSET
    order: resources.Order
    timestamp: str
    price: str | UnsetType = UNSET
    qty: str | UnsetType = UNSET
    position_qty: str | UnsetType = UNSET
    seq: int
    prev_seq: int


class UpdateDocument(Struct, gc=False):
    data: UpdateData
    stream: Literal["trade_updates"] = "trade_updates"


class Update(LateDocument):
    """A change of an order. Few are ever read, so the document is made late."""

    __slots__ = ("_views", "event", "execution", "instrument", "order", "prev_seq", "seq")

    def __init__(
        self,
        views: Views,
        event: EventName,
        order: pb.Order,
        instrument: Instrument,
        execution: Execution | None = None,
    ) -> None:
        self._views = views
        self.event: EventName = event
        self.order = pb.Order()
        self.order.CopyFrom(order)
        self.instrument = instrument
        self.execution = execution
        self.seq = self.prev_seq = 0

    def make(self) -> UpdateDocument:
        """Return the document."""
        data = UpdateData(
            event=self.event,
            order=self._views.order(self.order, self.instrument),
            timestamp=format_ns(self.order.updated_ns),
            seq=self.seq,
            prev_seq=self.prev_seq,
        )
        if self.execution is not None:
            trade_id, is_taker, price_ticks, qty_lots, position_lots = self.execution
            lot_nanos = self.instrument.lot_nanos
            data.execution_id = self._views.execution_ids.format(2 * trade_id + is_taker)
            data.price = units.format_steps(price_ticks, self.instrument.tick_nanos)
            data.qty = units.format_steps(qty_lots, lot_nanos)
            data.position_qty = units.format_steps(position_lots, lot_nanos)
        return UpdateDocument(data)


class OrderUpdates:
    """The open orders of all accounts, and what happens to them.

    `instruments` must know each entry's instrument before the entry is applied.
    """

    def __init__(
        self, views: Views, instruments: Mapping[int, Instrument], open_orders: Iterable[pb.Order]
    ) -> None:
        self._views = views
        self._instruments = instruments
        self._open = {order.order_id: order for order in open_orders}

    def apply(self, entry: pb.JournalEntry) -> list[Update]:
        """Fold the entry that follows those folded before; return its updates in their order."""
        updates: list[Update] = []
        for event in entry.events:
            kind = event.WhichOneof("body")
            if kind == "trade":
                updates += self._traded(entry, event.trade)
            elif kind == "order_accepted":
                updates.append(self._accepted(entry))
            elif kind == "order_canceled":
                updates.append(self._canceled(entry, event.order_canceled))
            elif kind == "order_replaced":
                updates += self._replaced(entry, event.order_replaced)
            elif kind == "order_triggered":
                self._triggered(entry, event.order_triggered)
            elif kind == "order_trailed":
                self._trailed(event.order_trailed, updates)
        return updates

    def _accepted(self, entry: pb.JournalEntry) -> Update:
        command = entry.new_order
        order = self._open[entry.sequence] = pb.Order(
            order_id=entry.sequence,
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            side=command.side,
            type=command.type,
            time_in_force=command.time_in_force,
            status=pb.ORDER_STATUS_WAITING
            if command.type in STOP_ORDER_TYPES
            else pb.ORDER_STATUS_NEW,
            qty_lots=command.qty_lots,
            limit_price_ticks=command.limit_price_ticks,
            created_ns=entry.timestamp_ns,
            client_order_id=command.client_order_id,
            position_intent=command.position_intent,
            self_trade_prevention=command.self_trade_prevention,
            post_only=command.post_only,
            stop_price_ticks=command.stop_price_ticks,
        )
        if command.HasField("trail"):
            order.trail.CopyFrom(command.trail)
        return self._update("new", entry, order)

    def _traded(self, entry: pb.JournalEntry, trade: pb.Trade) -> list[Update]:
        # Maker first, as in the projection: a self-trade's taker has the position after both.
        return [
            self._filled(entry, trade, trade.maker, is_taker=False),
            self._filled(entry, trade, trade.taker, is_taker=True),
        ]

    def _filled(
        self, entry: pb.JournalEntry, trade: pb.Trade, end: pb.TradeSide, *, is_taker: bool
    ) -> Update:
        order = self._open[end.order_id]
        order.filled_lots = end.filled_lots
        order.filled_value_micros = end.filled_value_micros
        execution = Execution(
            trade.trade_id, is_taker, trade.price_ticks, trade.qty_lots, end.position_lots
        )
        if end.filled_lots < order.qty_lots:
            order.status = pb.ORDER_STATUS_PARTIALLY_FILLED
            return self._update("partial_fill", entry, order, execution)
        order.status = pb.ORDER_STATUS_FILLED
        del self._open[end.order_id]
        return self._update("fill", entry, order, execution)

    def _canceled(self, entry: pb.JournalEntry, canceled: pb.OrderCanceled) -> Update:
        order = self._open.pop(canceled.order_id)
        order.end_reason = canceled.reason
        if canceled.reason == pb.REASON_DAY_ENDED:
            order.status = pb.ORDER_STATUS_EXPIRED
            return self._update("expired", entry, order)
        order.status = pb.ORDER_STATUS_CANCELED
        return self._update("canceled", entry, order)

    def _replaced(self, entry: pb.JournalEntry, replaced: pb.OrderReplaced) -> list[Update]:
        old = self._open.pop(replaced.old_order_id)
        old.status = pb.ORDER_STATUS_REPLACED
        old.replaced_by = replaced.order_id
        new = self._open[replaced.order_id] = pb.Order(
            order_id=replaced.order_id,
            account_id=replaced.account_id,
            instrument_id=replaced.instrument_id,
            side=replaced.side,
            type=old.type,
            time_in_force=replaced.time_in_force,
            status=_status(replaced),
            qty_lots=replaced.qty_lots,
            filled_lots=replaced.filled_lots,
            filled_value_micros=replaced.filled_value_micros,
            limit_price_ticks=replaced.limit_price_ticks,
            replaces=replaced.old_order_id,
            created_ns=entry.timestamp_ns,
            client_order_id=entry.replace_order.client_order_id,
            position_intent=old.position_intent,
            self_trade_prevention=old.self_trade_prevention,
            post_only=old.post_only,
            stop_price_ticks=replaced.stop_price_ticks,
            triggered_ns=old.triggered_ns,
        )
        if replaced.HasField("trail"):
            new.trail.CopyFrom(replaced.trail)
        return [self._update("replaced", entry, old), self._update("new", entry, new)]

    def _triggered(self, entry: pb.JournalEntry, triggered: pb.OrderTriggered) -> None:
        # Alpaca has no word for it: later updates show it.
        order = self._open[triggered.order_id]
        order.status = pb.ORDER_STATUS_NEW
        order.triggered_ns = order.updated_ns = entry.timestamp_ns
        order.updated_sequence = entry.sequence

    def _trailed(self, trailed: pb.OrderTrailed, updates: list[Update]) -> None:
        orders = [self._open[trailed.order_id]]
        # The event follows the one that opened the order, whose update is not sent yet.
        orders += [update.order for update in updates if update.order.order_id == trailed.order_id]
        for order in orders:
            order.high_water_ticks = trailed.high_water_ticks
            order.stop_price_ticks = trailed.stop_price_ticks

    def _update(
        self,
        event: EventName,
        entry: pb.JournalEntry,
        order: pb.Order,
        execution: Execution | None = None,
    ) -> Update:
        order.updated_ns = entry.timestamp_ns
        order.updated_sequence = entry.sequence
        instrument = self._instruments[order.instrument_id]
        return Update(self._views, event, order, instrument, execution)


def _status(replaced: pb.OrderReplaced) -> "pb.OrderStatus.ValueType":
    if replaced.waiting:
        return pb.ORDER_STATUS_WAITING
    return pb.ORDER_STATUS_PARTIALLY_FILLED if replaced.filled_lots else pb.ORDER_STATUS_NEW
