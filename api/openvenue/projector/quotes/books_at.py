"""Makes the books as they were after an entry, from the ledger's open orders and the journal."""

from decimal import Decimal
from typing import Any

from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.journal.books import Books, RestingOrder
from openvenue.journal.changed_orders import changed_between
from openvenue.journal.reader import JournalReader
from openvenue.projector.projection import Sizes, Start, UnknownInstrument
from openvenue.queries.open_orders_at import OPEN_ORDERS_AT, PROJECTED_SEQUENCE
from openvenue.settings import Settings
from openvenue.vocabulary import SIDES

_TIMEOUT_S = 10.0
_ROWS_AT_ONCE = 1000


async def books_at(start: Start) -> Books:
    """Return the books as they were after entry `start.sequence`.

    Raises the errors of engine or database: grpc.aio.AioRpcError with OUT_OF_RANGE if the journal
    lacks an entry between there and the ledger's offset.
    """
    sequence, settings = start.sequence, start.settings
    if sequence == 0:
        return Books()
    # Reads most of the journal before the connection is taken from the other projections.
    durable_sequence = await _durable_sequence(settings)
    changed = await changed_between(settings, sequence + 1, durable_sequence)
    async with start.store.snapshot() as connection:
        shard_id = start.store.shard_id
        ledger_sequence: int = await connection.fetchval(PROJECTED_SEQUENCE, shard_id)
        base = min(ledger_sequence, sequence)
        changed |= await changed_between(settings, durable_sequence + 1, ledger_sequence)
        rows = connection.cursor(
            OPEN_ORDERS_AT, shard_id, base, list(changed), prefetch=_ROWS_AT_ONCE
        )
        resting, waiting = [], []
        async for row in rows:
            if row["waits"]:
                waiting.append(row["order_id"])
            else:
                resting.append(_resting(row, start.sizes))
    books = Books(resting, waiting)
    await _fold(books, settings, base + 1, sequence)
    return books


async def _durable_sequence(settings: Settings) -> int:
    async with open_channel(settings) as channel:
        status = await rpc.AdminStub(channel).GetStatus(pb.GetStatusRequest(), timeout=_TIMEOUT_S)
    return int(status.durable_sequence)


async def _fold(books: Books, settings: Settings, first: int, last: int) -> None:
    """Apply the entries from `first` to `last`."""
    if first > last:
        return
    async with JournalReader(settings, first) as reader:
        while True:
            batch = await reader.read(_TIMEOUT_S)
            if batch is None:
                raise TimeoutError("the engine sent no journal entry")
            for entry in batch.entries:
                if entry.sequence > last:
                    return
                books.apply(entry)
            if batch.entries[-1].sequence == last:
                return


def _resting(row: Any, sizes: dict[int, Sizes]) -> RestingOrder:
    instrument_id = row["instrument_id"]
    if instrument_id not in sizes:
        raise UnknownInstrument(f"the engine has no instrument {instrument_id}")
    tick_size_nanos, lot_size_nanos = sizes[instrument_id]
    return RestingOrder(
        row["order_id"],
        instrument_id,
        SIDES.numbers[row["side"]],
        _nanos(row["limit_price"]) // tick_size_nanos,
        _nanos(row["qty"] - row["filled_qty"]) // lot_size_nanos,
    )


def _nanos(value: Decimal) -> int:
    return int(value.scaleb(9))
