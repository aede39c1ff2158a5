"""The JSON documents of market data, in Alpaca's shapes: short names, and numbers, not strings."""

from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from openvenue import units
from openvenue.documents.times import format_datetime
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb

# Alpaca's names, which all mean this venue's own trades.
StockFeed = Literal["iex", "sip", "delayed_sip", "otc", "boats", "overnight"]
PairLocation = Literal["us", "us-1", "us-2", "eu-1", "bs-1"]

# Alpaca's lists are closed. The venue is one exchange, whose shares are on the tape of NASDAQ.
EXCHANGE = "V"
TAPE = "C"
TRADE_CONDITION = "@"
QUOTE_CONDITION = "R"

Number = int | float


class Bar(msgspec.Struct):
    """Prices and volume of a time frame that begins at `t`."""

    t: str
    o: Number
    h: Number
    l: Number  # noqa: E741
    c: Number
    v: Number
    n: int
    vw: Number


class StockTrade(msgspec.Struct):
    """A trade in shares."""

    t: str
    i: int
    p: Number
    s: Number
    x: str = EXCHANGE
    c: tuple[str, ...] = (TRADE_CONDITION,)
    z: str = TAPE


class CryptoTrade(msgspec.Struct):
    """A trade in a pair; `tks` is the side of the taker."""

    t: str
    i: int
    p: Number
    s: Number
    tks: Literal["B", "S"]


class CryptoQuote(msgspec.Struct, kw_only=True):
    """Best bid and ask, as of `t`; a side that is empty has price and size 0."""

    t: str
    bp: Number = 0
    bs: Number = 0
    ap: Number = 0
    as_: Number = msgspec.field(name="as", default=0)


class StockQuote(CryptoQuote, kw_only=True):
    """Best bid and ask in shares."""

    bx: str = EXCHANGE
    ax: str = EXCHANGE
    c: tuple[str, ...] = (QUOTE_CONDITION,)
    z: str = TAPE


class Level(msgspec.Struct):
    """One price level."""

    p: Number
    s: Number


class Orderbook(msgspec.Struct):
    """Price levels, best first, as of `t`."""

    t: str
    b: list[Level]
    a: list[Level]


T = TypeVar("T")
Q = TypeVar("Q")


class Snapshot(msgspec.Struct, Generic[T, Q], rename="camel"):
    """An asset's last trade, quote and bars; a part that does not exist yet is left out."""

    latest_quote: Q
    latest_trade: T | UnsetType = UNSET
    minute_bar: Bar | UnsetType = UNSET
    daily_bar: Bar | UnsetType = UNSET
    prev_daily_bar: Bar | UnsetType = UNSET


StockSnapshot = Snapshot[StockTrade, StockQuote]
CryptoSnapshot = Snapshot[CryptoTrade, CryptoQuote]


class SymbolSnapshot(msgspec.Struct, rename="camel"):
    """The last trade, quote and bars of the shares of one symbol."""

    symbol: str
    latest_quote: StockQuote
    latest_trade: StockTrade | UnsetType = UNSET
    minute_bar: Bar | UnsetType = UNSET
    daily_bar: Bar | UnsetType = UNSET
    prev_daily_bar: Bar | UnsetType = UNSET


class Bars(msgspec.Struct):
    """A page of bars, by symbol."""

    bars: dict[str, list[Bar]]
    next_page_token: str | None


class SymbolBars(msgspec.Struct):
    """A page of the bars of one symbol."""

    symbol: str
    bars: list[Bar]
    next_page_token: str | None


class Trades(msgspec.Struct, Generic[T]):
    """A page of trades, by symbol."""

    trades: dict[str, list[T]]
    next_page_token: str | None


StockTrades = Trades[StockTrade]
CryptoTrades = Trades[CryptoTrade]


class SymbolTrades(msgspec.Struct):
    """A page of the trades of one symbol."""

    symbol: str
    trades: list[StockTrade]
    next_page_token: str | None


class Quotes(msgspec.Struct, Generic[Q]):
    """A page of quotes, by symbol."""

    quotes: dict[str, list[Q]]
    next_page_token: str | None


StockQuotes = Quotes[StockQuote]
CryptoQuotes = Quotes[CryptoQuote]


class SymbolQuotes(msgspec.Struct):
    """A page of the quotes of one symbol."""

    symbol: str
    quotes: list[StockQuote]
    next_page_token: str | None


class LatestBars(msgspec.Struct):
    """The last bar of a minute, by symbol."""

    bars: dict[str, Bar]


