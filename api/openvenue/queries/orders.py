"""An account's orders in the database: all that were ever projected."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import instruments, orders
from openvenue.vocabulary import Side


@dataclass(frozen=True, kw_only=True)
class OrderFilter:
    """Criteria of a list of orders. Times bound the time of creation, exclusively."""

    status: Literal["open", "closed", "all"] = "open"
    limit: int = 50
    after: datetime | None = None
    until: datetime | None = None
    oldest_first: bool = False
    instrument_ids: Sequence[int] = ()
    side: Side | None = None
    asset_classes: Collection[str] | None = None


async def list_orders(
    connection: AsyncConnection, shard_id: int, account_id: int, wanted: OrderFilter
) -> Sequence[Row[tuple[object, ...]]]:
    """Return rows of `orders`, by creation in the direction of `wanted`."""
    return (await connection.execute(orders_query(shard_id, account_id, wanted))).all()


def orders_query(shard_id: int, account_id: int, wanted: OrderFilter) -> Select[tuple[object, ...]]:
    """Return the query of `list_orders`."""
    query = _of_account(shard_id, account_id)
    if wanted.status == "open":
        query = query.where(orders.c.ended_at.is_(None))
    elif wanted.status == "closed":
        query = query.where(orders.c.ended_at.is_not(None))
    if wanted.after is not None:
        query = query.where(orders.c.created_at > wanted.after)
    if wanted.until is not None:
        query = query.where(orders.c.created_at < wanted.until)
    if wanted.instrument_ids:
        query = query.where(orders.c.instrument_id.in_(wanted.instrument_ids))
    if wanted.side is not None:
        query = query.where(orders.c.side == wanted.side)
    if wanted.asset_classes is not None:
        of_classes = select(instruments.c.instrument_id).where(
            instruments.c.shard_id == shard_id,
            instruments.c.asset_class.in_(wanted.asset_classes),
        )
        query = query.where(orders.c.instrument_id.in_(of_classes))
    newest_first = (orders.c.created_at.desc(), orders.c.order_id.desc())
    oldest_first = (orders.c.created_at, orders.c.order_id)
    query = query.order_by(*(oldest_first if wanted.oldest_first else newest_first))
    return query.limit(wanted.limit)


async def find_order(
    connection: AsyncConnection,
    shard_id: int,
    account_id: int,
    *,
    order_id: int | None = None,
    client_order_id: str | None = None,
) -> Row[tuple[object, ...]] | None:
    """Return the row of one order, by either id; the newest of several with one client_order_id."""
    query = _of_account(shard_id, account_id)
    if order_id is not None:
        query = query.where(orders.c.order_id == order_id)
    if client_order_id is not None:
        query = query.where(orders.c.client_order_id == client_order_id)
    query = query.order_by(orders.c.order_id.desc()).limit(1)
    return (await connection.execute(query)).first()


async def find_orders(
    connection: AsyncConnection, shard_id: int, account_id: int, client_order_ids: Sequence[str]
) -> dict[str, Row[tuple[object, ...]]]:
    """Return rows by client_order_id; the newest of several with one."""
    query = _of_account(shard_id, account_id).where(orders.c.client_order_id.in_(client_order_ids))
    rows = await connection.execute(query.order_by(orders.c.order_id))
    return {row.client_order_id: row for row in rows}


def _of_account(shard_id: int, account_id: int) -> Select[tuple[object, ...]]:
    return select(orders).where(orders.c.shard_id == shard_id, orders.c.account_id == account_id)
