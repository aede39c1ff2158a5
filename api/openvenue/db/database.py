"""Connections to PostgreSQL for one process, from a pool that can be resized while it runs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.util import greenlet_spawn

from openvenue import metrics
from openvenue.db.pool import ResizablePool
from openvenue.settings import Settings

_CONNECT_TIMEOUT_S = 5.0


class Database:
    """Lends connections; `close` when done."""

    def __init__(self, settings: Settings) -> None:
        self._engine = create_async_engine(
            settings.database_url.get_secret_value(),
            poolclass=ResizablePool,
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_pool_overflow,
            pool_timeout=settings.db_pool_timeout_s,
            pool_pre_ping=True,
            connect_args={
                "timeout": _CONNECT_TIMEOUT_S,
                "command_timeout": settings.db_statement_timeout_s,
                "server_settings": {"application_name": "openvenue-api"},
            },
        )

    @property
    def pool(self) -> ResizablePool:
        """The pool behind the connections."""
        return cast("ResizablePool", self._engine.pool)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; what it did is rolled back unless it was committed.

        Raises sqlalchemy.exc.SQLAlchemyError or OSError where there is none to be had.
        """
        asked_at = time.perf_counter()
        async with self._engine.connect() as connection:
            metrics.POOL_WAIT_SECONDS.observe(time.perf_counter() - asked_at)
            yield connection

    async def resize(self, size: int, overflow: int) -> None:
        """Change the pool's bounds; see ResizablePool."""
        await greenlet_spawn(self.pool.resize, size, overflow)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()
