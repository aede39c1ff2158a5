"""Writes the ledger's batches to PostgreSQL."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from openvenue.db.channels import PROJECTION_CHANNEL
from openvenue.projector import text_format as fmt
from openvenue.projector.ledger.fold import (
    ExecutionRow,
    InstrumentRow,
    LedgerBatch,
    MovementRow,
    OrderRow,
)
from openvenue.projector.projection import Projection, Start, copy_rows
from openvenue.units import NANOS_PER_TRAIL_PPM

if TYPE_CHECKING:
    import asyncpg

_CHANGE_ORDERS = """
UPDATE orders AS o SET
  filled_qty = coalesce(c.filled_qty::numeric, o.filled_qty),
  filled_value = coalesce(c.filled_value::numeric, o.filled_value),
  status = coalesce(c.status, CASE WHEN c.filled_qty IS NULL THEN o.status
                                   WHEN c.filled_qty::numeric = o.qty THEN 'filled'
                                   ELSE 'partially_filled' END),
  end_reason = coalesce(c.end_reason, o.end_reason),
  replaced_by = coalesce(c.replaced_by, o.replaced_by),
  updated_at = c.updated_at::timestamptz,
  ended_at = coalesce(c.ended_at, CASE WHEN c.filled_qty::numeric = o.qty
                                       THEN c.updated_at END)::timestamptz,
  updated_sequence = c.updated_sequence,
  triggered_at = coalesce(c.triggered_at::timestamptz, o.triggered_at),
  triggered_sequence = coalesce(c.triggered_sequence, o.triggered_sequence),
  stop_price = coalesce(c.stop_price::numeric, o.stop_price),
  hwm = coalesce(c.hwm::numeric, o.hwm)
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
            $9::text[], $10::bigint[], $11::text[], $12::bigint[], $13::text[], $14::text[])
  AS c(order_id, filled_qty, filled_value, status, end_reason, replaced_by, updated_at, ended_at,
       updated_sequence, triggered_at, triggered_sequence, stop_price, hwm)
WHERE o.shard_id = $1 AND o.order_id = c.order_id
"""

# A replacement keeps type, trigger and instructions of the order that it replaces. Until here it is
# a limit order, and may have the price that bounds a stop order.
_INHERIT = """
UPDATE orders AS n SET
  type = o.type,
  limit_price = CASE WHEN o.type NOT IN ('stop', 'trailing_stop') THEN n.limit_price END,
  triggered_at = coalesce(n.triggered_at, o.triggered_at),
  triggered_sequence = coalesce(n.triggered_sequence, o.triggered_sequence),
  position_intent = o.position_intent, self_trade_prevention = o.self_trade_prevention,
  post_only = o.post_only
FROM unnest($2::bigint[], $3::bigint[]) AS c(order_id, heir_of), orders AS o
WHERE n.shard_id = $1 AND n.order_id = c.order_id
  AND o.shard_id = $1 AND o.order_id = c.heir_of
  AND num_nonnulls(o.stop_price, o.position_intent, o.self_trade_prevention, o.post_only) > 0
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

_UPSERT_DAILY_CASH = """
INSERT INTO daily_cash (shard_id, account_id, day, cash)
SELECT $1, account_id, '1970-01-01'::date + day, cash::numeric
FROM unnest($2::bigint[], $3::int[], $4::text[]) AS c(account_id, day, cash)
ON CONFLICT (shard_id, account_id, day) DO UPDATE SET cash = excluded.cash
"""

