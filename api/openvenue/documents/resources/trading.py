"""Documents of orders and positions."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from openvenue.vocabulary import (
    Accepted,
    AssetClass,
    OrderStatus,
    OrderType,
    PositionIntent,
    SelfTradePrevention,
    Side,
    TimeInForce,
)


class Order(msgspec.Struct, kw_only=True, gc=False):
    """An order in its present state, or as it was `accepted`.

    Only a DAY order has `expires_at`, and only a stop order that a trade triggered `triggered_at`.
    """

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
    stop_price: str | None = None
    status: OrderStatus | Accepted
    extended_hours: bool = False
    legs: None = None
    trail_percent: str | None = None
    trail_price: str | None = None
    hwm: str | None = None
    position_intent: PositionIntent | UnsetType = UNSET
    self_trade_prevention: SelfTradePrevention | UnsetType = UNSET
    post_only: bool | UnsetType = UNSET
    triggered_at: str | UnsetType = UNSET


class CancelResult(msgspec.Struct):
    """The result for one order of a mass cancel; `status` is an HTTP status."""

    id: str
    status: int


class OrderResult(msgspec.Struct, gc=False):
    """The result for one order of a batch; `status` is an HTTP status."""

    status: int
    body: Annotated[
        Any,
        msgspec.Meta(
            description="The order, or why there is none; null if a canceled order cannot be shown "
            "at the moment.",
            extra_json_schema={
                "anyOf": [
                    {"$ref": "#/components/schemas/Order"},
                    {"$ref": "#/components/schemas/ProblemDocument"},
                    {"type": "null"},
                ]
            },
        ),
    ]


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
