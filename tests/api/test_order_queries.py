"""Queries of the history read what they return, not the history."""

from collections.abc import Callable

import pytest
from openvenue.db import migrate
from openvenue.queries.orders import OrderFilter, orders_query
from openvenue.settings import Settings
from pydantic import SecretStr
from running_venue import run_apart
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

# A long history of one account, of which three orders are open: the oldest, and two later ones.
HISTORY = """
INSERT INTO orders SELECT 0, n, 1, 1 + n % 2, 'c' || n, 'buy', 'limit', 'day', 1, 1, 0, 0,
    CASE WHEN n IN (1, 9000, 15000) THEN 'new' ELSE 'canceled' END, NULL, NULL, NULL,
    to_timestamp(n), to_timestamp(n),
    CASE WHEN n IN (1, 9000, 15000) THEN NULL ELSE to_timestamp(n) END, n
FROM generate_series(1, 20000) n
"""


@pytest.fixture(scope="module")
def history(new_database: Callable[[], str]) -> str:
    """The URL of a database with that history."""
    url = new_database()
    migrate.upgrade(Settings(database_url=SecretStr(url)))

    async def fill() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(text(HISTORY))
            await connection.execute(text("ANALYZE orders"))
        await engine.dispose()

    run_apart(fill())
    return url


async def plan_of(connection: AsyncConnection, wanted: OrderFilter) -> dict:
    query = orders_query(0, 1, wanted).compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    )
    explained = await connection.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
    return explained[0]["Plan"]


def scans_of(plan: dict) -> list[dict]:
    below = [scan for child in plan.get("Plans", []) for scan in scans_of(child)]
    return [plan, *below] if "Relation Name" in plan else below


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize(
    ("further", "found"),
    [({}, 3), ({"limit": 2}, 2), ({"side": "buy"}, 3), ({"instrument_ids": [2]}, 1)],
)
async def test_open_orders_are_found_without_reading_the_history(
    history: str, further: dict, found: int, oldest_first: bool
) -> None:
    engine = create_async_engine(history)
    async with engine.connect() as connection:
        plan = await plan_of(
            connection, OrderFilter(status="open", oldest_first=oldest_first, **further)
        )
    await engine.dispose()
    (scan,) = scans_of(plan)
    assert plan["Actual Rows"] == found
    assert scan["Index Name"] == "orders_open_idx"
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= 3
