"""A connection pool whose size can change while connections are lent.

Growing takes effect with the next request for a connection. Shrinking closes surplus connections:
idle ones at once, lent ones when they come back. None is dropped while it is in use.
"""

from typing import Any

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry


class ResizablePool(AsyncAdaptedQueuePool):
    """SQLAlchemy's asyncio pool with `resize`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._asking = 0

    @property
    def max_overflow(self) -> int:
        """Number of connections that may be opened beyond `size()`."""
        return self._max_overflow

    @property
    def open_connections(self) -> int:
        """Number of connections open now, idle and lent."""
        return self.size() + self._overflow

    def resize(self, size: int, overflow: int) -> None:
        """Keep up to `size` connections (≥ 1) and open up to `overflow` (≥ 0) beyond them.

        Closing connections awaits, so call it within `greenlet_spawn` or `run_sync`.
        """
        if size < 1 or overflow < 0:
            raise ValueError(f"a pool of {size} + {overflow} connections is not possible")
        # The base class counts up from -size: its overflow is the number open beyond the size.
        self._overflow += self.size() - size
        self._max_overflow = overflow
        self._pool.maxsize = size
        # An asyncio.Queue reads its bound at each put, and has no method to change it.
        self._pool._queue._maxsize = size  # type: ignore[attr-defined]
        while self.checkedin() and (self.checkedin() > size or self._exceeded()):
            self._close(self._pool.get(False))
        # Waiters wait for a connection to come back, and would not notice the new room.
        for _ in range(self._asking - self.checkedin()):
            if not self._inc_overflow():
                break
            try:
                self._pool.put(self._create_connection())
            except Exception:
                self._dec_overflow()
                break  # Waiters go on waiting; the new bounds hold anyway.

    def _do_get(self) -> ConnectionPoolEntry:
        self._asking += 1
        try:
            return super()._do_get()
        finally:
            self._asking -= 1

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._exceeded():
            self._close(record)
        else:
            super()._do_return_conn(record)

    def _exceeded(self) -> bool:
        return self._overflow > self._max_overflow

    def _close(self, record: ConnectionPoolEntry) -> None:
        try:
            record.close()
        finally:
            self._dec_overflow()
