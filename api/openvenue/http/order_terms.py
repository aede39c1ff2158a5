"""Converts an order's terms from clients' words to the engine's: enumerations, ticks and lots."""

import os
from typing import Any

import msgspec

from openvenue import units
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.order_body import (
    CLIENT_ORDER_ID_CHARACTERS_MAX,
    NewOrderRequest,
    ReplaceRequest,
    given,
)
from openvenue.vocabulary import (
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    STOP_ORDER_TYPES,
    TIMES_IN_FORCE,
    Words,
)

_CLIENT_ORDER_ID_BYTES_MAX = 128  # the engine's limit

_side_of = SIDES.numbers.get
_type_of = ORDER_TYPES.numbers.get
_time_in_force_of = TIMES_IN_FORCE.numbers.get

# Schema versions, see engine.proto.
_INSTRUCTIONS_SINCE = 4
_STOP_PRICE_SINCE = 5
_TRAIL_SINCE = 6

_WITH_LIMIT_PRICE = frozenset((pb.ORDER_TYPE_LIMIT, pb.ORDER_TYPE_STOP_LIMIT))
_WITH_STOP_PRICE = frozenset((pb.ORDER_TYPE_STOP, pb.ORDER_TYPE_STOP_LIMIT))

# How far above its stop price a trailing stop order may buy: what Alpaca says of stop orders below
# 50. The stop price may cross 50 while it moves.
_TRAIL_PROTECTION_PPM = 40_000
_PPM_PER_PERCENT = 10_000

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
    if order_type in _WITH_LIMIT_PRICE:
        if not given(wanted.limit_price):
            raise problems.invalid(f"{wanted.type} orders require limit_price")
        order.limit_price_ticks = parse_price("limit_price", wanted.limit_price, instrument)
    elif given(wanted.limit_price):
        raise problems.invalid(f"{wanted.type} orders require no limit_price")
    if order_type in _WITH_STOP_PRICE:
        if not given(wanted.stop_price):
            raise problems.invalid(f"{wanted.type} orders require stop_price")
        _check_engine_knows("stop_price", _STOP_PRICE_SINCE, instrument)
        check_may_stay(order)
        _set_stop_price(order, wanted.stop_price, instrument)
    elif given(wanted.stop_price):
        raise problems.invalid(f"{wanted.type} orders require no stop_price")
    if order_type == pb.ORDER_TYPE_TRAILING_STOP:
        _check_engine_knows("trail_price and trail_percent", _TRAIL_SINCE, instrument)
        check_may_stay(order)
        _set_trail(order, wanted, instrument)
    elif given(wanted.trail_price) or given(wanted.trail_percent):
        raise problems.invalid(f"{wanted.type} orders require no trail_price and no trail_percent")
    if wanted.position_intent is not None:
        order.position_intent = _position_intent(wanted.position_intent, wanted.side)
    if wanted.self_trade_prevention is not None:
        _check_engine_knows("self_trade_prevention", _INSTRUCTIONS_SINCE, instrument)
        order.self_trade_prevention = _self_trade_prevention(wanted.self_trade_prevention)
    if wanted.post_only:
        _check_engine_knows("post_only", _INSTRUCTIONS_SINCE, instrument)
        if order_type != pb.ORDER_TYPE_LIMIT:
            raise problems.unprocessable("a post_only order must be a limit order")
        order.post_only = True
        check_may_stay(order)


def _check_engine_knows(field: str, since: int, instrument: Instrument) -> None:
    # An older engine would ignore the field and trade.
    if instrument.engine_schema < since:
        raise problems.unprocessable(
            f"the matching engine is of an older version, which does not know {field}: "
            "do without it until the engine is upgraded"
        )


def check_may_stay(order: pb.NewOrder | pb.Order) -> None:
    """Raise Problem 422 if the order is one that stays open, and its time in force ends it."""
    if order.time_in_force not in (pb.TIME_IN_FORCE_IOC, pb.TIME_IN_FORCE_FOK):
        return
    if order.post_only:
        raise problems.unprocessable("a post_only order must have time_in_force day or gtc")
    if order.type in STOP_ORDER_TYPES:
        word = ORDER_TYPES[order.type]
        raise problems.unprocessable(f"{word} orders must have time_in_force day or gtc")


