"""The bodies of requests. Amounts and quantities are decimal strings; no field is ignored."""

from typing import Literal

import msgspec

from openvenue.admin.errors import InvalidRequest
from openvenue.security.keys import READ_AND_TRADE
from openvenue.units import UnitError, parse_micros
from openvenue.vocabulary import Scope


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class NewAccountRequest(_Body):
    """An account to open. Without a number it gets the next free one."""

    name: str
    account_id: int | None = None
    cash: str = "0"
    credit_limit: str = "0"
    may_sell_short: bool = False


class CashRequest(_Body):
    """Money to add or to take, above zero."""

    amount: str


class ResetRequest(_Body):
    """The cash that the account has afterwards."""

    cash: str


class CloneRequest(_Body):
    """The name of the new account. Without a number, it gets the next free one."""

    name: str
    account_id: int | None = None


class BlockRequest(_Body):
    """`trading_blocked`: the engine refuses the account's new orders and replacements."""

    trading_blocked: bool


class TradingRequest(_Body):
    """`suspended`: the engine refuses new orders and replacements of all accounts.

    `cancel_orders`: it cancels all open orders, too.
    """

    suspended: bool
    cancel_orders: bool = False


class PositionRequest(_Body):
    """A change of a position; `cost` changes its cost basis, and moves no money."""

    symbol: str
    qty: str
    cost: str = "0"


class TermsRequest(_Body, rename={"asset_class": "class"}):
    """Terms of an instrument. Those that are absent stay, or have the default of a new one."""

    name: str | None = None
    asset_class: str | None = None
    tick: str | None = None
    lot: str | None = None
    min_price: str | None = None
    max_price: str | None = None
    max_qty: str | None = None
    state: str | None = None


class LimitsRequest(_Body):
    """Limits of a key: what is absent stays as it is.

    `expires_in` is a time as 90s, 15m, 1h or 30d, or never. `allow_from` lists networks or
    addresses, or `anywhere`. `rate_limit` counts requests a minute.
    """

    expires_in: str | None = None
    allow_from: list[str] | None = None
    rate_limit: int | Literal["default", "unlimited"] | None = None


class NewKeyRequest(_Body):
    """A key to make for an account, with limits as `LimitsRequest` has them."""

    account_id: int
    label: str = ""
    scopes: list[Scope] = msgspec.field(default_factory=lambda: list(READ_AND_TRADE))
    expires_in: str | None = None
    allow_from: list[str] | None = None
    rate_limit: int | Literal["default", "unlimited"] | None = None


class RotationRequest(_Body):
    """How long the old key still works, and when the new one ends by itself."""

    overlap: str
    expires_in: str | None = None


def micros(field: str, text: str) -> int:
    """Return an amount in micros. Raises InvalidRequest."""
    try:
        return parse_micros(text)
    except UnitError as error:
        raise InvalidRequest(f"{{{field}}}: {error}") from error
