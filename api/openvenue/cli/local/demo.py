"""Instruments and accounts of a new venue.

Everything here can safely be repeated. Existing instruments stay as they are, also halted ones.
Money and shares are given once: an account has a provisional name until it has all of them, so the
next start completes exactly those whose set-up was interrupted.
"""

from dataclasses import dataclass
from decimal import Decimal

from openvenue.admin.client import Admin
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.units import parse_micros, parse_nanos, parse_steps

CASH = "1000000000"  # dollars per account
SHARES = "10000000"
COINS = "100000"

ACCOUNTS = {1: "alice", 2: "bob", 3: "carol", 4: "dave"}


@dataclass(frozen=True, slots=True)
class _Terms:
    instrument_id: int
    symbol: str
    name: str
    asset_class: "pb.AssetClass.ValueType"
    tick: str
    lot: str
    max_price: str
    max_qty: str
    mark: str  # cost price of the shares that accounts start with

    def definition(self) -> pb.DefineInstrument:
        tick_size_nanos, lot_size_nanos = parse_nanos(self.tick), parse_nanos(self.lot)
        return pb.DefineInstrument(
            instrument_id=self.instrument_id,
            symbol=self.symbol,
            name=self.name,
            asset_class=self.asset_class,
            state=pb.INSTRUMENT_STATE_ACTIVE,
            tick_size_nanos=tick_size_nanos,
            lot_size_nanos=lot_size_nanos,
            min_price_ticks=1,
            max_price_ticks=parse_steps(self.max_price, tick_size_nanos),
            max_order_qty_lots=parse_steps(self.max_qty, lot_size_nanos),
        )


def _equity(instrument_id: int, symbol: str, name: str, mark: str) -> _Terms:
    return _Terms(
        instrument_id,
        symbol,
        name,
        pb.ASSET_CLASS_US_EQUITY,
        tick="0.01",
        lot="1",
        max_price="100000",
        max_qty="1000000",
        mark=mark,
    )


def _crypto(instrument_id: int, symbol: str, name: str, lot: str, mark: str) -> _Terms:
    return _Terms(
        instrument_id,
        symbol,
        name,
        pb.ASSET_CLASS_CRYPTO,
        tick="0.01",
        lot=lot,
        max_price="500000",
        max_qty="1000",
        mark=mark,
    )


INSTRUMENTS = (
    _equity(1, "AAPL", "Apple Inc.", "585"),
    _equity(2, "AMZN", "Amazon.com, Inc.", "223"),
    _equity(3, "GOOG", "Alphabet Inc.", "570"),
    _equity(4, "INTC", "Intel Corporation", "27"),
    _equity(5, "MSFT", "Microsoft Corporation", "30"),
    _equity(6, "NVDA", "NVIDIA Corporation", "120"),
    _equity(7, "TSLA", "Tesla, Inc.", "250"),
    _crypto(101, "BTC/USD", "Bitcoin", "0.0001", "60000"),
    _crypto(102, "ETH/USD", "Ether", "0.0001", "3000"),
)


PRICES = {terms.symbol: Decimal(terms.mark) for terms in INSTRUMENTS}


async def set_up(admin: Admin) -> None:
    """Define the missing instruments, and open and endow the missing accounts."""
    defined = {info.terms.symbol for info in await admin.instruments()}
    for terms in INSTRUMENTS:
        if terms.symbol not in defined:
            await admin.apply(pb.AdminRequest(define_instrument=terms.definition()))
    known = {account.account_id: account for account in await admin.accounts()}
    for account_id, name in ACCOUNTS.items():
        account = known.get(account_id, pb.Account(name=provisional(name)))
        if account.name == provisional(name):
            await _endow(admin, account_id, name, account)


def provisional(name: str) -> str:
    """Return an account's name until its set-up is complete. Until then it has no key."""
    return f"{name} (being set up)"


async def _endow(admin: Admin, account_id: int, name: str, account: pb.Account) -> None:
    """Give an account what it lacks, and then its name."""
    await _name(admin, account_id, provisional(name))
    if account.cash_micros == 0:
        await admin.apply(
            pb.AdminRequest(
                adjust_balance=pb.AdjustBalance(
                    account_id=account_id, amount_micros=parse_micros(CASH)
                )
            )
        )
    held = {position.instrument_id for position in account.positions}
    for terms in INSTRUMENTS:
        if terms.instrument_id not in held:
            await admin.apply(pb.AdminRequest(adjust_position=endowment(account_id, terms)))
    await _name(admin, account_id, name)


async def _name(admin: Admin, account_id: int, name: str) -> None:
    await admin.apply(
        pb.AdminRequest(open_account=pb.OpenAccount(account_id=account_id, name=name))
    )


def endowment(account_id: int, terms: _Terms) -> pb.AdjustPosition:
    """Return an account's first position in an instrument."""
    qty = COINS if terms.asset_class == pb.ASSET_CLASS_CRYPTO else SHARES
    return pb.AdjustPosition(
        account_id=account_id,
        instrument_id=terms.instrument_id,
        qty_lots=parse_steps(qty, parse_nanos(terms.lot)),
        cost_micros=int(qty) * parse_micros(terms.mark),
    )