def replace_prices(
    command: pb.ReplaceOrder, terms: pb.Order, wanted: ReplaceRequest, instrument: Instrument
) -> None:
    """Set the prices that a replacement changes, also in the order's terms. Raises Problem 422."""
    if given(wanted.limit_price):
        if terms.type not in _WITH_LIMIT_PRICE:
            raise problems.invalid(f"{ORDER_TYPES[terms.type]} orders require no limit_price")
        terms.limit_price_ticks = parse_price("limit_price", wanted.limit_price, instrument)
        command.limit_price_ticks = terms.limit_price_ticks
    if given(wanted.stop_price):
        if terms.type not in _WITH_STOP_PRICE:
            raise problems.invalid(f"{ORDER_TYPES[terms.type]} orders require no stop_price")
        _set_stop_price(terms, wanted.stop_price, instrument)
        command.stop_price_ticks = terms.stop_price_ticks
        if terms.type == pb.ORDER_TYPE_STOP:
            command.limit_price_ticks = terms.limit_price_ticks
    if given(wanted.trail):
        if terms.type != pb.ORDER_TYPE_TRAILING_STOP:
            raise problems.invalid(f"{ORDER_TYPES[terms.type]} orders require no trail")
        if terms.trail.ticks:
            terms.trail.ticks = _trail_ticks("trail", wanted.trail, instrument)
        else:
            terms.trail.ppm = _trail_ppm("trail", wanted.trail)
        command.trail.CopyFrom(terms.trail)


def _set_trail(order: pb.NewOrder, wanted: NewOrderRequest, instrument: Instrument) -> None:
    price, percent = wanted.trail_price, wanted.trail_percent
    if given(price) and not given(percent):
        order.trail.ticks = _trail_ticks("trail_price", price, instrument)
    elif given(percent) and not given(price):
        order.trail.ppm = _trail_ppm("trail_percent", percent)
    else:
        raise problems.invalid("trailing_stop orders require one of trail_price and trail_percent")
    if order.side == pb.SIDE_BUY:
        order.trail.protection_ppm = _TRAIL_PROTECTION_PPM


def _trail_ticks(name: str, raw: msgspec.Raw, instrument: Instrument) -> int:
    ticks = parse_price(name, raw, instrument)
    if ticks > instrument.max_price_ticks:
        raise problems.invalid(f"{name} is above the asset's highest price")
    return ticks


def _trail_ppm(name: str, raw: msgspec.Raw) -> int:
    try:
        ppm = _parse_amount(name, raw, units.NANOS_PER_TRAIL_PPM)
    except units.UnitError as error:
        raise problems.invalid(f"{name}: {error}") from None
    if ppm >= 100 * _PPM_PER_PERCENT:
        raise problems.invalid(f"{name} must be < 100")
    return ppm


def _set_stop_price(
    order: pb.NewOrder | pb.Order, raw: msgspec.Raw, instrument: Instrument
) -> None:
    ticks = order.stop_price_ticks = parse_price("stop_price", raw, instrument)
    if order.type == pb.ORDER_TYPE_STOP and order.side == pb.SIDE_BUY:
        order.limit_price_ticks = protection_price_ticks(ticks, instrument)


def protection_price_ticks(stop_price_ticks: int, instrument: Instrument) -> int:
    """Return the price above which a stop order that buys does not trade, in ticks.

    As at Alpaca, it is 4 % above a stop price below 50, and 2.5 % above any other. Here it is
    rounded up to a tick, and not above the instrument's highest price.
    """
    below_50 = stop_price_ticks * instrument.tick_nanos < 50 * units.NANOS_PER_UNIT
    per_mille = 1040 if below_50 else 1025
    return min(-(-stop_price_ticks * per_mille // 1000), instrument.max_price_ticks)


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


def parse_price(name: str, raw: msgspec.Raw, instrument: Instrument) -> int:
    """Return the price of field `name` in ticks; raises Problem 422."""
    try:
        return _parse_amount(name, raw, instrument.tick_nanos)
    except units.NotAMultiple as error:
        raise problems.unprocessable(
            f"invalid {name} {error}: sub-penny increment does not fulfill minimum pricing criteria"
        ) from None
    except units.UnitError as error:
        raise problems.invalid(f"{name}: {error}") from None


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
        return _unsupported("order type", wanted.type, ORDER_TYPES)
    return _unknown_time_in_force(wanted.time_in_force)


def _unknown_time_in_force(word: str) -> problems.Problem:
    return _unsupported("time_in_force", word, TIMES_IN_FORCE)


def _unsupported(kind: str, word: str, words: Words[Any]) -> problems.Problem:
    *first, last = words.values()
    return problems.invalid(f"{kind} {word!r} is not supported: use {', '.join(first)} or {last}")
