"""Exact conversion between decimal strings outside and integers inside.

Outside, prices, quantities and amounts are decimal strings ("123.45"). Inside they are whole ticks,
lots and micros; tick and lot sizes are in nanos (1e-9). No float takes part, and nothing is rounded
on the way in: a value that is not a whole number of ticks or lots is an error.
"""

from decimal import Decimal
from functools import lru_cache

NANOS_PER_UNIT = 1_000_000_000
NANOS_PER_TRAIL_PPM = 100_000
"""A part per million, as which the engine takes a trail, in 1e-9 of a percent."""
MICROS_PER_UNIT = 1_000_000
NANOS_PER_MICRO = 1_000
INT64_MAX = (1 << 63) - 1

_FRACTION_DIGITS = 9
_TEXT_LENGTH_MAX = 40
# Prices and quantities repeat, and converting them is a fifth of an order's cost in Python.
_CACHE_ENTRIES_MAX = 1 << 14
_POWERS_OF_TEN: tuple[int, ...] = tuple(10**exponent for exponent in range(_FRACTION_DIGITS + 1))


class UnitError(ValueError):
    """A text that is not a decimal number, or one that its unit cannot hold exactly."""


class NotAMultiple(UnitError):
    """A number that is not a whole number of steps (ticks or lots)."""


def parse_nanos(text: str) -> int:
    """Return `text`, a decimal number such as "-12.5" or "1e-3", in nanos.

    Raises UnitError if it is not a finite decimal or has more than nine fractional digits.
    """
    # Nearly all numbers are plain digits, which need no Decimal.
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if len(fraction) <= _FRACTION_DIGITS and digits.isdecimal() and digits.isascii() and whole:
        if len(text) > _TEXT_LENGTH_MAX:
            raise UnitError(f"{text[:_TEXT_LENGTH_MAX]}… has too many digits")
        return int(digits) * _POWERS_OF_TEN[_FRACTION_DIGITS - len(fraction)]
    return _parse_unusual(text)


def _parse_unusual(text: str) -> int:
    if len(text) > _TEXT_LENGTH_MAX:
        raise UnitError(f"{text[:_TEXT_LENGTH_MAX]}… has too many digits")
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except ArithmeticError:
        raise UnitError(f"{text!r} is not a decimal number") from None
    if not isinstance(exponent, int) or "_" in text or not text.isascii() or text != text.strip():
        raise UnitError(f"{text!r} is not a decimal number")
    if abs(exponent) > _TEXT_LENGTH_MAX:
        raise UnitError(f"{text} is out of range")
    magnitude = int("".join(map(str, digits)))
    shift = exponent + _FRACTION_DIGITS
    if shift >= 0:
        nanos = magnitude * int(10**shift)
    else:
        nanos, rest = divmod(magnitude, int(10**-shift))
        if rest:
            raise UnitError(f"{text} has more than {_FRACTION_DIGITS} fractional digits")
    return -nanos if sign else nanos


@lru_cache(_CACHE_ENTRIES_MAX)
def parse_steps(text: str, step_nanos: int) -> int:
    """Return the number of steps (ticks or lots) of `step_nanos` in `text`.

    Raises UnitError if it is no decimal number or beyond 64 bits, NotAMultiple if it is not a
    whole number of steps.
    """
    steps, rest = divmod(parse_nanos(text), step_nanos)
    if rest:
        raise NotAMultiple(f"{text} is not a multiple of {format_nanos(step_nanos)}")
    if not -INT64_MAX <= steps <= INT64_MAX:
        raise UnitError(f"{text} is out of range")
    return steps


def parse_micros(text: str) -> int:
    """Return an amount of money in micros. Raises UnitError as `parse_steps` does."""
    return parse_steps(text, NANOS_PER_MICRO)


@lru_cache(_CACHE_ENTRIES_MAX)
def format_nanos(nanos: int) -> str:
    """Return the shortest plain decimal of `nanos`: no exponent, no trailing zeros, no "-0"."""
    if nanos < 0:
        return "-" + format_nanos(-nanos)
    whole, fraction = divmod(nanos, NANOS_PER_UNIT)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:09d}".rstrip("0")


def format_steps(steps: int, step_nanos: int) -> str:
    """Return `steps` ticks or lots as a plain decimal."""
    return format_nanos(steps * step_nanos)


def format_micros(micros: int) -> str:
    """Return an amount of money as a plain decimal."""
    return format_nanos(micros * NANOS_PER_MICRO)


def format_decimal(value: Decimal) -> str:
    """Return `value` as the shortest plain decimal: no exponent, no trailing zeros."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def decimal_from_steps(steps: int, step_nanos: int) -> Decimal:
    """Return `steps` ticks or lots as an exact Decimal, as the database stores it."""
    return Decimal(steps * step_nanos).scaleb(-9)


def decimal_from_micros(micros: int) -> Decimal:
    """Return an amount of money as an exact Decimal, as the database stores it."""
    return Decimal(micros).scaleb(-6)


def average_price_nanos(value_micros: int, qty_nanos: int) -> int:
    """Return value ÷ quantity in nanos, rounded half to even (an average need not be a tick).

    Precondition: `qty_nanos` is not 0.
    """
    numerator = value_micros * NANOS_PER_MICRO * NANOS_PER_UNIT
    quotient, rest = divmod(numerator, qty_nanos)
    twice = 2 * abs(rest)
    if twice > abs(qty_nanos) or (twice == abs(qty_nanos) and quotient % 2):
        quotient += 1
    return quotient
