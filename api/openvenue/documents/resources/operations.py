"""Documents of probes and failures."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


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
