"""API keys of a local venue: in files of the data directory, and their hashes in the database."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.cli.local.data_dir import DemoKey, read_keys, write_keys
from openvenue.db.alchemy import open_engine
from openvenue.db.tables import api_keys
from openvenue.security.keys import KeyLimits, create_key, hash_secret
from openvenue.settings import Settings

_CONNECT_TIMEOUT_S = 10.0
# Replays and benchmarks use them as fast as the machine goes.
_UNLIMITED = 0


async def kept_keys(file: Path, accounts: Mapping[int, str], settings: Settings) -> list[DemoKey]:
    """Return the accounts' keys, made once, after adding them to the database in use.

    `accounts` are names by number. Accounts without a key in the file get one, and the keys that
    were made for them before are revoked: their file is gone.
    """
    keys = read_keys(file)
    database = open_engine(
        settings.database_url.get_secret_value(), "openvenue-cli", timeout_s=_CONNECT_TIMEOUT_S
    )
    known = {key.account_id for key in keys}
    missing = {number: name for number, name in accounts.items() if number not in known}
    try:
        async with database.begin() as connection:
            await _restore(connection, settings.shard_id, keys)
            await _revoke(connection, settings.shard_id, missing)
            for account_id, name in missing.items():
                made = await create_key(
                    connection,
                    settings.shard_id,
                    account_id,
                    _label(name),
                    limits=KeyLimits(requests_per_minute=_UNLIMITED),
                )
                keys.append(DemoKey(account_id, name, made.key_id, made.secret))
    finally:
        await database.dispose()
    if missing:
        write_keys(file, keys)
    return keys


async def _restore(connection: AsyncConnection, shard_id: int, keys: list[DemoKey]) -> None:
    """Add the keys that the database lacks, because it may be new. Revoked keys stay revoked."""
    for key in keys:
        await connection.execute(
            insert(api_keys)
            .values(
                key_id=key.key_id,
                shard_id=shard_id,
                account_id=key.account_id,
                label=_label(key.account),
                secret_hash=hash_secret(key.secret.encode()),
                requests_per_minute=_UNLIMITED,
            )
            .on_conflict_do_nothing(index_elements=[api_keys.c.key_id])
        )


async def _revoke(connection: AsyncConnection, shard_id: int, accounts: Mapping[int, str]) -> None:
    await connection.execute(
        update(api_keys)
        .where(
            api_keys.c.shard_id == shard_id,
            api_keys.c.account_id.in_(accounts),
            api_keys.c.label.in_([_label(name) for name in accounts.values()]),
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=func.now())
    )


def _label(name: str) -> str:
    return f"key of {name}"
