"""An account's activities: every fill and movement once, in order, on pages."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.queries.activities import ActivityFilter, Place, activities_query
from openvenue.security.keys import NewKey
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from tests.api.orders import limit_order
from tests.support.venue import Venue, in_database, run_apart

PATH = "/v2/account/activities"


@pytest.fixture
def trader(
    venue: Venue, client: httpx.Client, account: NewKey, new_account: Callable[..., NewKey]
) -> Iterator[httpx.Client]:
    """Yield a client with deposits, a withdrawal, and 7 fills of one order and one of another."""
    venue.give(account.account_id, 1, 3)
    withdrawn = pb.AdjustBalance(account_id=account.account_id, amount_micros=-2_500_000)
    venue.apply(pb.AdminRequest(adjust_balance=withdrawn))
    seller_key = new_account()
    venue.give(seller_key.account_id, 1, 100)
    with venue.client(seller_key) as seller:
        for _ in range(7):
            seller.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price="40"))
        client.post("/v2/orders", json=limit_order(qty="8", limit_price="40"))
        client.post("/v2/orders", json=limit_order(qty="2", limit_price="41"))
        seller.post("/v2/orders", json=limit_order(side="sell", qty="2", limit_price="41"))
        yield client


def activities(client: httpx.Client, path: str = PATH, **query: object) -> list[dict[str, Any]]:
    answer = client.get(path, params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_fills_tell_how_far_their_order_was(trader: httpx.Client) -> None:
    fills = activities(trader, f"{PATH}/FILL", direction="asc")
    order = trader.get("/v2/orders", params={"status": "closed"}).json()[0]
    assert [(fill["cum_qty"], fill["leaves_qty"], fill["type"]) for fill in fills] == [
        *((str(number), str(8 - number), "partial_fill") for number in range(1, 8)),
        ("2", "0", "fill"),
    ]
    assert (fills[-1]["order_id"], fills[-1]["order_status"]) == (order["id"], "filled")
    assert (fills[-1]["transaction_time"], fills[-1]["price"]) == (order["filled_at"], "41")
    assert {(fill["symbol"], fill["side"], fill["activity_type"]) for fill in fills} == {
        ("AAPL", "buy", "FILL")
    }


def test_movements_are_deposits_withdrawals_and_positions(trader: httpx.Client) -> None:
    moved = activities(trader, activity_types="CSD,CSW,JNLS", direction="asc")
    assert [(one["activity_type"], one["net_amount"], one.get("qty")) for one in moved] == [
        ("CSD", "10000000", None),
        ("JNLS", "0", "3"),
        ("CSW", "-2.5", None),
    ]
    assert moved[1]["symbol"] == "AAPL"
    assert moved[0]["created_at"].startswith(moved[0]["date"])
    assert [one["id"] for one in activities(trader, category="non_trade_activity")] == [
        one["id"] for one in reversed(moved)
    ]
    assert activities(trader, activity_types="TRANS") == [moved[2], moved[0]]
    assert len(activities(trader, category="trade_activity")) == 8


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("page_size", [1, 3, 100])
def test_pages_have_every_activity_once(
    trader: httpx.Client, direction: str, page_size: int
) -> None:
    everything = [one["id"] for one in activities(trader)]
    assert everything == sorted(everything, reverse=True)
    assert len(everything) == len(set(everything)) == 11
    paged: list[str] = []
    while page := activities(
        trader,
        direction=direction,
        page_size=page_size,
        **({"page_token": paged[-1]} if paged else {}),
    ):
        assert len(page) <= page_size
        paged += [one["id"] for one in page]
    assert paged == (everything if direction == "desc" else everything[::-1])


def test_times_bound_the_list(trader: httpx.Client) -> None:
    everything = activities(trader)
    first_fill = everything[-4]
    time = first_fill["transaction_time"]
    assert activities(trader, until=time) == everything[-3:]
    # Seven fills have this time.
    assert activities(trader, after=time) == everything[:1]
    assert activities(trader, date=time[:10]) == everything
    assert activities(trader, date="2001-01-01") == activities(trader, f"{PATH}/DIV") == []


def test_both_sides_of_a_trade_with_oneself_are_activities(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 1)
    for side in ("sell", "buy"):
        client.post("/v2/orders", json=limit_order(side=side, qty="1", limit_price="43"))
    fills = activities(client, f"{PATH}/FILL", direction="asc")
    assert [fill["side"] for fill in fills] == ["sell", "buy"]
    token = {"page_token": fills[0]["id"], "direction": "asc"}
    assert activities(client, f"{PATH}/FILL", **token) == fills[1:]


def test_the_rows_of_an_older_version_lack_what_the_order_had_filled(
    venue: Venue, trader: httpx.Client, account: NewKey
) -> None:
    activities(trader)
    forget = f"UPDATE executions SET cum_qty = NULL WHERE account_id = {account.account_id}"
    in_database(venue, lambda connection: connection.execute(text(forget)))
    fills = activities(trader, f"{PATH}/FILL")
    assert "cum_qty" not in fills[0]
    assert [fill["type"] for fill in fills[:2]] == ["fill", "partial_fill"]


@pytest.mark.parametrize(
    "query",
    [
        "activity_types=NOPE",
        "activity_types=FILL&category=trade_activity",
        "category=fills",
        "page_size=0",
        "page_size=101",
        "page_token=x",
        "page_token=20221228071929579::ca2aafd0-1270-4b56-b0a9-85423b4a07c8",
        "page_token=99999999999999999::00000000-0001-8000-8000-000000000000",
        "date=2026-12-02&after=2026-12-01",
        "after=yesterday",
        "limit=3",
    ],
)
def test_what_cannot_be_is_refused(client: httpx.Client, query: str) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)


def test_there_is_no_other_type(client: httpx.Client) -> None:
    assert client.get(f"{PATH}/NOPE").json()["code"] == 40410000


def test_activities_of_others_are_not_shown(
    venue: Venue, trader: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    token = activities(trader)[0]["id"]
    with venue.client(new_account()) as other:
        (deposit,) = activities(other)
        assert deposit["activity_type"] == "CSD"
        assert activities(other, page_token=token, direction="asc") == [deposit]


# A long history of account 1 beside others'.
HISTORY = """
INSERT INTO executions SELECT 0, n, 'taker', n, n, 1 + n % 20, 1, 'buy', 1, 1, to_timestamp(n), 1
FROM generate_series(1, 60000) n
"""


@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_page_is_found_without_reading_the_history(
    new_migrated_database: Callable[[], str], oldest_first: bool
) -> None:
    wanted = ActivityFilter(
        types=["FILL", "CSD"],
        limit=10,
        oldest_first=oldest_first,
        beyond=(Place(30_000, 60_001), datetime.fromtimestamp(30_000, UTC)),
    )
    dialect: Any = postgresql.dialect  # of no type
    query = activities_query(0, 1, wanted).compile(
        dialect=dialect(), compile_kwargs={"literal_binds": True}
    )

    async def explain() -> str:
        engine = create_async_engine(new_migrated_database())
        async with engine.begin() as connection:
            await connection.execute(text(HISTORY))
            await connection.execute(text("ANALYZE executions"))
            plan = await connection.scalars(text(f"EXPLAIN (ANALYZE, TIMING OFF) {query}"))
            lines = "\n".join(plan)
        await engine.dispose()
        return lines

    plan = run_apart(explain())
    assert "executions_account_executed_idx" in plan
    assert "rows=3000 " not in plan
