"""Suspends trading, of one account or of the venue: the engine then takes nothing but cancels.

Open orders stay open. The engine keeps a suspension over restarts and journals who asked for it.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
from openvenue.admin.documents import VenueTrading
from openvenue.admin.resets import OrdersFilter, cancel_orders
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.queries.configurations import change_configuration, read_configuration

_ALL_ACCOUNTS = 0


async def set_trading_blocked(
    admin: Admin, database: AdminDatabase, account_id: int, blocked: bool
) -> None:
    """Block an account from trading, or let it trade again. Raises AdminError.

    A block needs no database. Letting it trade again also lifts the block that a version before
    the engine had suspensions left in the database.
    """
    await admin.account(account_id)
    if not blocked:
        async with database.transaction() as connection:
            if await _is_blocked_in_database(connection, database.shard_id, account_id):
                changes = {"trading_blocked": False}
                await change_configuration(connection, database.shard_id, account_id, changes)
    await _suspend(admin, account_id, blocked)


async def is_trading_blocked(admin: Admin, database: AdminDatabase, account_id: int) -> bool:
    """True if an administrator blocked the account from trading. Raises AdminError."""
    account = await admin.account(account_id)
    if account.suspended:
        return True
    async with database.transaction() as connection:
        return await _is_blocked_in_database(connection, database.shard_id, account_id)


async def set_venue_suspended(
    admin: Admin, suspended: bool, *, cancel_open_orders: bool = False
) -> VenueTrading:
    """Suspend trading of all accounts, or let those that are not blocked trade again.

    It can cancel all open orders, too. Raises AdminError.
    """
    await _suspend(admin, _ALL_ACCOUNTS, suspended)
    canceled = await _cancel_all_orders(admin) if cancel_open_orders else None
    return VenueTrading(suspended=suspended, canceled=canceled)


async def _cancel_all_orders(admin: Admin) -> int:
    canceled = 0
    for account in await admin.accounts():
        if account.reserved_micros or any(held.reserved_lots for held in account.positions):
            canceled += await cancel_orders(admin, account.account_id, OrdersFilter())
    return canceled


async def _suspend(admin: Admin, account_id: int, suspended: bool) -> None:
    command = pb.SuspendTrading(account_id=account_id, suspended=suspended)
    await admin.apply(pb.AdminRequest(suspend_trading=command))


async def _is_blocked_in_database(
    connection: AsyncConnection, shard_id: int, account_id: int
) -> bool:
    row = await read_configuration(connection, shard_id, account_id)
    return row is not None and bool(row.trading_blocked)
