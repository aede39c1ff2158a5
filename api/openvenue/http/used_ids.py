"""Client order ids that the engine may have forgotten: the history says whether they were used.

The engine remembers ids for long, and marks those that it forgets. It does not enter an order under
a marked id; here the history is asked. A new id is taken for a marked one about once in a thousand
times, when very many are marked.
"""

from decimal import Decimal

from sqlalchemy import Row

from openvenue import units
from openvenue.documents import resources
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_reply
from openvenue.http.history import history_of
from openvenue.http.worker import Worker
from openvenue.queries import orders as order_queries
from openvenue.vocabulary import (
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    TIMES_IN_FORCE,
)


async def after_history(
    worker: Worker, request: pb.Request, reply: pb.Reply, instrument: Instrument
) -> pb.Reply | resources.Order:
    """Return the reply to a command that would open an order, once its id is known to be new.

    Returns the earlier order if the history has one that asked for the same. Raises Problem: 422
    if that one asked for something else, 503 if the history cannot be read.
    """
    if reply.reject.reason != pb.REASON_CLIENT_ORDER_ID_MAYBE_USED:
        return reply
    is_new_order = request.HasField("new_order")
    command = request.new_order if is_new_order else request.replace_order
    async with history_of(worker, command.account_id) as connection:
        row = await order_queries.find_order(
            connection,
            worker.settings.shard_id,
            command.account_id,
            client_order_id=command.client_order_id,
        )
    if row is None:
        command.history_checked = True
        return await engine_reply(worker, request, command.client_order_id)
    same = (
        entered_by(row, request.new_order, instrument)
        if is_new_order
        else _made_by(row, request.replace_order, instrument)
    )
    if not same:
        raise problems.of_reason(pb.REASON_DUPLICATE_CLIENT_ORDER_ID)
    return worker.views.order_row(row, await worker.instruments.of_id(row.instrument_id))


def entered_by(row: Row[tuple[object, ...]], order: pb.NewOrder, instrument: Instrument) -> bool:
    """Say whether this new order is what opened the order of the row."""
    # An order without an intent may come from a worker of the version before, which passed none on.
    intent = POSITION_INTENTS[order.position_intent] if order.position_intent else None
    prevention = order.self_trade_prevention
    trails = order.HasField("trail")  # its stop price comes from the market
    return (
        row.replaces is None
        and row.instrument_id == order.instrument_id
        and row.side == SIDES[order.side]
        and row.type == ORDER_TYPES[order.type]
        and row.time_in_force == TIMES_IN_FORCE[order.time_in_force]
        and row.qty == units.decimal_from_steps(order.qty_lots, instrument.lot_nanos)
        and _is_price(row.limit_price, _shown_limit_ticks(order), instrument)
        and (trails or _is_price(row.stop_price, order.stop_price_ticks, instrument))
        and _is_price(row.trail_price, order.trail.ticks, instrument)
        and _is_percent(row.trail_percent, order.trail.ppm)
        and row.position_intent in (None, intent)
        and row.self_trade_prevention
        == (SELF_TRADE_PREVENTIONS[prevention] if prevention else None)
        and bool(row.post_only) == order.post_only
    )


def _made_by(
    row: Row[tuple[object, ...]], command: pb.ReplaceOrder, instrument: Instrument
) -> bool:
    """Say whether the order of the row can be what this replacement made.

    The history has the outcome and not what was left as before.
    """
    qty = units.decimal_from_steps(command.qty_lots, instrument.lot_nanos)
    return (
        row.replaces == command.order_id
        and (not command.qty_lots or row.qty == qty)
        and (
            not command.limit_price_ticks
            or row.type == ORDER_TYPES[pb.ORDER_TYPE_STOP]
            or _is_price(row.limit_price, command.limit_price_ticks, instrument)
        )
        and (
            not command.stop_price_ticks
            or _is_price(row.stop_price, command.stop_price_ticks, instrument)
        )
        and (
            not command.HasField("trail")
            or (
                _is_price(row.trail_price, command.trail.ticks, instrument)
                and _is_percent(row.trail_percent, command.trail.ppm)
            )
        )
        and (
            not command.time_in_force or row.time_in_force == TIMES_IN_FORCE[command.time_in_force]
        )
    )


def _shown_limit_ticks(order: pb.NewOrder) -> int:
    # The history does not have the price that bounds a stop order.
    return 0 if order.type == pb.ORDER_TYPE_STOP else order.limit_price_ticks


def _is_price(price: Decimal | None, ticks: int, instrument: Instrument) -> bool:
    if not ticks:
        return price is None
    return price == units.decimal_from_steps(ticks, instrument.tick_nanos)


def _is_percent(percent: Decimal | None, ppm: int) -> bool:
    return percent is None if not ppm else percent == Decimal(ppm).scaleb(-4)
