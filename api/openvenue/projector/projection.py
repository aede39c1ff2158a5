"""A projection is a pure fold of the journal into rows, with an offset of its own.

Each projection follows the journal by itself, so one that is new, behind or at fault holds up no
other. They share the process and its connection.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.vocabulary import UnknownEnumerator

if TYPE_CHECKING:
    import asyncpg

    from openvenue.projector.store import Store
    from openvenue.settings import Settings


class UnknownInstrument(Exception):
    """An entry names an instrument that the engine does not have: it is another journal's."""


class Sizes(NamedTuple):
    """Value of one tick and one lot of an instrument."""

    tick_size_nanos: int
    lot_size_nanos: int


@dataclass(slots=True)
class Batch(ABC):
    """Consecutive entries, folded into the final state of everything that they touched.

    It is a pure function of the entries and the instruments' terms; it reads neither clock nor
    database, so the same journal gives the same rows. `sizes` must know every instrument defined
    before the first entry; definitions inside the batch extend it.

    Units: prices and quantities in nanos (1e-9 of the currency or of a unit), cash in micros
    (1e-6), times in nanoseconds since the Unix epoch. All are exact integers.
    """

    sizes: dict[int, Sizes]
    first_sequence: int = 0
    last_sequence: int = 0
    last_timestamp_ns: int = 0
    entries: int = 0

    @property
    @abstractmethod
    def rows(self) -> int:
        """Number of rows that the batch writes."""

    @abstractmethod
    def fold(self, entry: pb.JournalEntry) -> None:
        """Fold one entry."""

    def add(self, entries: Iterable[pb.JournalEntry]) -> None:
        """Fold entries that follow those folded before, without a gap.

        Raises UnknownInstrument, UnknownEnumerator; ValueError if entries are missing.
        """
        for entry in entries:
            if self.last_sequence and entry.sequence != self.last_sequence + 1:
                raise ValueError(
                    f"journal entry {entry.sequence} follows {self.last_sequence}: "
                    "entries between them are missing"
                )
            if not self.first_sequence:
                self.first_sequence = entry.sequence
            self.last_sequence = entry.sequence
            self.last_timestamp_ns = entry.timestamp_ns
            self.entries += 1
            self.fold(entry)

    def sizes_of(self, instrument_id: int) -> Sizes:
        """Return the sizes of an instrument. Raises UnknownInstrument."""
        sizes = self.sizes.get(instrument_id)
        if sizes is None:
            raise UnknownInstrument(
                f"instrument {instrument_id} was never defined before sequence {self.last_sequence}"
            )
        return sizes

    def define(self, terms: pb.DefineInstrument) -> None:
        """Note the sizes of an instrument, which never change once it is defined."""
        self.sizes[terms.instrument_id] = Sizes(terms.tick_size_nanos, terms.lot_size_nanos)


def unknown_event(entry: pb.JournalEntry) -> UnknownEnumerator:
    """Return the error of an entry with an event that this version does not know."""
    return UnknownEnumerator(
        f"entry {entry.sequence} has an event of a kind that this version lacks"
    )


class Start(NamedTuple):
    """Where a projection goes on: after entry `sequence`. `sizes` are of all instruments."""

    sequence: int
    sizes: dict[int, Sizes]
    settings: "Settings"
    store: "Store"


class Projection(ABC):
    """One kind of batch, and the tables that it is written to."""

    name: ClassVar[str]
    offsets: ClassVar[str]
    """Its table of offsets, a row for each shard."""
    tables: ClassVar[Mapping[str, tuple[str, ...]]]
    """Its tables, each with the columns of its primary key that follow the shard."""
    vital: ClassVar[bool] = False
    """True: its faults end the process. False: the process tries again after a fault, and its
    probes report it."""
    channel: ClassVar[str | None] = None
    """Where readers are told of each batch."""

    @property
    def is_on(self) -> bool:
        """False: it writes nothing, and its offset stays beside the ledger's."""
        return True

    async def drop_old(self, connection: "asyncpg.Connection[Any]", now_ns: int) -> None:  # noqa: B027
        """While it is off, drop rows that are too old; now is the time of the ledger's last entry.

        Does nothing if the projection keeps its rows for ever.
        """

    def reader_name(self, projector: str) -> str:
        """Return the name under which the engine keeps the journal for it."""
        return projector if self.vital else f"{projector}-{self.name}"

    @abstractmethod
    async def begin(self, start: Start) -> Callable[[], Batch]:
        """Return what makes an empty batch each time that the one before is full.

        The first one continues where `start` says. Raises the errors of engine or database.
        """

    @abstractmethod
    async def write(self, connection: "asyncpg.Connection[Any]", shard_id: int, batch: Any) -> None:
        """Write the rows of a batch within the transaction that moves the offset."""


async def copy_rows(
    connection: "asyncpg.Connection[Any]", table: str, columns: Iterable[str], lines: Iterable[str]
) -> None:
    """Append rows to a table; each line is one in COPY's text format."""
    source = io.BytesIO("".join(lines).encode())
    if source.getbuffer().nbytes:
        await connection.copy_to_table(
            table, source=source, columns=list(columns), format="text", encoding="utf-8"
        )
