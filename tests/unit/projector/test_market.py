"""Trades and bars that a run of journal entries results in."""

from typing import Any

import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.market.fold import MarketBatch
from openvenue.projector.projection import UnknownInstrument

from tests.projector.entries import SIZES, TIME_NS, entry

MINUTE_NS = 60 * 10**9
START_NS = TIME_NS // MINUTE_NS * MINUTE_NS


def traded(sequence: int, at_ns: int, *trades: tuple[int, int]) -> pb.JournalEntry:
    """Return the entry of an order that trades at these prices, in ticks, and lots."""
    made = entry(
        sequence,
        *(
            pb.Event(
                trade=pb.Trade(
                    trade_id=sequence * 10 + number,
                    instrument_id=1,
                    taker_side=pb.SIDE_SELL,
                    price_ticks=price_ticks,
                    qty_lots=qty_lots,
                )
            )
            for number, (price_ticks, qty_lots) in enumerate(trades)
        ),
        new_order=pb.NewOrder(account_id=1, instrument_id=1),
    )
    made.timestamp_ns = START_NS + at_ns
    return made


def fold(*entries: pb.JournalEntry, sizes: Any = SIZES) -> MarketBatch:
    batch = MarketBatch(dict(sizes))
    batch.add(entries)
    return batch


def test_a_trade_is_a_row_without_its_parties() -> None:
    batch = fold(traded(5, 1, (10_000, 3), (9_990, 2)))
    first, second = batch.trades
    assert first == (50, 1, 5, 100 * 10**9, 3 * 10**9, "sell", START_NS + 1)
    assert (second.trade_id, second.price_nanos) == (51, 99_900_000_000)


def test_the_trades_of_a_minute_are_a_bar() -> None:
    batch = fold(
        traded(1, 0, (10_000, 3)),
        traded(2, MINUTE_NS - 1, (10_010, 1), (9_980, 2)),
        traded(3, MINUTE_NS, (9_000, 1)),
    )
    first, second = (bar for bar in batch.bars.values() if bar.timeframe == "1Min")
    assert first.started_ns == START_NS
    prices = (first.open_nanos, first.high_nanos, first.low_nanos, first.close_nanos)
    assert prices == tuple(ticks * 10_000_000 for ticks in (10_000, 10_010, 9_980, 9_980))
    assert (first.volume_nanos, first.trades) == (6 * 10**9, 3)
    assert first.value_micros == 300_000_000 + 100_100_000 + 199_600_000
    assert (second.started_ns, second.trades) == (START_NS + MINUTE_NS, 1)
    (day,) = (bar for bar in batch.bars.values() if bar.timeframe == "1Day")
    assert (day.open_nanos, day.low_nanos) == (100 * 10**9, 90 * 10**9)
    assert (day.started_ns % (24 * 3600 * 10**9), day.trades) == (0, 4)
    assert batch.rows == 4 + 3


def test_entries_without_trades_have_no_rows() -> None:
    assert fold(entry(1, pb.Event(applied=pb.Applied()))).rows == 0


def test_an_instrument_defined_in_the_batch_has_its_own_sizes() -> None:
    terms = pb.DefineInstrument(instrument_id=1, tick_size_nanos=5, lot_size_nanos=7)
    defined = entry(1, pb.Event(applied=pb.Applied()), define_instrument=terms)
    batch = fold(defined, traded(2, 0, (10, 2)), sizes={})
    assert (batch.trades[0].price_nanos, batch.trades[0].qty_nanos) == (50, 14)


def test_a_trade_in_an_unknown_instrument_is_refused() -> None:
    with pytest.raises(UnknownInstrument, match="instrument 1 was never defined"):
        fold(traded(1, 0, (10, 2)), sizes={})
