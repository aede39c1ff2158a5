"""Trading days follow each other at the same time of the day."""

import pytest
from openvenue.engine.trading_day import TradingDay

END_NS = 1_764_633_600_000_000_000
DAY_NS = TradingDay.LENGTH_NS


@pytest.mark.parametrize(
    ("timestamp_ns", "end_ns"),
    [
        (END_NS - 1, END_NS),
        (END_NS, END_NS + DAY_NS),
        (END_NS - DAY_NS, END_NS),
        (END_NS - DAY_NS - 1, END_NS - DAY_NS),
        (END_NS + 5 * DAY_NS + 1, END_NS + 6 * DAY_NS),
    ],
)
def test_one_end_tells_all_the_others(timestamp_ns: int, end_ns: int) -> None:
    assert not TradingDay().known
    trading_day = TradingDay(END_NS)
    assert trading_day.known
    assert trading_day.end_after(timestamp_ns) == end_ns
