"""Writes batches to PostgreSQL: all rows of a batch and its offset in one transaction, or nothing.

The transaction first moves the offset from the batch's beginning to its end. That locks the
offset's row, and fails if another projector moved it, so no entry is applied twice. An advisory
lock on top keeps a second projector waiting instead of failing.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from openvenue.db.connection import BROKEN_CONNECTION, connect
from openvenue.projector.projection import Batch, Projection
from openvenue.telemetry import get_logger

_log = get_logger(__name__)

# An offset below all others: the rows are being deleted, and the next projector continues that.
_EMPTYING = -1
_ROWS_DELETED_AT_ONCE = 50_000

# Advisory lock keys: this value above the shard id's 32 bits.
_LOCK_SPACE = 0x0F70 << 32

_CONNECT_TIMEOUT_S = 10.0
_COMMAND_TIMEOUT_S = 120.0
_VACUUM_TIMEOUT_S = 3600.0
_TAKE_OVER_POLL_S = 0.2

_END_HOLDER = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid::bigint = $1 AND objid::bigint = $2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class OffsetMoved(Exception):
    """Another projector projected these entries; resume from the present offset."""


class Store:
    """One connection that writes the projections of one shard, which take turns at it."""

    def __init__(self, connection: "asyncpg.Connection[Any]", url: str, shard_id: int) -> None:
        self.shard_id = shard_id
        self._connection = connection
        self._turn = asyncio.Lock()
        self._url = url

    @classmethod
    async def connect(cls, database_url: str, shard_id: int) -> "Store":
        """Open a connection of its own.

        Raises OSError or asyncpg.PostgresError if the database is down or not migrated.
        """
        connection = await _connect(database_url, command_timeout_s=_COMMAND_TIMEOUT_S)
        return cls(connection, database_url, shard_id)

    async def close(self) -> None:
        """Close the connection, which releases the lock. Never raises, never hangs."""
        try:
            await self._connection.close(timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, *BROKEN_CONNECTION):
            self._connection.terminate()

    async def lock(self) -> bool:
        """Become the shard's only projector while the connection lives."""
        locked: bool = await self._connection.fetchval(
            "SELECT pg_try_advisory_lock($1)", _LOCK_SPACE | self.shard_id
        )
        return locked

    async def take_over(self) -> None:
        """Become the projector in place of the running one, which loses its connection and then
        stands by."""
        if await self.lock():
            return
        # Queue for the lock first: then the other projector, which only tries, cannot be faster.
        waiting = asyncio.ensure_future(
            self._connection.execute("SELECT pg_advisory_lock($1)", _LOCK_SPACE | self.shard_id)
        )
        other = await _connect(self._url)
        try:
            while not waiting.done():
                await other.execute(_END_HOLDER, _LOCK_SPACE >> 32, self.shard_id)
                await asyncio.wait((waiting,), timeout=_TAKE_OVER_POLL_S)
            await waiting
        finally:
            waiting.cancel()
            await other.close()

    async def sequence(self, projection: Projection) -> int:
        """Return the last sequence number projected; 0 before the first.

        If a reset was interrupted, finish it first.
        """
        async with self._turn:
            await self._connection.execute(
                f"INSERT INTO {projection.offsets} (shard_id, sequence) VALUES ($1, 0) "  # noqa: S608
                "ON CONFLICT DO NOTHING",
                self.shard_id,
            )
            sequence: int = await self._connection.fetchval(
                f"SELECT sequence FROM {projection.offsets} WHERE shard_id = $1",  # noqa: S608
                self.shard_id,
            )
            if sequence == _EMPTYING:
                await self._empty(projection)
                return 0
            return sequence

    async def entry_ns(self, projection: Projection) -> int | None:
        """Return when the last projected entry was sequenced; None before the first."""
        async with self._turn:
            entry_ns: int | None = await self._connection.fetchval(
                f"SELECT entry_ns FROM {projection.offsets} WHERE shard_id = $1",  # noqa: S608
                self.shard_id,
            )
        return entry_ns

    async def begin_after(self, projection: Projection, sequence: int, entry_ns: int) -> None:
        """Let an empty projection begin with the entry after `sequence`."""
        async with self._turn:
            await self._set_offset(projection, sequence, entry_ns)

    async def pass_over(self, projection: Projection) -> int:
        """Let a projection that is off begin where the ledger is, and return that."""
        await self.sequence(projection)
        async with self._turn, self._connection.transaction():
            passed = await self._connection.fetchrow(
                f"UPDATE {projection.offsets} AS own "  # noqa: S608
                "SET sequence = ledger.sequence, entry_ns = ledger.entry_ns, updated_at = now() "
                "FROM projection_offsets AS ledger "
                "WHERE own.shard_id = $1 AND ledger.shard_id = $1 "
                "AND ledger.sequence > own.sequence RETURNING own.entry_ns",
                self.shard_id,
            )
            if passed is not None and passed["entry_ns"] is not None:
                await projection.drop_old(self._connection, passed["entry_ns"])
        return await self.sequence(projection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """Lend the connection for reads that see one moment, between two batches."""
        async with (
            self._turn,
            self._connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield self._connection

    async def apply(self, projection: Projection, batch: Batch) -> None:
        """Write a batch that follows the offset. Raises OffsetMoved if it does not."""
        async with self._turn, self._connection.transaction():
            await self._move_offset(projection, batch)
            await projection.write(self._connection, self.shard_id, batch)
            if projection.channel is not None:
                await self._connection.execute(
                    "SELECT pg_notify($1, $2)", projection.channel, str(batch.last_sequence)
                )

    async def reset(self, projection: Projection) -> None:
        """Empty the projection of the shard and set its offset to the beginning.

        Many transactions do it, so that its size does not matter. Readers wait from the first one
        on; if it is interrupted, the next projector finishes it.
        """
        async with self._turn:
            await self._set_offset(projection, _EMPTYING, None)
            await self._empty(projection)

    async def _empty(self, projection: Projection) -> None:
        _log.info("emptying", projection=projection.name, shard_id=self.shard_id)
        for table, columns in projection.tables.items():
            after: Sequence[Any] = ()
            while (upto := await self._nth_key(table, columns, after)) is not None:
                await self._delete(table, columns, after, upto)
                after = upto
            await self._delete(table, columns, after, ())
            # New rows then take the room of the deleted ones; this may take its time.
            await self._connection.execute(f"VACUUM {table}", timeout=_VACUUM_TIMEOUT_S)
        await self._set_offset(projection, 0, None)

    async def _nth_key(
        self, table: str, columns: Sequence[str], after: Sequence[Any]
    ) -> Sequence[Any] | None:
        """Return the key up to which the next transaction deletes; None if the rest are fewer rows
        than that."""
        key = ", ".join(columns)
        upto: Sequence[Any] | None = await self._connection.fetchrow(
            f"SELECT {key} FROM {table} WHERE shard_id = $1{_compared(columns, '>', after, 3)} "  # noqa: S608
            f"ORDER BY {key} OFFSET $2 LIMIT 1",
            self.shard_id,
            _ROWS_DELETED_AT_ONCE - 1,
            *after,
        )
        return upto

    async def _delete(
        self, table: str, columns: Sequence[str], after: Sequence[Any], upto: Sequence[Any]
    ) -> None:
        """Delete the rows between two keys; a key without values is no bound."""
        await self._connection.execute(
            f"DELETE FROM {table} WHERE shard_id = $1"  # noqa: S608
            f"{_compared(columns, '>', after, 2)}{_compared(columns, '<=', upto, 2 + len(after))}",
            self.shard_id,
            *after,
            *upto,
        )

    async def _set_offset(
        self, projection: Projection, sequence: int, entry_ns: int | None
    ) -> None:
        await self._connection.execute(
            f"UPDATE {projection.offsets} "  # noqa: S608
            "SET sequence = $2, entry_ns = $3, updated_at = now() WHERE shard_id = $1",
            self.shard_id,
            sequence,
            entry_ns,
        )

    async def _move_offset(self, projection: Projection, batch: Batch) -> None:
        moved = await self._connection.execute(
            f"UPDATE {projection.offsets} "  # noqa: S608
            "SET sequence = $3, entry_ns = $4, updated_at = now() "
            "WHERE shard_id = $1 AND sequence = $2",
            self.shard_id,
            batch.first_sequence - 1,
            batch.last_sequence,
            batch.last_timestamp_ns,
        )
        if moved != "UPDATE 1":
            raise OffsetMoved(
                f"the projection {projection.name} of shard {self.shard_id} is no longer at "
                f"sequence {batch.first_sequence - 1}"
            )


def _compared(columns: Sequence[str], operator: str, key: Sequence[Any], first: int) -> str:
    """Return a condition on the key's columns, whose parameters begin with number `first`."""
    if not key:
        return ""
    values = ", ".join(f"${number}" for number in range(first, first + len(key)))
    return f" AND ({', '.join(columns)}) {operator} ({values})"


async def _connect(
    database_url: str, command_timeout_s: float | None = None
) -> "asyncpg.Connection[Any]":
    return await connect(
        database_url,
        "openvenue-projector",
        timeout_s=_CONNECT_TIMEOUT_S,
        command_timeout_s=command_timeout_s,
        # A commit that a crash loses also loses its offset and is projected again. Waiting for the
        # disk would only compete with the journal's writes.
        synchronous_commit="off",
    )
