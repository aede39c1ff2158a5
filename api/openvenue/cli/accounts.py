"""`openvenue accounts`: accounts, their cash and positions."""

import asyncio
from typing import Annotated, Any

import typer

from openvenue.cli.admin import Admin, connect_admin
from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, venue_settings
from openvenue.cli.errors import CommandError
from openvenue.cli.output import JsonOption, print_record, print_rows
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.units import UnitError, format_micros, format_steps, parse_micros, parse_steps

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Open accounts, and move money and positions."
)

AccountArgument = Annotated[int, typer.Argument(min=1, help="Account number.")]


@app.command("list")
def list_accounts(data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False) -> None:
    """List all accounts with their cash."""

    async def run() -> list[dict[str, Any]]:
        async with connect_admin(venue_settings(data_dir)) as admin:
            return [_summary(account) for account in await admin.accounts()]

    print_rows(
        asyncio.run(run()),
        as_json=as_json,
        empty="No accounts yet; open one with `openvenue accounts create NAME`.",
    )


@app.command()
def show(
    account_id: AccountArgument,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one account with its positions."""

    async def run() -> tuple[pb.Account, dict[int, pb.DefineInstrument]]:
        async with connect_admin(venue_settings(data_dir)) as admin:
            account = await admin.account(account_id)
            return account, await _terms(admin)

    account, terms = asyncio.run(run())
    positions = [
        _position(position, terms[position.instrument_id]) for position in account.positions
    ]
    if as_json:
        print_record({**_summary(account), "positions": positions}, as_json=True)
        return
    print_record(_summary(account), as_json=False)
    print_rows(positions, as_json=False, empty="No positions.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it; at most 64 bytes.")],
    account_id: Annotated[
        int | None, typer.Option("--id", min=1, help="Account number; default: the next free one.")
    ] = None,
    cash: Annotated[str, typer.Option(help="Money to start with.")] = "0",
    may_sell_short: Annotated[
        bool, typer.Option("--may-sell-short", help="Let it sell more than it holds.")
    ] = False,
    credit_limit: Annotated[str, typer.Option(help="How far its cash may go below zero.")] = "0",
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Open an account; create a key for it with `openvenue keys create`."""
    # Check everything before the account is opened: it could not be closed again.
    cash_micros = _amount(cash)
    credit_limit_micros = _amount(credit_limit)
    if not name.strip():
        raise CommandError("the name must not be empty")
    if cash_micros < 0 or credit_limit_micros < 0:
        raise CommandError("--cash and --credit-limit must not be below zero")

    async def run() -> pb.Account:
        async with connect_admin(venue_settings(data_dir)) as admin:
            if account_id is None:
                chosen = max((each.account_id for each in await admin.accounts()), default=0) + 1
            else:
                chosen = account_id
            if await admin.find_account(chosen) is not None:
                raise CommandError(
                    f"account {chosen} exists already; leave --id out for a free one"
                )
            await admin.apply(
                pb.AdminRequest(
                    open_account=pb.OpenAccount(
                        account_id=chosen,
                        name=name,
                        may_sell_short=may_sell_short,
                        credit_limit_micros=credit_limit_micros,
                    )
                )
            )
            if cash_micros:
                await _adjust(admin, chosen, cash_micros)
            return await admin.account(chosen)

    print_record(_summary(asyncio.run(run())), as_json=as_json)


@app.command()
def deposit(
    account_id: AccountArgument,
    amount: Annotated[str, typer.Argument(help="Decimal, for example 2500.50.")],
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Add money to an account."""
    print_record(_move_cash(data_dir, account_id, _positive(amount)), as_json=as_json)


@app.command()
def withdraw(
    account_id: AccountArgument,
    amount: Annotated[str, typer.Argument(help="Decimal, for example 2500.50.")],
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Take money from an account, except what open orders reserve."""
    print_record(_move_cash(data_dir, account_id, -_positive(amount)), as_json=as_json)


@app.command()
def position(
    account_id: AccountArgument,
    symbol: Annotated[str, typer.Argument(help="Instrument.")],
    qty: Annotated[str, typer.Argument(help="Change; write a decrease as: -- -10.")],
    cost: Annotated[str, typer.Option(help="Change of the cost basis; no money moves.")] = "0",
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Add to an account's position, or take from it."""
    cost_micros = _amount(cost)

    async def run() -> dict[str, Any]:
        async with connect_admin(venue_settings(data_dir)) as admin:
            terms = (await admin.instrument(symbol)).terms
            try:
                qty_lots = parse_steps(qty, terms.lot_size_nanos)
            except UnitError as error:
                raise CommandError(f"quantity: {error}") from error
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
            held = next(p for p in account.positions if p.instrument_id == terms.instrument_id)
            return {"account_id": account_id, **_position(held, terms)}

    print_record(asyncio.run(run()), as_json=as_json)


def _move_cash(data_dir: DataDirOption, account_id: int, amount_micros: int) -> dict[str, Any]:
    async def run() -> pb.Account:
        async with connect_admin(venue_settings(data_dir)) as admin:
            await _adjust(admin, account_id, amount_micros)
            return await admin.account(account_id)

    return _summary(asyncio.run(run()))


async def _adjust(admin: Admin, account_id: int, amount_micros: int) -> None:
    await admin.apply(
        pb.AdminRequest(
            adjust_balance=pb.AdjustBalance(account_id=account_id, amount_micros=amount_micros)
        )
    )


async def _terms(admin: Admin) -> dict[int, pb.DefineInstrument]:
    return {info.terms.instrument_id: info.terms for info in await admin.instruments()}


def _summary(account: pb.Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "name": account.name,
        "cash": format_micros(account.cash_micros),
        "reserved": format_micros(account.reserved_micros),
        "buying_power": format_micros(account.buying_power_micros),
        "credit_limit": format_micros(account.credit_limit_micros),
        "may_sell_short": account.may_sell_short,
    }


def _position(position: pb.Position, terms: pb.DefineInstrument) -> dict[str, Any]:
    return {
        "symbol": terms.symbol,
        "qty": format_steps(position.qty_lots, terms.lot_size_nanos),
        "reserved": format_steps(position.reserved_lots, terms.lot_size_nanos),
        "cost": format_micros(position.cost_micros),
    }


def _amount(text: str) -> int:
    try:
        return parse_micros(text)
    except UnitError as error:
        raise CommandError(
            f"amount: {error}; write it as a decimal, for example 2500.50"
        ) from error


def _positive(text: str) -> int:
    amount_micros = _amount(text)
    if amount_micros <= 0:
        raise CommandError("the amount must be above zero")
    return amount_micros
