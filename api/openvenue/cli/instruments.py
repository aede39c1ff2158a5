"""`openvenue instruments`: what can be traded, on which terms."""

import asyncio
from typing import Annotated, Any

import typer

from openvenue.cli.admin import connect_admin
from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, venue_settings
from openvenue.cli.errors import CommandError
from openvenue.cli.output import JsonOption, print_record, print_rows
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.units import UnitError, format_nanos, format_steps, parse_nanos, parse_steps

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Define what can be traded.")

_CLASSES = {"us_equity": pb.ASSET_CLASS_US_EQUITY, "crypto": pb.ASSET_CLASS_CRYPTO}
_STATES = {"active": pb.INSTRUMENT_STATE_ACTIVE, "inactive": pb.INSTRUMENT_STATE_INACTIVE}

# What fits a terminal of 80 columns.
_LISTED = ("symbol", "name", "state", "tick", "lot", "last_price")


@app.command("list")
def list_instruments(
    data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False
) -> None:
    """List all instruments; with --json, all of their terms."""

    async def run() -> list[dict[str, Any]]:
        async with connect_admin(venue_settings(data_dir)) as admin:
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
    name: Annotated[str, typer.Option(help="At most 64 bytes.")] = "",
    asset_class: Annotated[str, typer.Option("--class", help="us_equity or crypto.")] = "us_equity",
    tick: Annotated[str, typer.Option(help="Smallest price step.")] = "0.01",
    lot: Annotated[str, typer.Option(help="Smallest quantity step.")] = "1",
    min_price: Annotated[
        str | None, typer.Option(help="Lowest price of an order; default: one tick.")
    ] = None,
    max_price: Annotated[str, typer.Option(help="Highest price of an order.")] = "100000",
    max_qty: Annotated[str, typer.Option(help="Largest quantity of an order.")] = "1000000",
    state: Annotated[str, typer.Option(help="active or inactive.")] = "active",
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Define an instrument, or change name, state or largest quantity of one."""
    terms = _definition(symbol, name, asset_class, state, tick, lot, min_price, max_price, max_qty)

    async def run() -> dict[str, Any]:
        async with connect_admin(venue_settings(data_dir)) as admin:
            known = {
                info.terms.symbol: info.terms.instrument_id for info in await admin.instruments()
            }
            terms.instrument_id = known.get(symbol, max(known.values(), default=0) + 1)
            await admin.apply(pb.AdminRequest(define_instrument=terms))
            return _summary(await admin.instrument(symbol))

    print_record(asyncio.run(run()), as_json=as_json)


def _definition(
    symbol: str,
    name: str,
    asset_class: str,
    state: str,
    tick: str,
    lot: str,
    min_price: str | None,
    max_price: str,
    max_qty: str,
) -> pb.DefineInstrument:
    """The terms in the engine's units; the instrument's number is still to be set."""
    if asset_class not in _CLASSES:
        raise CommandError(f"--class must be one of {', '.join(_CLASSES)}, not {asset_class}")
    if state not in _STATES:
        raise CommandError(f"--state must be one of {', '.join(_STATES)}, not {state}")
    try:
        tick_size_nanos, lot_size_nanos = parse_nanos(tick), parse_nanos(lot)
        if tick_size_nanos <= 0 or lot_size_nanos <= 0:
            raise CommandError("--tick and --lot must be above zero")
        return pb.DefineInstrument(
            symbol=symbol,
            name=name or symbol,
            asset_class=_CLASSES[asset_class],
            state=_STATES[state],
            tick_size_nanos=tick_size_nanos,
            lot_size_nanos=lot_size_nanos,
            min_price_ticks=parse_steps(min_price or tick, tick_size_nanos),
            max_price_ticks=parse_steps(max_price, tick_size_nanos),
            max_order_qty_lots=parse_steps(max_qty, lot_size_nanos),
        )
    except UnitError as error:
        raise CommandError(str(error)) from error


def _summary(info: pb.InstrumentInfo) -> dict[str, Any]:
    terms = info.terms
    tick_size_nanos = terms.tick_size_nanos
    last_price = info.last_price_ticks
    return {
        "instrument_id": terms.instrument_id,
        "symbol": terms.symbol,
        "name": terms.name,
        "class": pb.AssetClass.Name(terms.asset_class).removeprefix("ASSET_CLASS_").lower(),
        "state": pb.InstrumentState.Name(terms.state).removeprefix("INSTRUMENT_STATE_").lower(),
        "tick": format_nanos(tick_size_nanos),
        "lot": format_nanos(terms.lot_size_nanos),
        "min_price": format_steps(terms.min_price_ticks, tick_size_nanos),
        "max_price": format_steps(terms.max_price_ticks, tick_size_nanos),
        "max_qty": format_steps(terms.max_order_qty_lots, terms.lot_size_nanos),
        "last_price": format_steps(last_price, tick_size_nanos) if last_price else None,
    }
