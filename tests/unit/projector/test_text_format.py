"""PostgreSQL's text format: every value comes back as it was."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from openvenue.projector import text_format

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


@given(INT64)
def test_nanos_are_exact(amount: int) -> None:
    assert Decimal(text_format.nanos(amount)) * 10**9 == amount


@given(INT64)
def test_micros_are_exact(amount: int) -> None:
    assert Decimal(text_format.micros(amount)) * 10**6 == amount


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_times_are_cut_to_microseconds(time_ns: int) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert datetime.fromisoformat(text_format.timestamp(time_ns)) == epoch + timedelta(
        microseconds=time_ns // 1000
    )


@given(st.text(alphabet=st.sampled_from("a\\\t\n\r\0N"), max_size=8))
def test_a_copied_text_never_breaks_its_line(text: str) -> None:
    copied = text_format.copy_text(text)
    assert not set(copied) & set("\t\n\r\0")
    back = copied.replace("\\\\", "\1").replace("\\t", "\t").replace("\\n", "\n")
    back = back.replace("\\r", "\r").replace("\1", "\\")
    assert back == text.replace("\0", "\ufffd")
