"""Writes batches to PostgreSQL: all rows of a batch and its offset in one transaction, or nothing.

The transaction first moves the offset from the batch's beginning to its end. That locks the
offset's row, and fails if another projector moved it, so no entry is applied twice. An advisory
lock on top keeps a second projector waiting instead of failing.
"""

import asyncio
import io
from collections.abc import Iterable
from typing import Any

import asyncpg

from openvenue.db.channels import PROJECTION_CHANNEL
from openvenue.db.connection import BROKEN_CONNECTION, connect
from openvenue.projector import text_format as fmt
from openvenue.projector.fold import Batch, ExecutionRow, MovementRow, OrderRow, Sizes
from openvenue.telemetry import get_logger

_log = get_logger(__name__)

# Each with the column of its primary key that follows the shard.
PROJECTED_TABLES = {
    "instruments": "instrument_id",
    "accounts": "account_id",
    "positions": "account_id",
    "orders": "order_id",
    "executions": "trade_id",
    "cash_movements": "sequence",
}

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

_MOVE_OFFSET = """
UPDATE projection_offsets SET sequence = $3, entry_ns = $4, updated_at = now()
WHERE shard_id = $1 AND sequence = $2
"""

_CHANGE_ORDERS = """
UPDATE orders AS o SET
  filled_qty = coalesce(c.filled_qty::numeric, o.filled_qty),
  filled_value = coalesce(c.filled_value::numeric, o.filled_value),
  status = coalesce(c.status, CASE WHEN c.filled_qty::numeric = o.qty THEN 'filled'
                                   ELSE 'partially_filled' END),
  end_reason = coalesce(c.end_reason, o.end_reason),
  replaced_by = coalesce(c.replaced_by, o.replaced_by),
  updated_at = c.updated_at::timestamptz,
  ended_at = coalesce(c.ended_at, CASE WHEN c.filled_qty::numeric = o.qty
                                       THEN c.updated_at END)::timestamptz,
  updated_sequence = c.updated_sequence
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
            $9::text[], $10::bigint[])
  AS c(order_id, filled_qty, filled_value, status, end_reason, replaced_by, updated_at, ended_at,
       updated_sequence)
WHERE o.shard_id = $1 AND o.order_id = c.order_id
"""

# A replacement keeps the intent of the order that it replaces.
_INHERIT_INTENTS = """
UPDATE orders AS n SET position_intent = o.position_intent
FROM unnest($2::bigint[], $3::bigint[]) AS c(order_id, intent_of), orders AS o
WHERE n.shard_id = $1 AND n.order_id = c.order_id AND o.shard_id = $1 AND o.order_id = c.intent_of
  AND o.position_intent IS NOT NULL
"""

_UPSERT_ACCOUNTS = """
INSERT INTO accounts AS a (shard_id, account_id, name, may_sell_short, credit_limit, cash,
                           created_at, updated_sequence)
SELECT $1, account_id, name, may_sell_short, credit_limit::numeric, 0, created_at::timestamptz,
       updated_sequence
FROM unnest($2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::bigint[])
  AS c(account_id, name, may_sell_short, credit_limit, created_at, updated_sequence)
ON CONFLICT (shard_id, account_id) DO UPDATE SET
  name = excluded.name, may_sell_short = excluded.may_sell_short,
  credit_limit = excluded.credit_limit,
  updated_sequence = greatest(a.updated_sequence, excluded.updated_sequence)
"""

_CHANGE_CASH = """
UPDATE accounts AS a SET
  cash = c.cash::numeric, updated_sequence = greatest(a.updated_sequence, c.updated_sequence)
FROM unnest($2::bigint[], $3::text[], $4::bigint[]) AS c(account_id, cash, updated_sequence)
WHERE a.shard_id = $1 AND a.account_id = c.account_id
"""

_UPSERT_POSITIONS = """
INSERT INTO positions (shard_id, account_id, instrument_id, qty, cost, updated_sequence)
SELECT $1, account_id, instrument_id, qty::numeric, cost::numeric, updated_sequence
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])
  AS c(account_id, instrument_id, qty, cost, updated_sequence)
ON CONFLICT (shard_id, account_id, instrument_id) DO UPDATE SET
  qty = excluded.qty, cost = excluded.cost, updated_sequence = excluded.updated_sequence
"""

