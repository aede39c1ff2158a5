"""Builders of journal entries: a test gives the relevant fields, the others have defaults."""

from typing import Any

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.ledger.fold import LedgerBatch
from openvenue.projector.projection import Sizes

TICK_NANOS = 10_000_000  # 0.01
LOT_NANOS = 1_000_000_000  # 1
TIME_NS = 1_700_000_000_000_000_000
SIZES = {1: Sizes(TICK_NANOS, LOT_NANOS)}


def entry(sequence: int, *events: pb.Event, **command: Any) -> pb.JournalEntry:
    """Return the entry `sequence`, made a second after the one before."""
    return pb.JournalEntry(
        sequence=sequence, timestamp_ns=TIME_NS + sequence * 10**9, events=events, **command
    )


def new_order(sequence: int, *further: pb.Event, **fields: Any) -> pb.JournalEntry:
    """Return an accepted order of account 1, with further events."""
    terms = {
        "account_id": 1,
        "instrument_id": 1,
        "side": pb.SIDE_BUY,
        "type": pb.ORDER_TYPE_LIMIT,
        "time_in_force": pb.TIME_IN_FORCE_GTC,
        "qty_lots": 10,
        "limit_price_ticks": 10_000,
        "client_order_id": f"order-{sequence}",
    }
    accepted = pb.Event(order_accepted=pb.OrderAccepted(order_id=sequence))
    return entry(sequence, accepted, *further, new_order=pb.NewOrder(**{**terms, **fields}))


def trade(
    maker: int, taker: int, qty_lots: int, *, filled: tuple[int, int], trade_id: int = 1
) -> pb.Event:
    """Return a fill at 100.00 of order `maker` (account 1) by `taker` (account 2)."""
    maker_filled, taker_filled = filled
    return pb.Event(
        trade=pb.Trade(
            trade_id=trade_id,
            instrument_id=1,
            taker_side=pb.SIDE_SELL,
            price_ticks=10_000,
            qty_lots=qty_lots,
            maker=_end(maker, 1, maker_filled, cash_micros=900_000_000, position_lots=maker_filled),
            taker=_end(taker, 2, taker_filled, cash_micros=1_100_000_000, position_lots=0),
        )
    )


def triggered(sequence: int, order_id: int, *further: pb.Event, **fields: Any) -> pb.JournalEntry:
    """Return the trigger of a stop-limit order of account 1, with further events."""
    terms = {
        "order_id": order_id,
        "account_id": 1,
        "instrument_id": 1,
        "side": pb.SIDE_BUY,
        "type": pb.ORDER_TYPE_STOP_LIMIT,
        "time_in_force": pb.TIME_IN_FORCE_GTC,
        "qty_lots": 10,
        "limit_price_ticks": 10_000,
    }
    event = pb.Event(order_triggered=pb.OrderTriggered(**{**terms, **fields}))
    return entry(sequence, event, *further, trigger_order=pb.TriggerOrder())


def trailed(order_id: int, high_water_ticks: int, stop_price_ticks: int) -> pb.Event:
    return pb.Event(
        order_trailed=pb.OrderTrailed(
            order_id=order_id,
            instrument_id=1,
            high_water_ticks=high_water_ticks,
            stop_price_ticks=stop_price_ticks,
        )
    )


def canceled(order_id: int, reason: "pb.Reason.ValueType" = pb.REASON_USER_CANCELED) -> pb.Event:
    return pb.Event(
        order_canceled=pb.OrderCanceled(
            order_id=order_id, account_id=1, reason=reason, canceled_lots=1
        )
    )


def fold(*entries: pb.JournalEntry) -> LedgerBatch:
    """Fold these entries into one batch that knows instrument 1."""
    batch = LedgerBatch(dict(SIZES))
    batch.add(entries)
    return batch


def _end(
    order_id: int, account_id: int, filled: int, *, cash_micros: int, position_lots: int
) -> pb.TradeSide:
    return pb.TradeSide(
        order_id=order_id,
        account_id=account_id,
        filled_lots=filled,
        filled_value_micros=filled * 100_000_000,
        cash_micros=cash_micros,
        position_lots=position_lots,
        position_cost_micros=position_lots * 100_000_000,
    )
