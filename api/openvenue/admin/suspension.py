"""Suspends trading, of one account or of the venue: the engine then takes nothing but cancels.

What is open stays so. The engine keeps it, and journals who asked for it.
"""

from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
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
    if not blocked and await _is_blocked_in_database(database, account_id):
        async with database.transaction() as connection:
            changes = {"trading_blocked": False}
            await change_configuration(connection, database.shard_id, account_id, changes)
    await _suspend(admin, account_id, blocked)


async def is_trading_blocked(admin: Admin, database: AdminDatabase, account_id: int) -> bool:
    """True if an administrator blocked the account from trading. Raises AdminError."""
    account = await admin.account(account_id)
    return account.suspended or await _is_blocked_in_database(database, account_id)


async def set_venue_suspended(admin: Admin, suspended: bool) -> None:
    """Suspend trading of all accounts, or let those that are not blocked trade again.

    Raises AdminError.
    """
    await _suspend(admin, _ALL_ACCOUNTS, suspended)


async def cancel_all_orders(admin: Admin) -> int:
    """Cancel the open orders of all accounts; return how many. Raises AdminError.

    Suspend trading first, so that none come after.
    """
    canceled = 0
    for account in await admin.accounts():
        if account.reserved_micros or any(held.reserved_lots for held in account.positions):
            canceled += await cancel_orders(admin, account.account_id, OrdersFilter())
    return canceled


async def _suspend(admin: Admin, account_id: int, suspended: bool) -> None:
    command = pb.SuspendTrading(account_id=account_id, suspended=suspended)
    await admin.apply(pb.AdminRequest(suspend_trading=command))


async def _is_blocked_in_database(database: AdminDatabase, account_id: int) -> bool:
    async with database.transaction() as connection:
        row = await read_configuration(connection, database.shard_id, account_id)
    return row is not None and bool(row.trading_blocked)