_UPSERT_INSTRUMENT = """
INSERT INTO instruments (shard_id, instrument_id, symbol, name, asset_class, state, tick_size,
                         lot_size, min_price, max_price, max_order_qty, updated_sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8::text::numeric, $9::text::numeric,
        $10::text::numeric, $11::text::numeric, $12)
ON CONFLICT (shard_id, instrument_id) DO UPDATE SET
  name = excluded.name, state = excluded.state, max_order_qty = excluded.max_order_qty,
  updated_sequence = excluded.updated_sequence
"""

_ORDER_COLUMNS = (
    "shard_id",
    "order_id",
    "account_id",
    "instrument_id",
    "client_order_id",
    "side",
    "type",
    "time_in_force",
    "qty",
    "limit_price",
    "filled_qty",
    "filled_value",
    "status",
    "end_reason",
    "replaces",
    "replaced_by",
    "created_at",
    "updated_at",
    "ended_at",
    "updated_sequence",
    "position_intent",
)

_EXECUTION_COLUMNS = (
    "shard_id",
    "trade_id",
    "liquidity",
    "sequence",
    "order_id",
    "account_id",
    "instrument_id",
    "side",
    "price",
    "qty",
    "executed_at",
    "cum_qty",
)

_MOVEMENT_COLUMNS = (
    "shard_id",
    "sequence",
    "account_id",
    "type",
    "amount",
    "instrument_id",
    "qty",
    "moved_at",
)


class OffsetMoved(Exception):
    """Another projector projected these entries; resume from the present offset."""


