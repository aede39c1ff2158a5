"""Opens accounts, and adds to or takes from their money and positions."""

from dataclasses import dataclass

from openvenue.admin.client import Admin
from openvenue.admin.errors import AlreadyExists, InvalidRequest
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


async def adjust_cash(admin: Admin, account_id: int, amount_micros: int) -> pb.Account:
    """Add money to an account, or take it; return the account. Raises AdminError."""
    await admin.apply(
        pb.AdminRequest(
            adjust_balance=pb.AdjustBalance(account_id=account_id, amount_micros=amount_micros)
        )
    )
    return await admin.account(account_id)


async def adjust_position(
    admin: Admin, account_id: int, symbol: str, qty: str, cost_micros: int
) -> tuple[pb.Position, pb.DefineInstrument]:
    """Change an account's position by `qty`, a decimal; return it and its instrument's terms.

    Raises AdminError.
    """
    terms = (await admin.instrument(symbol)).terms
    try:
        qty_lots = parse_steps(qty, terms.lot_size_nanos)
    except UnitError as error:
        raise InvalidRequest(f"quantity: {error}") from error
    await admin.apply(
        pb.AdminRequest(
            adjust_position=pb.AdjustPosition(
                account_id=account_id,
                instrument_id=terms.instrument_id,
                qty_lots=qty_lots,
                cost_micros=cost_micros,
            )
        )
    )
    account = await admin.account(account_id)
    flat = pb.Position(instrument_id=terms.instrument_id)
    held = (p for p in account.positions if p.instrument_id == terms.instrument_id)
    return next(held, flat), terms
