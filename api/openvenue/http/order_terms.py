"""Converts an order's terms from clients' words to the engine's: enumerations, ticks and lots."""

import os

import msgspec

from openvenue import units
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.order_body import CLIENT_ORDER_ID_CHARACTERS_MAX, NewOrderRequest, given
from openvenue.vocabulary import (
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    TIMES_IN_FORCE,
)

_CLIENT_ORDER_ID_BYTES_MAX = 128  # the engine's limit

_side_of = SIDES.numbers.get
_type_of = ORDER_TYPES.numbers.get
_time_in_force_of = TIMES_IN_FORCE.numbers.get

_INSTRUCTIONS_SINCE = 4  # schema version, see engine.proto

_IDS_PER_DRAW = 256  # a draw is a system call
_random_ids: list[str] = []


def fill_in(order: pb.NewOrder, wanted: NewOrderRequest, instrument: Instrument) -> None:
    """Set the terms of `order` to the client's. Raises Problem 422."""
    side = _side_of(wanted.side)
    order_type = _type_of(wanted.type)
    time_in_force = _time_in_force_of(wanted.time_in_force)
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
    if wanted.position_intent is not None:
        order.position_intent = _position_intent(wanted.position_intent, wanted.side)
    if wanted.self_trade_prevention is not None:
        _check_engine_knows("self_trade_prevention", instrument)
        order.self_trade_prevention = _self_trade_prevention(wanted.self_trade_prevention)
    if wanted.post_only:
        _check_engine_knows("post_only", instrument)
        check_post_only(order_type, time_in_force)
        order.post_only = True


def _check_engine_knows(field: str, instrument: Instrument) -> None:
    # An older engine would ignore the field and trade.
    if instrument.engine_schema < _INSTRUCTIONS_SINCE:
        raise problems.unprocessable(
            f"the matching engine is of an older version, which does not know {field}: "
            "leave it out until the engine is upgraded"
        )


def check_post_only(
    order_type: "pb.OrderType.ValueType", time_in_force: "pb.TimeInForce.ValueType"
) -> None:
    """Raise Problem 422 if an order of these terms cannot be post_only: it would never rest."""
    if order_type != pb.ORDER_TYPE_LIMIT:
        raise problems.unprocessable("a post_only order must be a limit order")
    if time_in_force in (pb.TIME_IN_FORCE_IOC, pb.TIME_IN_FORCE_FOK):
        raise problems.unprocessable("a post_only order must have time_in_force day or gtc")


def checked_client_order_id(text: str) -> str:
    """Return `text` if it can be a client_order_id; raises Problem 422."""
    if not 0 < len(text) <= CLIENT_ORDER_ID_CHARACTERS_MAX or not text.isprintable():
        raise problems.invalid(
            f"client_order_id must be 1 to {CLIENT_ORDER_ID_CHARACTERS_MAX} printable characters"
        )
    if not text.isascii() and (size := len(text.encode())) > _CLIENT_ORDER_ID_BYTES_MAX:
        raise problems.invalid(
            f"client_order_id has {size} bytes in UTF-8 and the venue keeps "
            f"{_CLIENT_ORDER_ID_BYTES_MAX}: use fewer characters, or ASCII ones"
        )
    return text


def parse_qty(raw: msgspec.Raw, instrument: Instrument) -> int:
    """Return a quantity in lots; raises Problem 422."""
    try:
        return _parse_amount("qty", raw, instrument.lot_nanos)
    except units.UnitError as error:
        raise problems.invalid(f"qty: {error}") from None


def parse_price(raw: msgspec.Raw, instrument: Instrument) -> int:
    """Return a limit price in ticks; raises Problem 422."""
    try:
        return _parse_amount("limit_price", raw, instrument.tick_nanos)
    except units.NotAMultiple as error:
        raise problems.unprocessable(
            f"invalid limit_price {error}: sub-penny increment does not fulfill minimum pricing "
            "criteria"
        ) from None
    except units.UnitError as error:
        raise problems.invalid(f"limit_price: {error}") from None


def parse_time_in_force(word: str) -> "pb.TimeInForce.ValueType":
    """Return a time in force; raises Problem 422."""
    number: pb.TimeInForce.ValueType | None = _time_in_force_of(word)
    if number is None:
        raise _unknown_time_in_force(word)
    return number


def new_client_order_id() -> str:
    """Return an id for a client that gave none."""
    if not _random_ids:
        digits = os.urandom(16 * _IDS_PER_DRAW).hex()
        _random_ids.extend(digits[at : at + 32] for at in range(0, len(digits), 32))
    digits = _random_ids.pop()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _parse_amount(name: str, raw: msgspec.Raw, step_nanos: int) -> int:
    token = bytes(raw)
    if token[:1] == b'"':
        # A number needs no escapes; a backslash fails below.
        token = token[1:-1]
    try:
        steps = units.parse_steps(token.decode(), step_nanos)
    except UnicodeDecodeError:
        # The JSON decoder checks the encoding of what it decodes, but not of raw fields.
        raise problems.invalid(f"{name} is not valid UTF-8") from None
    if steps <= 0:
        raise problems.invalid(f"{name} must be > 0")
    return steps


def _position_intent(word: str, side: str) -> "pb.PositionIntent.ValueType":
    number: pb.PositionIntent.ValueType | None = POSITION_INTENTS.numbers.get(word)
    if number is None:
        raise problems.invalid(
            f"position_intent must be one of {', '.join(POSITION_INTENTS.values())}, not {word!r}"
        )
    if not word.startswith(side):
        raise problems.unprocessable(f"position intent mismatch, side: {side}, specified: {word}")
    return number


def _self_trade_prevention(word: str) -> "pb.SelfTradePrevention.ValueType":
    number: pb.SelfTradePrevention.ValueType | None = SELF_TRADE_PREVENTIONS.numbers.get(word)
    if number is None:
        words = ", ".join(SELF_TRADE_PREVENTIONS.values())
        raise problems.invalid(f"self_trade_prevention must be one of {words}, not {word!r}")
    return number


def _unknown_term(wanted: NewOrderRequest) -> problems.Problem:
    if wanted.side not in SIDES.numbers:
        return problems.invalid(f"side must be buy or sell, not {wanted.side!r}")
    if wanted.type not in ORDER_TYPES.numbers:
        types = " or ".join(ORDER_TYPES.values())
        return problems.invalid(f"order type {wanted.type!r} is not supported: use {types}")
    return _unknown_time_in_force(wanted.time_in_force)


def _unknown_time_in_force(word: str) -> problems.Problem:
    *first, last = TIMES_IN_FORCE.values()
    return problems.invalid(
        f"time_in_force {word!r} is not supported: use {', '.join(first)} or {last}"
    )
