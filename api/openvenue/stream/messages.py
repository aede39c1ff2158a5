"""Messages of the streams: their documents, and their bytes, which all subscribers share.

Market data has Alpaca's one-letter fields. Every message also has a place in the journal:

    seq       sequence number of the entry x 262,144 + index among the entry's messages
    prev_seq  seq of the message before on the same channel; 0: unknown, it was before the window

Times are nanoseconds since the Unix epoch: RFC 3339 in JSON, its own timestamp in MessagePack.
"""

import time
from abc import ABC, abstractmethod
from functools import lru_cache
from struct import pack
from typing import Literal, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

# Above the messages of an entry: at most 65,536 fills, each a trade and two updates.
SEQ_PER_ENTRY = 1 << 18

_NS_PER_S = 1_000_000_000
_TIMESTAMP_EXTENSION = -1


class Channel(NamedTuple):
    """A run of messages with its own prev_seq: an account's updates, or one kind of market data of
    one symbol. `group` is `trade_updates` or an asset class."""

    group: str
    kind: str
    name: str | int


class Time:
    """A time of market data."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns


class Trade(Struct, tag_field="T", tag="t", gc=False, rename={
    "symbol": "S", "trade_id": "i", "exchange": "x", "price": "p", "size": "s", "conditions": "c",
    "time": "t", "tape": "z", "taker_side": "tks",
}):  # fmt: skip
    """A trade; shares have exchange, conditions and tape, pairs the taker's side (B or S)."""

    symbol: str
    trade_id: int
    price: float
    size: float
    time: Time
    exchange: str | UnsetType = UNSET
    conditions: tuple[str, ...] | UnsetType = UNSET
    tape: str | UnsetType = UNSET
    taker_side: Literal["B", "S"] | UnsetType = UNSET
    seq: int = 0
    prev_seq: int = 0


class Quote(Struct, tag_field="T", tag="q", gc=False, rename={
    "symbol": "S", "bid_exchange": "bx", "bid_price": "bp", "bid_size": "bs",
    "ask_exchange": "ax", "ask_price": "ap", "ask_size": "as", "conditions": "c",
    "time": "t", "tape": "z",
}):  # fmt: skip
    """Best bid and offer; price and size of an empty side are 0."""

    symbol: str
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    time: Time
    bid_exchange: str | UnsetType = UNSET
    ask_exchange: str | UnsetType = UNSET
    conditions: tuple[str, ...] | UnsetType = UNSET
    tape: str | UnsetType = UNSET
    seq: int = 0
    prev_seq: int = 0


class _Bar(Struct, gc=False, tag_field="T", tag="b", rename={
    "symbol": "S", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v",
    "time": "t", "trade_count": "n", "average": "vw",
}):  # fmt: skip
    """Prices and volume of an interval; `time` is its start."""

    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    time: Time
    trade_count: int
    average: float
    seq: int = 0
    prev_seq: int = 0


class Bar(_Bar, tag="b", gc=False):
    """A minute that is over."""


class UpdatedBar(_Bar, tag="u", gc=False):
    """A minute that was sent already, and had a late trade."""


class DailyBar(_Bar, tag="d", gc=False):
    """The day (UTC) up to now."""


class Level(Struct, gc=False, rename={"price": "p", "size": "s"}):
    """A price level with its new size, 0 if it is gone."""

    price: float
    size: float


class OrderBook(Struct, tag_field="T", tag="o", gc=False, omit_defaults=True, rename={
    "symbol": "S", "time": "t", "bids": "b", "asks": "a", "reset": "r", "checksum": "crc32",
}):  # fmt: skip
    """Levels that changed; with `reset`, all levels. The checksum is of the book after that."""

    symbol: str
    time: Time
    bids: list[Level]
    asks: list[Level]
    reset: bool = False
    checksum: int = -1
    seq: int = -1
    prev_seq: int = -1


class Document(Protocol):
    """The content of a message; the channels set both numbers."""

    seq: int
    prev_seq: int


class LateDocument(ABC):
    """A document that is made only if somebody reads it."""

    __slots__ = ()

    @abstractmethod
    def make(self) -> object:
        """Return what is encoded."""


class Message:
    """A message of a channel; its bytes are made when the first subscriber needs them."""

    __slots__ = ("_json", "_msgpack", "channel", "document", "seq")

    def __init__(self, channel: Channel, document: Document) -> None:
        self.channel = channel
        self.document = document
        self.seq = document.seq
        self._json = self._msgpack = b""

    @property
    def json(self) -> bytes:
        if not self._json:
            self._json = to_json(self.document)
        return self._json

    @property
    def msgpack(self) -> bytes:
        if not self._msgpack:
            self._msgpack = to_msgpack(self.document)
        return self._msgpack


def _json_hook(value: object) -> object:
    if isinstance(value, Time):
        seconds, nanos = divmod(value.ns, _NS_PER_S)
        return f"{_second(seconds)}.{nanos:09d}Z"
    return _late(value)


def _msgpack_hook(value: object) -> object:
    if isinstance(value, Time):
        seconds, nanos = divmod(value.ns, _NS_PER_S)
        return msgspec.msgpack.Ext(_TIMESTAMP_EXTENSION, pack(">Q", nanos << 34 | seconds))
    return _late(value)


def _late(value: object) -> object:
    if isinstance(value, LateDocument):
        return value.make()
    # As msgspec asks of a hook that does not know a type.
    raise NotImplementedError(f"{type(value).__name__} has no place in a message")


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


to_json = msgspec.json.Encoder(enc_hook=_json_hook).encode
"""Returns any document or answer as JSON."""

to_msgpack = msgspec.msgpack.Encoder(enc_hook=_msgpack_hook).encode
"""Returns any document or answer as MessagePack."""
