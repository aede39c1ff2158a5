"""Cancels an account's orders, sets an account back to a beginning, and copies one."""

from dataclasses import dataclass

from openvenue.admin.accounts import NewAccount, adjust_cash, open_account, position_adjustment
from openvenue.admin.client import Admin
from openvenue.admin.errors import GoesOnTrading, InvalidRequest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.vocabulary import SIDES, Side

# A trader may fill or enter an order between two commands of a reset.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class OrdersFilter:
    """Which open orders of an account: all, or those of one instrument, of one side."""

    symbol: str | None = None
    side: Side | None = None


async def cancel_orders(admin: Admin, account_id: int, wanted: OrdersFilter) -> int:
    """Cancel an account's open orders, oldest first; return how many. Raises AdminError.

    Orders that it enters meanwhile are canceled as well; block it first, so that none come after.
    """
    instrument_id = 0
    if wanted.symbol is not None:
        instrument_id = (await admin.instrument(wanted.symbol)).terms.instrument_id
    side = pb.SIDE_UNSPECIFIED if wanted.side is None else SIDES.numbers[wanted.side]
    command = pb.CancelOrders(account_id=account_id, instrument_id=instrument_id, side=side)
    canceled = 0
    while True:
        response = await admin.apply(pb.AdminRequest(cancel_orders=command))
        *cancels, end = response.events
        canceled += len(cancels)
        if not end.orders_canceled.stopped_at_order_id:
            return canceled
        command.from_order_id = end.orders_canceled.stopped_at_order_id


async def reset_account(admin: Admin, account_id: int, cash_micros: int) -> pb.Account:
    """Cancel all that an account has open, empty its positions and set its cash; return it.

    Terms, keys and history stay. Raises GoesOnTrading if the account trades so much meanwhile
    that it is never at that state, and AdminError.
    """
    if cash_micros < 0:
        raise InvalidRequest("{cash} must not be below zero")
    for _ in range(_ATTEMPTS):
        await cancel_orders(admin, account_id, OrdersFilter())
        account = await admin.account(account_id)
        if (
            account.cash_micros == cash_micros
            and not account.reserved_micros
            and not account.positions
        ):
            return account
        for held in account.positions:
            await admin.apply(
                position_adjustment(
                    account_id, held.instrument_id, -held.qty_lots, -held.cost_micros
                )
            )
        if account.cash_micros != cash_micros:
            await adjust_cash(admin, account_id, cash_micros - account.cash_micros)
    raise GoesOnTrading(f"account {account_id} goes on trading; block it, then reset it again")


async def clone_account(
    admin: Admin, source_id: int, name: str, account_id: int | None = None
) -> pb.Account:
    """Open an account with another's terms, cash and positions, and return it. Raises AdminError.

    Open orders, keys and history are not copied.
    """
    source = await admin.account(source_id)
    opened = await open_account(
        admin,
        NewAccount(
            name,
            account_id,
            credit_limit_micros=source.credit_limit_micros,
            may_sell_short=source.may_sell_short,
        ),
    )
    for held in source.positions:
        await admin.apply(
            position_adjustment(
                opened.account_id, held.instrument_id, held.qty_lots, held.cost_micros
            )
        )
    if source.cash_micros:
        return await adjust_cash(admin, opened.account_id, source.cash_micros)
    return await admin.account(opened.account_id)
