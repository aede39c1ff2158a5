"""Market data in a real PostgreSQL: what traded, whenever it was projected."""

import asyncio
import shutil
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import asyncpg
import pytest
from openvenue.projector.partitions import ensure_days

from tests.projector.flow import Flow, checksums, project_into, wait_until_projected
from tests.support import http, metrics
from tests.support.venue import Venue
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BARS_OF_TRADES = """
SELECT instrument_id, date_trunc($1, executed_at, 'UTC') AS started_at,
       (array_agg(price ORDER BY trade_id))[1], max(price), min(price),
       (array_agg(price ORDER BY trade_id DESC))[1], sum(qty),
       sum(price * qty), count(*)
FROM trades GROUP BY 1, 2 ORDER BY 1, 2
"""
BARS = """
SELECT instrument_id, started_at, open, high, low, close, volume, value, trades
FROM bars WHERE timeframe = $1 ORDER BY 1, 2
"""
TAKERS = """
SELECT trade_id, instrument_id, sequence, price, qty, side, executed_at
FROM executions WHERE liquidity = 'taker' ORDER BY trade_id
"""
TRADES = """
SELECT trade_id, instrument_id, sequence, price, qty, taker_side, executed_at
FROM trades ORDER BY trade_id
"""


@pytest.fixture
async def database(engine: Venue) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def test_trades_and_bars_are_those_of_the_executions(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await project_into(engine.database_url, engine, flow.send(1000))
    trades = await database.fetch(TRADES)
    assert len(trades) > 100
    assert [tuple(row) for row in trades] == [tuple(row) for row in await database.fetch(TAKERS)]
    for timeframe, unit in (("1Min", "minute"), ("1Day", "day")):
        bars = await database.fetch(BARS, timeframe)
        made_of_trades = await database.fetch(BARS_OF_TRADES, unit)
        assert [tuple(row) for row in bars] == [tuple(row) for row in made_of_trades]


async def test_a_projection_that_is_new_catches_up_beside_the_ledger(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    last = flow.send(1000)
    await project_into(engine.database_url, engine, last)
    before = await checksums(engine.database_url)
    for table in ("trades", "bars", "market_offsets"):
        await database.execute(f"DELETE FROM {table}")
    engine.start_projector()
    await wait_until_projected(engine.database_url, last)
    assert await checksums(engine.database_url) == before


async def test_a_projection_whose_beginning_is_archived_begins_at_the_end(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await asyncio.to_thread(flow.send, 40_000)
    last = await asyncio.to_thread(flow.send, 100)
    await project_into(engine.database_url, engine, last)
    for table in ("trades", "bars", "market_offsets"):
        await database.execute(f"DELETE FROM {table}")
    segments = sorted((engine.directory / "journal").glob("journal-*.ovj"))
    assert len(segments) > 1
    shutil.move(segments[0], engine.directory)
    engine.start_projector()
    await until(lambda: "projection begins at its end" in engine.projector.log.read_text())
    later = await asyncio.to_thread(flow.send, 500)
    await wait_until_projected(engine.database_url, later)
    first, count = await database.fetchrow("SELECT min(sequence), count(*) FROM trades")
    assert first > last
    assert count > 0


async def test_a_fault_of_market_data_does_not_hold_up_the_ledger(
    engine: Venue, flow: Flow, database: "asyncpg.Connection[asyncpg.Record]", port: str
) -> None:
    last = flow.send(200)
    await project_into(engine.database_url, engine, last)
    # Bars that the offset does not account for, as in a restored table.
    await database.execute("ALTER TABLE bars ADD CHECK (trades < 0) NOT VALID")
    engine.start_projector(projector_http_port=port, projector_backoff_max_s="0.5")
    later = await asyncio.to_thread(flow.send, 500)
    projected = "SELECT sequence FROM projection_offsets"
    async with asyncio.timeout(30):
        while await database.fetchval(projected) < later:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    url = f"http://127.0.0.1:{port}"
    await until(lambda: http.get(f"{url}/readyz").status_code == 503)
    # While the projection is tried again and again, too.
    for _ in range(40):
        answer = http.get(f"{url}/readyz")
        assert answer.status_code == 503
        await asyncio.sleep(0.05)
    assert list(answer.json()["checks"]) == ["market"]
    assert "CheckViolationError" in answer.json()["checks"]["market"]
    text = http.get(f"{url}/metrics").text
    faults = [
        (sample.labels["projection"], sample.value > 0)
        for sample in metrics.samples(text, "openvenue_projector_failures_total")
        if sample.labels["cause"] == "fault"
    ]
    assert sorted(faults) == [("ledger", False), ("market", True), ("quotes", False)]

    await database.execute("ALTER TABLE bars DROP CONSTRAINT bars_trades_check")
    await wait_until_projected(engine.database_url, later)
    await until(lambda: http.get(f"{url}/readyz").status_code == 200)


async def test_old_days_go_as_new_ones_come(
    database: "asyncpg.Connection[asyncpg.Record]", engine: Venue
) -> None:
    def days(*numbers: int) -> list[date]:
        return [date(2026, 3, number) for number in numbers]

    async def partitions() -> list[str]:
        rows = await database.fetch(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'trades'::regclass"
        )
        return sorted(row[0] for row in rows)

    async with database.transaction():
        kept_ns = await ensure_days(database, "trades", days(1, 2, 3, 2), kept_days=2)
    assert kept_ns == datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 10**9
    assert await partitions() == ["trades_20260301", "trades_20260302", "trades_20260303"]
    reader = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    try:
        async with reader.transaction():
            await reader.fetch("SELECT FROM trades")
            async with database.transaction():
                await ensure_days(database, "trades", days(4), kept_days=2)
            assert len(await partitions()) == 4
    finally:
        await reader.close()
    async with database.transaction():
        await ensure_days(database, "trades", days(5), kept_days=2)
    kept = ["trades_20260303", "trades_20260304", "trades_20260305"]
    assert await partitions() == kept
    # As in a rebuild: the newest day is known, and days before those that are kept come again.
    async with database.transaction():
        kept_ns = await ensure_days(database, "trades", days(1, 2, 4), kept_days=2)
    assert kept_ns == datetime(2026, 3, 3, tzinfo=UTC).timestamp() * 10**9
    assert await partitions() == kept
