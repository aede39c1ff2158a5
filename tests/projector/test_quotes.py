"""Quotes in a real PostgreSQL: those of the journal, whatever the projector went through."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.journal.books import Books
from openvenue.journal.reader import JournalReader
from openvenue.projector import store as store_module
from openvenue.projector.ledger.write import Ledger
from openvenue.projector.projection import Sizes
from openvenue.projector.quotes.fold import QuotesBatch
from openvenue.projector.quotes.write import Quotes
from openvenue.projector.rebuild import rebuild
from openvenue.projector.run import all_projections
from openvenue.projector.settings import ProjectorSettings
from openvenue.projector.store import Store

from tests.projector.entries import canceled, entry, new_order
from tests.projector.flow import (
    Flow,
    checksums,
    project_alone,
    project_into,
    wait_until_projected,
)
from tests.projector.naive_exchange import OpenOrder, tops
from tests.support import http
from tests.support.venue import Venue
from tests.support.waiting import until

OWN = ProjectorSettings(rest_max_ms=0, batch_entries_max=97)
DAY_NS = 24 * 3600 * 10**9

QUOTES = """
SELECT sequence, bid_price, bid_qty, ask_price, ask_qty, quoted_at FROM quotes
WHERE instrument_id = 1 ORDER BY quoted_at, sequence
"""


@pytest.fixture
async def database(engine: Venue) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def journal(venue: Venue, last: int) -> list[pb.JournalEntry]:
    entries: list[pb.JournalEntry] = []
    async with JournalReader(venue.settings, 1) as reader:
        while not entries or entries[-1].sequence < last:
            batch = await reader.read(30)
            assert batch is not None
            entries += batch.entries
    return entries[:last]


def naive_quotes(entries: Sequence[pb.JournalEntry]) -> list[tuple[Any, ...]]:
    """Return sequence, bid and ask (ticks and lots) of each entry that changed them: read off all
    open orders after it."""
    found = []
    orders: dict[int, OpenOrder] = {}
    waiting: set[int] = set()
    last: tuple[Any, Any] = (None, None)
    for made in entries:
        for event in made.events:
            kind = event.WhichOneof("body")
            if kind == "order_accepted":
                terms = made.new_order
                orders[made.sequence] = OpenOrder(
                    made.sequence, 1, terms.side, terms.limit_price_ticks, terms.qty_lots
                )
                if terms.stop_price_ticks or terms.HasField("trail"):
                    waiting.add(made.sequence)
            elif kind == "order_triggered":
                waiting.remove(event.order_triggered.order_id)
            elif kind == "order_replaced":
                new = event.order_replaced
                if new.waiting:
                    waiting.add(new.order_id)
                del orders[new.old_order_id]
                orders[new.order_id] = OpenOrder(
                    new.order_id, 1, new.side, new.limit_price_ticks, new.qty_lots - new.filled_lots
                )
            elif kind == "order_canceled":
                del orders[event.order_canceled.order_id]
            elif kind == "trade":
                for end in (event.trade.maker, event.trade.taker):
                    orders[end.order_id].lots -= event.trade.qty_lots
                    if not orders[end.order_id].lots:
                        del orders[end.order_id]
        resting = (each for each in orders.values() if each.order_id not in waiting)
        best = tops(resting).get(1, (None, None))
        if best != last:
            found.append((made.sequence, *best))
            last = best
    return found


async def test_quotes_are_the_best_prices_after_each_entry_of_the_journal(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    last = flow.send(2000)
    await project_into(engine.database_url, engine, last)
    entries = await journal(engine, last)
    (terms,) = (
        each.define_instrument for each in entries if each.define_instrument.instrument_id == 1
    )
    tick, lot = terms.tick_size_nanos, terms.lot_size_nanos
    stored = [
        (
            row["sequence"],
            None
            if row["bid_price"] is None
            else scaled(row["bid_price"], row["bid_qty"], tick, lot),
            None
            if row["ask_price"] is None
            else scaled(row["ask_price"], row["ask_qty"], tick, lot),
        )
        for row in await database.fetch(QUOTES)
    ]
    assert len(stored) > 200
    assert stored == naive_quotes(entries)
    times = {each.sequence: each.timestamp_ns for each in entries}
    for row in await database.fetch(QUOTES):
        since_epoch = row["quoted_at"] - datetime(1970, 1, 1, tzinfo=UTC)
        assert since_epoch // timedelta(microseconds=1) == times[row["sequence"]] // 1000


def scaled(price: Any, qty: Any, tick_nanos: int, lot_nanos: int) -> tuple[int, int]:
    return int(price * 10**9) // tick_nanos, int(qty * 10**9) // lot_nanos


async def test_quotes_go_on_from_their_books_whether_the_ledger_is_behind_or_ahead(
    engine: Venue, flow: Flow
) -> None:
    last = await asyncio.to_thread(flow.send, 2000)
    await project_alone(Ledger(), engine, last // 2, OWN)
    # The ledger is behind from the second step on, then ahead.
    for until_sequence in (last // 3, last * 2 // 3):
        await project_alone(Quotes(7), engine, until_sequence, OWN)
    await project_alone(Ledger(), engine, last, OWN)
    await project_alone(Quotes(7), engine, last * 3 // 4, OWN)
    await project_alone(Quotes(7), engine, last, OWN)
    in_steps = (await checksums(engine.database_url))["quotes"]
    await rebuild(engine.settings, OWN)
    assert (await checksums(engine.database_url))["quotes"] == in_steps


async def test_quotes_go_on_while_orders_come(engine: Venue, flow: Flow) -> None:
    """Their start reads the ledger's open orders while the ledger moves."""
    for _ in range(3):
        engine.start_projector(projector_batch_entries_max="50")
        last = await asyncio.to_thread(flow.send, 1500)
        engine.projector.stop()
    engine.start_projector()
    last = await asyncio.to_thread(flow.send, 500)
    await wait_until_projected(engine.database_url, last)
    before = (await checksums(engine.database_url))["quotes"]
    await rebuild(engine.settings, OWN)
    assert (await checksums(engine.database_url))["quotes"] == before


