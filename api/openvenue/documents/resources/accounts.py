"""Documents of an account: its balance, configuration, activities and watchlists."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from openvenue.documents.resources.market import Asset
from openvenue.vocabulary import OrderStatus, Side


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


class PortfolioHistory(msgspec.Struct, kw_only=True):
    """An account's equity: of days at their beginning, or of moments; in seconds since 1970."""

    timestamp: list[int] = []
    equity: list[int | float] = []
    profit_loss: list[int | float] = []
    profit_loss_pct: list[int | float] = []
    base_value: int | float
    base_value_asof: str | UnsetType = UNSET
    timeframe: str = "1D"
