"""`openvenue instruments`: the tradable instruments and their terms."""

import asyncio
from dataclasses import dataclass
from math import gcd
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

# The engine's bounds, see engine/src/core/command.h.
_PRICE_RANGE_TICKS_MAX = 1 << 26
_PRICE_TICKS_MAX = 1 << 40
_ORDER_QTY_LOTS_MAX = 1 << 38
_TICK_VALUE_MAX = 1 << 47  # micros
_NANOS_SQUARED_PER_MICRO = 10**12

_MAX_PRICE = "100000"

# The columns that fit a terminal of 80.
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
    wanted = _Wanted(name, asset_class, tick, lot, min_price, max_price, max_qty, state)
    wanted.check_names()

    async def run() -> dict[str, Any]:
        async with connect_admin(venue_settings(data_dir)) as admin:
            known = {info.terms.symbol: info.terms for info in await admin.instruments()}
            terms = wanted.terms(symbol, known.get(symbol))
            if symbol not in known:
                numbers = (each.instrument_id for each in known.values())
                terms.instrument_id = max(numbers, default=0) + 1
            await admin.apply(pb.AdminRequest(define_instrument=terms))
            return _summary(await admin.instrument(symbol))

    print_record(asyncio.run(run()), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Terms that the command names; None: not named."""

    name: str | None
    asset_class: str | None
    tick: str | None
    lot: str | None
    min_price: str | None
    max_price: str | None
    max_qty: str | None
    state: str | None

    def check_names(self) -> None:
        """Raise CommandError for an unknown word."""
        if self.asset_class not in (None, *_CLASSES):
            raise CommandError(
                f"--class must be one of {', '.join(_CLASSES)}, not {self.asset_class}"
            )
        if self.state not in (None, *_STATES):
            raise CommandError(f"--state must be one of {', '.join(_STATES)}, not {self.state}")

    def terms(self, symbol: str, known: pb.DefineInstrument | None) -> pb.DefineInstrument:
        """Return the terms in the engine's units; those not named are those of `known`.

        A new instrument's number is not set yet. Raises CommandError.
        """
        try:
            return self._new(symbol) if known is None else self._changed(known)
        except UnitError as error:
            raise CommandError(str(error)) from error

    def _new(self, symbol: str) -> pb.DefineInstrument:
        tick_nanos, lot_nanos = parse_nanos(self.tick or "0.01"), parse_nanos(self.lot or "1")
        if tick_nanos <= 0 or lot_nanos <= 0:
            raise CommandError("--tick and --lot must be above zero")
        lowest = parse_steps(self.min_price, tick_nanos) if self.min_price else 1
        if self.max_price:
            highest = parse_steps(self.max_price, tick_nanos)
        else:
            highest = min(
                parse_nanos(_MAX_PRICE) // tick_nanos, lowest + _PRICE_RANGE_TICKS_MAX - 1
            )
        terms = pb.DefineInstrument(
            symbol=symbol,
            name=self.name or symbol,
            asset_class=_CLASSES[self.asset_class or "us_equity"],
            state=_STATES[self.state or "active"],
            tick_size_nanos=tick_nanos,
            lot_size_nanos=lot_nanos,
            min_price_ticks=lowest,
            max_price_ticks=highest,
            max_order_qty_lots=parse_steps(self.max_qty or "1000000", lot_nanos),
        )
        _check_bounds(terms)
        return terms

    def _changed(self, known: pb.DefineInstrument) -> pb.DefineInstrument:
        terms = pb.DefineInstrument()
        terms.CopyFrom(known)
        if self.name:
            terms.name = self.name
        if self.asset_class:
            terms.asset_class = _CLASSES[self.asset_class]
        if self.state:
            terms.state = _STATES[self.state]
        if self.tick:
            terms.tick_size_nanos = parse_nanos(self.tick)
        if self.lot:
            terms.lot_size_nanos = parse_nanos(self.lot)
        if self.tick or self.lot:
            fixed = (known.tick_size_nanos, known.lot_size_nanos)
            if fixed != (terms.tick_size_nanos, terms.lot_size_nanos):
                raise CommandError(
                    f"tick and lot of {known.symbol} cannot change: define another symbol, and set "
                    "this one to --state inactive"
                )
        if self.min_price:
            terms.min_price_ticks = parse_steps(self.min_price, known.tick_size_nanos)
        if self.max_price:
            terms.max_price_ticks = parse_steps(self.max_price, known.tick_size_nanos)
        if self.max_qty:
            terms.max_order_qty_lots = parse_steps(self.max_qty, known.lot_size_nanos)
        _check_bounds(terms)
        return terms


def _check_bounds(terms: pb.DefineInstrument) -> None:
    """Raise CommandError that names the engine's bound that is exceeded, and a valid value."""
    tick, lot = format_nanos(terms.tick_size_nanos), format_nanos(terms.lot_size_nanos)
    if terms.tick_size_nanos * terms.lot_size_nanos % _NANOS_SQUARED_PER_MICRO:
        step = _NANOS_SQUARED_PER_MICRO // gcd(terms.tick_size_nanos, _NANOS_SQUARED_PER_MICRO)
        raise CommandError(
            f"a lot of {lot} at a tick of {tick} is worth less than a whole number of 0.000001: "
            f"make --lot a multiple of {format_nanos(step)}, or --tick larger"
        )
    if terms.tick_size_nanos * terms.lot_size_nanos > _TICK_VALUE_MAX * _NANOS_SQUARED_PER_MICRO:
        raise CommandError(
            f"a lot of {lot} at a tick of {tick} is worth too much: make one smaller"
        )
    if not 1 <= terms.min_price_ticks <= terms.max_price_ticks:
        raise CommandError(
            f"prices must be at least one tick ({tick}), and --max-price not below --min-price"
        )
    highest = min(terms.min_price_ticks + _PRICE_RANGE_TICKS_MAX - 1, _PRICE_TICKS_MAX)
    if terms.max_price_ticks > highest:
        most = format_steps(highest, terms.tick_size_nanos)
        raise CommandError(
            f"there are at most {_PRICE_RANGE_TICKS_MAX} ticks of {tick} from the lowest to the "
            f"highest price: make --max-price at most {most}, or --tick larger"
        )
    if not 1 <= terms.max_order_qty_lots <= _ORDER_QTY_LOTS_MAX:
        most = format_steps(_ORDER_QTY_LOTS_MAX, terms.lot_size_nanos)
        raise CommandError(f"--max-qty must be from one lot ({lot}) to {most}")


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