async def test_quotes_whose_beginning_is_archived_begin_at_the_end_with_the_books_of_then(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await asyncio.to_thread(flow.send, 40_000)
    last = await asyncio.to_thread(flow.send, 100)
    await project_alone(Ledger(), engine, last, OWN)
    entries = await journal(engine, last)
    segments = sorted((engine.directory / "journal").glob("journal-*.ovj"))
    shutil.move(segments[0], engine.directory)
    engine.start_projector()
    await until(lambda: "projection begins at its end" in engine.projector.log.read_text())
    later = await asyncio.to_thread(flow.send, 500)
    await wait_until_projected(engine.database_url, later)
    async with JournalReader(engine.settings, last + 1) as reader:
        while entries[-1].sequence < later:
            batch = await reader.read(30)
            assert batch is not None
            entries += batch.entries
    expected = [row[0] for row in naive_quotes(entries) if row[0] > last]
    assert [row["sequence"] for row in await database.fetch(QUOTES)] == expected


async def test_open_orders_that_are_not_the_journals_are_a_fault_of_the_quotes_alone(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]", port: str
) -> None:
    last = flow.send(500)
    await project_into(engine.database_url, engine, last)
    await database.execute("DELETE FROM orders WHERE ended_at IS NULL")
    engine.start_projector(projector_http_port=port)
    later = await asyncio.to_thread(flow.send, 500)
    url = f"http://127.0.0.1:{port}"

    def checks() -> dict[str, str]:
        try:
            found: dict[str, str] = http.get(f"{url}/readyz").json().get("checks", {})
        except httpx.ConnectError:
            return {}
        return found

    # At the start no projection is ready.
    fault = "is in no book; openvenue projector rebuild"
    await until(lambda: list(found := checks()) == ["quotes"] and fault in found["quotes"])
    await rebuild(engine.settings, OWN)
    await wait_until_projected(engine.database_url, later)
    await until(lambda: http.get(f"{url}/readyz").status_code == 200)


def entries_of_day(number: int) -> list[pb.JournalEntry]:
    """Return the entries of an order that is canceled, on a day."""
    entries = [new_order(number * 2 + 1), entry(number * 2 + 2, canceled(number * 2 + 1))]
    for made in entries:
        made.timestamp_ns += number * DAY_NS
    return entries


