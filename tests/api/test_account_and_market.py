"""The account, its positions, assets, the clock and books."""

from collections.abc import Callable, Iterator
from datetime import datetime

import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order
from tests.support.venue import INSTRUMENTS, Venue
from tests.support.waiting import wait_for


@pytest.fixture
def holder(venue: Venue, client: httpx.Client, new_account: Callable[..., NewKey]) -> httpx.Client:
    """Return a client whose account bought 2 BTC at 100.5 and then saw a trade at 120."""
    seller_key = new_account()
    venue.give(seller_key.account_id, 2, 100_000)
    with venue.client(seller_key) as seller:
        pair = {"symbol": "BTC/USD", "time_in_force": "gtc"}
        for price, qty in (("100.5", "2"), ("120", "0.0001")):
            sell = limit_order(side="sell", limit_price=price, qty=qty, **pair)
            assert seller.post("/v2/orders", json=sell).json()["status"] == "new"
            buyer = client if price == "100.5" else seller
            buy = limit_order(limit_price=price, qty=qty, **pair)
            assert buyer.post("/v2/orders", json=buy).json()["status"] == "filled"
    return client


def test_a_fresh_account_has_its_cash_to_spend(client: httpx.Client) -> None:
    account = client.get("/v2/account").json()
    assert account["cash"] == account["buying_power"] == account["equity"] == "10000000"
    assert (account["status"], account["currency"]) == ("ACTIVE", "USD")
    assert account["shorting_enabled"] is False


def test_open_orders_reserve_buying_power_but_no_cash(client: httpx.Client) -> None:
    client.post("/v2/orders", json=limit_order(qty="10", limit_price="10.5"))
    account = client.get("/v2/account").json()
    assert (account["cash"], account["buying_power"]) == ("10000000", "9999895")
    client.delete("/v2/orders")
    assert client.get("/v2/account").json()["buying_power"] == "10000000"


def test_a_position_is_valued_at_the_last_price(holder: httpx.Client) -> None:
    (position,) = holder.get("/v2/positions").json()
    assert (position["symbol"], position["qty"], position["side"]) == ("BTC/USD", "2", "long")
    assert (position["avg_entry_price"], position["cost_basis"]) == ("100.5", "201")
    assert (position["current_price"], position["market_value"]) == ("120", "240")
    assert position["unrealized_pl"] == "39"
    account = holder.get("/v2/account").json()
    assert account["cash"] == "9999799"
    assert (account["long_market_value"], account["equity"]) == ("240", "10000039")


def test_open_sells_reserve_the_position(holder: httpx.Client) -> None:
    sell = limit_order(
        symbol="BTC/USD", side="sell", qty="0.5", limit_price="900", time_in_force="gtc"
    )
    assert holder.post("/v2/orders", json=sell).status_code == 200
    assert holder.get("/v2/positions/BTC/USD").json()["qty_available"] == "1.5"


@pytest.fixture
def short(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    """Yield a client whose account sold 5 AAPL short at 30."""
    buyer_key, short_key = new_account(), new_account(may_sell_short=True)
    with venue.client(buyer_key) as buyer, venue.client(short_key) as short:
        buyer.post("/v2/orders", json=limit_order(qty="5", limit_price="30"))
        sold = short.post("/v2/orders", json=limit_order(side="sell", qty="5", limit_price="30"))
        assert sold.json()["status"] == "filled"
        yield short


def test_open_buys_reserve_a_short_position(short: httpx.Client) -> None:
    def available() -> str:
        (listed,) = short.get("/v2/positions").json()
        assert short.get("/v2/positions/AAPL").json() == listed
        assert (listed["qty"], listed["side"]) == ("-5", "short")
        return str(listed["qty_available"])

    assert available() == "-5"
    short.post("/v2/orders", json=limit_order(side="sell", qty="3", limit_price="900"))
    assert available() == "-5"
    short.post("/v2/orders", json=limit_order(qty="2", limit_price="1"))
    assert available() == "-3"
    short.post("/v2/orders", json=limit_order(qty="4", limit_price="1"))
    assert available() == "0"


def test_the_average_price_stays_while_a_position_is_sold(
    venue: Venue, client: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    with venue.client(new_account(may_sell_short=True)) as other:
        for price in ("10.00", "10.00", "10.01"):
            other.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price=price))
            client.post("/v2/orders", json=limit_order(qty="1", limit_price=price))
        seen = []
        for _ in range(2):
            seen.append(client.get("/v2/positions/AAPL").json()["avg_entry_price"])
            client.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price="10"))
            other.post("/v2/orders", json=limit_order(qty="1", limit_price="10"))
        seen.append(client.get("/v2/positions/AAPL").json()["avg_entry_price"])
    assert seen == ["10.0033"] * 3


