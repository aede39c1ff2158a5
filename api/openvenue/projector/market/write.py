"""Writes batches of market data to PostgreSQL."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from openvenue.projector import text_format as fmt
from openvenue.projector.market.fold import BarRow, MarketBatch, TradeRow
from openvenue.projector.partitions import days_of, ensure_days
from openvenue.projector.projection import Projection, Start, copy_rows

if TYPE_CHECKING:
    import asyncpg

_TRADE_COLUMNS = (
    "shard_id",
    "trade_id",
    "instrument_id",
    "sequence",
    "price",
    "qty",
    "taker_side",
    "executed_at",
)

_MERGE_BARS = """
INSERT INTO bars AS b (shard_id, instrument_id, timeframe, started_at, open, high, low, close,
                       volume, value, trades, updated_sequence)
SELECT $1, instrument_id, timeframe, started_at::timestamptz, open::numeric, high::numeric,
       low::numeric, close::numeric, volume::numeric, value::numeric, trades, updated_sequence
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::bigint[], $12::bigint[])
  AS c(instrument_id, timeframe, started_at, open, high, low, close, volume, value, trades,
       updated_sequence)
ON CONFLICT (shard_id, instrument_id, timeframe, started_at) DO UPDATE SET
  high = greatest(b.high, excluded.high), low = least(b.low, excluded.low),
  close = excluded.close, volume = b.volume + excluded.volume, value = b.value + excluded.value,
  trades = b.trades + excluded.trades, updated_sequence = excluded.updated_sequence
"""


class Market(Projection):
    """Trades, kept for a number of days, and bars, kept for ever."""

    name = "market"
    offsets = "market_offsets"
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "trades": ("trade_id", "executed_at"),
        "bars": ("instrument_id", "timeframe", "started_at"),
    }

    def __init__(self, trades_kept_days: int) -> None:
        self._trades_kept_days = trades_kept_days

    async def begin(self, start: Start) -> Callable[[], MarketBatch]:
        """Return what makes an empty batch."""
        return lambda: MarketBatch(start.sizes)

    async def write(
        self, connection: "asyncpg.Connection[Any]", shard_id: int, batch: MarketBatch
    ) -> None:
        """Write the rows of a batch."""
        if not batch.trades:
            return
        days = days_of(row.executed_ns for row in batch.trades)
        kept_ns = await ensure_days(connection, "trades", days, self._trades_kept_days)
        trades = (row for row in batch.trades if row.executed_ns >= kept_ns)
        await copy_rows(connection, "trades", _TRADE_COLUMNS, _trades(shard_id, trades))
        await _merge_bars(connection, shard_id, list(batch.bars.values()))


def _trades(shard_id: int, rows: Iterable[TradeRow]) -> Iterable[str]:
    for row in rows:
        yield (
            f"{shard_id}\t{row.trade_id}\t{row.instrument_id}\t{row.sequence}\t"
            f"{fmt.nanos(row.price_nanos)}\t{fmt.nanos(row.qty_nanos)}\t{row.taker_side}\t"
            f"{fmt.timestamp(row.executed_ns)}\n"
        )


async def _merge_bars(
    connection: "asyncpg.Connection[Any]", shard_id: int, bars: list[BarRow]
) -> None:
    await connection.execute(
        _MERGE_BARS,
        shard_id,
        [bar.instrument_id for bar in bars],
        [bar.timeframe for bar in bars],
        [fmt.timestamp(bar.started_ns) for bar in bars],
        [fmt.nanos(bar.open_nanos) for bar in bars],
        [fmt.nanos(bar.high_nanos) for bar in bars],
        [fmt.nanos(bar.low_nanos) for bar in bars],
        [fmt.nanos(bar.close_nanos) for bar in bars],
        [fmt.nanos(bar.volume_nanos) for bar in bars],
        [fmt.micros(bar.value_micros) for bar in bars],
        [bar.trades for bar in bars],
        [bar.updated_sequence for bar in bars],
    )
