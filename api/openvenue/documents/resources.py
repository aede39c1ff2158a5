"""The JSON documents of the API, in Alpaca's shapes: decimal strings, closed enumerations.

Alpaca's fields that this venue has no use for are present with a neutral value (null, false, "0"),
because clients' models require them.
"""

from typing import Literal

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
    cash: str
    accrued_fees: str = "0"
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
