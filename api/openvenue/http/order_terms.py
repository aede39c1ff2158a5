"""The terms of an order as clients write them, to the engine's: enumerations, ticks and lots."""

import os
from typing import Any

import msgspec

from openvenue import units
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.json_keys import repeated_key

CLIENT_ORDER_ID_BYTES_MAX = 128

SIDES: "dict[str, pb.Side.ValueType]" = {"buy": pb.SIDE_BUY, "sell": pb.SIDE_SELL}
TYPES: "dict[str, pb.OrderType.ValueType]" = {
    "market": pb.ORDER_TYPE_MARKET,
    "limit": pb.ORDER_TYPE_LIMIT,
}
TIMES_IN_FORCE: "dict[str, pb.TimeInForce.ValueType]" = {
    "day": pb.TIME_IN_FORCE_DAY,
    "gtc": pb.TIME_IN_FORCE_GTC,
    "ioc": pb.TIME_IN_FORCE_IOC,
    "fok": pb.TIME_IN_FORCE_FOK,
}

# A field that is not there. Amounts stay as the client wrote them until they are converted.
NO_RAW = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")

_IDS_PER_DRAW = 256  # a draw is a system call
_random_ids: list[str] = []


def decode_body(decode: Any, body: bytes) -> Any:
    """Decode a JSON body; raises Problem: 400 where it is no JSON, 422 for a wrong type."""
    try:
        decoded = decode(body)
        if (key := repeated_key(body)) is not None:
            raise problems.bad_request(f"request body format is invalid: {key!r} is given twice")
        return decoded
    except msgspec.ValidationError as error:
        raise problems.invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problems.bad_request(f"request body format is invalid: {error}") from None


def checked_client_order_id(text: str) -> str:
    """Return `text` if it can be a client_order_id; raises Problem 422."""
    if not text.isprintable() or not 0 < len(text.encode()) <= CLIENT_ORDER_ID_BYTES_MAX:
        raise problems.invalid(
            f"client_order_id must be 1 to {CLIENT_ORDER_ID_BYTES_MAX} bytes of printable text"
        )
    return text


def parse_qty(raw: msgspec.Raw, instrument: Instrument) -> int:
    """Return a quantity in lots; raises Problem 422."""
    return _parse_amount("qty", raw, instrument.lot_nanos)


def parse_price(raw: msgspec.Raw, instrument: Instrument) -> int:
    """Return a limit price in ticks; raises Problem 422."""
    return _parse_amount("limit_price", raw, instrument.tick_nanos)


def given(raw: msgspec.Raw) -> bool:
    """Whether a field is there and not null."""
    return raw is not NO_RAW and raw != _NULL


def _parse_amount(name: str, raw: msgspec.Raw, step_nanos: int) -> int:
    token = bytes(raw)
    if token[:1] == b'"':
        # Escapes have no business in a number; a backslash fails below.
        token = token[1:-1]
    try:
        steps = units.parse_steps(token.decode(), step_nanos)
    except units.UnitError as error:
        raise problems.invalid(f"{name}: {error}") from None
    except UnicodeDecodeError:
        # The JSON decoder looks at the encoding of what it decodes, and these it leaves to us.
        raise problems.invalid(f"{name} is not valid UTF-8") from None
    if steps <= 0:
        raise problems.invalid(f"{name} must be > 0")
    return steps


def new_client_order_id() -> str:
    """Return an id for a client that gave none."""
    if not _random_ids:
        digits = os.urandom(16 * _IDS_PER_DRAW).hex()
        _random_ids.extend(digits[at : at + 32] for at in range(0, len(digits), 32))
    digits = _random_ids.pop()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
