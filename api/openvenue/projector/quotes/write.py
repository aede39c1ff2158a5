"""Writes batches of quotes to PostgreSQL."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from openvenue.projector import text_format as fmt
from openvenue.projector.partitions import days_of, drop_days, ensure_days
from openvenue.projector.projection import Projection, Start, copy_rows
from openvenue.projector.quotes.books_at import books_at
from openvenue.projector.quotes.fold import QuoteRow, QuotesBatch

if TYPE_CHECKING:
    import asyncpg

_COLUMNS = (
    "shard_id",
    "instrument_id",
    "sequence",
    "bid_price",
    "bid_qty",
    "ask_price",
    "ask_qty",
    "quoted_at",
)


class Quotes(Projection):
    """Quotes, kept for a number of days."""

    name = "quotes"
    offsets = "quotes_offsets"
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "quotes": ("instrument_id", "quoted_at", "sequence")
    }

    def __init__(self, kept_days: int, *, on: bool = True) -> None:
        self._kept_days = kept_days
        self._on = on

    @property
    def is_on(self) -> bool:
        """False: it writes nothing."""
        return self._on

    async def drop_old(self, connection: "asyncpg.Connection[Any]", now_ns: int) -> None:
        """Drop the days that are no longer kept."""
        (today,) = days_of([now_ns])
        await drop_days(connection, "quotes", today, self._kept_days)

    async def begin(self, start: Start) -> Callable[[], QuotesBatch]:
        """Return what makes an empty batch over the books of the one before."""
        books = await books_at(start)
        return lambda: QuotesBatch(start.sizes, books=books)

    async def write(
        self, connection: "asyncpg.Connection[Any]", shard_id: int, batch: QuotesBatch
    ) -> None:
        """Write the rows of a batch."""
        if not batch.quotes:
            return
        days = days_of(row.quoted_ns for row in batch.quotes)
        kept_ns = await ensure_days(connection, "quotes", days, self._kept_days)
        kept = (row for row in batch.quotes if row.quoted_ns >= kept_ns)
        await copy_rows(connection, "quotes", _COLUMNS, _lines(shard_id, kept))


def _lines(shard_id: int, rows: Iterable[QuoteRow]) -> Iterable[str]:
    for row in rows:
        bid_price, bid_qty, ask_price, ask_qty = (
            fmt.NULL if nanos is None else fmt.nanos(nanos) for nanos in row[2:6]
        )
        yield (
            f"{shard_id}\t{row.instrument_id}\t{row.sequence}\t{bid_price}\t{bid_qty}\t"
            f"{ask_price}\t{ask_qty}\t{fmt.timestamp(row.quoted_ns)}\n"
        )
