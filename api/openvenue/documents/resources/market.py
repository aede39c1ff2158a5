"""Documents that are the same for every account: assets, clock, calendar and books."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from openvenue.vocabulary import AssetClass


class Asset(msgspec.Struct, kw_only=True):
    """An instrument and its terms."""

    id: str
    asset_class: AssetClass = msgspec.field(name="class")
    exchange: str
    symbol: str
    name: str
    status: Literal["active", "inactive"]
    tradable: bool
    marginable: bool = False
    maintenance_margin_requirement: int = 100
    shortable: bool
    easy_to_borrow: bool
    fractionable: bool
    attributes: list[str] = []
    min_order_size: str
    min_trade_increment: str
    price_increment: str


class Clock(msgspec.Struct):
    """The venue trades around the clock; the day ends when DAY orders expire."""

    timestamp: str
    is_open: bool
    next_open: str
    next_close: str


class CalendarDay(msgspec.Struct):
    """A date; the venue is open from its beginning to its end. HH:MM knows no end of a day."""

    date: str
    settlement_date: str
    open: str = "00:00"
    close: str = "23:59"
    session_open: str = "0000"
    session_close: str = "2359"


class Market(msgspec.Struct):
    """The venue as a market."""

    acronym: str
    mic: str
    name: str
    timezone: str


class MarketDay(msgspec.Struct):
    """A trading day; DAY orders expire at its end."""

    date: str
    core_start: str
    core_end: str
    settlement_date: str


class MarketCalendar(msgspec.Struct):
    """Trading days of a market."""

    market: Market
    calendar: Sequence[MarketDay]


class MarketClock(msgspec.Struct):
    """The time on a market's clock."""

    market: Market
    timestamp: str
    is_market_day: bool
    next_market_open: str
    next_market_close: str
    phase: Literal["core"]
    phase_until: str


class MarketClocks(msgspec.Struct):
    """Clocks of several markets."""

    clocks: list[MarketClock]


class BookLevel(msgspec.Struct):
    """One price level: total open quantity and number of orders."""

    price: str
    qty: str
    orders: int


class Book(msgspec.Struct):
    """Price levels of one asset, best first, as of a sequence number."""

    symbol: str
    sequence: int
    bids: list[BookLevel]
    asks: list[BookLevel]
    last_price: str | None
