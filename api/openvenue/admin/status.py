"""The state of a venue's engine and projection."""

from datetime import UTC, datetime

import asyncpg

from openvenue.admin.client import Admin
from openvenue.admin.documents import Status, seconds
from openvenue.db.connection import DATABASE_AWAY, connect
from openvenue.settings import Settings

_DATABASE_TIMEOUT_S = 5


async def venue_status(
    admin: Admin, settings: Settings, name: str, *, with_state_hash: bool = False
) -> Status:
    """Return the state; orders wait while the engine hashes. `name` is for the database's log.

    Raises AdminError if the engine does not answer.
    """
    engine = await admin.status(with_state_hash=with_state_hash)
    projected = await _projected(settings, name)
    return Status(
        shard_id=engine.shard_id,
        engine_version=engine.version,
        engine_started=_time(engine.started_ns),
        applied_sequence=engine.applied_sequence,
        durable_sequence=engine.durable_sequence,
        snapshot_sequence=engine.snapshot_sequence,
        state_hash=f"{engine.state_hash:016x}" if with_state_hash else None,
        read_only=engine.read_only,
        open_orders=engine.open_orders,
        sessions=engine.sessions,
        trading_day_end=_time(engine.trading_day_end_ns),
        projected_sequence=projected,
        projection_lag=None if projected is None else max(0, engine.durable_sequence - projected),
    )


async def _projected(settings: Settings, name: str) -> int | None:
    """Return how far the projection is; None if the database does not answer."""
    url = settings.database_url.get_secret_value()
    timeout_s = _DATABASE_TIMEOUT_S
    try:
        connection = await connect(url, name, timeout_s=timeout_s, command_timeout_s=timeout_s)
    except (*DATABASE_AWAY, asyncpg.PostgresError):
        return None
    try:
        sequence: int | None = await connection.fetchval(
            "SELECT sequence FROM projection_offsets WHERE shard_id = $1", settings.shard_id
        )
    except (*DATABASE_AWAY, asyncpg.PostgresError):
        return None
    finally:
        await connection.close(timeout=timeout_s)
    return sequence


def _time(time_ns: int) -> str | None:
    return seconds(datetime.fromtimestamp(time_ns / 1e9, UTC)) if time_ns else None
