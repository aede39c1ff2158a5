"""The projection of a real engine's journal in a real PostgreSQL: exactly once, despite
failures."""

import asyncio
import os
import random
import signal
from collections.abc import Callable

import asyncpg
import grpc
import pytest
from openvenue.db.database import Database
from openvenue.db.tables import market_offsets, projection_offsets
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.ledger.fold import LedgerBatch
from openvenue.projector.ledger.write import Ledger
from openvenue.projector.market.write import Market
from openvenue.projector.progress import Progress
from openvenue.projector.projection import Sizes
from openvenue.projector.rebuild import rebuild
from openvenue.projector.run import Followed, ProjectionFault, follow
from openvenue.projector.settings import ProjectorSettings
from openvenue.projector.store import OffsetMoved, Store
from openvenue.queries.orders import OrderFilter, list_orders
from openvenue.queries.projection import ProjectionGate, ProjectionLag
from openvenue.vocabulary import ORDER_TYPES, SIDES
from sqlalchemy import text

from tests.projector.entries import new_order
from tests.projector.flow import (
    ACCOUNTS,
    Flow,
    checksums,
    project_alone,
    project_into,
    projected_sequence,
    wait_until_projected,
)
from tests.support.venue import Venue
from tests.support.waiting import until

KILLS = int(os.environ.get("OPENVENUE_KILLS", "4"))
OWN = ProjectorSettings(rest_max_ms=0)


async def project(venue: Venue, until_sequence: int) -> None:
    await project_into(venue.database_url, venue, until_sequence)


async def test_the_projection_is_what_the_engine_holds(engine: Venue, flow: Flow) -> None:
    last = flow.send(2000)
    await project(engine, last)
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    try:
        open_orders = await connection.fetch(
            "SELECT order_id, coalesce(self_trade_prevention, 'unspecified'), "
            "coalesce(post_only, false), type, (stop_price * 100)::bigint, "
            "(stop_price IS NOT NULL AND triggered_at IS NULL) FROM orders "
            "WHERE status IN ('new', 'partially_filled') ORDER BY order_id"
        )
        prevented = await connection.fetchval(
            "SELECT count(*) FROM orders WHERE end_reason = 'self_trade'"
        )
        cash = dict(await connection.fetch("SELECT account_id, cash * 1000000 FROM accounts"))
        positions = await connection.fetchval("SELECT sum(qty) FROM positions")
        ended = await connection.fetchval(
            "SELECT count(*) FROM orders WHERE (ended_at IS NULL) <> "
            "(status IN ('new', 'partially_filled'))"
        )
        unequal = await connection.fetchval(
            "SELECT count(*) FROM orders o WHERE filled_qty <> coalesce((SELECT sum(qty) FROM "
            "executions e WHERE e.order_id = o.order_id), 0) AND replaces IS NULL"
        )
    finally:
        await connection.close()
    held = [
        (
            *(order.order_id, _prevention(order), order.post_only, ORDER_TYPES[order.type]),
            order.stop_price_ticks or None,
            order.status == pb.ORDER_STATUS_WAITING,
        )
        for order in sorted(flow.open_orders(), key=lambda order: order.order_id)
    ]
    assert [tuple(row) for row in open_orders] == held
    assert len(held) == flow.status().open_orders
    assert prevented > 50
    assert cash == {account.account_id: account.cash_micros for account in flow.accounts()}
    assert (positions, ended, unequal) == (0, 0, 0)


def _prevention(order: pb.Order) -> str:
    name = pb.SelfTradePrevention.Name(order.self_trade_prevention)
    return name.removeprefix("SELF_TRADE_PREVENTION_").lower()


async def test_rows_do_not_depend_on_how_entries_were_batched(engine: Venue, flow: Flow) -> None:
    first = flow.send(600)
    await project(engine, first)
    await project(engine, flow.send(600))
    in_two = await checksums(engine.database_url)
    await rebuild(engine.settings, ProjectorSettings(batch_entries_max=7, rest_max_ms=0))
    assert await checksums(engine.database_url) == in_two


async def test_a_rebuild_gives_the_same_rows_and_leaves_keys_alone(
    engine: Venue, flow: Flow
) -> None:
    await project(engine, flow.send(1000))
    before = await checksums(engine.database_url)
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    try:
        keys = await connection.fetchval("SELECT count(*) FROM api_keys")
        await connection.execute("UPDATE orders SET status = 'filled', filled_qty = 1")
        await connection.execute("DELETE FROM executions WHERE trade_id % 2 = 0")
        await rebuild(engine.settings, OWN)
        assert await connection.fetchval("SELECT count(*) FROM api_keys") == keys
    finally:
        await connection.close()
    assert await checksums(engine.database_url) == before