async def test_quotes_of_old_days_go_and_are_not_made_again(
    engine: Venue, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def days() -> list[int]:
        rows = await database.fetch(
            "SELECT extract(epoch FROM quoted_at)::bigint / 86400 AS day, count(*) FROM quotes "
            "GROUP BY 1 ORDER BY 1"
        )
        assert {row["count"] for row in rows} == {2}
        return [row["day"] - rows[0]["day"] for row in rows]

    projection = Quotes(kept_days=2)
    store = await Store.connect(engine.database_url, shard_id=77)
    sizes = {1: Sizes(1, 1)}
    try:
        for _ in range(2):
            assert await store.sequence(projection) == 0
            books = Books()
            for numbers in ((0, 1), (2,), (3, 4, 5, 6)):
                batch = QuotesBatch(sizes, books=books)
                batch.add(made for number in numbers for made in entries_of_day(number))
                await store.apply(projection, batch)
            assert await days() == [0, 1, 2]
            # The second time all days but those that are kept are too old at once.
            await store.reset(projection)
            assert await database.fetchval("SELECT count(*) FROM quotes") == 0
    finally:
        await store.close()


async def test_quotes_that_are_off_are_not_written_and_begin_where_they_are_turned_on(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def written() -> list[int]:
        return [row["sequence"] for row in await database.fetch(QUOTES)]

    engine.start_projector()
    first = await asyncio.to_thread(flow.send, 600)
    await wait_until_projected(engine.database_url, first)
    engine.projector.stop()
    before = await written()
    assert before

    engine.start_projector(quotes_history="false", projector_acknowledge_interval_s="0.1")
    second = await asyncio.to_thread(flow.send, 1000)
    await wait_until_projected(engine.database_url, second)
    acknowledged = engine.directory / "journal/reader-projector-quotes.offset"
    await until(lambda: int(acknowledged.read_text()) == second)
    engine.projector.stop()
    assert await written() == before

    engine.start_projector()
    third = await asyncio.to_thread(flow.send, 500)
    await wait_until_projected(engine.database_url, third)
    engine.projector.stop()
    quotes = [row[0] for row in naive_quotes(await journal(engine, third))]
    assert await written() == [each for each in quotes if each <= first or each > second]
    await rebuild(engine.settings, OWN)
    assert await written() == quotes
    off = engine.settings.model_copy(update={"quotes_history": False})
    await rebuild(off, OWN)
    assert await written() == []


async def test_quotes_that_are_off_go_with_their_days(
    engine: Venue, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    store = await Store.connect(engine.database_url, shard_id=77)
    try:
        assert await store.sequence(Quotes(kept_days=2)) == 0
        batch = QuotesBatch({1: Sizes(1, 1)}, books=Books())
        batch.add(made for number in range(3) for made in entries_of_day(number))
        await store.apply(Quotes(kept_days=2), batch)
        for newest, left in ((3, 2), (4, 1), (5, 0)):
            at = entries_of_day(newest)[1]
            await database.execute(
                "INSERT INTO projection_offsets (shard_id, sequence, entry_ns) VALUES (77, $1, $2) "
                "ON CONFLICT (shard_id) DO UPDATE SET sequence = $1, entry_ns = $2",
                at.sequence,
                at.timestamp_ns,
            )
            assert await store.pass_over(Quotes(kept_days=2, on=False)) == at.sequence
            days = "SELECT count(DISTINCT quoted_at::date) FROM quotes"
            assert await database.fetchval(days) == left
    finally:
        await store.close()


async def test_a_reset_empties_tables_in_steps_and_leaves_other_shards_alone(
    engine: Venue,
    flow: Flow,
    database: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await project_into(engine.database_url, engine, flow.send(600))
    await database.execute(
        "INSERT INTO quotes (shard_id, instrument_id, quoted_at, sequence) "
        "SELECT 9, instrument_id, quoted_at, sequence FROM quotes"
    )
    monkeypatch.setattr(store_module, "_ROWS_DELETED_AT_ONCE", 7)
    counts = {
        table: await database.fetchval(f"SELECT count(*) FROM {table}")
        for each in all_projections(OWN)
        for table in each.projection.tables
    }
    assert counts["quotes"] > 14
    assert min(counts.values()) > 0
    store = await Store.connect(engine.database_url, engine.settings.shard_id)
    try:
        for each in all_projections(OWN):
            await store.reset(each.projection)
    finally:
        await store.close()
    for table in counts:
        left = counts["quotes"] // 2 if table == "quotes" else 0
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == left
