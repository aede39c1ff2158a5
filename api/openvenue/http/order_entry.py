"""POST /v2/orders, the hot path: plain ASGI and msgspec, nothing else.

Decode, convert to ticks and lots, hand to the engine session, wait for the durable answer, encode.
A resend of the same client_order_id with the same body gets the same order; so a client that lost
an answer can always ask again.
"""

import msgspec

from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import command_of, engine_reply
from openvenue.http.order_body import check_order_class, decode_new_order
from openvenue.http.order_terms import checked_client_order_id, fill_in, new_client_order_id
from openvenue.http.rejections import entered_order
from openvenue.http.worker import Worker

_encode = msgspec.json.Encoder().encode


async def submit_order(worker: Worker, account_id: int, body: bytes) -> bytes:
    """Carry out one order and return its JSON document.

    Raises Problem for everything that is not an accepted order.
    """
    wanted = decode_new_order(body)
    check_order_class(wanted.order_class)
    instrument = worker.instruments.get(wanted.symbol) or await _find(worker, wanted.symbol)
    client_order_id = wanted.client_order_id or new_client_order_id()
    request = pb.Request()
    order = request.new_order
    fill_in(order, wanted, instrument)
    order.account_id = account_id
    order.client_order_id = checked_client_order_id(client_order_id)
    with command_of(client_order_id):
        reply = await engine_reply(worker, request, client_order_id)
        if not reply.HasField("order"):
            terms = pb.Order(
                account_id=account_id,
                qty_lots=order.qty_lots,
                limit_price_ticks=order.limit_price_ticks,
                position_intent=order.position_intent,
            )
            return _encode(await entered_order(worker, reply, terms, instrument))
        return _encode(worker.views.order(reply.order, instrument))


async def _find(worker: Worker, symbol: str) -> Instrument:
    try:
        instrument = await worker.instruments.find(symbol)
    except EngineUnavailable as error:
        raise problems.unavailable(str(error)) from error
    if instrument is None:
        raise problems.invalid(f"asset {symbol!r} is not found" if symbol else "symbol is required")
    return instrument
