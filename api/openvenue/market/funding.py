"""The accounts of the market's agents: opened, endowed and topped up by administration.

Everything here can safely be repeated. Prices and limits keep each account within a small part of
its endowment for years; what it lacks is made good whenever this runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from openvenue.admin.accounts import NewAccount, adjust_cash, open_account, position_adjustment
from openvenue.admin.client import Admin
from openvenue.admin.instruments import WantedTerms, define_instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.market.agents import residents
from openvenue.units import MICROS_PER_UNIT, NANOS_PER_UNIT

CASH = 1_000_000_000
"""Dollars of an account."""
HOLDING = 100_000_000
"""Dollars that an account holds of each instrument."""

_SHARE = WantedTerms()
_PAIR = WantedTerms(asset_class="crypto", lot="0.0001")


async def fund(
    admin: Admin, prices: Mapping[str, Decimal], more: Sequence[str] = ()
) -> dict[int, str]:
    """Open the missing accounts of the residents and of `more` names, and top up all; return their
    names by number.

    An account gets positions in the instruments that have a price here. One that has less than half
    of what it should have gets the rest. Raises AdminError.
    """
    accounts = {account.name: account for account in await admin.accounts()}
    instruments = [info.terms for info in await admin.instruments()]
    funded: dict[int, str] = {}
    for name in (*(agent.name for agent in residents()), *more):
        account = accounts.get(name)
        if account is None:
            account = await open_account(admin, NewAccount(name))
        funded[account.account_id] = name
        cash_micros = CASH * MICROS_PER_UNIT
        if account.cash_micros < cash_micros // 2:
            await adjust_cash(admin, account.account_id, cash_micros - account.cash_micros)
        held = {position.instrument_id: position.qty_lots for position in account.positions}
        for terms in instruments:
            if (price := prices.get(terms.symbol)) is not None:
                await _endow(admin, account.account_id, terms, price, held)
    return funded


async def define_missing(admin: Admin, symbols: Iterable[str]) -> None:
    """Define the instruments that the venue lacks: pairs, which have a slash, in ten-thousandths,
    and shares. Raises AdminError."""
    known = {info.terms.symbol for info in await admin.instruments()}
    for symbol in symbols:
        if symbol not in known:
            await define_instrument(admin, symbol, _PAIR if "/" in symbol else _SHARE)


async def _endow(
    admin: Admin,
    account_id: int,
    terms: pb.DefineInstrument,
    price: Decimal,
    held: Mapping[int, int],
) -> None:
    wanted_lots = int(HOLDING / price * NANOS_PER_UNIT / terms.lot_size_nanos)
    missing_lots = wanted_lots - held.get(terms.instrument_id, 0)
    if missing_lots * 2 <= wanted_lots:
        return
    value = price * missing_lots * terms.lot_size_nanos / NANOS_PER_UNIT
    cost_micros = int(value * MICROS_PER_UNIT)
    await admin.apply(
        position_adjustment(account_id, terms.instrument_id, missing_lots, cost_micros)
    )
