"""What administration shows: the same documents for the command line and over HTTP.

Amounts, prices and quantities are decimal strings; times are RFC 3339 in UTC.
"""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import KeyInfo, KeyLimits, NewKey
from openvenue.units import format_micros, format_nanos, format_steps
from openvenue.vocabulary import ASSET_CLASSES, INSTRUMENT_STATES

RequestRate = int | Literal["unlimited"] | None
"""Requests a minute; null: the venue's own limit."""


class AccountSummary(msgspec.Struct, kw_only=True):
    """An account and its money."""

    account_id: int
    name: str
    cash: str
    reserved: str
    buying_power: str
    credit_limit: str
    may_sell_short: bool


class AccountBlock(msgspec.Struct, kw_only=True):
    """Whether an administrator blocked an account from trading; its owner cannot undo it."""

    account_id: int
    trading_blocked: bool


class VenueTrading(msgspec.Struct, kw_only=True):
    """`suspended`: the engine refuses new orders and replacements of all accounts.

    `canceled` counts the open orders that it canceled; null if nobody asked for that.
    """

    suspended: bool
    canceled: int | None = None


class CanceledOrders(msgspec.Struct, kw_only=True):
    """How many open orders of an account an administrator canceled."""

    account_id: int
    canceled: int


class HeldPosition(msgspec.Struct, kw_only=True):
    """A position of an account; `reserved` is what open orders may need of it."""

    symbol: str
    qty: str
    reserved: str
    cost: str


class AccountDetails(AccountSummary, kw_only=True):
    """An account with its positions."""

    positions: list[HeldPosition]


class AdjustedPosition(HeldPosition, kw_only=True):
    """A position after a change, and its account."""

    account_id: int


class Instrument(msgspec.Struct, kw_only=True, rename={"asset_class": "class"}):
    """An instrument's terms; `last_price` is null before its first trade."""

    instrument_id: int
    symbol: str
    name: str
    asset_class: str
    state: str
    tick: str
    lot: str
    min_price: str
    max_price: str
    max_qty: str
    last_price: str | None


class Key(msgspec.Struct, kw_only=True):
    """An API key. Its limits are null where it has none of its own."""

    key_id: str
    account_id: int
    label: str
    scopes: list[str]
    shard_id: int | None
    created_at: str | None
    revoked_at: str | None
    expires_at: str | None
    allow_from: list[str] | None
    rate_limit: RequestRate


class CreatedKey(msgspec.Struct, kw_only=True):
    """A key just made, with its secret, which cannot be read again."""

    key_id: str
    secret: str
    account_id: int
    label: str
    scopes: list[str]
    expires_at: str | None
    allow_from: list[str] | None
    rate_limit: RequestRate


class ChangedKey(msgspec.Struct, kw_only=True):
    """A key's limits after a change."""

    key_id: str
    expires_at: str | None
    allow_from: list[str] | None
    rate_limit: RequestRate


class Status(msgspec.Struct, kw_only=True):
    """The state of engine and projection; `projected_sequence` is null without a database."""

    shard_id: int
    engine_version: str
    engine_started: str | None
    applied_sequence: int
    durable_sequence: int
    snapshot_sequence: int
    state_hash: str | None
    read_only: bool
    suspended: bool
    open_orders: int
    sessions: int
    trading_day_end: str | None
    projected_sequence: int | None
    projection_lag: int | None


def seconds(moment: datetime | None) -> str | None:
    """Return a time with whole seconds."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def shown(document: msgspec.Struct) -> dict[str, Any]:
    """Return a document's fields by their names in JSON, in their order."""
    fields: dict[str, Any] = msgspec.to_builtins(document)
    return fields


def account_summary(account: pb.Account) -> AccountSummary:
    """Return the document of an account."""
    return AccountSummary(**_of_account(account))


def account_details(account: pb.Account, terms: dict[int, pb.DefineInstrument]) -> AccountDetails:
    """Return the document of an account; `terms` are all instruments', by number."""
    positions = [held_position(each, terms[each.instrument_id]) for each in account.positions]
    return AccountDetails(**_of_account(account), positions=positions)


def _of_account(account: pb.Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "name": account.name,
        "cash": format_micros(account.cash_micros),
        "reserved": format_micros(account.reserved_micros),
        "buying_power": format_micros(account.buying_power_micros),
        "credit_limit": format_micros(account.credit_limit_micros),
        "may_sell_short": account.may_sell_short,
    }


def held_position(position: pb.Position, terms: pb.DefineInstrument) -> HeldPosition:
    """Return the document of a position."""
    return HeldPosition(
        symbol=terms.symbol,
        qty=format_steps(position.qty_lots, terms.lot_size_nanos),
        reserved=format_steps(position.reserved_lots, terms.lot_size_nanos),
        cost=format_micros(position.cost_micros),
    )


def adjusted_position(
    account_id: int, position: pb.Position, terms: pb.DefineInstrument
) -> AdjustedPosition:
    """Return the document of a position that was changed."""
    held = msgspec.structs.asdict(held_position(position, terms))
    return AdjustedPosition(account_id=account_id, **held)


def instrument(info: pb.InstrumentInfo) -> Instrument:
    """Return the document of an instrument."""
    terms = info.terms
    tick_nanos, lot_nanos = terms.tick_size_nanos, terms.lot_size_nanos
    last_price = info.last_price_ticks
    return Instrument(
        instrument_id=terms.instrument_id,
        symbol=terms.symbol,
        name=terms.name,
        asset_class=ASSET_CLASSES[terms.asset_class],
        state=INSTRUMENT_STATES[terms.state],
        tick=format_nanos(tick_nanos),
        lot=format_nanos(lot_nanos),
        min_price=format_steps(terms.min_price_ticks, tick_nanos),
        max_price=format_steps(terms.max_price_ticks, tick_nanos),
        max_qty=format_steps(terms.max_order_qty_lots, lot_nanos),
        last_price=format_steps(last_price, tick_nanos) if last_price else None,
    )


def key(info: KeyInfo) -> Key:
    """Return the document of a key."""
    return Key(
        key_id=info.key_id,
        account_id=info.account_id,
        label=info.label,
        scopes=list(info.scopes),
        shard_id=info.shard_id,
        created_at=seconds(info.created_at),
        revoked_at=seconds(info.revoked_at),
        **_of_limits(info.limits),
    )


def created_key(made: NewKey) -> CreatedKey:
    """Return the document of a key just made."""
    return CreatedKey(
        key_id=made.key_id,
        secret=made.secret,
        account_id=made.account_id,
        label=made.label,
        scopes=list(made.scopes),
        **_of_limits(made.limits),
    )


def changed_key(key_id: str, limits: KeyLimits) -> ChangedKey:
    """Return the document of a key's new limits."""
    return ChangedKey(key_id=key_id, **_of_limits(limits))


def _of_limits(limits: KeyLimits) -> dict[str, Any]:
    rate, networks = limits.requests_per_minute, limits.networks
    return {
        "expires_at": seconds(limits.expires_at),
        "allow_from": None if networks is None else [str(network) for network in networks],
        "rate_limit": "unlimited" if rate == 0 else rate,
    }
