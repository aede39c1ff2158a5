"""Orders that the engine refused, in Alpaca's words, with the figures that explain the refusal."""

from openvenue import units
from openvenue.documents import resources
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import not_taken
from openvenue.http.history import account_of, past_order
from openvenue.http.problems import Problem
from openvenue.http.used_ids import after_history
from openvenue.http.worker import Worker
from openvenue.vocabulary import POSITION_INTENTS


async def entered_order(
    worker: Worker,
    request: pb.Request,
    reply: pb.Reply,
    wanted: pb.Order,
    instrument: Instrument,
    replaced: pb.Order | None = None,
) -> resources.Order:
    """Return the document of the order that `request` entered; `wanted` has its terms.

    It comes from the history where the engine knows the command for a repetition and holds no more
    of the order than its id.
    `replaced` is the order whose reservation it would have taken over. Raises the Problem that the
    reply stands for otherwise.
    """
    known = await after_history(worker, request, reply, instrument)
    if isinstance(known, resources.Order):
        return known
    reply = known
    body = reply.WhichOneof("body")
    if body == "order":
        return worker.views.order(reply.order, instrument)
    if body != "reject":
        raise not_taken(reply.not_sequenced)
    if reply.duplicate:
        past = await past_order(worker, wanted.account_id, order_id=reply.reject.order.order_id)
        if past is not None:
            return past
    reason = reason_for_client(reply.reject.reason, wanted.position_intent)
    if reason in (pb.REASON_INSUFFICIENT_CASH, pb.REASON_INSUFFICIENT_POSITION):
        try:
            account = await account_of(worker, wanted.account_id)
        except Problem:
            # The refusal is answered without the figures.
            account = None
        raise _shortage(reason, wanted, instrument, account, replaced or pb.Order())
    if reason == pb.REASON_POSITION_INTENT_MISMATCH:
        raise _intent_mismatch(wanted)
    if reason == pb.REASON_POST_ONLY_WOULD_TRADE:
        raise _would_trade(wanted, instrument)
    if reason == pb.REASON_INVALID_ORDER:
        _refuse_late_stop_price(request.replace_order)
    raise problems.of_reject(reply.reject)


def _refuse_late_stop_price(command: pb.ReplaceOrder) -> None:
    if command.stop_price_ticks:
        raise problems.unprocessable("stop_price cannot be replaced: a trade has reached it")
    if command.HasField("trail"):
        raise problems.unprocessable("trail cannot be replaced: a trade has reached the stop price")


def reason_for_client(
    reason: "pb.Reason.ValueType", intent: "pb.PositionIntent.ValueType"
) -> "pb.Reason.ValueType":
    """Return the reason of a refusal in terms of the order as the client gave it.

    Without an `intent` of the client's, it was the account's configuration that allows no short
    position.
    """
    if reason == pb.REASON_POSITION_INTENT_MISMATCH and not intent:
        return pb.REASON_INSUFFICIENT_POSITION
    return reason


def _shortage(
    reason: int,
    wanted: pb.Order,
    instrument: Instrument,
    account: pb.Account | None,
    replaced: pb.Order,
) -> Problem:
    lacks_cash = reason == pb.REASON_INSUFFICIENT_CASH
    base, slash, quote = instrument.symbol.partition("/")
    figures: dict[str, str] = {}
    if account is not None:
        figures = (
            _cash_figures(wanted, instrument, account, replaced)
            if lacks_cash
            else _position_figures(wanted, instrument, account, replaced)
        )
    sizes = (
        f" (requested: {figures['requested']}, available: {figures['available']})"
        if "requested" in figures
        else ""
    )
    if slash:
        # Alpaca's words for pairs; ccxt recognises a lack of funds by them.
        symbol = quote if lacks_cash else base
        members = _renamed(figures, available="available", balance="balance")
        return problems.refused(
            f"insufficient balance for {symbol}{sizes}", symbol=symbol, **members
        )
    if lacks_cash:
        members = _renamed(figures, available="buying_power", requested="cost_basis")
        return problems.refused("insufficient buying power", **members)
    members = _renamed(
        figures,
        available="available",
        balance="existing_qty",
        held_for_orders="held_for_orders",
    )
    return problems.refused(
        f"insufficient qty available for order{sizes}", symbol=instrument.symbol, **members
    )


def _renamed(figures: dict[str, str], **names: str) -> dict[str, str]:
    return {name: figures[figure] for figure, name in names.items() if figure in figures}


def _cash_figures(
    wanted: pb.Order, instrument: Instrument, account: pb.Account, replaced: pb.Order
) -> dict[str, str]:
    freed_micros = instrument.value_micros(_leaves_lots(replaced), replaced.limit_price_ticks)
    figures = {
        "available": units.format_micros(account.buying_power_micros + freed_micros),
        "balance": units.format_micros(account.cash_micros),
    }
    if wanted.limit_price_ticks:
        # Only the book at that moment knew the cost of a market order.
        cost_micros = instrument.value_micros(_leaves_lots(wanted), wanted.limit_price_ticks)
        figures["requested"] = units.format_micros(cost_micros)
    return figures


def _position_figures(
    wanted: pb.Order, instrument: Instrument, account: pb.Account, replaced: pb.Order
) -> dict[str, str]:
    held_lots = reserved_lots = 0
    for position in account.positions:
        if position.instrument_id == instrument.instrument_id:
            held_lots = position.qty_lots
            reserved_lots = position.reserved_lots - _leaves_lots(replaced)

    def qty(lots: int) -> str:
        return units.format_steps(lots, instrument.lot_nanos)

    return {
        "requested": qty(_leaves_lots(wanted)),
        "available": qty(max(0, held_lots - reserved_lots)),
        "held_for_orders": qty(reserved_lots),
        "balance": qty(held_lots),
    }


def _intent_mismatch(wanted: pb.Order) -> Problem:
    specified = POSITION_INTENTS[wanted.position_intent]
    side, _, action = specified.partition("_to_")
    inferred = f"{side}_to_{'close' if action == 'open' else 'open'}"
    return problems.unprocessable(
        f"position intent mismatch, inferred: {inferred}, specified: {specified}"
    )


def _would_trade(wanted: pb.Order, instrument: Instrument) -> Problem:
    price = units.format_steps(wanted.limit_price_ticks, instrument.tick_nanos)
    return problems.unprocessable(f"a post-only order at {price} would trade at once")


def _leaves_lots(order: pb.Order) -> int:
    return order.qty_lots - order.filled_lots