class Store:
    """One connection that projects one shard. Not for concurrent use."""

    def __init__(self, connection: "asyncpg.Connection[Any]", url: str, shard_id: int) -> None:
        self._connection = connection
        self._url = url
        self._shard_id = shard_id

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
            "SELECT pg_try_advisory_lock($1)", _LOCK_SPACE | self._shard_id
        )
        return locked

    async def take_over(self) -> None:
        """Become the projector in place of the running one, which loses its connection and then
        stands by."""
        if await self.lock():
            return
        # Queue for the lock first: then the other projector, which only tries, cannot be faster.
        waiting = asyncio.ensure_future(
            self._connection.execute("SELECT pg_advisory_lock($1)", _LOCK_SPACE | self._shard_id)
        )
        other = await _connect(self._url)
        try:
            while not waiting.done():
                await other.execute(_END_HOLDER, _LOCK_SPACE >> 32, self._shard_id)
                await asyncio.wait((waiting,), timeout=_TAKE_OVER_POLL_S)
            await waiting
        finally:
            waiting.cancel()
            await other.close()

    async def sequence(self) -> int:
        """Return the last sequence number projected; 0 before the first.

        If a reset was interrupted, finish it first.
        """
        await self._connection.execute(
            "INSERT INTO projection_offsets (shard_id, sequence) VALUES ($1, 0) "
            "ON CONFLICT DO NOTHING",
            self._shard_id,
        )
        sequence: int = await self._connection.fetchval(
            "SELECT sequence FROM projection_offsets WHERE shard_id = $1", self._shard_id
        )
        if sequence == _EMPTYING:
            await self._empty()
            return 0
        return sequence

    async def entry_ns(self) -> int | None:
        """Return when the last projected entry was sequenced; None before the first."""
        entry_ns: int | None = await self._connection.fetchval(
            "SELECT entry_ns FROM projection_offsets WHERE shard_id = $1", self._shard_id
        )
        return entry_ns

    async def sizes(self) -> dict[int, Sizes]:
        """Return tick and lot sizes of the instruments projected so far."""
        rows = await self._connection.fetch(
            "SELECT instrument_id, (tick_size * 1e9)::bigint, (lot_size * 1e9)::bigint "
            "FROM instruments WHERE shard_id = $1",
            self._shard_id,
        )
        return {row[0]: Sizes(row[1], row[2]) for row in rows}

    async def apply(self, batch: Batch) -> None:
        """Write a batch that follows the offset. Raises OffsetMoved if it does not."""
        async with self._connection.transaction():
            await self._move_offset(batch)
            if batch.instruments:
                await self._connection.executemany(
                    _UPSERT_INSTRUMENT,
                    [self._instrument(row) for row in batch.instruments.values()],
                )
            await self._copy("orders", _ORDER_COLUMNS, self._orders(batch.new_orders.values()))
            await self._copy("executions", _EXECUTION_COLUMNS, self._executions(batch.executions))
            await self._copy("cash_movements", _MOVEMENT_COLUMNS, self._movements(batch.movements))
            await self._change_orders(batch)
            await self._inherit_intents(batch)
            await self._change_accounts(batch)
            await self._change_positions(batch)
            await self._connection.execute(
                "SELECT pg_notify($1, $2)", PROJECTION_CHANNEL, str(batch.last_sequence)
            )

    async def reset(self) -> None:
        """Empty the shard's projection and set its offset to the beginning. Keys stay.

        Many transactions do it, so that its size does not matter. Readers wait from the first one
        on; if it is interrupted, the next projector finishes it.
        """
        await self._set_sequence(_EMPTYING)
        await self._empty()

    async def _empty(self) -> None:
        _log.info("emptying the projection", shard_id=self._shard_id)
        for table, key in PROJECTED_TABLES.items():
            deleted_to = -1
            while (upto := await self._nth_key(table, key, deleted_to)) is not None:
                await self._connection.execute(
                    f"DELETE FROM {table} WHERE shard_id = $1 AND {key} > $2 AND {key} <= $3",  # noqa: S608
                    self._shard_id,
                    deleted_to,
                    upto,
                )
                deleted_to = upto
            # New rows then take the room of the deleted ones; this may take its time.
            await self._connection.execute(f"VACUUM {table}", timeout=_VACUUM_TIMEOUT_S)
        await self._set_sequence(0)

    async def _nth_key(self, table: str, key: str, after: int) -> int | None:
        """Return the key up to which the next transaction deletes; None if no row is left."""
        upto: int | None = await self._connection.fetchval(
            f"SELECT max({key}) FROM (SELECT {key} FROM {table} "  # noqa: S608
            f"WHERE shard_id = $1 AND {key} > $2 ORDER BY {key} LIMIT $3) AS next",
            self._shard_id,
            after,
            _ROWS_DELETED_AT_ONCE,
        )
        return upto

    async def _set_sequence(self, sequence: int) -> None:
        await self._connection.execute(
            "UPDATE projection_offsets SET sequence = $2, entry_ns = NULL, updated_at = now() "
            "WHERE shard_id = $1",
            self._shard_id,
            sequence,
        )

    async def _move_offset(self, batch: Batch) -> None:
        moved = await self._connection.execute(
            _MOVE_OFFSET,
            self._shard_id,
            batch.first_sequence - 1,
            batch.last_sequence,
            batch.last_timestamp_ns,
        )
        if moved != "UPDATE 1":
            raise OffsetMoved(
                f"the projection of shard {self._shard_id} is no longer at sequence "
                f"{batch.first_sequence - 1}"
            )

    async def _copy(self, table: str, columns: tuple[str, ...], lines: Iterable[str]) -> None:
        source = io.BytesIO("".join(lines).encode())
        if source.getbuffer().nbytes:
            await self._connection.copy_to_table(
                table, source=source, columns=columns, format="text", encoding="utf-8"
            )

    def _orders(self, rows: Iterable[OrderRow]) -> Iterable[str]:
        for row in rows:
            created_at = fmt.timestamp(row.created_ns)
            updated_at = (
                created_at if row.updated_ns == row.created_ns else fmt.timestamp(row.updated_ns)
            )
            ended_at = fmt.NULL if row.ended_ns is None else fmt.timestamp(row.ended_ns)
            limit_price = (
                fmt.NULL if row.limit_price_nanos is None else fmt.nanos(row.limit_price_nanos)
            )
            yield (
                f"{self._shard_id}\t{row.order_id}\t{row.account_id}\t{row.instrument_id}\t"
                f"{fmt.copy_text(row.client_order_id)}\t"
                f"{row.side}\t{row.type}\t{row.time_in_force}\t"
                f"{fmt.nanos(row.qty_nanos)}\t{limit_price}\t{fmt.nanos(row.filled_nanos)}\t"
                f"{fmt.micros(row.filled_value_micros)}\t"
                f"{row.status}\t{row.end_reason or fmt.NULL}\t"
                f"{row.replaces or fmt.NULL}\t{row.replaced_by or fmt.NULL}\t"
                f"{created_at}\t{updated_at}\t{ended_at}\t{row.updated_sequence}\t"
                f"{row.position_intent or fmt.NULL}\n"
            )

    def _executions(self, rows: Iterable[ExecutionRow]) -> Iterable[str]:
        for row in rows:
            yield (
                f"{self._shard_id}\t{row.trade_id}\t{row.liquidity}\t{row.sequence}\t{row.order_id}\t"
                f"{row.account_id}\t{row.instrument_id}\t{row.side}\t{fmt.nanos(row.price_nanos)}\t"
                f"{fmt.nanos(row.qty_nanos)}\t{fmt.timestamp(row.executed_ns)}\t"
                f"{fmt.nanos(row.cum_nanos)}\n"
            )

    def _movements(self, rows: Iterable[MovementRow]) -> Iterable[str]:
        for row in rows:
            qty = fmt.NULL if row.qty_nanos is None else fmt.nanos(row.qty_nanos)
            yield (
                f"{self._shard_id}\t{row.sequence}\t{row.account_id}\t{row.type}\t"
                f"{fmt.micros(row.amount_micros)}\t{row.instrument_id or fmt.NULL}\t{qty}\t"
                f"{fmt.timestamp(row.moved_ns)}\n"
            )

    def _instrument(self, row: Any) -> tuple[Any, ...]:
        return (
            self._shard_id,
            row.instrument_id,
            fmt.text(row.symbol),
            fmt.text(row.name),
            row.asset_class,
            row.state,
            fmt.nanos(row.tick_size_nanos),
            fmt.nanos(row.lot_size_nanos),
            fmt.nanos(row.min_price_nanos),
            fmt.nanos(row.max_price_nanos),
            fmt.nanos(row.max_order_qty_nanos),
            row.updated_sequence,
        )

    async def _change_orders(self, batch: Batch) -> None:
        changes = batch.order_changes.values()
        if not changes:
            return
        await self._connection.execute(
            _CHANGE_ORDERS,
            self._shard_id,
            [change.order_id for change in changes],
            [
                None if change.filled_nanos is None else fmt.nanos(change.filled_nanos)
                for change in changes
            ],
            [
                None
                if change.filled_value_micros is None
                else fmt.micros(change.filled_value_micros)
                for change in changes
            ],
            [change.status for change in changes],
            [change.end_reason for change in changes],
            [change.replaced_by for change in changes],
            [fmt.timestamp(change.updated_ns) for change in changes],
            [
                None if change.ended_ns is None else fmt.timestamp(change.ended_ns)
                for change in changes
            ],
            [change.updated_sequence for change in changes],
        )

    async def _inherit_intents(self, batch: Batch) -> None:
        heirs = [row for row in batch.new_orders.values() if row.intent_of is not None]
        if heirs:
            await self._connection.execute(
                _INHERIT_INTENTS,
                self._shard_id,
                [row.order_id for row in heirs],
                [row.intent_of for row in heirs],
            )

    async def _change_accounts(self, batch: Batch) -> None:
        opened = batch.accounts.values()
        if opened:
            await self._connection.execute(
                _UPSERT_ACCOUNTS,
                self._shard_id,
                [row.account_id for row in opened],
                [fmt.text(row.name) for row in opened],
                [row.may_sell_short for row in opened],
                [fmt.micros(row.credit_limit_micros) for row in opened],
                [fmt.timestamp(row.opened_ns) for row in opened],
                [row.updated_sequence for row in opened],
            )
        cash = batch.cash.values()
        if cash:
            await self._connection.execute(
                _CHANGE_CASH,
                self._shard_id,
                [row.account_id for row in cash],
                [fmt.micros(row.cash_micros) for row in cash],
                [row.updated_sequence for row in cash],
            )

    async def _change_positions(self, batch: Batch) -> None:
        positions = batch.positions.values()
        if positions:
            await self._connection.execute(
                _UPSERT_POSITIONS,
                self._shard_id,
                [row.account_id for row in positions],
                [row.instrument_id for row in positions],
                [fmt.nanos(row.qty_nanos) for row in positions],
                [fmt.micros(row.cost_micros) for row in positions],
                [row.updated_sequence for row in positions],
            )


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
