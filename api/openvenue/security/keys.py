"""API keys: created, listed and revoked in the database; API workers learn of changes at once.

A secret is 256 random bits, shown once. The database holds only its SHA-256. A key belongs to the
shard that created it and is valid only there, also if several shards share a database. A version
without shards may have made a key in a database with several: no shard accepts such a key until one
claims it.

A key has scopes: `read` for requests that change nothing, `trade` for all others. The hash of a key
without `trade` has the key's scopes before it. A version without scopes would let the key trade,
but takes every secret for wrong, because it compares with a SHA-256 alone. Nor does a key get
scopes by a change of its row.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import api_keys
from openvenue.vocabulary import SCOPES, Scope

_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_ID_LENGTH = 20
_SECRET_BYTES = 32
_HASH_BYTES = 32

READ_ONLY: tuple[Scope, ...] = ("read",)


@dataclass(frozen=True)
class NewKey:
    """A key just made; `secret` cannot be read again."""

    key_id: str
    secret: str
    account_id: int
    label: str
    scopes: Collection[str] = SCOPES


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


def hash_secret(secret: bytes) -> bytes:
    """Return the hash of a secret: 32 bytes."""
    return hashlib.sha256(secret).digest()


def stored_hash(secret_hash: bytes, scopes: Collection[str]) -> bytes:
    """Return the hash as the database holds it: longer for a key that may not trade."""
    return _before_hash(scopes) + secret_hash


def hash_of_stored(stored: bytes, scopes: Collection[str]) -> bytes | None:
    """Return the `hash_secret` of a key's row, None if it was stored for other scopes."""
    before = _before_hash(scopes)
    if not stored.startswith(before) or len(stored) != len(before) + _HASH_BYTES:
        return None
    return stored[len(before) :]


def _before_hash(scopes: Collection[str]) -> bytes:
    return b"" if "trade" in scopes else (",".join(sorted(scopes)) + ":").encode()


async def create_key(
    connection: AsyncConnection,
    shard_id: int,
    account_id: int,
    label: str = "",
    scopes: Collection[Scope] = SCOPES,
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
            secret_hash=stored_hash(hash_secret(secret.encode()), scopes),
            scopes=list(scopes),
        )
    )
    return NewKey(key_id, secret, account_id, label, scopes)


async def list_keys(
    connection: AsyncConnection, shard_id: int, account_id: int | None = None
) -> list[KeyInfo]:
    """Return a shard's keys and those without a shard, oldest first; also revoked ones.

    With `account_id` only those of one account.
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
        )
        .where(_of_shard_or_none(shard_id))
        .order_by(api_keys.c.created_at, api_keys.c.key_id)
    )
    if account_id is not None:
        query = query.where(api_keys.c.account_id == account_id)
    return [KeyInfo(*row) for row in await connection.execute(query)]


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
