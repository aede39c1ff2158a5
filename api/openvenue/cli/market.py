"""`openvenue market`: resident traders, whose accounts it funds and whose process it runs."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from openvenue.cli.connection import (
    DATA_DIR_DEFAULT,
    DataDirOption,
    administration,
    venue_settings,
)
from openvenue.cli.local import market_day
from openvenue.cli.local.data_dir import DataDir
from openvenue.cli.local.demo import PRICES
from openvenue.cli.local.kept_keys import kept_keys
from openvenue.cli.local.market_day import MarketDay
from openvenue.cli.local.venue import market_environment
from openvenue.commands import CommandError, JsonOption, errors, print_rows
from openvenue.db.alchemy import DATABASE_ERRORS
from openvenue.market import __main__ as process
from openvenue.market.day_trader import ACCOUNTS
from openvenue.market.funding import define_missing
from openvenue.market.funding import fund as fund_accounts
from openvenue.reasons import reason_of

_ATTEMPT_INTERVAL_S = 1.0

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Keep the books quoted and trading."
)


@app.command()
def run(
    day: market_day.FileOption = None,
    day_symbol: market_day.SymbolOption = None,
    day_speed: market_day.SpeedOption = 1.0,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Trade until Ctrl-C, as `openvenue up --market` does. Settings: OPENVENUE_MARKET_…

    On a venue of this machine it funds its accounts first, and trades the demo instruments.
    """
    if day is not None:
        os.environ["OPENVENUE_MARKET_DAY_FILE"] = str(day)
        os.environ["OPENVENUE_MARKET_DAY_SPEED"] = str(day_speed)
        if day_symbol is not None:
            os.environ["OPENVENUE_MARKET_DAY_SYMBOL"] = day_symbol
    local = DataDir(data_dir)
    if "OPENVENUE_MARKET_KEYS_FILE" not in os.environ and (venue := local.running()):
        os.environ.update(
            {
                **market_environment(venue.api_url, local),
                **{k: v for k, v in os.environ.items() if k.startswith("OPENVENUE_MARKET_")},
            }
        )
        MarketDay.chosen(day, day_symbol, day_speed, PRICES)
        more = ACCOUNTS if day is not None else ()
        asyncio.run(_fund(data_dir, local.market_keys_file, PRICES, more))
    process.main()


@app.command()
def fund(
    keys_file: Annotated[
        Path, typer.Argument(dir_okay=False, help="File for the traders' keys; kept if it exists.")
    ],
    price: Annotated[
        list[str],
        typer.Option(help="SYMBOL=PRICE of an instrument to hold and trade; may be repeated."),
    ],
    define: Annotated[
        bool, typer.Option("--define", help="Define the instruments that the venue lacks.")
    ] = False,
    day: Annotated[
        bool, typer.Option("--day", help="Also the two accounts that replay a recorded day.")
    ] = False,
    wait_s: Annotated[
        float, typer.Option("--wait-s", min=0, help="How long to wait for the venue, seconds.")
    ] = 0,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Open the traders' accounts, top them up and write their keys. Repeating it is safe."""
    prices = dict(_price(each) for each in price)
    more = ACCOUNTS if day else ()

    async def run() -> list[dict[str, Any]]:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return await _fund(data_dir, keys_file, prices, more, define=define)
            except CommandError as error:
                if time.monotonic() >= deadline:
                    raise
                errors.print(f"waiting for the venue: {error}", markup=False, highlight=False)
            await asyncio.sleep(_ATTEMPT_INTERVAL_S)

    print_rows(asyncio.run(run()), as_json=as_json, empty="")


async def _fund(
    data_dir: Path,
    keys_file: Path,
    prices: Mapping[str, Decimal],
    more: Sequence[str],
    *,
    define: bool = False,
) -> list[dict[str, Any]]:
    settings = venue_settings(data_dir)
    async with administration(settings) as admin:
        if define:
            await define_missing(admin, prices)
        accounts = await fund_accounts(admin, prices, more)
    try:
        keys = await kept_keys(keys_file, accounts, settings)
    except DATABASE_ERRORS as error:
        raise CommandError(f"the database does not answer ({reason_of(error)})") from error
    return [{"account_id": key.account_id, "name": key.account} for key in keys]


def _price(text: str) -> tuple[str, Decimal]:
    symbol, _, number = text.rpartition("=")
    try:
        price = Decimal(number)
    except InvalidOperation:
        price = Decimal(0)
    if not symbol or not price.is_finite() or price <= 0:
        raise CommandError(f"{text} is no price: write one like AAPL=585.25")
    return symbol, price
