"""Connections to PostgreSQL for one process, from a pool that can be resized while it runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import greenlet_spawn

from openvenue import metrics
from openvenue.db.alchemy import open_engine
from openvenue.db.pool import ResizablePool
from openvenue.settings import Settings

_CONNECT_TIMEOUT_S = 5.0
_SETTLE_POLL_S = 0.02
# reserved_connections exists from PostgreSQL 16 on.
_LIMITS = text(
    "SELECT current_setting('max_connections')::int AS most,"
    " current_setting('superuser_reserved_connections')::int"
    " + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,"
    " (SELECT sum(numbackends) FROM pg_stat_database)::int AS used"
)


class Database:
    """Lends connections; `close` when done.

    Sizes count what the process may hold in all: `beside` of these (0 or 1) are not lent, but held
    by the process for another purpose.
    """

    def __init__(self, settings: Settings, *, beside: int = 0) -> None:
        self._beside = beside
        self._engine = open_engine(
            settings.database_url.get_secret_value(),
            "openvenue-api",
            timeout_s=_CONNECT_TIMEOUT_S,
            command_timeout_s=settings.db_statement_timeout_s,
            # The server's own bound, in case we can no longer tell it to give up.
            server_settings={
                "statement_timeout": f"{round(settings.db_statement_timeout_s * 1000)}ms"
            },
            poolclass=ResizablePool,
            pool_size=settings.db_pool_size - beside,
            max_overflow=settings.db_pool_overflow,
            pool_timeout=settings.db_pool_timeout_s,
            pool_pre_ping=True,
            # Data that a reader was let through to see must not change under it, even by a rebuild.
            isolation_level="REPEATABLE READ",
        )

    @property
    def pool(self) -> ResizablePool:
        """Pool behind the connections."""
        return cast("ResizablePool", self._engine.pool)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; uncommitted changes are rolled back.

        All reads until a commit or rollback see one moment.

        Raises sqlalchemy.exc.SQLAlchemyError or OSError if there is no connection to be had.
        """
        asked_at = time.perf_counter()
        async with self._engine.connect() as connection:
            metrics.POOL_WAIT_SECONDS.observe(time.perf_counter() - asked_at)
            yield connection

    async def resize(self, size: int, overflow: int) -> None:
        """Change the bounds; see ResizablePool."""
        await greenlet_spawn(self.pool.resize, size - self._beside, overflow)

    async def settled(self) -> None:
        """Return once no more connections are open than the bounds allow."""
        pool = self.pool
        while pool.open_connections > pool.size() + pool.max_overflow:  # noqa: ASYNC110
            await asyncio.sleep(_SETTLE_POLL_S)

    def export_metrics(self) -> None:
        """Set the gauges of the process's connections."""
        metrics.POOL_SIZE.set(self.pool.size() + self._beside)
        metrics.POOL_OVERFLOW_MAX.set(self.pool.max_overflow)
        metrics.POOL_CONNECTIONS.labels("idle").set(self.pool.checkedin())
        metrics.POOL_CONNECTIONS.labels("in_use").set(self.pool.checkedout() + self._beside)

    async def export_limits(self, connection: AsyncConnection) -> None:
        """Read how many connections the server allows and has; set the gauges."""
        limits = (await connection.execute(_LIMITS)).one()
        metrics.DATABASE_MAX_CONNECTIONS.set(limits.most)
        metrics.DATABASE_RESERVED_CONNECTIONS.set(limits.reserved)
        metrics.DATABASE_CONNECTIONS.set(limits.used)
        metrics.DATABASE_OBSERVED_SECONDS.set(time.time())

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()