class LatestTrades(msgspec.Struct, Generic[T]):
    """The last trade, by symbol."""

    trades: dict[str, T]


class LatestQuotes(msgspec.Struct, Generic[Q]):
    """The best bid and ask now, by symbol."""

    quotes: dict[str, Q]


LatestStockTrades = LatestTrades[StockTrade]
LatestCryptoTrades = LatestTrades[CryptoTrade]
LatestStockQuotes = LatestQuotes[StockQuote]
LatestCryptoQuotes = LatestQuotes[CryptoQuote]


class LatestBar(msgspec.Struct):
    """The last bar of a minute of one symbol."""

    symbol: str
    bar: Bar


class LatestTrade(msgspec.Struct):
    """The last trade of one symbol."""

    symbol: str
    trade: StockTrade


class LatestQuote(msgspec.Struct):
    """The best bid and ask of one symbol now."""

    symbol: str
    quote: StockQuote


class Orderbooks(msgspec.Struct):
    """Books, by symbol."""

    orderbooks: dict[str, Orderbook]


class Snapshots(msgspec.Struct):
    """Snapshots of pairs, by symbol."""

    snapshots: dict[str, CryptoSnapshot]


class MostActive(msgspec.Struct):
    """Volume and trades of one symbol today."""

    symbol: str
    volume: Number
    trade_count: int


class MostActives(msgspec.Struct):
    """The symbols that traded most."""

    most_actives: list[MostActive]
    last_updated: str


class Mover(msgspec.Struct):
    """The change of one symbol's price."""

    symbol: str
    percent_change: Number
    change: Number
    price: Number


class Movers(msgspec.Struct):
    """The symbols that moved most."""

    gainers: list[Mover]
    losers: list[Mover]
    market_type: str
    last_updated: str


def bar(row: Any) -> Bar:
    """Return a bar of the database."""
    return Bar(
        t=row.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        o=number(row.open),
        h=number(row.high),
        l=number(row.low),
        c=number(row.close),
        v=number(row.volume),
        n=int(row.trades),
        vw=number(round(row.value / row.volume, 9)),
    )


def trade(row: Any, instrument: Instrument) -> StockTrade | CryptoTrade:
    """Return a trade of the database."""
    at, price, size = format_datetime(row.executed_at), number(row.price), number(row.qty)
    if instrument.asset_class == "crypto":
        return CryptoTrade(at, row.trade_id, price, size, "B" if row.taker_side == "buy" else "S")
    return StockTrade(at, row.trade_id, price, size)


def quote(row: Any, instrument: Instrument) -> StockQuote | CryptoQuote:
    """Return a quote of the database."""
    document = _empty_quote(format_datetime(row.quoted_at), instrument)
    if row.bid_price is not None:
        document.bp, document.bs = number(row.bid_price), number(row.bid_qty)
    if row.ask_price is not None:
        document.ap, document.as_ = number(row.ask_price), number(row.ask_qty)
    return document


def quote_of_book(
    book: pb.BookSnapshot, at: str, instrument: Instrument
) -> StockQuote | CryptoQuote:
    """Return the best prices of a book."""
    document = _empty_quote(at, instrument)
    if book.bids:
        best = level(book.bids[0], instrument)
        document.bp, document.bs = best.p, best.s
    if book.asks:
        best = level(book.asks[0], instrument)
        document.ap, document.as_ = best.p, best.s
    return document


def _empty_quote(at: str, instrument: Instrument) -> StockQuote | CryptoQuote:
    return CryptoQuote(t=at) if instrument.asset_class == "crypto" else StockQuote(t=at)


def orderbook(book: pb.BookSnapshot, at: str, instrument: Instrument) -> Orderbook:
    """Return the levels of a book."""
    bids, asks = ([level(each, instrument) for each in side] for side in (book.bids, book.asks))
    return Orderbook(at, bids, asks)


def level(of_book: pb.BookLevel, instrument: Instrument) -> Level:
    """Return a level of a book."""
    return Level(
        number_of_nanos(of_book.price_ticks * instrument.tick_nanos),
        number_of_nanos(of_book.qty_lots * instrument.lot_nanos),
    )


def number(value: Decimal) -> Number:
    """Return a decimal as JSON shows it best."""
    return int(value) if value == value.to_integral_value() else float(value)


def number_of_nanos(nanos: int) -> Number:
    """Return the JSON number that is nearest, which a reader's decimals show exactly."""
    whole, rest = divmod(nanos, units.NANOS_PER_UNIT)
    return nanos / units.NANOS_PER_UNIT if rest else whole
