"""Read-your-writes: a read of the database waits until it holds what was acknowledged."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue import metrics
from openvenue.db.tables import projection_offsets

# Notifications wake waiting readers; polling serves if a projector restarted or sends none.
_POLL_INTERVAL_S = 0.05

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class ProjectionLag(Exception):
    """The projection did not reach the sequence number in time."""


class ProjectionGate:
    """Holds reads back until projections of one shard have reached a sequence number.

    `offsets` are the tables of their offsets, the ledger's by default.
    """

    def __init__(
        self, shard_id: int, wait_ms: int, offsets: Sequence[Table] = (projection_offsets,)
    ) -> None:
        # A rebuild sets an offset below 0 while it empties the projection.
        reached = (
            select(table.c.sequence).where(table.c.shard_id == shard_id).scalar_subquery()
            for table in offsets
        )
        self._offset = select(func.least(*(func.greatest(0, sequence) for sequence in reached)))
        self._wait_s = wait_ms / 1000
        self._moved = asyncio.Event()
        self._look: asyncio.Task[int] | None = None

    def wake(self, _payload: str = "") -> None:
        """Make waiting reads check again: a projection has moved, or may have."""
        self._moved.set()
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def passed(self, connect: Connect, sequence: int) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that sees everything up to `sequence`.

        It holds no connection while the projection is behind, because others may need one. Raises
        ProjectionLag if it stays behind for longer than the setting allows.
        """
        started_at = time.monotonic()
        while True:
            moved = self._moved
            async with connect() as connection:
                projected = await self._projected(connection)
                waited_s = time.monotonic() - started_at
                if projected >= sequence:
                    metrics.PROJECTION_WAIT_SECONDS.observe(waited_s)
                    yield connection
                    return
            while projected < sequence:
                if waited_s >= self._wait_s:
                    metrics.PROJECTION_TIMEOUTS.inc()
                    raise ProjectionLag(
                        f"the history is at sequence {projected}; your latest change is {sequence}"
                    )
                try:
                    async with asyncio.timeout(min(_POLL_INTERVAL_S, self._wait_s - waited_s)):
                        await moved.wait()
                except TimeoutError:
                    pass
                moved = self._moved
                projected = await self._look_together(connect)
                waited_s = time.monotonic() - started_at

    async def _look_together(self, connect: Connect) -> int:
        """Return how far the projection is; one query answers all waiters."""
        look = self._look
        if look is None or look.done():
            look = self._look = asyncio.create_task(self._look_once(connect))
        # A caller that stops waiting must not stop it for the others.
        return await asyncio.shield(look)

    async def _look_once(self, connect: Connect) -> int:
        async with connect() as connection:
            return await self._projected(connection)

    async def _projected(self, connection: AsyncConnection) -> int:
        return int((await connection.execute(self._offset)).scalar_one())
