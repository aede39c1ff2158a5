"""The state of a venue's engine and projection."""

from datetime import UTC, datetime

from sqlalchemy import select

from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
from openvenue.admin.documents import Status, seconds
from openvenue.admin.errors import DatabaseAway
from openvenue.db.tables import projection_offsets


async def venue_status(
    admin: Admin, database: AdminDatabase, *, with_state_hash: bool = False
) -> Status:
    """Return the state; orders wait while the engine hashes.

    Raises AdminError if the engine does not answer.
    """
    engine = await admin.status(with_state_hash=with_state_hash)
    projected = await _projected(database)
    return Status(
        shard_id=engine.shard_id,
        engine_version=engine.version,
        engine_started=_time(engine.started_ns),
        applied_sequence=engine.applied_sequence,
        durable_sequence=engine.durable_sequence,
        snapshot_sequence=engine.snapshot_sequence,
        state_hash=f"{engine.state_hash:016x}" if with_state_hash else None,
        read_only=engine.read_only,
        suspended=engine.suspended,
        open_orders=engine.open_orders,
        sessions=engine.sessions,
        trading_day_end=_time(engine.trading_day_end_ns),
        projected_sequence=projected,
        projection_lag=None if projected is None else max(0, engine.durable_sequence - projected),
    )


async def _projected(database: AdminDatabase) -> int | None:
    """Return how far the projection is; None if the database does not answer."""
    query = select(projection_offsets.c.sequence).where(
        projection_offsets.c.shard_id == database.shard_id
    )
    try:
        async with database.transaction() as connection:
            sequence: int | None = (await connection.execute(query)).scalar()
    except DatabaseAway:
        return None
    return sequence


def _time(time_ns: int) -> str | None:
    return seconds(datetime.fromtimestamp(time_ns / 1e9, UTC)) if time_ns else None
