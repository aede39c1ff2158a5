"""The history of an account's equity."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetPortfolioHistoryRequest
from openvenue.db.alchemy import open_engine
from openvenue.db.tables import bars, cash_movements, daily_cash, daily_positions, executions
from openvenue.queries.equity import account_at_close, daily_equity, prices_at_close
from openvenue.queries.equity_within_days import equity_within_days
from openvenue.security.keys import NewKey
from sqlalchemy import insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.api.orders import limit_order
from tests.support.venue import Venue, run_apart
from tests.support.waiting import wait_for

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARD, ACCOUNT = 0, 7


def day(number: int) -> date:
    return date(2026, 3, number)


@pytest.fixture
async def connection(new_migrated_database: Callable[[], str]) -> Any:
    """A database in which account 7 deposited 1,000 on the 2nd, bought 5 at 100 on the 3rd, got 2
    shares on the 5th and withdrew 100 on the 6th. The share closed at 100, 110, and 90 on the 5th.
    """
    of_account = {"shard_id": SHARD, "account_id": ACCOUNT}
    engine = open_engine(new_migrated_database(), "test", timeout_s=10)
    async with engine.connect() as connection:
        cash = {2: 1000, 3: 500, 6: 400}
        await connection.execute(
            insert(daily_cash),
            [{**of_account, "day": day(n), "cash": amount} for n, amount in cash.items()],
        )
        held = {3: (5, 500), 5: (7, 700)}
        rows = [
            {**of_account, "instrument_id": 1, "day": day(n), "qty": qty, "cost": cost}
            for n, (qty, cost) in held.items()
        ]
        await connection.execute(insert(daily_positions), rows)
        moved = [(2, "CSD", 1000, None), (5, "JNLS", 0, 2), (6, "CSW", -100, None)]
        rows = [
            {
                **of_account,
                "sequence": n,
                "type": kind,
                "amount": amount,
                "instrument_id": None if qty is None else 1,
                "qty": qty,
                "moved_at": NOON + timedelta(days=n - 1),
            }
            for n, kind, amount, qty in moved
        ]
        await connection.execute(insert(cash_movements), rows)
        closes = {3: 100, 4: 110, 5: 90}
        rows = [
            {
                "shard_id": SHARD,
                "instrument_id": 1,
                "timeframe": "1Day",
                "started_at": datetime(2026, 3, n, tzinfo=UTC),
                **dict.fromkeys(("open", "high", "low", "close"), close),
                "volume": 1,
                "value": close,
                "trades": 1,
                "updated_sequence": 1,
            }
            for n, close in closes.items()
        ]
        await connection.execute(insert(bars), rows)
        yield connection
    await engine.dispose()


async def test_each_day_has_its_equity_and_what_was_deposited(connection: AsyncConnection) -> None:
    rows = await daily_equity(connection, SHARD, ACCOUNT, day(1), day(7))
    assert [(row.day.day, row.equity, row.flow) for row in rows] == [
        (2, 1000, 1000),
        (3, 500 + 5 * 100, 0),
        (4, 500 + 5 * 110, 0),
        (5, 500 + 7 * 90, 2 * 90),
        (6, 400 + 7 * 90, -100),
        (7, 400 + 7 * 90, 0),
    ]
    assert list(await daily_equity(connection, SHARD, ACCOUNT + 1, day(1), day(7))) == []
    assert list(await daily_equity(connection, SHARD + 1, ACCOUNT, day(1), day(7))) == []


async def test_a_close_has_equity_positions_and_prices(connection: AsyncConnection) -> None:
    at = await account_at_close(connection, SHARD, ACCOUNT, day(4))
    assert at.equity == 500 + 550
    assert {key: (row.qty, row.cost) for key, row in at.positions.items()} == {1: (5, 500)}
    assert await account_at_close(connection, SHARD, ACCOUNT, day(1)) == (None, {})
    assert await prices_at_close(connection, SHARD, [1, 2], day(4)) == {1: Decimal(110)}
    assert await prices_at_close(connection, SHARD, [1], day(2)) == {}


async def test_within_days_equity_follows_what_was_traded_moved_and_priced(
    connection: AsyncConnection,
) -> None:
    """On the 5th, in steps of six hours: the share trades at 100 in the morning, one is sold at 95
    in the afternoon; at noon two are got, as the fixture says."""
    of_account = {"shard_id": SHARD, "account_id": ACCOUNT}
    midnight = datetime(2026, 3, 5, tzinfo=UTC)
    of_minute = {"shard_id": SHARD, "instrument_id": 1, "timeframe": "1Min", "volume": 1}
    await connection.execute(
        insert(bars),
        [
            {
                **of_minute,
                "started_at": midnight + timedelta(hours=hour),
                **dict.fromkeys(("open", "high", "low", "close", "value"), price),
                "trades": 1,
                "updated_sequence": 1,
            }
            for hour, price in ((7, 90), (8, 100), (14, 95), (20, 90))
        ],
    )
    await connection.execute(
        insert(executions),
        {
            **of_account,
            "trade_id": 1,
            "liquidity": "taker",
            "sequence": 9,
            "order_id": 8,
            "instrument_id": 1,
            "side": "sell",
            "price": 95,
            "qty": 1,
            "executed_at": midnight + timedelta(hours=14),
        },
    )
    end, step = midnight + timedelta(days=1), timedelta(hours=6)
    before, points = await equity_within_days(connection, SHARD, ACCOUNT, day(5), end, step)
    assert before == 500 + 5 * 110
    expected: list[tuple[int, float, float]] = [
        (6, 500 + 5 * 110, 0),
        (12, 500 + 5 * 100, 0),
        (18, 595 + 6 * 95, 2 * 95),
        (0, 595 + 6 * 90, 0),
    ]
    assert [(each.at.hour, float(each.equity), float(each.flow)) for each in points] == expected
    _, points = await equity_within_days(connection, SHARD, ACCOUNT, day(2), end, step)
    assert points[0].at == datetime(2026, 3, 2, 18, tzinfo=UTC), "from the first deposit on"
    assert points[0].equity == points[0].flow == 1000
    before, points = await equity_within_days(connection, SHARD, ACCOUNT + 1, day(5), end, step)
    assert before is None
    assert not points


def test_the_history_of_today_is_the_account_as_it_is(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    key, other = new_account(cash=1000), new_account()
    venue.give(key.account_id, 1, 10)
    with venue.client(key) as client, venue.client(other) as buying:
        for price in ("20", "30"):
            buying.post("/v2/orders", json=limit_order(qty="1", limit_price=price))
            client.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price=price))
        equity = float(client.get("/v2/account").json()["equity"])
        assert equity == 1000 + 20 + 30 + 8 * 30
    alpaca: Any = TradingClient(key.key_id, key.secret, url_override=venue.url)
    history = alpaca.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="1D"))
    assert history.equity == [equity]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert history.timestamp == [int(today.timestamp())]
    deposited = 1000 + 10 * 30
    assert (history.base_value, history.profit_loss) == (deposited, [equity - deposited])
    assert history.profit_loss_pct == [round((equity - deposited) / deposited, 6)]


def test_the_last_minute_of_the_history_is_the_account_as_it_is(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    key, other = new_account(cash=1000), new_account()
    venue.give(key.account_id, 1, 10)
    with venue.client(key) as client, venue.client(other) as buying:
        for price in ("20", "30"):
            buying.post("/v2/orders", json=limit_order(qty="1", limit_price=price))
            client.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price=price))
        alpaca: Any = TradingClient(key.key_id, key.secret, url_override=venue.url)
        wanted = GetPortfolioHistoryRequest(period="1D", timeframe="1Min")
        # Its minute has to end first.
        wait_for(lambda: alpaca.get_portfolio_history(wanted).equity, 120, every_s=1)
        history = alpaca.get_portfolio_history(wanted)
        assert history.equity[-1] == float(client.get("/v2/account").json()["equity"])
        assert history.timeframe == "1Min"
        assert history.timestamp[-1] % 60 == 0
        assert history.base_value == 1000 + 10 * 30
        assert history.profit_loss[-1] == 20 + 30 + 8 * 30 - 10 * 30
        begin = datetime.fromtimestamp(history.timestamp[-1], UTC).isoformat()
        later = client.get(
            "/v2/account/portfolio/history",
            params={"start": begin, "period": "1D", "timeframe": "1Min"},
        ).json()
        assert later["timestamp"][0] == history.timestamp[-1]
        assert client.get("/v2/account/portfolio/history?period=2W").json()["timeframe"] == "15Min"


def test_an_account_that_has_nothing_has_no_history(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    with venue.client(new_account(cash=0)) as client:
        history = client.get("/v2/account/portfolio/history").json()
    assert (history["equity"], history["base_value"]) == ([], 0)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("period=1Y", "period: it is a number"),
        ("period=0D", "period: it is a number"),
        ("period=99A", "period: at most 3660 days"),
        ("period=9999A", "period: at most 3660 days"),
        ("start=1970-01-01&end=2026-01-05", "start and end: at most 3660 days"),
        ("timeframe=1H&period=31D", "timeframe: at most 10080 points and 30 days"),
        ("timeframe=1Min&period=8D", "timeframe: at most 10080 points and 30 days"),
        ("timeframe=2Min", "timeframe"),
        ("period=1D&start=2026-01-01&end=2026-01-05", "give two of"),
        ("start=2026-02-01&end=2026-01-05", "start must not be after end"),
        ("cashflow_types=ALL", "cashflow_types"),
        ("account=5", "account: this path has no such"),
    ],
)
def test_a_history_that_cannot_be_is_refused(client: httpx.Client, query: str, detail: str) -> None:
    answer = client.get(f"/v2/account/portfolio/history?{query}")
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_figures_of_the_day_count_from_the_close_of_the_day_before(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    key, other = venue.open_account(1, 1000), venue.open_account(2, 1000)
    venue.give(key.account_id, 1, 5)
    with venue.client(key) as client, venue.client(other) as buying:
        run_apart(insert_yesterday(venue, key.account_id))
        buying.post("/v2/orders", json=limit_order(qty="1", limit_price="30"))
        client.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price="30"))
        position = client.get("/v2/positions/AAPL").json()
        bought = buying.get("/v2/positions/AAPL").json()
        account = client.get("/v2/account").json()
        (listed,) = client.get("/v2/positions").json()
    assert listed == position
    assert (position["current_price"], position["lastday_price"]) == ("30", "25")
    assert position["change_today"] == bought["change_today"] == "0.2"
    # Four of the five that were held before are left.
    assert position["unrealized_intraday_pl"] == str(4 * 5)
    assert position["unrealized_intraday_plpc"] == "0.2"
    assert (bought["unrealized_pl"], bought["unrealized_intraday_pl"]) == ("0", "0")
    assert (account["last_equity"], account["equity"]) == (str(1000 + 5 * 25), str(1030 + 4 * 30))


def test_without_the_database_figures_of_the_day_count_from_the_cost(
    new_venue: Callable[..., Venue], postgres_url: str
) -> None:
    venue = new_venue().start()
    key = venue.open_account(1, 1000)
    venue.give(key.account_id, 1, 5)
    with venue.client(key) as client:
        assert client.get("/v2/orders").status_code == 200
        run_apart(take_away(venue, postgres_url))
        account = client.get("/v2/account")
        assert (account.status_code, account.json()["last_equity"]) == (
            200,
            account.json()["equity"],
        )
        (position,) = client.get("/v2/positions").json()
        assert position["lastday_price"] == position["avg_entry_price"]


async def take_away(venue: Venue, postgres_url: str) -> None:
    """Cut the venue from its database, for good."""
    name = make_url(venue.database_url).database
    engine = open_engine(postgres_url, "test", timeout_s=10, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        await connection.execute(text(ended), {"name": name})
    await engine.dispose()


async def insert_yesterday(venue: Venue, account_id: int) -> None:
    """Make the day before, at whose end the account had 1,000 and 5 AAPL, which closed at 25."""
    before = datetime.now(UTC).date() - timedelta(days=1)
    of_account = {"shard_id": 0, "account_id": account_id, "day": before}
    bar = {
        "shard_id": 0,
        "instrument_id": 1,
        "timeframe": "1Day",
        "started_at": datetime(before.year, before.month, before.day, tzinfo=UTC),
        **dict.fromkeys(("open", "high", "low", "close", "value"), 25),
        **dict.fromkeys(("volume", "trades", "updated_sequence"), 1),
    }
    engine = open_engine(venue.database_url, "test", timeout_s=10)
    async with engine.begin() as connection:
        await connection.execute(insert(daily_cash), {**of_account, "cash": 1000})
        held = {**of_account, "instrument_id": 1, "qty": 5, "cost": 5}
        await connection.execute(insert(daily_positions), held)
        await connection.execute(insert(bars), bar)
    await engine.dispose()
