"""Folds journal entries into quotes: one for each best bid and ask that an entry left behind.

They are the quotes of the streams, and of the same books.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.journal.books import Books
from openvenue.projector.projection import Batch


class QuoteRow(NamedTuple):
    """An instrument's best bid and ask from an entry on; None: that side is empty."""

    instrument_id: int
    sequence: int
    bid_price_nanos: int | None
    bid_qty_nanos: int | None
    ask_price_nanos: int | None
    ask_qty_nanos: int | None
    quoted_ns: int


@dataclass(slots=True)
class QuotesBatch(Batch):
    """Quotes of a run of entries.

    `books` are those before the first entry, and afterwards those after the last one.
    """

    books: Books = field(default_factory=Books)
    quotes: list[QuoteRow] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows that the batch writes."""
        return len(self.quotes)

    def fold(self, entry: pb.JournalEntry) -> None:
        """Fold one entry; an event of an unknown kind cannot change a book.

        Raises UnknownOrder.
        """
        if entry.HasField("define_instrument"):
            if any(event.HasField("applied") for event in entry.events):
                self.define(entry.define_instrument)
            return
        for instrument_id, (bid, ask) in self.books.apply(entry).tops.items():
            tick_size_nanos, lot_size_nanos = self.sizes_of(instrument_id)
            bid_ticks, bid_lots = bid or (None, None)
            ask_ticks, ask_lots = ask or (None, None)
            self.quotes.append(
                QuoteRow(
                    instrument_id,
                    entry.sequence,
                    None if bid_ticks is None else bid_ticks * tick_size_nanos,
                    None if bid_lots is None else bid_lots * lot_size_nanos,
                    None if ask_ticks is None else ask_ticks * tick_size_nanos,
                    None if ask_lots is None else ask_lots * lot_size_nanos,
                    entry.timestamp_ns,
                )
            )
