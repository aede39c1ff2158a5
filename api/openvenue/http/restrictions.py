"""Checks an order against the configuration of its account, before the engine gets it.

A refused order must not have been entered before: a client that sends an order of unknown fate
again would take the refusal for the order's outcome. So an id that was used is let through; the
engine or the history then answers with the earlier order.
"""

from openvenue import units
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_answer
from openvenue.http.history import account_of, past_order
from openvenue.http.worker import Worker
from openvenue.security.principal import Restrictions

_SUSPENDED = "new orders are rejected by user request"
_WHOLE_ONLY = "the account is configured without fractional_trading: give a whole number"


async def restrict_order(
    worker: Worker, restrictions: Restrictions, order: pb.NewOrder, instrument: Instrument
) -> None:
    """Raise Problem 403 if the account's configuration forbids a new order.

    Under `no_shorting` a sell gets the intent to close, so that the engine refuses it if it would
    open or enlarge a short position.
    """
    forbidden = None
    if restrictions.trading_blocked:
        forbidden = problems.ACCOUNT_BLOCKED
    elif restrictions.suspend_trade:
        forbidden = _SUSPENDED
    elif restrictions.whole_quantities and _is_fractional(order.qty_lots, instrument):
        forbidden = _WHOLE_ONLY
    elif restrictions.no_shorting and order.side == pb.SIDE_SELL:
        if order.position_intent == pb.POSITION_INTENT_SELL_TO_OPEN:
            forbidden = "the account is configured with no_shorting"
        order.position_intent = order.position_intent or pb.POSITION_INTENT_SELL_TO_CLOSE
    if forbidden is not None:
        await _refuse_unless_used(worker, order.account_id, order.client_order_id, forbidden)


async def restrict_replacement(
    worker: Worker,
    restrictions: Restrictions,
    command: pb.ReplaceOrder,
    current: pb.Order,
    instrument: Instrument,
) -> None:
    """Raise Problem 403 if the account's configuration forbids a replacement.

    The engine checks no intent then. So under `no_shorting` an account that may sell short can
    only reduce an order to sell or change its price, and only if it has the intent to close.
    """
    forbidden = None
    if restrictions.trading_blocked:
        forbidden = problems.ACCOUNT_BLOCKED
    elif restrictions.suspend_trade:
        forbidden = _SUSPENDED
    elif restrictions.whole_quantities and _is_fractional(command.qty_lots, instrument):
        forbidden = _WHOLE_ONLY
    elif restrictions.no_shorting and current.side == pb.SIDE_SELL:
        closes = current.position_intent == pb.POSITION_INTENT_SELL_TO_CLOSE
        covered = closes and command.qty_lots <= current.qty_lots
        if not covered and (await account_of(worker, command.account_id)).may_sell_short:
            forbidden = (
                "the account is configured with no_shorting: cancel the order and submit another"
            )
    if forbidden is not None:
        await _refuse_unless_used(worker, command.account_id, command.client_order_id, forbidden)


async def _refuse_unless_used(
    worker: Worker, account_id: int, client_order_id: str, detail: str
) -> None:
    query = pb.GetOrder(account_id=account_id, client_order_id=client_order_id)
    reply = await engine_answer(worker, pb.Request(get_order=query))
    if reply.HasField("order"):
        return
    if await past_order(worker, account_id, client_order_id=client_order_id) is None:
        raise problems.refused(detail)


def _is_fractional(lots: int, instrument: Instrument) -> bool:
    return lots * instrument.lot_nanos % units.NANOS_PER_UNIT != 0
