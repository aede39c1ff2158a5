"""API keys: created, listed and revoked in the database; API workers learn of changes at once.

A secret is 256 random bits, shown once. The database holds only its SHA-256. A key belongs to the
shard that created it and is valid only there, also if several shards share a database. A version
without shards may have made a key in a database with several: no shard accepts such a key until one
claims it.

A key has scopes: `read` for requests that change nothing, `trade` for all others, or only `data`
for market data. It may end by itself, and be limited to networks. The hash of a key without
`trade`, or with such a limit, has a prefix. A version that knows neither would let the key do more,
but takes every secret for wrong, because it compares with a SHA-256 alone. Nor does a key get
scopes, or lose all its limits, by a change of its row.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import api_keys
from openvenue.security.client_address import Network
from openvenue.vocabulary import Scope

_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_ID_LENGTH = 20
_SECRET_BYTES = 32
_HASH_BYTES = 32

READ_AND_TRADE: tuple[Scope, ...] = ("read", "trade")
READ_ONLY: tuple[Scope, ...] = ("read",)
DATA_ONLY: tuple[Scope, ...] = ("data",)


@dataclass(frozen=True)
class KeyLimits:
    """Limits of a key beside its scopes; None: the key has no such limit of its own."""

    expires_at: datetime | None = None
    """With a time zone."""
    networks: Sequence[Network] | None = None
    """Of the clients that may use it; not empty."""
    requests_per_minute: int | None = None
    """Instead of the venue's rate limit; 0: as many as there are."""

    @property
    def secured(self) -> bool:
        """True if a version that does not know limits would let the key do more."""
        return self.expires_at is not None or self.networks is not None


NO_LIMITS = KeyLimits()


@dataclass(frozen=True)
class NewKey:
    """A key just made; `secret` cannot be read again."""

    key_id: str
    secret: str
    account_id: int
    label: str
    scopes: Collection[str] = READ_AND_TRADE
    limits: KeyLimits = NO_LIMITS


@dataclass(frozen=True)
class KeyInfo:
    """A key as listed."""

    key_id: str
    account_id: int
    label: str
    shard_id: int | None
    created_at: datetime
    revoked_at: datetime | None
    scopes: Collection[str]
    limits: KeyLimits


def hash_secret(secret: bytes) -> bytes:
    """Return the hash of a secret: 32 bytes."""
    return hashlib.sha256(secret).digest()


def stored_hash(secret_hash: bytes, scopes: Collection[str], *, secured: bool = False) -> bytes:
    """Return the hash as the database holds it: longer for a key that may do less than others."""
    return _before_hash(scopes, secured) + secret_hash


def hash_of_stored(
    stored: bytes, scopes: Collection[str], *, secured: bool = False
) -> bytes | None:
    """Return the `hash_secret` of a key's row, None if it was stored for other scopes or limits."""
    before = _before_hash(scopes, secured)
    if not stored.startswith(before) or len(stored) != len(before) + _HASH_BYTES:
        return None
    return stored[len(before) :]


def _before_hash(scopes: Collection[str], secured: bool) -> bytes:
    parts = [] if "trade" in scopes else sorted(scopes)
    if secured:
        parts.append("limited")
    return (",".join(parts) + ":").encode() if parts else b""


async def create_key(
    connection: AsyncConnection,
    shard_id: int,
    account_id: int,
    label: str = "",
    scopes: Collection[Scope] = READ_AND_TRADE,
    limits: KeyLimits = NO_LIMITS,
) -> NewKey:
    """Make a key for an account of a shard. The caller commits."""
    key_id = "OV" + "".join(secrets.choice(_KEY_ID_ALPHABET) for _ in range(_KEY_ID_LENGTH - 2))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    await connection.execute(
        insert(api_keys).values(
            key_id=key_id,
            shard_id=shard_id,
            account_id=account_id,
            label=label,
            secret_hash=stored_hash(hash_secret(secret.encode()), scopes, secured=limits.secured),
            scopes=list(scopes),
            **_columns(limits),
        )
    )
    return NewKey(key_id, secret, account_id, label, scopes, limits)


async def change_limits(
    connection: AsyncConnection,
    shard_id: int,
    key_id: str,
    change: Callable[[KeyLimits], KeyLimits],
) -> KeyLimits | None:
    """Give a key of a shard other limits, and return them. The caller commits.

    None if there is no such key in force.
    """
    row = await _lock_in_force(connection, shard_id, key_id)
    return None if row is None else await _set_limits(connection, row, change(_limits(row)))


