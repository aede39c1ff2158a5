"""The words of orders, assets and keys, each in one place.

Those of orders and assets are the wire contract's: an enumerator's name without its prefix, in
lower case, so that SIDE_BUY is "buy". API, projection and the database's checks all use these. The
`Literal`s repeat the words for type checkers and schemas; a test compares them with the
enumerators.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, get_args

from openvenue.engine.v1 import engine_pb2 as pb

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
TimeInForce = Literal["day", "gtc", "ioc", "fok"]
OrderStatus = Literal["new", "partially_filled", "filled", "canceled", "expired", "replaced"]
Accepted = Literal["accepted"]
"""The status that the answer to a new order shows; no order stays in it."""
AssetClass = Literal["us_equity", "crypto"]
PositionIntent = Literal["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]
SelfTradePrevention = Literal["cancel_newest", "cancel_oldest", "cancel_both"]
Scope = Literal["read", "trade", "data"]

_END_REASONS_FROM = 32  # Lower reasons refuse a command, these end an order.

Word = TypeVar("Word", bound=str)


class UnknownEnumerator(ValueError):
    """The engine sent an enumerator that this version does not know: the engine is newer."""


class Words(dict[int, Word], Generic[Word]):
    """The word of each enumerator, by its number. Raises UnknownEnumerator for any other number."""

    def __init__(self, kind: str, words: Mapping[int, Word]) -> None:
        super().__init__(words)
        self._kind = kind
        self.numbers: dict[str, Any] = {word: number for number, word in words.items()}
        """Enumerator of each word."""

    def __missing__(self, number: int) -> Word:
        raise UnknownEnumerator(f"this version knows no {self._kind} {number}")


def _words(kind: str, enumerators: Iterable[tuple[str, int]], first: int = 1) -> Words[Any]:
    prefix = kind.replace(" ", "_").upper() + "_"
    named = {number: name.removeprefix(prefix).lower() for name, number in enumerators}
    return Words(kind, {number: word for number, word in named.items() if number >= first})


SIDES: Words[Side] = _words("side", pb.Side.items())
ORDER_TYPES: Words[OrderType] = _words("order type", pb.OrderType.items())
STOP_ORDER_TYPES = frozenset(
    (pb.ORDER_TYPE_STOP, pb.ORDER_TYPE_STOP_LIMIT, pb.ORDER_TYPE_TRAILING_STOP)
)
"""They wait for a stop price, and begin with that."""
TIMES_IN_FORCE: Words[TimeInForce] = _words("time in force", pb.TimeInForce.items())
ORDER_STATUSES: Words[OrderStatus] = _words(
    "order status",
    (each for each in pb.OrderStatus.items() if each[1] != pb.ORDER_STATUS_WAITING),
)
# Alpaca has no word for an order that waits for its stop price. The word itself means NEW.
ORDER_STATUSES[pb.ORDER_STATUS_WAITING] = "new"
POSITION_INTENTS: Words[PositionIntent] = _words("position intent", pb.PositionIntent.items())
SELF_TRADE_PREVENTIONS: Words[SelfTradePrevention] = _words(
    "self trade prevention", pb.SelfTradePrevention.items()
)
ASSET_CLASSES: Words[AssetClass] = _words("asset class", pb.AssetClass.items())
INSTRUMENT_STATES: Words[str] = _words("instrument state", pb.InstrumentState.items())
END_REASONS: Words[str] = _words("reason", pb.Reason.items(), first=_END_REASONS_FROM)

SCOPES: tuple[Scope, ...] = get_args(Scope)
"""The scopes that an API key can have."""
