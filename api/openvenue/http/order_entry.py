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
from openvenue.http.engine_calls import command_of, engine_reply, order_of
from openvenue.http.order_terms import (
    NO_RAW,
    SIDES,
    TIMES_IN_FORCE,
    TYPES,
    checked_client_order_id,
    decode_body,
    given,
    new_client_order_id,
    parse_price,
    parse_qty,
)
from openvenue.http.problems import Problem
from openvenue.http.worker import Worker


class NewOrderRequest(msgspec.Struct, gc=False):
    """The fields that matter; unknown ones are ignored, as Alpaca does.

    Numbers are kept as the client wrote them (a JSON string or number) until they are converted
    exactly.
    """

    symbol: str = ""
    side: str = ""
    type: str = ""
    time_in_force: str = ""
    qty: msgspec.Raw = NO_RAW
    limit_price: msgspec.Raw = NO_RAW
    client_order_id: str | None = None
    order_class: str | None = None
    extended_hours: bool | None = None
    notional: msgspec.Raw = NO_RAW
    stop_price: msgspec.Raw = NO_RAW
    trail_price: msgspec.Raw = NO_RAW
    trail_percent: msgspec.Raw = NO_RAW
    take_profit: msgspec.Raw = NO_RAW
    stop_loss: msgspec.Raw = NO_RAW
    legs: msgspec.Raw = NO_RAW


_UNSUPPORTED_FIELDS = (
    "notional",
    "stop_price",
    "trail_price",
    "trail_percent",
    "take_profit",
    "stop_loss",
    "legs",
)

_decode = msgspec.json.Decoder(NewOrderRequest).decode
_encode = msgspec.json.Encoder().encode


async def submit_order(worker: Worker, account_id: int, body: bytes) -> bytes:
    """Carry out one order and return its JSON document.

    Raises Problem for everything that is not an accepted order.
    """
    wanted = decode_body(_decode, body)
    instrument = worker.instruments.get(wanted.symbol) or await _find(worker, wanted.symbol)
    client_order_id = wanted.client_order_id or new_client_order_id()
    request = pb.Request()
    _fill_in(request.new_order, wanted, instrument)
    request.new_order.account_id = account_id
    request.new_order.client_order_id = checked_client_order_id(client_order_id)
    with command_of(client_order_id):
        reply = await engine_reply(worker, request, client_order_id)
        return _encode(worker.views.order(order_of(reply, instrument), instrument))


def _fill_in(order: pb.NewOrder, wanted: NewOrderRequest, instrument: Instrument) -> None:
    side = SIDES.get(wanted.side)
    order_type = TYPES.get(wanted.type)
    time_in_force = TIMES_IN_FORCE.get(wanted.time_in_force)
    if side is None or order_type is None or time_in_force is None:
        raise _unknown_term(wanted)
    order.instrument_id = instrument.instrument_id
    order.side = side
    order.type = order_type
    order.time_in_force = time_in_force
    if not given(wanted.qty):
        raise problems.invalid("qty is required")
    order.qty_lots = parse_qty(wanted.qty, instrument)
    if order_type == pb.ORDER_TYPE_LIMIT:
        if not given(wanted.limit_price):
            raise problems.invalid("limit orders require limit_price")
        order.limit_price_ticks = parse_price(wanted.limit_price, instrument)
    elif given(wanted.limit_price):
        raise problems.invalid("market orders require no limit_price")
    _refuse_unsupported(wanted)


def _unknown_term(wanted: NewOrderRequest) -> Problem:
    if wanted.side not in SIDES:
        return problems.invalid(f"side must be buy or sell, not {wanted.side!r}")
    if wanted.type not in TYPES:
        return problems.invalid(f"order type {wanted.type!r} is not supported: use market or limit")
    return problems.invalid(
        f"time_in_force {wanted.time_in_force!r} is not supported: use day, gtc, ioc or fok"
    )


def _refuse_unsupported(wanted: NewOrderRequest) -> None:
    if wanted.order_class not in (None, "", "simple"):
        raise problems.invalid(f"order_class {wanted.order_class!r} is not supported: use simple")
    if wanted.extended_hours:
        raise problems.invalid("extended_hours is not supported: the venue trades around the clock")
    none_given = (
        wanted.notional is wanted.stop_price is wanted.trail_price is wanted.trail_percent
        and wanted.take_profit is wanted.stop_loss is wanted.legs is wanted.notional is NO_RAW
    )
    if none_given:
        return
    for name in _UNSUPPORTED_FIELDS:
        if given(getattr(wanted, name)):
            raise problems.invalid(f"{name} is not supported by this venue")


async def _find(worker: Worker, symbol: str) -> Instrument:
    try:
        instrument = await worker.instruments.find(symbol)
    except EngineUnavailable as error:
        raise problems.unavailable(str(error)) from error
    if instrument is None:
        raise problems.invalid(f"asset {symbol!r} is not found" if symbol else "symbol is required")
    return instrument