def test_open_orders_for_pairs_hold_cash(client: httpx.Client) -> None:
    pair = {"symbol": "BTC/USD", "time_in_force": "gtc"}
    client.post("/v2/orders", json=limit_order(qty="0.5", limit_price="100", **pair))
    client.post("/v2/orders", json=limit_order(qty="10", limit_price="10"))
    account = client.get("/v2/account").json()
    assert (account["cash"], account["buying_power"]) == ("9999950", "9999850")
    assert account["equity"] == "10000000"


def test_one_position_is_read_by_symbol_or_asset_id(holder: httpx.Client) -> None:
    by_symbol = holder.get("/v2/positions/BTC/USD").json()
    assert holder.get(f"/v2/positions/{by_symbol['asset_id']}").json() == by_symbol
    missing = holder.get("/v2/positions/AAPL")
    assert (missing.status_code, missing.json()["message"]) == (404, "position does not exist")


def test_assets_are_listed_and_filtered(client: httpx.Client) -> None:
    def symbols(**query: str) -> list[str]:
        return [asset["symbol"] for asset in client.get("/v2/assets", params=query).json()]

    assert symbols() == symbols(asset_class="us_equity") == ["AAPL", "OLD"]
    assert symbols(asset_class="all") == ["AAPL", "BTC/USD", "OLD"]
    assert symbols(asset_class="us_equity,crypto") == ["AAPL", "BTC/USD", "OLD"]
    assert symbols(asset_class="crypto", status="active") == ["BTC/USD"]
    assert symbols(status="inactive") == ["OLD"]
    assert symbols(asset_class="us_option") == symbols(asset_class="crypto_perp") == []
    assert symbols(exchange="NASDAQ") == ["AAPL", "OLD"]
    assert symbols(exchange="NYSE") == symbols(exchange="CRYPTO") == []
    assert symbols(attributes="has_options,ipo") == []


def test_the_list_of_assets_is_the_engines_or_none(venue_with: Callable[..., Venue]) -> None:
    """A client may keep its first list for ever, as ccxt does: an old one would be a lie."""
    venue = venue_with(projector=False)
    with venue.client(venue.open_account()) as client:
        for number in (901, 902):
            terms = pb.DefineInstrument()
            terms.CopyFrom(INSTRUMENTS[0])
            terms.instrument_id, terms.symbol = number, f"NEW{number}"
            venue.apply(pb.AdminRequest(define_instrument=terms))
            symbols = [asset["symbol"] for asset in client.get("/v2/assets").json()]
            assert terms.symbol in symbols
        venue.engine.pause()
        answer = client.get("/v2/assets")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        venue.engine.resume()
        wait_for(lambda: client.get("/v2/assets").status_code == 200)


@pytest.mark.parametrize(
    "query", ["asset_class=stocks", "attributes=shiny", "clas=crypto", "status=x"]
)
def test_assets_cannot_be_filtered_by_what_there_is_not(client: httpx.Client, query: str) -> None:
    response = client.get(f"/v2/assets?{query}")
    assert (response.status_code, response.json()["code"]) == (422, 40010001)


def test_an_asset_tells_its_increments(client: httpx.Client) -> None:
    asset = client.get("/v2/assets/BTC/USD").json()
    assert (asset["class"], asset["status"], asset["tradable"]) == ("crypto", "active", True)
    assert (asset["price_increment"], asset["min_trade_increment"]) == ("0.1", "0.0001")
    assert client.get(f"/v2/assets/{asset['id']}").json() == asset
    assert client.get("/v2/assets/NOPE").status_code == 404


def test_the_clock_is_open_and_the_day_ends_in_the_future(client: httpx.Client) -> None:
    clock = client.get("/v2/clock").json()
    now, close = (datetime.fromisoformat(clock[name]) for name in ("timestamp", "next_close"))
    assert clock["is_open"] is True
    assert now < close


def test_a_book_shows_its_best_levels(client: httpx.Client) -> None:
    for price, qty in (("1.01", "5"), ("1.01", "7"), ("1.02", "1")):
        client.post("/v2/orders", json=limit_order(limit_price=price, qty=qty))
    before = client.get("/v1/book/AAPL", params={"depth": 1}).json()
    assert len(before["bids"]) == 1
    levels = {
        level["price"]: level for level in client.get("/v1/book/AAPL?depth=1000").json()["bids"]
    }
    assert (levels["1.01"]["qty"], levels["1.01"]["orders"]) == ("12", 2)
    assert levels["1.02"]["qty"] == "1"


@pytest.mark.parametrize("query", ["depth=0", "depth=1001", "depth=x"])
def test_a_book_of_impossible_depth_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/v1/book/AAPL?{query}").status_code == 422


def test_the_book_of_an_unknown_symbol_is_not_found(client: httpx.Client) -> None:
    assert client.get("/v1/book/NOPE").json()["code"] == 40410000
