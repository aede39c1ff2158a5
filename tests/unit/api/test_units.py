"""Conversion of decimal strings to integers and back is exact, or refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvenue import units

CENT = 10_000_000  # nanos

decimals = st.decimals(
    min_value=Decimal("-1e9"), max_value=Decimal("1e9"), allow_nan=False, places=9
)
steps = st.integers(min_value=-(10**12), max_value=10**12)
step_sizes = st.sampled_from([1, 1000, 10**5, CENT, 10**8, 10**9, 25 * 10**7])


@given(decimals)
def test_parsing_agrees_with_decimal_arithmetic(value: Decimal) -> None:
    assert units.parse_nanos(f"{value:f}") == int(value.scaleb(9))


@given(decimals)
def test_exponents_mean_the_same(value: Decimal) -> None:
    assert units.parse_nanos(f"{value:E}") == int(value.scaleb(9))


@given(steps, step_sizes)
def test_formatted_steps_parse_to_the_same_steps(count: int, size: int) -> None:
    assert units.parse_steps(units.format_steps(count, size), size) == count


@given(st.integers(min_value=-(10**24), max_value=10**24))
def test_formatting_is_plain_and_shortest(nanos: int) -> None:
    text = units.format_nanos(nanos)
    assert Decimal(text).scaleb(9) == nanos
    assert "E" not in text
    assert text != "-0"
    if "." in text:
        assert not text.endswith(("0", "."))


@given(decimals)
def test_database_decimals_format_like_engine_integers(value: Decimal) -> None:
    assert units.format_decimal(value) == units.format_nanos(int(value.scaleb(9)))


@given(steps, step_sizes)
def test_database_decimals_are_exact(count: int, size: int) -> None:
    assert units.decimal_from_steps(count, size).scaleb(9) == count * size


@given(
    st.integers(min_value=-(10**15), max_value=10**15),
    st.integers(min_value=1, max_value=10**15).flatmap(lambda n: st.sampled_from([n, -n])),
)
def test_average_price_is_within_half_a_nano(value_micros: int, qty_nanos: int) -> None:
    average = units.average_price_nanos(value_micros, qty_nanos)
    exact = value_micros * 10**12
    assert abs(average * qty_nanos - exact) * 2 <= abs(qty_nanos)


@given(st.text(max_size=50))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        nanos = units.parse_nanos(text)
    except units.UnitError:
        return
    assert Fraction(Decimal(text)) * 10**9 == nanos


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "abc",
        "NaN",
        "Infinity",
        "1_000",
        " 1",
        "1 ",
        "0x10",
        "١٢",
        "1e999999",
        "9" * 99,
    ],
)
def test_an_invalid_amount_is_refused(text: str) -> None:
    with pytest.raises(units.UnitError):
        units.parse_nanos(text)


def test_a_value_between_two_steps_is_refused() -> None:
    with pytest.raises(units.UnitError, match=r"multiple of 0\.01"):
        units.parse_steps("10.005", CENT)


def test_a_value_beyond_64_bits_is_refused() -> None:
    with pytest.raises(units.UnitError, match="out of range"):
        units.parse_steps("99999999999999999999", units.NANOS_PER_UNIT)
