"""Opens accounts, and adds to or takes from their money and positions."""

from dataclasses import dataclass

import msgspec

from openvenue.admin import documents
from openvenue.admin.client import Admin
from openvenue.admin.errors import AlreadyExists, InvalidRequest
from openvenue.admin.once import Once, Show
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.units import UnitError, parse_steps


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to open; without a number, it gets the next free one."""

    name: str
    account_id: int | None = None
    cash_micros: int = 0
    credit_limit_micros: int = 0
    may_sell_short: bool = False

    def check(self) -> None:
        """Raise InvalidRequest if it cannot be opened: opening could not be undone."""
        if not self.name.strip():
            raise InvalidRequest("the name must not be empty")
        if self.cash_micros < 0 or self.credit_limit_micros < 0:
            raise InvalidRequest("{cash} and {credit_limit} must not be below zero")


async def open_account(admin: Admin, new: NewAccount) -> pb.Account:
    """Open an account with its money, and return it. Raises AdminError."""
    new.check()
    account_id = new.account_id
    if account_id is None:
        account_id = max((each.account_id for each in await admin.accounts()), default=0) + 1
    if await admin.find_account(account_id) is not None:
        raise AlreadyExists(f"account {account_id} exists already; leave {{id}} out for a free one")
    await admin.apply(
        pb.AdminRequest(
            open_account=pb.OpenAccount(
                account_id=account_id,
                name=new.name,
                may_sell_short=new.may_sell_short,
                credit_limit_micros=new.credit_limit_micros,
            )
        )
    )
    if new.cash_micros:
        return await adjust_cash(admin, account_id, new.cash_micros)
    return await admin.account(account_id)


def cash_adjustment(account_id: int, amount_micros: int) -> pb.AdminRequest:
    """Return the command that adds money to an account, or takes it."""
    return pb.AdminRequest(
        adjust_balance=pb.AdjustBalance(account_id=account_id, amount_micros=amount_micros)
    )


def position_adjustment(
    account_id: int, instrument_id: int, qty_lots: int, cost_micros: int
) -> pb.AdminRequest:
    """Return the command that changes a position, by signed lots and a signed cost basis."""
    return pb.AdminRequest(
        adjust_position=pb.AdjustPosition(
            account_id=account_id,
            instrument_id=instrument_id,
            qty_lots=qty_lots,
            cost_micros=cost_micros,
        )
    )


async def adjust_cash(admin: Admin, account_id: int, amount_micros: int) -> pb.Account:
    """Add money to an account, or take it; return the account. Raises AdminError."""
    await admin.apply(cash_adjustment(account_id, amount_micros))
    return await admin.account(account_id)


async def move_cash(admin: Admin, once: Once | None, account_id: int, amount_micros: int) -> bytes:
    """Do as `adjust_cash`, with an idempotency key once; return the account's summary as JSON."""

    async def show() -> documents.AccountSummary:
        return documents.account_summary(await admin.account(account_id))

    command = cash_adjustment(account_id, amount_micros)
    return await _execute(admin, once, command, show)


async def move_position(
    admin: Admin,
    once: Once | None,
    account_id: int,
    symbol: str,
    qty: str,
    cost_micros: int,
) -> bytes:
    """Change an account's position by `qty`, a decimal, with an idempotency key once.

    Returns the AdjustedPosition as JSON. Raises AdminError.
    """
    terms = (await admin.instrument(symbol)).terms
    try:
        qty_lots = parse_steps(qty, terms.lot_size_nanos)
    except UnitError as error:
        raise InvalidRequest(f"quantity: {error}") from error
    command = position_adjustment(account_id, terms.instrument_id, qty_lots, cost_micros)

    async def show() -> documents.AdjustedPosition:
        account = await admin.account(account_id)
        nothing = pb.Position(instrument_id=terms.instrument_id)
        of_instrument = (p for p in account.positions if p.instrument_id == terms.instrument_id)
        return documents.adjusted_position(account_id, next(of_instrument, nothing), terms)

    return await _execute(admin, once, command, show)


async def _execute(admin: Admin, once: Once | None, command: pb.AdminRequest, show: Show) -> bytes:
    if once is not None:
        return await once.execute(admin, command, show)
    await admin.apply(command)
    return msgspec.json.encode(await show())
