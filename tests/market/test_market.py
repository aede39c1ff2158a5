"""With residents, a real venue is never empty, whatever dies."""

import signal
import time

import httpx
import pytest
from openvenue.market.__main__ import FAULT

from tests.market.conftest import PRICES, Market
from tests.support.waiting import wait_for

ORDERS_MAX = 5 * len(PRICES) * 3


def books(client: httpx.Client) -> list[bool]:
    """Return for each symbol whether both sides are quoted."""
    stocks = client.get("/v2/stocks/quotes/latest", params={"symbols": "AAPL"}).json()
    pairs = client.get("/v1beta3/crypto/us/latest/quotes", params={"symbols": "BTC/USD"}).json()
    quotes = stocks["quotes"] | pairs["quotes"]
    return [bool(quotes[symbol]["bp"] and quotes[symbol]["ap"]) for symbol in PRICES]


def test_a_market_quotes_and_trades_and_a_newcomer_is_filled(market: Market) -> None:
    market.start()
    market.wait_until_ready()
    newcomer = market.venue.open_account(cash=10_000_000)
    with market.venue.client(newcomer) as client:
        for symbol in PRICES:
            order = {"symbol": symbol, "qty": "1", "side": "buy", "type": "market"}
            order["time_in_force"] = "ioc"
            answer = client.post("/v2/orders", json=order, headers={"Prefer": "wait"})
            assert answer.json()["status"] == "filled"
        looks: list[bool] = []
        while len(looks) < 400:
            looks += books(client)
            time.sleep(0.05)
        wait_for(
            lambda: (
                client.get("/v2/stocks/trades", params={"symbols": "AAPL", "limit": 100})
                .json()["trades"]
                .get("AAPL")
            )
        )
    assert sum(looks) >= 0.99 * len(looks)
    wait_for(lambda: market.metric("actions_total", outcome="done") > 50)
    done = market.metric("actions_total", outcome="done")
    refused = market.metric("actions_total", outcome="refused")
    late = market.metric("actions_total", outcome="late")
    assert refused <= 0.01 * done
    assert late <= 0.05 * done
    assert market.metric("symbols") == len(PRICES)


def test_a_killed_market_goes_on_without_orphans(market: Market) -> None:
    for _ in range(3):
        process = market.start()
        market.wait_until_ready()
        played = market.metric("rounds_total")
        wait_for(lambda played=played: market.metric("rounds_total") >= played + 4)  # type: ignore[misc]
        process.stop(signal.SIGKILL)
        assert market.open_orders()
    process = market.start()
    market.wait_until_ready()
    wait_for(lambda: market.metric("rounds_total") >= 3)
    # A maker has one order a side; the others have few.
    assert len(market.open_orders()) <= ORDERS_MAX
    for name in ("market maker 1", "market maker 2"):
        with market.venue.client(market.keys[name]) as client:
            orders = client.get("/v2/orders", params={"limit": 500}).json()
        quoted = [(order["symbol"], order["side"]) for order in orders]
        assert len(quoted) == len(set(quoted))
    assert process.stop() == 0
    assert market.open_orders() == []


def test_orders_in_what_is_not_traded_are_canceled(market: Market) -> None:
    key = market.keys["market noise"]
    stray = {"symbol": "BTC/USD", "qty": "1", "side": "buy", "type": "limit"}
    stray |= {"time_in_force": "gtc", "limit_price": "10"}
    with market.venue.client(key) as client:
        client.post("/v2/orders", json=stray)
        market.start(SYMBOLS='["AAPL"]')
        market.wait_until_ready()
        wait_for(lambda: market.metric("rounds_total") >= 2)
        symbols = {order["symbol"] for order in market.open_orders()}
    assert symbols == {"AAPL"}


def test_a_market_waits_for_an_engine_that_died_and_goes_on(market: Market) -> None:
    process = market.start()
    market.wait_until_ready()
    market.venue.engine.stop(signal.SIGKILL)
    wait_for(lambda: not market.is_ready())
    market.venue.start_engine()
    market.wait_until_ready()
    played = market.metric("rounds_total")
    wait_for(lambda: market.metric("rounds_total") >= played + 3)
    with market.venue.client(market.keys["market maker 1"]) as client:
        assert all(books(client))
    assert process.running


def test_a_second_market_with_the_same_keys_ends(market: Market) -> None:
    market.start()
    market.wait_until_ready()
    first = market.venue.processes.pop("market")
    try:
        second = market.start(HTTP_PORT="0")
        assert second.process.wait(30) == FAULT
        assert "another market" in second.log.read_text()
    finally:
        assert first.stop() == 0


@pytest.mark.parametrize("content", [None, "{}", '{"keys": []}'])
def test_without_its_keys_a_market_ends_and_says_why(
    refused_market: Market, content: str | None
) -> None:
    refused_market.keys_file.unlink(missing_ok=True)
    if content is not None:
        refused_market.keys_file.write_text(content)
    process = refused_market.start()
    assert process.process.wait(30) == FAULT
    assert str(refused_market.keys_file) in process.log.read_text()


def test_refused_keys_end_a_market(refused_market: Market) -> None:
    document = refused_market.keys_document.replace('"secret": "', '"secret": "x')
    refused_market.keys_file.write_text(document)
    process = refused_market.start()
    assert process.process.wait(60) == FAULT
    assert "openvenue market fund" in process.log.read_text()
