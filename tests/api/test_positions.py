"""Positions are closed at market, wholly or in part, and never reversed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order
from tests.support.venue import Venue


@pytest.fixture
def market(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    """Yield the client of an account with a bid for 50 AAPL and BTC/USD and an offer of 50 AAPL."""
    key = new_account(may_sell_short=True)
    with venue.client(key) as client:
        for terms in (
            {"limit_price": "21"},
            {"side": "sell", "limit_price": "23"},
            {"symbol": "BTC/USD", "limit_price": "100", "time_in_force": "gtc"},
        ):
            entered = client.post("/v2/orders", json=limit_order(**{"qty": "50", **terms}))
            assert entered.json()["status"] == "new"
        yield client


@pytest.fixture
def holder(
    venue: Venue, market: httpx.Client, new_account: Callable[..., NewKey]
) -> Iterator[httpx.Client]:
    """Yield a client that holds 7 AAPL and 2 BTC/USD and may not sell short."""
    key = new_account()
    venue.give(key.account_id, 1, 7)
    venue.give(key.account_id, 2, 20_000)
    with venue.client(key) as client:
        yield client


@pytest.fixture
def short(
    market: httpx.Client, venue: Venue, new_account: Callable[..., NewKey]
) -> Iterator[httpx.Client]:
    """Yield a client that is 5 AAPL short."""
    with venue.client(new_account(may_sell_short=True)) as client:
        sold = client.post(
            "/v2/orders", json=limit_order(side="sell", qty="5", limit_price="21")
        ).json()
        assert sold["status"] == "filled"
        yield client


def quantity(client: httpx.Client, symbol: str = "AAPL") -> str:
    answer = client.get(f"/v2/positions/{symbol}")
    return str(answer.json()["qty"]) if answer.is_success else "0"


def test_a_long_position_is_sold_whole(holder: httpx.Client) -> None:
    order = holder.delete("/v2/positions/AAPL").json()
    assert (order["side"], order["type"], order["qty"]) == ("sell", "market", "7")
    assert (order["status"], order["filled_avg_price"]) == ("filled", "21")
    assert (order["position_intent"], order["time_in_force"]) == ("sell_to_close", "day")
    assert holder.get(f"/v2/orders/{order['id']}").json() == order
    assert quantity(holder) == "0"


def test_a_short_position_is_bought_back(short: httpx.Client) -> None:
    order = short.delete("/v2/positions/AAPL").json()
    assert (order["side"], order["qty"], order["status"]) == ("buy", "5", "filled")
    assert (order["position_intent"], order["filled_avg_price"]) == ("buy_to_close", "23")
    assert quantity(short) == "0"


@pytest.mark.parametrize("name", ["BTC/USD", "BTCUSD", "BTC%2FUSD"])
def test_a_pair_is_closed_by_either_of_its_symbols(holder: httpx.Client, name: str) -> None:
    order = holder.delete(f"/v2/positions/{name}").json()
    assert (order["symbol"], order["qty"], order["status"]) == ("BTC/USD", "2", "filled")
    assert order["time_in_force"] == "gtc"


def test_a_position_is_closed_by_its_asset_id(holder: httpx.Client) -> None:
    asset_id = holder.get("/v2/assets/AAPL").json()["id"]
    assert holder.delete(f"/v2/positions/{asset_id}").json()["symbol"] == "AAPL"


@pytest.mark.parametrize(
    ("query", "closed", "left"),
    [
        ({"qty": "3"}, "3", "4"),
        ({"percentage": "100"}, "7", "0"),
        ({"percentage": "50"}, "3", "4"),
        ({"percentage": "14.285714286"}, "1", "6"),
    ],
)
def test_a_part_is_closed_rounded_down(
    holder: httpx.Client, query: dict[str, str], closed: str, left: str
) -> None:
    order = holder.delete("/v2/positions/AAPL", params=query).json()
    assert (order["qty"], order["status"]) == (closed, "filled")
    assert quantity(holder) == left


def test_a_part_of_a_pair_may_be_fractional(holder: httpx.Client) -> None:
    closed = holder.delete("/v2/positions/BTC/USD", params={"percentage": "33.3333"})
    assert closed.json()["qty"] == "0.6666"
    assert quantity(holder, "BTC/USD") == "1.3334"


@pytest.mark.parametrize(
    "query",
    [
        "qty=0",
        "qty=-1",
        "qty=1.5",
        "qty=x",
        "qty=",
        "percentage=0",
        "percentage=100.1",
        "percentage=x",
        "percentage=1e400",
        "percentage=14.2",
        "qty=1&percentage=50",
        "quantity=1",
    ],
)
def test_a_part_that_cannot_be_is_refused(holder: httpx.Client, query: str) -> None:
    assert holder.delete(f"/v2/positions/AAPL?{query}").status_code == 422
    assert quantity(holder) == "7"


def test_more_than_the_position_is_refused(holder: httpx.Client) -> None:
    answer = holder.delete("/v2/positions/AAPL", params={"qty": "8"})
    assert (answer.status_code, answer.json()["code"]) == (403, 40310000)
    assert "(requested: 8, available: 7)" in answer.json()["message"]


def test_what_open_orders_hold_is_not_closed(holder: httpx.Client) -> None:
    holder.post("/v2/orders", json=limit_order(side="sell", qty="3", limit_price="900"))
    answer = holder.delete("/v2/positions/AAPL")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (403, 40310000)
    assert (problem["available"], problem["existing_qty"], problem["held_for_orders"]) == (
        *("4", "7", "3"),
    )
    assert holder.delete("/v2/positions/AAPL", params={"qty": "4"}).json()["status"] == "filled"


def test_what_open_buys_would_cover_is_not_closed(short: httpx.Client) -> None:
    short.post("/v2/orders", json=limit_order(qty="2", limit_price="1"))
    assert short.delete("/v2/positions/AAPL").json()["available"] == "3"
    assert short.delete("/v2/positions/AAPL", params={"qty": "3"}).json()["status"] == "filled"


def test_there_has_to_be_a_position(holder: httpx.Client, client: httpx.Client) -> None:
    for symbol in ("AAPL", "NOPE"):
        answer = client.delete(f"/v2/positions/{symbol}")
        assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
    assert client.delete("/v2/positions").json() == []
    assert quantity(holder) == "7"


def test_racing_closes_never_reverse_a_position(
    venue: Venue, market: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    key = new_account(may_sell_short=True)
    start = threading.Barrier(4)

    def close(client: httpx.Client) -> int:
        start.wait()
        return client.delete("/v2/positions/AAPL").status_code

    with venue.client(key) as client, ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            venue.give(key.account_id, 1, 3)
            statuses = sorted(threads.map(close, [client] * 4))
            assert statuses[0] == 200
            assert set(statuses[1:]) <= {404, 422}
            assert quantity(client) == "0"


def test_all_positions_are_closed_with_a_result_for_each(holder: httpx.Client) -> None:
    holder.post("/v2/orders", json=limit_order(side="sell", qty="3", limit_price="900"))
    answer = holder.delete("/v2/positions")
    assert answer.status_code == 207
    results = {result["symbol"]: result for result in answer.json()}
    assert results["BTC/USD"]["status"] == 200
    assert results["BTC/USD"]["body"]["status"] == "filled"
    assert (results["AAPL"]["status"], results["AAPL"]["body"]["code"]) == (403, 40310000)
    assert quantity(holder) == "7"


def test_all_positions_are_closed_after_canceling_the_orders(holder: httpx.Client) -> None:
    holder.post("/v2/orders", json=limit_order(side="sell", qty="3", limit_price="900"))
    answer = holder.delete("/v2/positions", params={"cancel_orders": "true"})
    assert [result["body"]["status"] for result in answer.json()] == ["filled"] * 2
    assert holder.get("/v2/positions").json() == []
    assert holder.get("/v2/orders").json() == []


def test_positions_of_others_stay(holder: httpx.Client, client: httpx.Client) -> None:
    assert client.delete("/v2/positions?cancel_orders=true").json() == []
    assert quantity(holder) == "7"


def test_without_liquidity_the_position_stays(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    key = new_account()
    venue.give(key.account_id, 1, 1)
    with venue.client(key) as client:
        assert client.delete("/v2/positions/AAPL").json()["status"] == "canceled"
        assert quantity(client) == "1"