_UPSERT_DAILY_POSITIONS = """
INSERT INTO daily_positions (shard_id, account_id, instrument_id, day, qty, cost)
SELECT $1, account_id, instrument_id, '1970-01-01'::date + day, qty::numeric, cost::numeric
FROM unnest($2::bigint[], $3::bigint[], $4::int[], $5::text[], $6::text[])
  AS c(account_id, instrument_id, day, qty, cost)
ON CONFLICT (shard_id, account_id, instrument_id, day) DO UPDATE SET
  qty = excluded.qty, cost = excluded.cost
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
    "self_trade_prevention",
    "post_only",
    "stop_price",
    "triggered_at",
    "triggered_sequence",
    "trail_price",
    "trail_percent",
    "hwm",
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


class Ledger(Projection):
    """Instruments, accounts, orders, executions and positions."""

    name = "ledger"
    offsets = "projection_offsets"
    vital = True
    channel = PROJECTION_CHANNEL
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "instruments": ("instrument_id",),
        "accounts": ("account_id",),
        "positions": ("account_id", "instrument_id"),
        "orders": ("order_id",),
        "executions": ("trade_id", "liquidity"),
        "cash_movements": ("sequence",),
        "daily_cash": ("account_id", "day"),
        "daily_positions": ("account_id", "instrument_id", "day"),
    }

    async def begin(self, start: Start) -> Callable[[], LedgerBatch]:
        """Return what makes an empty batch."""
        return lambda: LedgerBatch(start.sizes)

    async def write(
        self, connection: "asyncpg.Connection[Any]", shard_id: int, batch: LedgerBatch
    ) -> None:
        """Write the rows of a batch."""
        if batch.instruments:
            await connection.executemany(
                _UPSERT_INSTRUMENT,
                [_instrument(shard_id, row) for row in batch.instruments.values()],
            )
        orders = _order_lines(shard_id, batch.new_orders.values())
        await copy_rows(connection, "orders", _ORDER_COLUMNS, orders)
        executions = _execution_lines(shard_id, batch.executions)
        await copy_rows(connection, "executions", _EXECUTION_COLUMNS, executions)
        movements = _movement_lines(shard_id, batch.movements)
        await copy_rows(connection, "cash_movements", _MOVEMENT_COLUMNS, movements)
        await _change_orders(connection, shard_id, batch)
        await _inherit(connection, shard_id, batch)
        await _change_accounts(connection, shard_id, batch)
        await _change_positions(connection, shard_id, batch)
        await _change_days(connection, shard_id, batch)


def _order_lines(shard_id: int, rows: Iterable[OrderRow]) -> Iterable[str]:
    for row in rows:
        created_at = fmt.timestamp(row.created_ns)
        updated_at = (
            created_at if row.updated_ns == row.created_ns else fmt.timestamp(row.updated_ns)
        )
        ended_at = fmt.NULL if row.ended_ns is None else fmt.timestamp(row.ended_ns)
        limit_price = (
            fmt.NULL if row.limit_price_nanos is None else fmt.nanos(row.limit_price_nanos)
        )
        stop_price = fmt.NULL if row.stop_price_nanos is None else fmt.nanos(row.stop_price_nanos)
        trail_price, trail_ppm = row.trail
        triggered_at = fmt.NULL if row.triggered_ns is None else fmt.timestamp(row.triggered_ns)
        intent, prevention, post_only = row.instructions
        yield (
            f"{shard_id}\t{row.order_id}\t{row.account_id}\t{row.instrument_id}\t"
            f"{fmt.copy_text(row.client_order_id)}\t"
            f"{row.side}\t{row.type}\t{row.time_in_force}\t"
            f"{fmt.nanos(row.qty_nanos)}\t{limit_price}\t{fmt.nanos(row.filled_nanos)}\t"
            f"{fmt.micros(row.filled_value_micros)}\t"
            f"{row.status}\t{row.end_reason or fmt.NULL}\t"
            f"{row.replaces or fmt.NULL}\t{row.replaced_by or fmt.NULL}\t"
            f"{created_at}\t{updated_at}\t{ended_at}\t{row.updated_sequence}\t"
            f"{intent or fmt.NULL}\t{prevention or fmt.NULL}\t{post_only or fmt.NULL}\t"
            f"{stop_price}\t{triggered_at}\t{row.triggered_sequence or fmt.NULL}\t"
            f"{fmt.NULL if trail_price is None else fmt.nanos(trail_price)}\t"
            f"{fmt.NULL if trail_ppm is None else fmt.nanos(trail_ppm * NANOS_PER_TRAIL_PPM)}\t"
            f"{fmt.NULL if row.hwm_nanos is None else fmt.nanos(row.hwm_nanos)}\n"
        )


def _execution_lines(shard_id: int, rows: Iterable[ExecutionRow]) -> Iterable[str]:
    for row in rows:
        yield (
            f"{shard_id}\t{row.trade_id}\t{row.liquidity}\t{row.sequence}\t{row.order_id}\t"
            f"{row.account_id}\t{row.instrument_id}\t{row.side}\t{fmt.nanos(row.price_nanos)}\t"
            f"{fmt.nanos(row.qty_nanos)}\t{fmt.timestamp(row.executed_ns)}\t"
            f"{fmt.nanos(row.cum_nanos)}\n"
        )


def _movement_lines(shard_id: int, rows: Iterable[MovementRow]) -> Iterable[str]:
    for row in rows:
        qty = fmt.NULL if row.qty_nanos is None else fmt.nanos(row.qty_nanos)
        yield (
            f"{shard_id}\t{row.sequence}\t{row.account_id}\t{row.type}\t"
            f"{fmt.micros(row.amount_micros)}\t{row.instrument_id or fmt.NULL}\t{qty}\t"
            f"{fmt.timestamp(row.moved_ns)}\n"
        )


def _instrument(shard_id: int, row: InstrumentRow) -> tuple[Any, ...]:
    return (
        shard_id,
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


async def _change_orders(
    connection: "asyncpg.Connection[Any]", shard_id: int, batch: LedgerBatch
) -> None:
    changes = batch.order_changes.values()
    if not changes:
        return
    await connection.execute(
        _CHANGE_ORDERS,
        shard_id,
        [change.order_id for change in changes],
        [
            None if change.filled_nanos is None else fmt.nanos(change.filled_nanos)
            for change in changes
        ],
        [
            None if change.filled_value_micros is None else fmt.micros(change.filled_value_micros)
            for change in changes
        ],
        [change.status for change in changes],
        [change.end_reason for change in changes],
        [change.replaced_by for change in changes],
        [fmt.timestamp(change.updated_ns) for change in changes],
        [None if change.ended_ns is None else fmt.timestamp(change.ended_ns) for change in changes],
        [change.updated_sequence for change in changes],
        [
            None if change.triggered_ns is None else fmt.timestamp(change.triggered_ns)
            for change in changes
        ],
        [change.triggered_sequence for change in changes],
        [
            None if change.stop_price_nanos is None else fmt.nanos(change.stop_price_nanos)
            for change in changes
        ],
        [None if change.hwm_nanos is None else fmt.nanos(change.hwm_nanos) for change in changes],
    )


async def _inherit(
    connection: "asyncpg.Connection[Any]", shard_id: int, batch: LedgerBatch
) -> None:
    heirs = [row for row in batch.new_orders.values() if row.heir_of is not None]
    if heirs:
        await connection.execute(
            _INHERIT,
            shard_id,
            [row.order_id for row in heirs],
            [row.heir_of for row in heirs],
        )


async def _change_accounts(
    connection: "asyncpg.Connection[Any]", shard_id: int, batch: LedgerBatch
) -> None:
    opened = batch.accounts.values()
    if opened:
        await connection.execute(
            _UPSERT_ACCOUNTS,
            shard_id,
            [row.account_id for row in opened],
            [fmt.text(row.name) for row in opened],
            [row.may_sell_short for row in opened],
            [fmt.micros(row.credit_limit_micros) for row in opened],
            [fmt.timestamp(row.opened_ns) for row in opened],
            [row.updated_sequence for row in opened],
        )
    cash = batch.cash.values()
    if cash:
        await connection.execute(
            _CHANGE_CASH,
            shard_id,
            [row.account_id for row in cash],
            [fmt.micros(row.cash_micros) for row in cash],
            [row.updated_sequence for row in cash],
        )


async def _change_positions(
    connection: "asyncpg.Connection[Any]", shard_id: int, batch: LedgerBatch
) -> None:
    positions = batch.positions.values()
    if positions:
        await connection.execute(
            _UPSERT_POSITIONS,
            shard_id,
            [row.account_id for row in positions],
            [row.instrument_id for row in positions],
            [fmt.nanos(row.qty_nanos) for row in positions],
            [fmt.micros(row.cost_micros) for row in positions],
            [row.updated_sequence for row in positions],
        )


async def _change_days(
    connection: "asyncpg.Connection[Any]", shard_id: int, batch: LedgerBatch
) -> None:
    if batch.daily_cash:
        await connection.execute(
            _UPSERT_DAILY_CASH,
            shard_id,
            [account_id for account_id, _ in batch.daily_cash],
            [day for _, day in batch.daily_cash],
            [fmt.micros(cash) for cash in batch.daily_cash.values()],
        )
    if batch.daily_positions:
        await connection.execute(
            _UPSERT_DAILY_POSITIONS,
            shard_id,
            [account_id for account_id, _, _ in batch.daily_positions],
            [instrument_id for _, instrument_id, _ in batch.daily_positions],
            [day for _, _, day in batch.daily_positions],
            [fmt.nanos(held.qty_nanos) for held in batch.daily_positions.values()],
            [fmt.micros(held.cost_micros) for held in batch.daily_positions.values()],
        )