async def rotate_key(
    connection: AsyncConnection,
    shard_id: int,
    key_id: str,
    overlap: timedelta,
    expires_at: datetime | None = None,
) -> NewKey | None:
    """Make a key like `key_id`, which ends after `overlap` by itself. The caller commits.

    The new key has its account, label, scopes, networks and rate limit, and ends at `expires_at`.
    None if there is no such key in force.
    """
    row = await _lock_in_force(connection, shard_id, key_id)
    if row is None:
        return None
    limits = _limits(row)
    ends_at = datetime.now(UTC) + overlap
    if limits.expires_at is not None:
        ends_at = min(ends_at, limits.expires_at)
    await _set_limits(connection, row, replace(limits, expires_at=ends_at))
    return await create_key(
        connection,
        shard_id,
        row.account_id,
        row.label,
        row.scopes,
        replace(limits, expires_at=expires_at),
    )


async def _lock_in_force(connection: AsyncConnection, shard_id: int, key_id: str) -> Any:
    query = (
        select(
            *(api_keys.c[name] for name in ("key_id", "account_id", "label", "scopes")),
            api_keys.c.secret_hash,
            *_LIMITS,
        )
        .where(
            api_keys.c.key_id == key_id,
            api_keys.c.shard_id == shard_id,
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
        )
        .with_for_update()
    )
    return (await connection.execute(query)).one_or_none()


async def _set_limits(connection: AsyncConnection, row: Any, limits: KeyLimits) -> KeyLimits:
    secret_hash = hash_of_stored(row.secret_hash, row.scopes, secured=_limits(row).secured)
    # A row that was changed by hand stays of no use.
    hashed = row.secret_hash
    if secret_hash is not None:
        hashed = stored_hash(secret_hash, row.scopes, secured=limits.secured)
    await connection.execute(
        update(api_keys)
        .where(api_keys.c.key_id == row.key_id)
        .values(secret_hash=hashed, **_columns(limits))
    )
    return limits


_LIMITS = (api_keys.c.expires_at, api_keys.c.allowed_networks, api_keys.c.requests_per_minute)


def _limits(row: Any) -> KeyLimits:
    return KeyLimits(row.expires_at, row.allowed_networks, row.requests_per_minute)


def _columns(limits: KeyLimits) -> dict[str, Any]:
    networks = limits.networks
    return {
        "expires_at": limits.expires_at,
        "allowed_networks": None if networks is None else list(networks),
        "requests_per_minute": limits.requests_per_minute,
    }


async def list_keys(
    connection: AsyncConnection,
    shard_id: int,
    account_id: int | None = None,
    *,
    after: str | None = None,
    limit: int | None = None,
) -> list[KeyInfo]:
    """Return a shard's keys and those without a shard, oldest first; also revoked ones.

    With `account_id` only those of one account; with `after` only those that follow this key, none
    if there is no such key; with `limit` no more than that.
    """
    query = (
        select(
            api_keys.c.key_id,
            api_keys.c.account_id,
            api_keys.c.label,
            api_keys.c.shard_id,
            api_keys.c.created_at,
            api_keys.c.revoked_at,
            api_keys.c.scopes,
            *_LIMITS,
        )
        .where(_of_shard_or_none(shard_id))
        .order_by(api_keys.c.created_at, api_keys.c.key_id)
    )
    if account_id is not None:
        query = query.where(api_keys.c.account_id == account_id)
    if after is not None:
        place = tuple_(api_keys.c.created_at, api_keys.c.key_id)
        other = api_keys.alias()
        of_after = select(other.c.created_at, other.c.key_id).where(other.c.key_id == after)
        query = query.where(place > of_after.scalar_subquery())
    if limit is not None:
        query = query.limit(limit)
    rows = await connection.execute(query)
    return [_info(row) for row in rows]


def _info(row: Any) -> KeyInfo:
    own = (row.key_id, row.account_id, row.label, row.shard_id, row.created_at, row.revoked_at)
    return KeyInfo(*own, row.scopes, _limits(row))


async def revoke_key(connection: AsyncConnection, shard_id: int, key_id: str) -> bool:
    """Revoke a key of a shard, or without one, for good. The caller commits.

    False if there is no such valid key.
    """
    result = await connection.execute(
        update(api_keys)
        .where(
            api_keys.c.key_id == key_id,
            _of_shard_or_none(shard_id),
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=func.now())
    )
    return result.rowcount == 1


async def claim_key(connection: AsyncConnection, shard_id: int, key_id: str) -> bool:
    """Give a key without a shard to this one. False if there is none. The caller commits."""
    result = await connection.execute(
        update(api_keys)
        .where(api_keys.c.key_id == key_id, api_keys.c.shard_id.is_(None))
        .values(shard_id=shard_id)
    )
    return result.rowcount == 1


def _of_shard_or_none(shard_id: int) -> ColumnElement[bool]:
    return or_(api_keys.c.shard_id == shard_id, api_keys.c.shard_id.is_(None))
