"""Counts the database's connections continuously, and keeps the maximum."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

import asyncpg

_INTERVAL_S = 0.1
_DATABASE_AWAY = (
    *(OSError, TimeoutError, LookupError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
_COUNT = """
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class ConnectionWatch:
    """Watches from its own thread, over one more connection. Use as a context manager.

    `url` is called for each connection, because the database may move; it raises LookupError while
    there is none.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self.most = 0
        self.now = 0
        self.readings = 0
        self._url = url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)

    def __enter__(self) -> "ConnectionWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            # While the database is down nobody holds connections.
            with contextlib.suppress(*_DATABASE_AWAY):
                await self._count()
            await asyncio.sleep(_INTERVAL_S)

    async def _count(self) -> None:
        connection = await asyncpg.connect(self._url(), timeout=5)
        try:
            while not self._stopping.is_set():
                self.now = await connection.fetchval(_COUNT, timeout=5)
                self.most = max(self.most, self.now)
                self.readings += 1
                await asyncio.sleep(_INTERVAL_S)
        finally:
            connection.terminate()
