"""The JSON documents of the API, in Alpaca's shapes: decimal strings, closed enumerations.

Alpaca's fields that this venue has no use for are present with a neutral value (null, false, "0"),
because clients' models require them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from openvenue.vocabulary import (
    AssetClass,
    OrderStatus,
    OrderType,
    PositionIntent,
    Side,
    TimeInForce,
)


class Order(msgspec.Struct, kw_only=True, gc=False):
    """An order in its present state; only a DAY order has `expires_at`."""

    id: str
    client_order_id: str
    created_at: str
    updated_at: str
    submitted_at: str
    filled_at: str | None = None
    expired_at: str | None = None
    expires_at: str | UnsetType = UNSET
    canceled_at: str | None = None
    failed_at: None = None
    replaced_at: str | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    asset_id: str
    symbol: str
    asset_class: AssetClass
    notional: None = None
    qty: str
    filled_qty: str = "0"
    filled_avg_price: str | None = None
    order_class: Literal["simple"] = "simple"
    order_type: OrderType
    type: OrderType
    side: Side
    time_in_force: TimeInForce
    limit_price: str | None = None
    stop_price: None = None
    status: OrderStatus
    extended_hours: bool = False
    legs: None = None
    trail_percent: None = None
    trail_price: None = None
    hwm: None = None
    position_intent: PositionIntent | UnsetType = UNSET


class CancelResult(msgspec.Struct):
    """The result for one order of a mass cancel; `status` is an HTTP status."""

    id: str
    status: int
    body: Order | None = None


class Account(msgspec.Struct, kw_only=True):
    """An account; its id is a UUID, its number the engine's."""

    id: str
    account_number: str
    status: Literal["ACTIVE"] = "ACTIVE"
    crypto_status: Literal["ACTIVE"] = "ACTIVE"
    currency: Literal["USD"] = "USD"
    buying_power: str
    regt_buying_power: str
    daytrading_buying_power: str = "0"
    non_marginable_buying_power: str
    options_buying_power: str = "0"
    options_approved_level: int = 0
    options_trading_level: int = 0
    cash: str
    accrued_fees: str = "0"
    pending_reg_taf_fees: str = "0"
    pending_transfer_in: str = "0"
    pending_transfer_out: str = "0"
    portfolio_value: str
    equity: str
    last_equity: str
    position_market_value: str
    long_market_value: str
    short_market_value: str
    initial_margin: str
    maintenance_margin: str = "0"
    last_maintenance_margin: str = "0"
    sma: str = "0"
    multiplier: str = "1"
    daytrade_count: int = 0
    pattern_day_trader: bool = False
    trading_blocked: bool = False
    transfers_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False
    shorting_enabled: bool
    created_at: str


class AccountConfiguration(msgspec.Struct, kw_only=True):
    """An account's configuration. The fields that cannot be changed come last."""

    suspend_trade: bool = False
    no_shorting: bool = False
    fractional_trading: bool = True
    ptp_no_exception_entry: bool = False
    dtbp_check: str = "entry"
    pdt_check: str = "entry"
    trade_confirm_email: Literal["none"] = "none"
    max_margin_multiplier: Literal["1"] = "1"
    max_options_trading_level: Literal[0] = 0
    disable_overnight_trading: bool = False


_Check = Annotated[
    Literal["both", "entry", "exit"] | None,
    msgspec.Meta(description="Kept without effect: no account is a pattern day trader's."),
]


class ConfigurationChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Fields to change; absent and null ones stay."""

    suspend_trade: bool | None = None
    no_shorting: bool | None = None
    fractional_trading: bool | None = None
    ptp_no_exception_entry: Annotated[
        bool | None, msgspec.Meta(description="Kept without effect: no asset is a partnership's.")
    ] = None
    dtbp_check: _Check = None
    pdt_check: _Check = None
    trade_confirm_email: str | None = None
    max_margin_multiplier: str | None = None
    max_options_trading_level: int | None = None
    disable_overnight_trading: bool | None = None


class Activity(msgspec.Struct, kw_only=True):
    """A fill, or a movement of cash or of a position; each kind has fields of its own."""

    id: str
    activity_type: Literal["FILL", "CSD", "CSW", "JNLS"]
    # Of a fill. An older version's may lack what the order had filled with it.
    transaction_time: str | UnsetType = UNSET
    type: Literal["fill", "partial_fill"] | UnsetType = UNSET
    price: str | UnsetType = UNSET
    side: Side | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    cum_qty: str | UnsetType = UNSET
    leaves_qty: str | UnsetType = UNSET
    order_status: OrderStatus | UnsetType = UNSET
    # Of a fill and of a movement of a position.
    symbol: str | UnsetType = UNSET
    qty: str | UnsetType = UNSET
    # Of a movement.
    date: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    net_amount: str | UnsetType = UNSET
    currency: Literal["USD"] | UnsetType = UNSET
    status: Literal["executed"] | UnsetType = UNSET
    description: str | UnsetType = UNSET


class Position(msgspec.Struct, kw_only=True):
    """An account's position in one asset; negative if it is short."""

    asset_id: str
    symbol: str
    exchange: str
    asset_class: AssetClass
    asset_marginable: bool = False
    avg_entry_price: str
    qty: str
    qty_available: str
    side: Literal["long", "short"]
    market_value: str
    cost_basis: str
    unrealized_pl: str
    unrealized_plpc: str
    unrealized_intraday_pl: str
    unrealized_intraday_plpc: str
    current_price: str
    lastday_price: str
    change_today: str = "0"


class ClosedPosition(msgspec.Struct):
    """The result for one position of a mass close; `status` is an HTTP status."""

    symbol: str
    status: int
    body: Annotated[
        Any,
        msgspec.Meta(
            description="The order, or why there is none.",
            extra_json_schema={
                "anyOf": [
                    {"$ref": "#/components/schemas/Order"},
                    {"$ref": "#/components/schemas/ProblemDocument"},
                ]
            },
        ),
    ]


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


class WatchlistName(msgspec.Struct, kw_only=True):
    """A watchlist without its assets."""

    id: str
    account_id: str
    name: str
    created_at: str
    updated_at: str


class Watchlist(WatchlistName, kw_only=True):
    """A watchlist with its assets, in the owner's order."""

    assets: list[Asset]


class NewWatchlist(msgspec.Struct, forbid_unknown_fields=True):
    """A watchlist to make; symbols may be asset ids."""

    name: str
    symbols: list[str] | None = None


class WatchlistChange(msgspec.Struct, forbid_unknown_fields=True):
    """Fields of a watchlist to change; absent ones stay."""

    name: str | None = None
    symbols: list[str] | None = None


class WatchedSymbol(msgspec.Struct, forbid_unknown_fields=True):
    """An asset to add, by symbol or id."""

    symbol: str


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


class Health(msgspec.Struct):
    """Answer that shows that a worker runs."""

    status: Literal["ok"]
    checks: dict[str, str] = {}


class ProblemDocument(msgspec.Struct):
    """RFC 9457, with Alpaca's code and message, and for a lack of money or shares its figures."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: int
    message: str
    client_order_id: str | None = None
    symbol: str | UnsetType = UNSET
    available: str | UnsetType = UNSET
    balance: str | UnsetType = UNSET
    existing_qty: str | UnsetType = UNSET
    held_for_orders: str | UnsetType = UNSET
    buying_power: str | UnsetType = UNSET
    cost_basis: str | UnsetType = UNSET