async def test_a_rebuild_from_an_empty_database_gives_the_same_rows(
    engine: Venue, flow: Flow, new_migrated_database: Callable[[], str]
) -> None:
    engine.start_projector()
    last = await asyncio.to_thread(flow.send, 2000)
    await wait_until_projected(engine.database_url, last)
    anew = new_migrated_database()
    await project_into(anew, engine, last)
    assert await checksums(anew) == await checksums(engine.database_url)


async def test_a_rebuild_of_a_journal_that_lacks_its_beginning_changes_nothing_and_says_why(
    engine: Venue, flow: Flow, new_migrated_database: Callable[[], str]
) -> None:
    flow.send(40_000)
    last = flow.send(100)
    await project(engine, last)
    before = await checksums(engine.database_url)
    segments = sorted((engine.directory / "journal").glob("journal-*.ovj"))
    assert len(segments) > 1
    archive = engine.directory / "archive"
    archive.mkdir()
    segments[0].rename(archive / segments[0].name)
    with pytest.raises(grpc.aio.AioRpcError, match="openvenue journal restore"):
        await rebuild(engine.settings, OWN)
    with pytest.raises(ProjectionFault, match="openvenue journal restore"):
        await project_into(new_migrated_database(), engine, last)
    assert await checksums(engine.database_url) == before
    assert await projected_sequence(engine.database_url) == last

    # With the archive at hand, the engine streams what it lacks.
    engine.engine.stop()
    engine.environment["OPENVENUE_ENGINE_ARCHIVE_DIR"] = str(archive)
    engine.start_engine()
    await rebuild(engine.settings, OWN)
    assert await checksums(engine.database_url) == before


async def test_the_engine_keeps_what_the_projection_has_not_acknowledged(
    engine: Venue, flow: Flow
) -> None:
    offset = engine.directory / "journal" / "reader-projector.offset"
    last = flow.send(500)
    engine.start_projector(projector_acknowledge_interval_s="0.05")
    await wait_until_projected(engine.database_url, last)
    await until(lambda: offset.exists() and offset.read_text() == f"{last}\n")
    further = await asyncio.to_thread(flow.send, 100)
    await until(lambda: offset.read_text() == f"{further}\n")


async def test_a_rebuild_that_was_interrupted_is_finished_by_the_next_projector(
    engine: Venue, flow: Flow
) -> None:
    last = flow.send(1000)
    await project(engine, last)
    before = await checksums(engine.database_url)
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    store = await Store.connect(engine.database_url, engine.settings.shard_id)
    try:
        # Its deletes wait for this row, behind the offset that reports them.
        async with connection.transaction():
            await connection.execute("SELECT FROM orders WHERE order_id = 1 FOR UPDATE")
            interrupted = asyncio.ensure_future(store.reset(Ledger()))
            while await connection.fetchval("SELECT sequence FROM projection_offsets") >= 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            interrupted.cancel()
            await asyncio.gather(interrupted, return_exceptions=True)
    finally:
        await store.close()
        await connection.close()
    await project(engine, last)
    assert await checksums(engine.database_url) == before


async def test_a_reader_that_was_let_through_does_not_see_a_rebuild(
    engine: Venue, flow: Flow
) -> None:
    last = flow.send(500)
    await project(engine, last)
    database = Database(engine.settings)
    gate = ProjectionGate(engine.settings.shard_id, wait_ms=50)
    store = await Store.connect(engine.database_url, engine.settings.shard_id)
    wanted = OrderFilter(status="all", limit=500)
    try:
        async with gate.passed(database.connect, last) as reader:
            before = await list_orders(reader, engine.settings.shard_id, ACCOUNTS[0], wanted)
            await store.reset(Ledger())
            assert before == await list_orders(
                reader, engine.settings.shard_id, ACCOUNTS[0], wanted
            )
            with pytest.raises(ProjectionLag):
                async with gate.passed(database.connect, last):
                    pass
    finally:
        await store.close()
        await database.close()


async def test_a_reader_of_prices_waits_for_the_market_data_too(engine: Venue, flow: Flow) -> None:
    last = flow.send(100)
    await project_alone(Ledger(), engine, last, OWN)
    database = Database(engine.settings)
    offsets = (projection_offsets, market_offsets)
    ledger = ProjectionGate(engine.settings.shard_id, wait_ms=50)
    priced = ProjectionGate(engine.settings.shard_id, wait_ms=50, offsets=offsets)
    try:
        async with ledger.passed(database.connect, last):
            pass
        with pytest.raises(ProjectionLag):
            async with priced.passed(database.connect, last):
                pass
        await project_alone(Market(OWN.trades_kept_days), engine, last, OWN)
        async with priced.passed(database.connect, last):
            pass
    finally:
        await database.close()


