"""An account's configuration, which its owner sets."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.tables import account_configurations as configurations

_KEY = (configurations.c.shard_id, configurations.c.account_id)


async def read_configuration(
    connection: AsyncConnection, shard_id: int, account_id: int
) -> Row[Any] | None:
    """Return the row of an account; None if it has never been changed."""
    query = select(configurations).where(
        configurations.c.shard_id == shard_id, configurations.c.account_id == account_id
    )
    return (await connection.execute(query)).first()


async def change_configuration(
    connection: AsyncConnection, shard_id: int, account_id: int, changes: Mapping[str, object]
) -> Row[Any]:
    """Set columns of an account's row, which is made if need be, and return it. The caller commits.

    Precondition: there are `changes`.
    """
    made = insert(configurations).values(shard_id=shard_id, account_id=account_id, **changes)
    changed = made.on_conflict_do_update(index_elements=_KEY, set_=dict(changes))
    row: Row[Any] = (await connection.execute(changed.returning(configurations))).one()
    return row
