"""The API keys of the demo accounts: in the data directory, and their hashes in the database."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.cli.local import demo
from openvenue.cli.local.data_dir import DataDir, DemoKey
from openvenue.db.alchemy import open_engine
from openvenue.db.tables import api_keys
from openvenue.security.keys import KeyLimits, create_key, hash_secret
from openvenue.settings import Settings

_CONNECT_TIMEOUT_S = 10.0
# Replays and benchmarks use them as fast as the machine goes.
_UNLIMITED = 0


async def demo_keys(data_dir: DataDir, settings: Settings) -> list[DemoKey]:
    """Return the demo accounts' keys, made once, after adding them to the database in use."""
    keys = data_dir.demo_keys()
    database = open_engine(
        settings.database_url.get_secret_value(), "openvenue-cli", timeout_s=_CONNECT_TIMEOUT_S
    )
    try:
        async with database.begin() as connection:
            if keys:
                await _restore(connection, settings.shard_id, keys)
                return keys
            for account_id, name in demo.ACCOUNTS.items():
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
    data_dir.write_demo_keys(keys)
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


def _label(name: str) -> str:
    return f"demo key of {name}"
