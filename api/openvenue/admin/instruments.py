"""Defines instruments, and changes their changeable terms."""

from dataclasses import dataclass
from math import gcd
from typing import Any

from openvenue.admin.client import Admin
from openvenue.admin.errors import InvalidRequest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.units import UnitError, format_nanos, format_steps, parse_nanos, parse_steps
from openvenue.vocabulary import ASSET_CLASSES, INSTRUMENT_STATES, Words

# The engine's bounds, see engine/src/core/schema/command.h.
_PRICE_RANGE_TICKS_MAX = 1 << 26
_PRICE_TICKS_MAX = 1 << 40
_ORDER_QTY_LOTS_MAX = 1 << 38
_TICK_VALUE_MAX = 1 << 47  # micros
_NANOS_SQUARED_PER_MICRO = 10**12

_MAX_PRICE = "100000"


async def define_instrument(admin: Admin, symbol: str, wanted: "WantedTerms") -> pb.InstrumentInfo:
    """Define an instrument, or change one: unnamed terms stay. Raises AdminError."""
    known = {info.terms.symbol: info.terms for info in await admin.instruments()}
    terms = wanted.terms(symbol, known.get(symbol))
    if symbol not in known:
        terms.instrument_id = max((each.instrument_id for each in known.values()), default=0) + 1
    await admin.apply(pb.AdminRequest(define_instrument=terms))
    return await admin.instrument(symbol)


@dataclass(frozen=True, slots=True)
class WantedTerms:
    """Terms that the caller names, in decimals and words; None: not named."""

    name: str | None = None
    asset_class: str | None = None
    tick: str | None = None
    lot: str | None = None
    min_price: str | None = None
    max_price: str | None = None
    max_qty: str | None = None
    state: str | None = None

    def check_names(self) -> None:
        """Raise InvalidRequest for an unknown word."""
        _check_word("{class}", self.asset_class, ASSET_CLASSES)
        _check_word("{state}", self.state, INSTRUMENT_STATES)

    def terms(self, symbol: str, known: pb.DefineInstrument | None) -> pb.DefineInstrument:
        """Return the terms in the engine's units; those not named are those of `known`.

        A new instrument's number is not set yet. Raises InvalidRequest.
        """
        try:
            return self._new(symbol) if known is None else self._changed(known)
        except UnitError as error:
            raise InvalidRequest(str(error)) from error

    def _new(self, symbol: str) -> pb.DefineInstrument:
        tick_nanos, lot_nanos = parse_nanos(self.tick or "0.01"), parse_nanos(self.lot or "1")
        if tick_nanos <= 0 or lot_nanos <= 0:
            raise InvalidRequest("{tick} and {lot} must be above zero")
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
            asset_class=ASSET_CLASSES.numbers[self.asset_class or "us_equity"],
            state=INSTRUMENT_STATES.numbers[self.state or "active"],
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
            terms.asset_class = ASSET_CLASSES.numbers[self.asset_class]
        if self.state:
            terms.state = INSTRUMENT_STATES.numbers[self.state]
        if self.tick:
            terms.tick_size_nanos = parse_nanos(self.tick)
        if self.lot:
            terms.lot_size_nanos = parse_nanos(self.lot)
        if self.tick or self.lot:
            fixed = (known.tick_size_nanos, known.lot_size_nanos)
            if fixed != (terms.tick_size_nanos, terms.lot_size_nanos):
                raise InvalidRequest(
                    f"tick and lot of {known.symbol} cannot change: define another symbol, and set "
                    "the {state} of this one to inactive"
                )
        if self.min_price:
            terms.min_price_ticks = parse_steps(self.min_price, known.tick_size_nanos)
        if self.max_price:
            terms.max_price_ticks = parse_steps(self.max_price, known.tick_size_nanos)
        if self.max_qty:
            terms.max_order_qty_lots = parse_steps(self.max_qty, known.lot_size_nanos)
        _check_bounds(terms)
        return terms


def _check_word(field: str, word: str | None, words: Words[Any]) -> None:
    if word is not None and word not in words.numbers:
        raise InvalidRequest(f"{field} must be one of {', '.join(words.numbers)}, not {word}")


def _check_bounds(terms: pb.DefineInstrument) -> None:
    """Raise InvalidRequest that names the engine's bound that is exceeded, and a valid value."""
    tick, lot = format_nanos(terms.tick_size_nanos), format_nanos(terms.lot_size_nanos)
    if terms.tick_size_nanos * terms.lot_size_nanos % _NANOS_SQUARED_PER_MICRO:
        step = _NANOS_SQUARED_PER_MICRO // gcd(terms.tick_size_nanos, _NANOS_SQUARED_PER_MICRO)
        raise InvalidRequest(
            f"a lot of {lot} at a tick of {tick} is worth less than a whole number of 0.000001: "
            f"make {{lot}} a multiple of {format_nanos(step)}, or {{tick}} larger"
        )
    if terms.tick_size_nanos * terms.lot_size_nanos > _TICK_VALUE_MAX * _NANOS_SQUARED_PER_MICRO:
        raise InvalidRequest(
            f"a lot of {lot} at a tick of {tick} is worth too much: make one smaller"
        )
    if not 1 <= terms.min_price_ticks <= terms.max_price_ticks:
        raise InvalidRequest(
            f"prices must be at least one tick ({tick}), and {{max_price}} not below {{min_price}}"
        )
    highest = min(terms.min_price_ticks + _PRICE_RANGE_TICKS_MAX - 1, _PRICE_TICKS_MAX)
    if terms.max_price_ticks > highest:
        most = format_steps(highest, terms.tick_size_nanos)
        raise InvalidRequest(
            f"there are at most {_PRICE_RANGE_TICKS_MAX} ticks of {tick} from the lowest to the "
            f"highest price: make {{max_price}} at most {most}, or {{tick}} larger"
        )
    if not 1 <= terms.max_order_qty_lots <= _ORDER_QTY_LOTS_MAX:
        most = format_steps(_ORDER_QTY_LOTS_MAX, terms.lot_size_nanos)
        raise InvalidRequest(f"{{max_qty}} must be from one lot ({lot}) to {most}")
