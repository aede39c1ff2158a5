"""A recorded day is replayed in a loop, on a real venue, beside the other residents."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openvenue.market.__main__ import FAULT
from openvenue.market.agents import Place
from openvenue.market.client import Asset, MarketClient, read_keys
from openvenue.market.day import RecordedDay
from openvenue.market.day_trader import ACCOUNTS, MAKERS, TAKERS, DayTrader, Start
from openvenue.market.pace import Pace
from openvenue.replay.venue import Venue as VenueClient

from tests.market.conftest import Market
from tests.support.venue import Venue
from tests.support.waiting import wait_for

# The first trade is at 220.00, which becomes the instrument's present price.
MESSAGES = """\
34200.0,1,101,100,2200000,1
34200.1,1,102,200,2199900,1
34200.2,1,103,100,2200200,-1
34200.3,1,104,300,2200300,-1
34200.4,4,101,100,2200000,1
34200.5,2,102,100,2199900,1
34201.0,4,103,60,2200200,-1
34201.5,5,0,10,2200100,1
34202.0,3,104,300,2200300,-1
34202.5,1,105,100,2200300,1
34203.0,4,105,50,2200300,1
"""
START, UNIT = 58_500, 10  # ticks of a cent; lots
# As the takers see them.
TRADES = [("sell", "585", "10"), ("buy", "585.02", "6"), ("sell", "585.03", "5")]
MIRRORED = [("buy", "585", "10"), ("sell", "584.98", "6"), ("buy", "584.97", "5")]


@pytest.fixture(scope="module")
def day_market(venue_with: Callable[..., Venue]) -> Market:
    """Return a market with the accounts of a day; each test ends the process that it starts."""
    return Market(venue_with(), ACCOUNTS)


@pytest.fixture
def day_file(tmp_path: Path) -> Path:
    file = tmp_path / "XYZ_2012-06-21_34200000_57600000_message_2.csv"
    file.write_text(MESSAGES)
    return file


def settings(file: Path) -> dict[str, str]:
    return {
        "DAY_FILE": str(file),
        "DAY_SYMBOL": "AAPL",
        "DAY_SPEED": "5",
        "DAY_ORDERS_PER_SECOND_MAX": "100",
    }


def last_fills(market: Market, name: str, count: int = 6) -> list[tuple[str, str, str]]:
    """Return an account's newest fills as (side, price, qty), the oldest of them first."""
    with market.venue.client(market.keys[name]) as client:
        found: list[dict[str, Any]] = client.get(
            "/v2/account/activities/FILL", params={"page_size": count}
        ).json()
    return [(each["side"], each["price"], each["qty"]) for each in reversed(found)]


def opposite(fill: tuple[str, str, str]) -> tuple[str, str, str]:
    side, price, qty = fill
    return ("buy" if side == "sell" else "sell", price, qty)


def position(market: Market, name: str) -> str:
    with market.venue.client(market.keys[name]) as client:
        return str(client.get("/v2/positions/AAPL").json()["qty"])


@asynccontextmanager
async def connected(market: Market) -> AsyncIterator[tuple[MarketClient, Asset]]:
    """Yield a client of the day's two accounts, and the instrument."""
    keys = read_keys(market.keys_file.read_bytes())
    async with VenueClient(market.venue.url, [keys[name] for name in ACCOUNTS], 4) as requests:
        client = MarketClient(requests)
        (asset,) = (each for each in await client.assets() if each.symbol == "AAPL")
        yield client, asset


async def test_two_laps_trade_what_the_day_did_and_end_where_they_began(
    day_market: Market, day_file: Path
) -> None:
    before = [position(day_market, name) for name in ACCOUNTS]
    prices: list[int] = []
    async with connected(day_market) as (client, asset):
        day = RecordedDay.read(day_file)
        trader = DayTrader(client, 0, 1, day, prices.append)
        for _ in range(2):
            await trader.lap(Start(asset, START, UNIT), Pace(day.first_s, 10_000, 1000))
    wait_for(lambda: last_fills(day_market, TAKERS) == TRADES + MIRRORED)
    assert last_fills(day_market, MAKERS) == [opposite(fill) for fill in TRADES + MIRRORED]
    assert prices == [58_500, 58_502, 58_501, 58_503, 58_500, 58_498, 58_499, 58_497]
    assert [position(day_market, name) for name in ACCOUNTS] == before
    assert day_market.open_orders() == []


