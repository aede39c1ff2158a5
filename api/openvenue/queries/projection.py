"""Read-your-writes: a read of the database waits until it holds what was acknowledged."""

import asyncio
import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue import metrics
from openvenue.db.tables import projection_offsets

# Notifications wake waiting readers; polling is for a projector that was restarted or sends none.
_POLL_INTERVAL_S = 0.05


class ProjectionLag(Exception):
    """The projection did not reach the sequence number in time."""


class ProjectionGate:
    """Holds reads back until the projection of one shard has reached a sequence number."""

    def __init__(self, shard_id: int, wait_ms: int) -> None:
        self._offset = select(projection_offsets.c.sequence).where(
            projection_offsets.c.shard_id == shard_id
        )
        self._wait_s = wait_ms / 1000
        self._moved = asyncio.Event()

    def wake(self, _payload: str = "") -> None:
        """Let waiting reads look again: the projection has moved, or may have."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def pass_at(self, connection: AsyncConnection, sequence: int) -> None:
        """Return once `connection` sees everything up to `sequence`.

        Raises ProjectionLag where that takes longer than the setting allows.
        """
        started_at = time.monotonic()
        while True:
            moved = self._moved
            # Below 0 while a rebuild empties it.
            projected = max(0, (await connection.execute(self._offset)).scalar() or 0)
            waited_s = time.monotonic() - started_at
            if projected >= sequence:
                metrics.PROJECTION_WAIT_SECONDS.observe(waited_s)
                return
            if waited_s >= self._wait_s:
                metrics.PROJECTION_TIMEOUTS.inc()
                raise ProjectionLag(
                    f"the history is at sequence {projected}; your latest change is {sequence}"
                )
            await connection.rollback()
            try:
                async with asyncio.timeout(min(_POLL_INTERVAL_S, self._wait_s - waited_s)):
                    await moved.wait()
            except TimeoutError:
                pass