async def test_readers_that_wait_hold_no_connection(engine: Venue) -> None:
    settings = engine.settings.model_copy(update={"db_pool_size": 2, "db_pool_overflow": 0})
    database = Database(settings)
    gate = ProjectionGate(settings.shard_id, wait_ms=30_000)

    async def read(sequence: int) -> None:
        async with gate.passed(database.connect, sequence):
            pass

    store = await Store.connect(engine.database_url, settings.shard_id)
    try:
        reached = await store.sequence(Ledger())
        waiting = [asyncio.create_task(read(reached + 1)) for _ in range(50)]
        for _ in range(20):
            async with asyncio.timeout(2):
                await read(reached)
        assert not any(task.done() for task in waiting)
        async with database.connect() as connection:
            await connection.execute(text("UPDATE projection_offsets SET sequence = sequence + 1"))
            await connection.commit()
        gate.wake()
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting)
    finally:
        await store.close()
        await database.close()


async def test_a_rebuild_takes_over_from_a_projector_that_goes_on_afterwards(
    engine: Venue, flow: Flow
) -> None:
    engine.start_projector()
    await wait_until_projected(engine.database_url, await asyncio.to_thread(flow.send, 500))
    before = await checksums(engine.database_url)
    await rebuild(engine.settings, OWN)
    assert await checksums(engine.database_url) == before
    await wait_until_projected(engine.database_url, await asyncio.to_thread(flow.send, 500))
    assert engine.projector.running


@pytest.mark.timeout(120 + 10 * KILLS)
async def test_killed_at_random_moments_it_projects_everything_exactly_once(
    engine: Venue, flow: Flow
) -> None:
    moments = random.Random(3)
    for _ in range(KILLS):
        engine.start_projector()
        sending = asyncio.to_thread(flow.send, 1500)
        await asyncio.gather(sending, asyncio.sleep(moments.uniform(0.6, 1.2)))
        engine.projector.stop(signal.SIGKILL)
    await project(engine, flow.status().durable_sequence)
    after_kills = await checksums(engine.database_url)
    await rebuild(engine.settings, OWN)
    assert await checksums(engine.database_url) == after_kills


async def test_it_waits_for_an_engine_that_is_away_and_goes_on(engine: Venue, flow: Flow) -> None:
    first = flow.send(200)
    following = asyncio.ensure_future(project(engine, first + 50))
    await wait_until_projected(engine.database_url, first)
    engine.engine.stop(signal.SIGKILL)
    await asyncio.to_thread(engine.start_engine)
    with Flow(engine, seed=8) as later:
        await asyncio.to_thread(later.send, 100)
    await following
    assert await projected_sequence(engine.database_url) >= first + 50


async def test_a_second_projector_stands_by(engine: Venue, flow: Flow) -> None:
    last = flow.send(100)
    holder = await Store.connect(engine.database_url, engine.settings.shard_id)
    assert await holder.lock()
    stands_by = asyncio.Event()

    class Watched(Progress):
        def standing_by(self) -> None:
            super().standing_by()
            stands_by.set()

    followed = [Followed(Ledger(), Watched("ledger"))]
    standby = asyncio.ensure_future(
        follow(followed, engine.settings, OWN, asyncio.Event(), until_sequence=last)
    )
    try:
        async with asyncio.timeout(20):
            await stands_by.wait()
        assert not standby.done()
        assert await projected_sequence(engine.database_url) == 0
    finally:
        await holder.close()
    await standby
    assert await projected_sequence(engine.database_url) == last


async def test_an_unknown_event_of_a_later_version_ends_the_projection_by_name(
    engine: Venue, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test removes a word from this version, which makes it the older one."""
    flow.send(100)
    monkeypatch.delitem(SIDES, pb.SIDE_SELL)
    with pytest.raises(ProjectionFault, match="knows no side 2: the engine is of a later version"):
        await project(engine, 1 << 40)


async def test_a_batch_that_does_not_follow_the_offset_changes_nothing(engine: Venue) -> None:
    store = await Store.connect(engine.database_url, shard_id=77)
    try:
        await store.sequence(Ledger())
        batch = LedgerBatch({1: Sizes(1, 1)})
        batch.add([new_order(5)])
        with pytest.raises(OffsetMoved):
            await store.apply(Ledger(), batch)
        assert await store.sequence(Ledger()) == 0
    finally:
        await store.close()
