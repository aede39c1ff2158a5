"""The fold of books, beside a real engine's books."""

import asyncio

import grpc
from openvenue.db.alchemy import open_engine
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.journal.books import Books, changed_orders
from openvenue.journal.reader import JournalReader
from openvenue.queries.open_orders_at import open_orders_at

from tests.projector.conftest import engine, flow
from tests.projector.flow import Flow, project_into
from tests.support.venue import Venue

__all__ = ["engine", "flow"]

Levels = tuple[list[tuple[int, int]], list[tuple[int, int]]]


async def journal(venue: Venue, until: int) -> list[pb.JournalEntry]:
    entries: list[pb.JournalEntry] = []
    async with JournalReader(venue.settings, 1) as reader:
        while not entries or entries[-1].sequence < until:
            batch = await reader.read(30)
            assert batch is not None
            entries += batch.entries
    return entries[:until]


def levels(books: Books) -> Levels:
    book = books.book(1)
    return list(reversed(book.bids.items())), list(book.asks.items())


def engine_levels(venue: Venue) -> tuple[Levels, int]:
    with grpc.insecure_channel(f"127.0.0.1:{venue.engine_port}") as channel:
        book = rpc.MarketDataStub(channel).GetBook(
            pb.GetBookRequest(instrument_id=1, depth=1000), timeout=10
        )
    sides = [
        [(level.price_ticks, level.qty_lots) for level in side] for side in (book.bids, book.asks)
    ]
    return (sides[0], sides[1]), book.sequence


async def test_levels_and_touched_levels_are_the_engines(engine: Venue, flow: Flow) -> None:
    books = Books()
    seen: dict[tuple[int, int], int] = {}
    applied = 0
    for _ in range(3):
        last = await asyncio.to_thread(flow.send, 1000)
        for entry in await journal(engine, last):
            if entry.sequence <= applied:
                continue
            for level in books.apply(entry).levels:
                seen[level.side, level.price_ticks] = level.qty_lots
        applied = last
        expected, sequence = engine_levels(engine)
        assert sequence == last
        assert levels(books) == expected
        told = {key: lots for key, lots in seen.items() if lots}
        bids = {(pb.SIDE_BUY, price): lots for price, lots in expected[0]}
        asks = {(pb.SIDE_SELL, price): lots for price, lots in expected[1]}
        assert told == {**bids, **asks}


async def test_the_database_tells_which_orders_were_open_earlier(engine: Venue, flow: Flow) -> None:
    last = await asyncio.to_thread(flow.send, 2000)
    await project_into(engine.database_url, engine, last)
    entries = await journal(engine, last)
    database = open_engine(
        engine.database_url, "test", timeout_s=10, isolation_level="REPEATABLE READ"
    )
    try:
        async with database.connect() as connection:
            for sequence in (0, last // 3, last - 50, last):
                books = Books()
                for entry in entries[:sequence]:
                    books.apply(entry)
                later = {each for entry in entries[sequence:] for each in changed_orders(entry)}
                rows = await open_orders_at(connection, engine.shard_id, sequence, later)
                resting, waiting = {}, 0
                for row in rows:
                    if row.stop_price is not None and row.triggered_at is None:
                        waiting += 1
                    else:
                        resting[row.order_id] = int(row.qty - row.filled_qty)
                assert resting == {order.order_id: order.lots for order in books.resting()}
                assert waiting > 0 or sequence == 0
    finally:
        await database.dispose()
