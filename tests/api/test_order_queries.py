"""Queries of the history read what they return, not the history."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from openvenue.queries.orders import OrderFilter, orders_query
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.support.venue import run_apart

# A long history of account 1 beside others', nearly all of it in the instruments 1 and 2, little in
# 7 and 8. Three orders are open: the oldest, and two later ones.
HISTORY = """
INSERT INTO orders SELECT 0, n, CASE WHEN n <= 20000 THEN 1 ELSE 2 + n % 20 END,
    CASE n % 1000 WHEN 400 THEN 7 WHEN 800 THEN 8 ELSE 1 + n % 2 END,
    'c' || n, 'buy', 'limit', 'day', 1, 1, 0, 0,
    CASE WHEN n IN (1, 9000, 15000) THEN 'new' ELSE 'canceled' END, NULL, NULL, NULL,
    to_timestamp(n), to_timestamp(n),
    CASE WHEN n IN (1, 9000, 15000) THEN NULL ELSE to_timestamp(n) END, n
FROM generate_series(1, 60000) n
"""


@pytest.fixture(scope="module")
def history(new_migrated_database: Callable[[], str]) -> str:
    """Return the URL of a database with that history."""
    url = new_migrated_database()

    async def fill() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(text(HISTORY))
            await connection.execute(text("ANALYZE orders"))
        await engine.dispose()

    run_apart(fill())
    return url


async def plan_of(connection: AsyncConnection, wanted: OrderFilter) -> dict[str, Any]:
    dialect: Any = postgresql.dialect  # of no type
    query = orders_query(0, 1, wanted).compile(
        dialect=dialect(), compile_kwargs={"literal_binds": True}
    )
    explained = await connection.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
    plan: dict[str, Any] = explained[0]["Plan"]
    return plan


def scans_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    below = [scan for child in plan.get("Plans", []) for scan in scans_of(child)]
    return [plan, *below] if "Relation Name" in plan else below


async def scan_of(history: str, wanted: OrderFilter) -> tuple[dict[str, Any], int]:
    """Return the one scan of a query and the number of rows that it returns."""
    engine = create_async_engine(history)
    async with engine.connect() as connection:
        plan = await plan_of(connection, wanted)
    await engine.dispose()
    (scan,) = scans_of(plan)
    return scan, plan["Actual Rows"]


def rows_read(scan: dict[str, Any]) -> int:
    return int(scan["Actual Rows"]) + int(scan.get("Rows Removed by Filter", 0))


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize(
    ("further", "found"),
    [({}, 3), ({"limit": 2}, 2), ({"side": "buy"}, 3), ({"instrument_ids": [2]}, 1)],
)
async def test_open_orders_are_found_without_reading_the_history(
    history: str, further: dict[str, Any], found: int, oldest_first: bool
) -> None:
    wanted = OrderFilter(status="open", oldest_first=oldest_first, **further)
    scan, rows = await scan_of(history, wanted)
    assert rows == found
    assert scan["Index Name"] == "orders_open_idx"
    assert rows_read(scan) <= 3


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("status", ["closed", "all"])
@pytest.mark.parametrize(
    ("further", "found"),
    [
        ({"instrument_ids": [7]}, 20),
        ({"instrument_ids": [7], "limit": 5}, 5),
        ({"instrument_ids": [7], "side": "buy"}, 20),
        ({"instrument_ids": [7], "after": datetime.fromtimestamp(10_000, UTC)}, 10),
        ({"instrument_ids": [7], "until": datetime.fromtimestamp(10_000, UTC)}, 10),
        ({"instrument_ids": [1], "limit": 50}, 50),
        ({"instrument_ids": [9]}, 0),
        ({"instrument_ids": [7, 8], "limit": 500}, 40),
    ],
)
async def test_the_history_of_a_symbol_is_found_without_reading_that_of_others(
    history: str,
    status: Literal["closed", "all"],
    further: dict[str, Any],
    found: int,
    oldest_first: bool,
) -> None:
    wanted = OrderFilter(status=status, oldest_first=oldest_first, **further)
    scan, rows = await scan_of(history, wanted)
    assert rows == found
    assert scan["Index Name"] == "orders_account_instrument_created_idx"
    assert rows_read(scan) <= found + 1
