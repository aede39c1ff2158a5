"""POST /v2/orders, the hot path.

Decode, convert to ticks and lots, hand to the engine session, wait for the durable answer, encode.
`openvenue.http.order_answers` says what an answer shows.
A resend of the same client_order_id with the same body gets the same order; so a client that lost
an answer can always ask again.
"""

import msgspec

from openvenue.documents import resources
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import command_of, engine_reply
from openvenue.http.order_answers import shown
from openvenue.http.order_body import NewOrderRequest, check_order_class, decode_new_order
from openvenue.http.order_terms import checked_client_order_id, fill_in, new_client_order_id
from openvenue.http.rejections import entered_order
from openvenue.http.restrictions import restrict_order
from openvenue.http.worker import Worker
from openvenue.security.principal import Principal

ORDERS_PATH = "/v2/orders"

_encode = msgspec.json.Encoder().encode


async def submit_order(worker: Worker, principal: Principal, body: bytes, outcome: bool) -> bytes:
    """Execute one order and return its JSON document: its outcome, or the order as accepted.

    Raises Problem unless the order was accepted.
    """
    wanted = decode_new_order(body)
    instrument = worker.instruments.get(wanted.symbol) or await find_instrument(
        worker, wanted.symbol
    )
    request = new_order(principal, wanted, instrument)
    order = request.new_order
    intent = order.position_intent
    if principal.restrictions is not None:
        await restrict_order(worker, principal.restrictions, order, instrument)
    with command_of(order.client_order_id):
        document = await enter(worker, request, instrument, intent)
        return _encode(shown(document, outcome))


def new_order(principal: Principal, wanted: NewOrderRequest, instrument: Instrument) -> pb.Request:
    """Return the engine's request of a client's order. Raises Problem 422."""
    check_order_class(wanted.order_class)
    request = pb.Request()
    order = request.new_order
    fill_in(order, wanted, instrument)
    order.account_id = principal.account_id
    order.client_order_id = checked_client_order_id(wanted.client_order_id or new_client_order_id())
    return request


async def enter(
    worker: Worker,
    request: pb.Request,
    instrument: Instrument,
    intent: "pb.PositionIntent.ValueType",
) -> resources.Order:
    """Send a new order to the engine and return its document, which shows the outcome.

    To be called within `command_of`. `intent` is the position intent that the client gave. Raises
    Problem unless the order was accepted.
    """
    reply = await engine_reply(worker, request, request.new_order.client_order_id)
    if reply.HasField("order"):
        return worker.views.order(reply.order, instrument)
    return await order_of_refusal(worker, request, reply, instrument, intent)


async def order_of_refusal(
    worker: Worker,
    request: pb.Request,
    reply: pb.Reply,
    instrument: Instrument,
    intent: "pb.PositionIntent.ValueType",
) -> resources.Order:
    """Return the order that a reply without an order stands for; the history may have it.

    Otherwise as `enter`.
    """
    order = request.new_order
    terms = pb.Order(
        account_id=order.account_id,
        qty_lots=order.qty_lots,
        limit_price_ticks=order.limit_price_ticks,
        position_intent=intent,
    )
    return await entered_order(worker, request, reply, terms, instrument)


async def find_instrument(worker: Worker, symbol: str) -> Instrument:
    """Return an instrument, asking the engine if it is not known yet. Raises Problem 422 or 503."""
    try:
        instrument = await worker.instruments.find(symbol)
    except EngineUnavailable as error:
        raise problems.unavailable(str(error)) from error
    if instrument is None:
        raise problems.invalid(f"asset {symbol!r} is not found" if symbol else "symbol is required")
    return instrument
