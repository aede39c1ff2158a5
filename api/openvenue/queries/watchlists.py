"""An account's watchlists: named lists of instruments, in their owner's order."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import watchlists

Which = UUID | str
"""A watchlist's id, or its name."""


class TooManyWatchlists(Exception):
    """The account has as many watchlists as it may."""


async def list_watchlists(
    connection: AsyncConnection, shard_id: int, account_id: int
) -> Sequence[Row[Any]]:
    """Return the rows of an account, oldest first."""
    query = select(watchlists).where(_of_account(shard_id, account_id))
    oldest_first = query.order_by(watchlists.c.created_at, watchlists.c.watchlist_id)
    return list((await connection.execute(oldest_first)).all())


async def find_watchlist(
    connection: AsyncConnection, shard_id: int, account_id: int, which: Which
) -> Row[Any] | None:
    """Return one row of an account, and keep others from changing it in this transaction."""
    query = select(watchlists).where(_is(shard_id, account_id, which)).with_for_update()
    return (await connection.execute(query)).first()


async def create_watchlist(
    connection: AsyncConnection,
    shard_id: int,
    account_id: int,
    name: str,
    instrument_ids: Sequence[int],
    *,
    count_max: int,
) -> Row[Any]:
    """Make a watchlist and return its row. The caller commits.

    Raises TooManyWatchlists if the account has `count_max`, IntegrityError if it has the name.
    """
    # One after the other, so that all count the same rows.
    turn = func.hashtextextended(f"watchlists {shard_id} {account_id}", 0)
    await connection.execute(select(func.pg_advisory_xact_lock(turn)))
    own = select(func.count()).select_from(watchlists).where(_of_account(shard_id, account_id))
    if (await connection.scalar(own) or 0) >= count_max:
        raise TooManyWatchlists
    made = insert(watchlists).values(
        watchlist_id=uuid4(),
        shard_id=shard_id,
        account_id=account_id,
        name=name,
        instrument_ids=list(instrument_ids),
    )
    row: Row[Any] = (await connection.execute(made.returning(watchlists))).one()
    return row


async def change_watchlist(
    connection: AsyncConnection, watchlist_id: UUID, name: str, instrument_ids: Sequence[int]
) -> Row[Any]:
    """Change a watchlist and return its row. The caller commits.

    Raises IntegrityError if the account has another one of that name.
    """
    changed = (
        update(watchlists)
        .where(watchlists.c.watchlist_id == watchlist_id)
        .values(name=name, instrument_ids=list(instrument_ids), updated_at=func.now())
    )
    row: Row[Any] = (await connection.execute(changed.returning(watchlists))).one()
    return row


async def delete_watchlist(
    connection: AsyncConnection, shard_id: int, account_id: int, which: Which
) -> bool:
    """Delete a watchlist of an account; False if there is none. The caller commits."""
    deleted = await connection.execute(delete(watchlists).where(_is(shard_id, account_id, which)))
    return deleted.rowcount > 0


def _of_account(shard_id: int, account_id: int) -> ColumnElement[bool]:
    return and_(watchlists.c.shard_id == shard_id, watchlists.c.account_id == account_id)


def _is(shard_id: int, account_id: int, which: Which) -> ColumnElement[bool]:
    column = watchlists.c.watchlist_id if isinstance(which, UUID) else watchlists.c.name
    return and_(_of_account(shard_id, account_id), column == which)
