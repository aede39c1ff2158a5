"""`openvenue accounts`: accounts, their cash and positions."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from openvenue.admin import documents
from openvenue.admin.accounts import NewAccount, move_cash, move_position, open_account
from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
from openvenue.admin.once import Once
from openvenue.admin.resets import OrdersFilter, cancel_orders, clone_account, reset_account
from openvenue.admin.suspension import set_trading_blocked
from openvenue.cli.connection import (
    DATA_DIR_DEFAULT,
    DataDirOption,
    administration,
    errors_of_commands,
    venue_settings,
)
from openvenue.commands import CommandError, JsonOption, print_record, print_rows
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.units import UnitError, parse_micros
from openvenue.vocabulary import SIDES, Side

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Open accounts, and move money and positions."
)

KeyOption = Annotated[
    str | None,
    typer.Option(help="A word of your own: the command again with it does nothing again."),
]
AccountArgument = Annotated[int, typer.Argument(min=1, help="Account number.")]


@app.command("list")
def list_accounts(data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False) -> None:
    """List all accounts with their cash."""

    async def run() -> list[dict[str, Any]]:
        async with administration(data_dir) as admin:
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

    async def run() -> documents.AccountDetails:
        async with administration(data_dir) as admin:
            return documents.account_details(await admin.account(account_id), await admin.terms())

    shown = documents.shown(asyncio.run(run()))
    if as_json:
        print_record(shown, as_json=True)
        return
    positions = shown.pop("positions")
    print_record(shown, as_json=False)
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
    """Open an account; make it a key with `openvenue keys create`."""
    new = NewAccount(name, account_id, _amount(cash), _amount(credit_limit), may_sell_short)
    with errors_of_commands():
        new.check()

    async def run() -> pb.Account:
        async with administration(data_dir) as admin:
            return await open_account(admin, new)

    print_record(_summary(asyncio.run(run())), as_json=as_json)


@app.command()
def deposit(
    account_id: AccountArgument,
    amount: Annotated[str, typer.Argument(help="Decimal, for example 2500.50.")],
    idempotency_key: KeyOption = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Add money to an account."""
    moved = _move_cash(data_dir, account_id, _positive(amount), idempotency_key)
    print_record(moved, as_json=as_json)


@app.command()
def withdraw(
    account_id: AccountArgument,
    amount: Annotated[str, typer.Argument(help="Decimal, for example 2500.50.")],
    idempotency_key: KeyOption = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Take money from an account, except what open orders reserve."""
    moved = _move_cash(data_dir, account_id, -_positive(amount), idempotency_key)
    print_record(moved, as_json=as_json)


@app.command()
def position(
    account_id: AccountArgument,
    symbol: Annotated[str, typer.Argument(help="Instrument.")],
    qty: Annotated[str, typer.Argument(help="Change; write a decrease as: -- -10.")],
    cost: Annotated[str, typer.Option(help="Change of the cost basis; no money moves.")] = "0",
    idempotency_key: KeyOption = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Add to an account's position, or take from it."""
    cost_micros = _amount(cost)

    async def run() -> bytes:
        async with _once(data_dir, idempotency_key) as (admin, once):
            return await move_position(admin, once, account_id, symbol, qty, cost_micros)

    print_record({"account_id": account_id, **json.loads(asyncio.run(run()))}, as_json=as_json)


@app.command("cancel-orders")
def cancel_open(
    account_id: AccountArgument,
    symbol: Annotated[str | None, typer.Option(help="Only those of this instrument.")] = None,
    side: Annotated[str | None, typer.Option(help="Only those of this side: buy or sell.")] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Cancel an account's open orders; block it first, so that none come after."""
    if side is not None and side not in SIDES.numbers:
        raise CommandError(f"--side must be {' or '.join(SIDES.numbers)}, not {side}")
    wanted = OrdersFilter(symbol, cast("Side | None", side))

    async def run() -> documents.CanceledOrders:
        async with administration(data_dir) as admin:
            canceled = await cancel_orders(admin, account_id, wanted)
            return documents.CanceledOrders(account_id=account_id, canceled=canceled)

    print_record(documents.shown(asyncio.run(run())), as_json=as_json)


@app.command()
def reset(
    account_id: AccountArgument,
    cash: Annotated[str, typer.Option(help="Money that it has afterwards.")],
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Cancel an account's orders, empty its positions and set its cash; block it if it trades."""
    cash_micros = _amount(cash)

    async def run() -> pb.Account:
        async with administration(data_dir) as admin:
            return await reset_account(admin, account_id, cash_micros)

    print_record(_summary(asyncio.run(run())), as_json=as_json)


@app.command()
def clone(
    account_id: AccountArgument,
    name: Annotated[str, typer.Argument(help="What to call the new one; at most 64 bytes.")],
    new_id: Annotated[
        int | None, typer.Option("--id", min=1, help="Account number; default: the next free one.")
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Open an account with another's terms, cash and positions; not its orders and keys."""

    async def run() -> pb.Account:
        async with administration(data_dir) as admin:
            return await clone_account(admin, account_id, name, new_id)

    print_record(_summary(asyncio.run(run())), as_json=as_json)


@app.command()
def block(
    account_id: AccountArgument,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Block an account from trading: it can still read, and cancel what is open."""
    _set_blocked(data_dir, account_id, True, as_json)


@app.command()
def unblock(
    account_id: AccountArgument,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Let an account trade again."""
    _set_blocked(data_dir, account_id, False, as_json)


def _set_blocked(data_dir: DataDirOption, account_id: int, blocked: bool, as_json: bool) -> None:
    async def run() -> None:
        settings = venue_settings(data_dir)
        async with (
            administration(settings) as admin,
            AdminDatabase(settings, "openvenue-cli") as database,
        ):
            await set_trading_blocked(admin, database, account_id, blocked)

    asyncio.run(run())
    record = documents.AccountBlock(account_id=account_id, trading_blocked=blocked)
    print_record(documents.shown(record), as_json=as_json)


def _move_cash(
    data_dir: Path, account_id: int, amount_micros: int, idempotency_key: str | None
) -> dict[str, Any]:
    async def run() -> bytes:
        async with _once(data_dir, idempotency_key) as (admin, once):
            return await move_cash(admin, once, account_id, amount_micros)

    moved: dict[str, Any] = json.loads(asyncio.run(run()))
    return moved


@asynccontextmanager
async def _once(
    data_dir: Path, idempotency_key: str | None
) -> AsyncIterator[tuple[Admin, Once | None]]:
    """Connect to the administration, and with a key to the database, which keeps it."""
    settings = venue_settings(data_dir)
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(administration(settings))
        if idempotency_key is None:
            yield admin, None
            return
        database = AdminDatabase(settings, "openvenue-cli")
        yield admin, Once(await stack.enter_async_context(database), idempotency_key)


def _summary(account: pb.Account) -> dict[str, Any]:
    return documents.shown(documents.account_summary(account))


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
