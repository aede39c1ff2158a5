"""Blocks accounts from trading: the API refuses their new orders and replacements.

Cancels and reads go on, and so do orders that rest already. The block is in the database, beside
what an account's owner forbids; the API's workers hear of a change at once, as they do of keys.
"""

from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
from openvenue.queries.configurations import change_configuration, read_configuration


async def set_trading_blocked(
    admin: Admin, database: AdminDatabase, account_id: int, blocked: bool
) -> None:
    """Block an account from trading, or let it trade again. Raises AdminError."""
    await admin.account(account_id)
    async with database.transaction() as connection:
        changes = {"trading_blocked": blocked}
        await change_configuration(connection, database.shard_id, account_id, changes)


async def is_trading_blocked(admin: Admin, database: AdminDatabase, account_id: int) -> bool:
    """True if an administrator blocked the account from trading. Raises AdminError."""
    await admin.account(account_id)
    async with database.transaction() as connection:
        row = await read_configuration(connection, database.shard_id, account_id)
    return row is not None and bool(row.trading_blocked)
