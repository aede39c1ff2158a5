"""API keys: created, listed and revoked in the database; API workers learn of changes at once.

A secret is 256 random bits, shown once. The database holds only its SHA-256. A key belongs to the
shard that created it and is valid only there, also if several shards share a database. A version
without shards may have made a key in a database with several: no shard accepts such a key until one
claims it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import api_keys

_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_ID_LENGTH = 20
_SECRET_BYTES = 32


@dataclass(frozen=True)
class NewKey:
    """A key just made; `secret` cannot be read again."""

    key_id: str
    secret: str
    account_id: int
    label: str


@dataclass(frozen=True)
class KeyInfo:
    """A key as listed."""

    key_id: str
    account_id: int
    label: str
    shard_id: int | None
    created_at: datetime
    revoked_at: datetime | None


def hash_secret(secret: bytes) -> bytes:
    """Return the hash of a secret, as the database holds it."""
    return hashlib.sha256(secret).digest()


async def create_key(
    connection: AsyncConnection, shard_id: int, account_id: int, label: str = ""
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
            secret_hash=hash_secret(secret.encode()),
        )
    )
    return NewKey(key_id, secret, account_id, label)


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
