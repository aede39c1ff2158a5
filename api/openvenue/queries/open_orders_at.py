"""The open orders as they were at an earlier sequence number, from which a reader of the journal
can fold on."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Row,
    and_,
    any_,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import executions, orders, projection_offsets


async def projected_sequence(connection: AsyncConnection, shard_id: int) -> int:
    """Return how far the projection of a shard is; 0 if it has not begun."""
    offset = select(projection_offsets.c.sequence).where(projection_offsets.c.shard_id == shard_id)
    # A rebuild sets it below 0 while it empties the projection.
    return max(0, (await connection.execute(offset)).scalar() or 0)


async def open_orders_at(
    connection: AsyncConnection, shard_id: int, sequence: int, changed_since: Collection[int]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return the orders that were open after entry `sequence`, by id.

    `changed_since` are the ids of all orders that later entries filled, canceled or replaced: those
    that have ended since are found by them, without a look at the whole history.
    They are rows of `orders` with terms and fills as of then, but without what only an end or a
    later change tells: `status`, `end_reason`, `replaced_by` and the times after `created_at`.
    Precondition: the connection's transaction is REPEATABLE READ, and in it `sequence` is not after
    `projected_sequence`.
    """
    later = (
        select(
            func.sum(executions.c.qty).label("qty"),
            func.sum(executions.c.qty * executions.c.price).label("value"),
        )
        .where(
            executions.c.shard_id == orders.c.shard_id,
            executions.c.order_id == orders.c.order_id,
            executions.c.sequence > sequence,
        )
        .lateral()
    )
    query = (
        select(
            orders.c.order_id,
            orders.c.account_id,
            orders.c.instrument_id,
            orders.c.client_order_id,
            orders.c.side,
            orders.c.type,
            orders.c.time_in_force,
            orders.c.qty,
            orders.c.limit_price,
            (orders.c.filled_qty - func.coalesce(later.c.qty, 0)).label("filled_qty"),
            (orders.c.filled_value - func.coalesce(later.c.value, 0)).label("filled_value"),
            orders.c.replaces,
            orders.c.created_at,
            orders.c.position_intent,
        )
        .select_from(orders.join(later, true()))
        .where(
            orders.c.shard_id == shard_id,
            orders.c.order_id <= sequence,
            or_(
                orders.c.ended_at.is_(None),
                and_(
                    orders.c.order_id == any_(literal(list(changed_since), ARRAY(BigInteger))),
                    orders.c.updated_sequence > sequence,
                ),
            ),
        )
        .order_by(orders.c.order_id)
    )
    return (await connection.execute(query)).all()
