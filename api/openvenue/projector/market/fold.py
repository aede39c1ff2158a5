"""Folds journal entries into trades, and bars of a minute and of a day of UTC."""

from dataclasses import dataclass, field
from typing import NamedTuple

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.projection import Batch
from openvenue.vocabulary import SIDES

_TIMEFRAMES = {"1Min": 60 * 10**9, "1Day": 24 * 3600 * 10**9}
_MICROS_OF_NANOS_SQUARED = 10**12


class TradeRow(NamedTuple):
    """One trade, without its parties."""

    trade_id: int
    instrument_id: int
    sequence: int
    price_nanos: int
    qty_nanos: int
    taker_side: str
    executed_ns: int


@dataclass(slots=True)
class BarRow:
    """The batch's trades of one instrument in one minute or day."""

    instrument_id: int
    timeframe: str
    started_ns: int
    open_nanos: int
    high_nanos: int
    low_nanos: int
    close_nanos: int = 0
    volume_nanos: int = 0
    value_micros: int = 0
    trades: int = 0
    updated_sequence: int = 0


@dataclass(slots=True)
class MarketBatch(Batch):
    """Trades of a run of entries."""

    trades: list[TradeRow] = field(default_factory=list)
    bars: dict[tuple[int, str, int], BarRow] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows that the batch writes."""
        return len(self.trades) + len(self.bars)

    def fold(self, entry: pb.JournalEntry) -> None:
        """Fold one entry; an event of an unknown kind cannot be a trade."""
        for event in entry.events:
            kind = event.WhichOneof("body")
            if kind == "trade":
                self._traded(entry, event.trade)
            elif kind == "applied" and entry.HasField("define_instrument"):
                self.define(entry.define_instrument)

    def _traded(self, entry: pb.JournalEntry, trade: pb.Trade) -> None:
        instrument_id = trade.instrument_id
        tick_size_nanos, lot_size_nanos = self.sizes_of(instrument_id)
        price_nanos = trade.price_ticks * tick_size_nanos
        qty_nanos = trade.qty_lots * lot_size_nanos
        self.trades.append(
            TradeRow(
                trade.trade_id,
                instrument_id,
                entry.sequence,
                price_nanos,
                qty_nanos,
                SIDES[trade.taker_side],
                entry.timestamp_ns,
            )
        )
        for timeframe, length_ns in _TIMEFRAMES.items():
            started_ns = entry.timestamp_ns // length_ns * length_ns
            bar = self.bars.get((instrument_id, timeframe, started_ns))
            if bar is None:
                bar = self.bars[instrument_id, timeframe, started_ns] = BarRow(
                    instrument_id, timeframe, started_ns, price_nanos, price_nanos, price_nanos
                )
            bar.high_nanos = max(bar.high_nanos, price_nanos)
            bar.low_nanos = min(bar.low_nanos, price_nanos)
            bar.close_nanos = price_nanos
            bar.volume_nanos += qty_nanos
            # One lot at one tick is whole micros.
            bar.value_micros += price_nanos * qty_nanos // _MICROS_OF_NANOS_SQUARED
            bar.trades += 1
            bar.updated_sequence = entry.sequence