def test_a_market_replays_a_day_in_a_loop_beside_its_residents(
    day_market: Market, day_file: Path
) -> None:
    process = day_market.start(**settings(day_file))
    try:
        day_market.wait_until_ready()
        wait_for(lambda: day_market.metric("day_laps_total") >= 4)
        played = day_market.metric("rounds_total")
        wait_for(lambda: day_market.metric("rounds_total") >= played + 2)
        for name in ("market maker 1", "market maker 2"):
            with day_market.venue.client(day_market.keys[name]) as client:
                quoted = {
                    (order["symbol"], order["side"])
                    for order in client.get("/v2/orders", params={"limit": 500}).json()
                }
            assert len(quoted) == 4
        assert 34_200 <= day_market.metric("day_time_seconds") <= 34_203
        for name in ACCOUNTS:
            assert day_market.metric("actions_total", agent=name, outcome="done") >= 6
            assert day_market.metric("actions_total", agent=name, outcome="refused") == 0
        wait_for(lambda: last_fills(day_market, TAKERS))
        traded = last_fills(day_market, TAKERS)
        assert all(abs(float(price) / 585 - 1) < 0.02 for _, price, _ in traded)
    finally:
        assert process.stop() == 0
    assert day_market.open_orders() == []


def test_a_market_killed_within_a_day_goes_on_without_orphans(
    day_market: Market, day_file: Path
) -> None:
    def orders() -> list[Any]:
        with day_market.venue.client(day_market.keys[MAKERS]) as client:
            found: list[Any] = client.get("/v2/orders", params={"limit": 500}).json()
        return found

    for _ in range(3):
        process = day_market.start(**settings(day_file), SYMBOLS='["AAPL"]')
        wait_for(orders, every_s=0.02)
        process.stop(signal.SIGKILL)
        assert orders()
    process = day_market.start(**settings(day_file), SYMBOLS='["AAPL"]')
    try:
        wait_for(lambda: day_market.is_ready() and day_market.metric("day_laps_total") >= 2)
        assert len(orders()) <= 4
    finally:
        assert process.stop() == 0
    assert day_market.open_orders() == []


def test_a_request_under_way_is_answered_before_a_market_leaves(day_market: Market) -> None:
    async def stopped_while_the_engine_hangs() -> list[str]:
        async with connected(day_market) as (client, asset):
            day_market.venue.engine.pause()
            try:
                entered = asyncio.ensure_future(
                    client.perform(0, asset, Place("buy", 100, 1), "under-way")
                )
                await asyncio.sleep(0.2)
                entered.cancel()
                await asyncio.wait((entered,), timeout=0.2)
                assert not entered.done()
            finally:
                day_market.venue.engine.resume()
            await asyncio.wait((entered,))
            assert entered.cancelled()
            found = [order.symbol for order in await client.open_orders(0)]
            await client.cancel_all(0)
            return found

    assert asyncio.run(stopped_while_the_engine_hangs()) == ["AAPL"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("34200.0,9,1,1,1,1\n", ":1: expected time"), ("", "no new order")],
)
def test_a_day_that_cannot_be_read_ends_a_market_and_says_why(
    day_market: Market, day_file: Path, content: str | None, reason: str
) -> None:
    if content is None:
        day_file.unlink()
    else:
        day_file.write_text(content)
    process = day_market.start(**settings(day_file))
    assert process.process.wait(30) == FAULT
    assert reason in process.log.read_text()


def test_a_day_without_its_accounts_ends_a_market_and_says_how_to_make_them(
    day_market: Market, day_file: Path, tmp_path: Path
) -> None:
    keys = json.loads(day_market.keys_document)["keys"]
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [key for key in keys if key["account"] not in ACCOUNTS]}))
    process = day_market.start(**settings(day_file), KEYS_FILE=str(file))
    assert process.process.wait(30) == FAULT
    assert "with --day" in process.log.read_text()
