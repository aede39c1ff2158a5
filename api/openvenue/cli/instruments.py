"""`openvenue instruments`: the tradable instruments and their terms."""

import asyncio
from typing import Annotated, Any

import typer

from openvenue.admin import documents
from openvenue.admin.instruments import WantedTerms, define_instrument
from openvenue.cli.connection import (
    DATA_DIR_DEFAULT,
    DataDirOption,
    administration,
    errors_of_commands,
)
from openvenue.commands import JsonOption, print_record, print_rows
from openvenue.engine.v1 import engine_pb2 as pb

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Define what can be traded.")


# The columns that fit a terminal of 80.
_LISTED = ("symbol", "name", "state", "tick", "lot", "last_price")


@app.command("list")
def list_instruments(
    data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False
) -> None:
    """List all instruments; with --json, all of their terms."""

    async def run() -> list[dict[str, Any]]:
        async with administration(data_dir) as admin:
            return [_summary(info) for info in await admin.instruments()]

    found = asyncio.run(run())
    print_rows(
        found if as_json else [{key: row[key] for key in _LISTED} for row in found],
        as_json=as_json,
        empty="No instruments yet; define one with `openvenue instruments define SYMBOL`.",
    )


@app.command()
def define(
    symbol: Annotated[str, typer.Argument(help="For example NFLX or SOL/USD; at most 24 bytes.")],
    name: Annotated[str | None, typer.Option(help="At most 64 bytes; default: the symbol.")] = None,
    asset_class: Annotated[
        str | None, typer.Option("--class", help="us_equity (default) or crypto.")
    ] = None,
    tick: Annotated[str | None, typer.Option(help="Smallest price step; default: 0.01.")] = None,
    lot: Annotated[str | None, typer.Option(help="Smallest quantity step; default: 1.")] = None,
    min_price: Annotated[
        str | None, typer.Option(help="Lowest price of an order; default: one tick.")
    ] = None,
    max_price: Annotated[
        str | None,
        typer.Option(help="Highest price of an order; default: 100000, or what the tick allows."),
    ] = None,
    max_qty: Annotated[
        str | None, typer.Option(help="Largest quantity of an order; default: 1000000.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="active (default) or inactive.")] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Define an instrument, or change its name, state or largest quantity.

    Terms that you do not name stay as they are; the defaults are for a new instrument.
    """
    wanted = WantedTerms(name, asset_class, tick, lot, min_price, max_price, max_qty, state)
    with errors_of_commands():
        wanted.check_names()

    async def run() -> dict[str, Any]:
        async with administration(data_dir) as admin:
            return _summary(await define_instrument(admin, symbol, wanted))

    print_record(asyncio.run(run()), as_json=as_json)


def _summary(info: pb.InstrumentInfo) -> dict[str, Any]:
    return documents.shown(documents.instrument(info))
