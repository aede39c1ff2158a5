"""The open orders as they were at an earlier sequence number, from which a reader of the journal
can fold on.

Without SQLAlchemy, which the projector does not have.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

# Both take the shard first. A rebuild sets the offset below 0 while it empties the projection.
PROJECTED_SEQUENCE = """
SELECT greatest(0, coalesce(max(sequence), 0)) FROM projection_offsets WHERE shard_id = $1
"""

OPEN_ORDERS_AT = """
SELECT o.order_id, o.account_id, o.instrument_id, o.client_order_id, o.side, o.type,
       o.time_in_force, o.qty, o.limit_price,
       o.filled_qty - coalesce(later.qty, 0) AS filled_qty,
       o.filled_value - coalesce(later.value, 0) AS filled_value,
       o.replaces, o.created_at, o.position_intent, o.self_trade_prevention, o.post_only,
       o.stop_price, o.trail_price, o.trail_percent, o.hwm,
       CASE WHEN o.triggered_sequence <= $2 THEN o.triggered_at END AS triggered_at,
       o.stop_price IS NOT NULL AND coalesce(o.triggered_sequence > $2, true) AS waits
FROM orders AS o CROSS JOIN LATERAL (
  SELECT sum(e.qty) AS qty, sum(e.qty * e.price) AS value FROM executions AS e
  WHERE e.shard_id = o.shard_id AND e.order_id = o.order_id AND e.sequence > $2
) AS later
WHERE o.shard_id = $1 AND o.order_id <= $2
  AND (o.ended_at IS NULL OR (o.order_id = ANY ($3::bigint[]) AND o.updated_sequence > $2))
ORDER BY o.order_id
"""
"""Selects the orders that were open after entry $2.

$3 are the ids of those orders that later entries, up to the projection's offset, filled, canceled,
replaced or triggered: the ones that have ended since are found by them, without a look at the whole
history.
The columns are those of `orders` with terms, trigger and fills as of then, but without what only an
end or a later change tells: `status`, `end_reason`, `replaced_by`, `updated_at` and `ended_at`.
`waits`: its stop price was not reached then, so it was in no book.
Precondition: the transaction is REPEATABLE READ, and in it $2 is not after PROJECTED_SEQUENCE.
"""


async def projected_sequence(connection: "AsyncConnection", shard_id: int) -> int:
    """Return how far the projection of a shard is; 0 if it has not begun."""
    found = await connection.exec_driver_sql(PROJECTED_SEQUENCE, (shard_id,))
    return int(found.scalar_one())


async def open_orders_at(
    connection: "AsyncConnection", shard_id: int, sequence: int, changed_since: Collection[int]
) -> "Sequence[Row[Any]]":
    """Return the rows of OPEN_ORDERS_AT, under its precondition."""
    parameters = (shard_id, sequence, list(changed_since))
    return (await connection.exec_driver_sql(OPEN_ORDERS_AT, parameters)).all()
