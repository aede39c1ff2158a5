"""Answers agree with Alpaca's published schemas, if its document is available."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from openvenue.http.routes import absent
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.support.venue import ROOT, Venue
from tests.support.waiting import wait_for

DATA = Path(os.environ.get("OPENVENUE_TEST_DATA", ROOT.parent / "shared/data"))
DOCUMENT = DATA / "alpaca/trading-api.json"
MARKET_DATA_DOCUMENT = DATA / "alpaca/market-data-api.json"
# Alpaca itself answers this, and its clients expect it.
BEYOND_THE_DOCUMENT = "CRYPTO"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded = _loaded(DOCUMENT)
    _as_json_schema(loaded["components"]["schemas"])
    for name in ("Exchange", "ExchangeForPosition"):
        loaded["components"]["schemas"][name]["enum"].append(BEYOND_THE_DOCUMENT)
    return loaded


@pytest.fixture(scope="module")
def market_data() -> dict[str, Any]:
    loaded = _loaded(MARKET_DATA_DOCUMENT)
    _as_json_schema(loaded["components"]["schemas"])
    return loaded


def _loaded(file: Path) -> dict[str, Any]:
    if not file.exists():
        pytest.skip(f"{file} is not there; set OPENVENUE_TEST_DATA to the folder of test data")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def _as_json_schema(schema: Any) -> None:
    """Translate OpenAPI 3.0's `nullable` into JSON schema's type."""
    if isinstance(schema, list):
        for item in schema:
            _as_json_schema(item)
    elif isinstance(schema, dict):
        if schema.pop("nullable", None) is True and "type" in schema:
            schema["type"] = [schema["type"], "null"]
        for value in schema.values():
            _as_json_schema(value)


def check(document: dict[str, Any], path: str, answer: httpx.Response, method: str = "get") -> Any:
    """Check an answer by the schema of its path, and return it."""
    assert answer.is_success, answer.text
    described = document["paths"][path][method]["responses"][str(answer.status_code)]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    schema = described["content"]["application/json"]["schema"]
    whole = {**schema, "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    assert [str(fault.message) for fault in validator.iter_errors(answer.json())] == []
    return answer.json()


@pytest.fixture
def trader(
    venue: Venue, new_account: Callable[..., NewKey]
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Return two clients; the first may sell short and holds a long and a short position."""
    key, other_key = new_account(may_sell_short=True), new_account(may_sell_short=True)
    venue.give(key.account_id, 2, 10_000)
    with venue.client(key) as client, venue.client(other_key) as other:
        other.post("/v2/orders", json=limit_order(qty="3", limit_price="31"))
        client.post("/v2/orders", json=limit_order(side="sell", qty="3", limit_price="31"))
        yield client, other


def test_orders_in_every_state_are_alpacas(
    document: dict[str, Any], trader: tuple[httpx.Client, httpx.Client]
) -> None:
    client, other = trader
    bodies = [
        limit_order(),
        limit_order(time_in_force="gtc"),
        {
            **limit_order(symbol="BTC/USD", qty="0.5", limit_price="100.5", time_in_force="gtc"),
            "position_intent": "buy_to_open",
        },
        limit_order(self_trade_prevention="cancel_both", post_only=True),
        limit_order(type="stop", stop_price="90000", limit_price=None),
        limit_order(type="stop_limit", stop_price="31", limit_price="9"),
        limit_order(time_in_force="ioc"),
        limit_order(qty="1000", time_in_force="fok"),
        market_order(),
    ]
    orders = [
        check(document, "/v2/orders", client.post("/v2/orders", json=body), "post")
        for body in bodies
    ]
    as_accepted = client.post("/v2/orders", json=limit_order(), headers={"Prefer": ""})
    assert check(document, "/v2/orders", as_accepted, "post")["status"] == "accepted"
    other.post("/v2/orders", json=limit_order(side="sell", qty="4", limit_price="10"))
    path = "/v2/orders/{order_id}"
    answer = client.patch(f"/v2/orders/{orders[1]['id']}", json={"qty": "7"})
    check(document, path, answer, "patch")
    client.delete(f"/v2/orders/{orders[2]['id']}")
    for query in ({}, {"status": "all", "direction": "asc"}, {"status": "closed"}):
        assert check(document, "/v2/orders", client.get("/v2/orders", params=query))
    for order in orders:
        check(document, path, client.get(f"/v2/orders/{order['id']}"))
    by_client_id = {"client_order_id": orders[0]["client_order_id"]}
    answer = client.get("/v2/orders:by_client_order_id", params=by_client_id)
    check(document, "/v2/orders:by_client_order_id", answer)


def test_a_day_order_expires_with_its_day_and_others_do_not(client: httpx.Client) -> None:
    close = client.get("/v2/clock").json()["next_close"]
    day = client.post("/v2/orders", json=limit_order()).json()
    assert day["expires_at"] == close
    assert client.get("/v2/orders", params={"status": "all"}).json() == [day]
    assert (
        "expires_at" not in client.post("/v2/orders", json=limit_order(time_in_force="gtc")).json()
    )


def test_positions_account_assets_clock_and_calendar_are_alpacas(
    document: dict[str, Any], trader: tuple[httpx.Client, httpx.Client]
) -> None:
    client, _ = trader
    assert len(check(document, "/v2/positions", client.get("/v2/positions"))) == 2
    for symbol in ("AAPL", "BTC/USD"):
        path = "/v2/positions/{symbol_or_asset_id}"
        check(document, path, client.get(f"/v2/positions/{symbol}"))
        check(document, "/v2/assets/{symbol_or_asset_id}", client.get(f"/v2/assets/{symbol}"))
    assets = client.get("/v2/assets", params={"asset_class": "all"})
    assert len(check(document, "/v2/assets", assets)) == 3
    check(document, "/v2/account", client.get("/v2/account"))
    path = "/v2/account/configurations"
    check(document, path, client.get(path))
    check(document, path, client.patch(path, json={"no_shorting": False}), "patch")
    history = check(
        document, "/v2/account/portfolio/history", client.get("/v2/account/portfolio/history")
    )
    assert history["equity"]
    check(document, "/v2/clock", client.get("/v2/clock"))
    check(document, "/v3/clock", client.get("/v3/clock"))
    assert check(document, "/v2/calendar", client.get("/v2/calendar"))
    check(document, "/v3/calendar/{market}", client.get("/v3/calendar/NASDAQ"))


def test_activities_are_alpacas(
    venue: Venue, document: dict[str, Any], trader: tuple[httpx.Client, httpx.Client]
) -> None:
    client, _ = trader
    plain_dates = document["components"]["schemas"]["NonTradeActivities"]["properties"]
    # Alpaca itself answers dates, and ccxt needs them.
    assert plain_dates["date"].pop("format", "date-time") == "date-time"
    activities = check(document, "/v2/account/activities", client.get("/v2/account/activities"))
    assert {one["activity_type"] for one in activities} == {"FILL", "CSD", "JNLS"}
    path = "/v2/account/activities/{activity_type}"
    responses = document["paths"][path]["get"]["responses"]["200"]
    items = responses["content"]["application/json"]["schema"]["items"]
    # Its schemas require nothing, so that one of them fits what the other one describes.
    items["anyOf"] = items.pop("oneOf", items.get("anyOf"))
    for kind in ("FILL", "CSD", "JNLS", "DIV"):
        check(document, path, client.get(f"/v2/account/activities/{kind}"))


def test_empty_lists_are_alpacas(document: dict[str, Any], client: httpx.Client) -> None:
    market_data = json.loads((DATA / "alpaca/market-data-api.json").read_text())
    _as_json_schema(market_data["components"]["schemas"])
    for path in absent.EMPTY:
        # Its document shows a list of these as one of them.
        if not path.startswith("/v2/wallets"):
            described = document if path in document["paths"] else market_data
            check(described, path, client.get(path.replace("{underlying_symbol}", "AAPL")))


def test_watchlists_are_alpacas(document: dict[str, Any], client: httpx.Client) -> None:
    # Its schema names a list of assets as one asset of the list.
    watched = document["components"]["schemas"]["Watchlist"]["properties"]["assets"]
    assert watched["items"]["$ref"].endswith("/Assets")
    body = {"name": "mine", "symbols": ["AAPL"]}
    list_id = check(document, "/v2/watchlists", client.post("/v2/watchlists", json=body), "post")[
        "id"
    ]
    check(document, "/v2/watchlists", client.get("/v2/watchlists"))
    one, by_name = "/v2/watchlists/{watchlist_id}", "/v2/watchlists:by_name"
    for path, url in ((one, f"/v2/watchlists/{list_id}"), (by_name, f"{by_name}?name=mine")):
        check(document, path, client.get(url))
        check(document, path, client.put(url, json=body), "put")
        check(document, path, client.post(url, json={"symbol": "BTC/USD"}), "post")
    answer = client.delete(f"/v2/watchlists/{list_id}/AAPL")
    check(document, "/v2/watchlists/{watchlist_id}/{symbol}", answer, "delete")


def test_closed_positions_are_alpacas(
    document: dict[str, Any], trader: tuple[httpx.Client, httpx.Client]
) -> None:
    client, other = trader
    for side, price in (("buy", "30"), ("sell", "32")):
        other.post("/v2/orders", json=limit_order(side=side, qty="9", limit_price=price))
    path = "/v2/positions/{symbol_or_asset_id}"
    answer = client.delete("/v2/positions/AAPL", params={"qty": "1"})
    check(document, path, answer, "delete")
    answer = client.delete("/v2/positions", params={"cancel_orders": "true"})
    assert len(check(document, "/v2/positions", answer, "delete")) == 2


STOCK_DATA = [
    *("bars", "trades", "quotes", "bars/latest", "trades/latest", "quotes/latest", "snapshots"),
    *("meta/exchanges", "meta/conditions/{ticktype}"),
    *("{symbol}/bars", "{symbol}/trades", "{symbol}/quotes"),
    *("{symbol}/bars/latest", "{symbol}/trades/latest", "{symbol}/quotes/latest"),
    "{symbol}/snapshot",
]
PAIR_DATA = [
    *("bars", "trades", "quotes", "snapshots"),
    *(f"latest/{what}" for what in ("bars", "trades", "quotes", "orderbooks")),
]
SCREENERS = ["stocks/most-actives", "{market_type}/movers"]


@pytest.mark.parametrize(
    "path",
    [
        *(f"/v2/stocks/{path}" for path in STOCK_DATA),
        *(f"/v1beta3/crypto/{{loc}}/{path}" for path in PAIR_DATA),
        *(f"/v1beta1/screener/{path}" for path in SCREENERS),
    ],
)
def test_market_data_is_alpacas(
    market_data: dict[str, Any], trader: tuple[httpx.Client, httpx.Client], path: str
) -> None:
    client, other = trader
    other.post("/v2/orders", json=limit_order(symbol="BTC/USD", qty="0.5", time_in_force="gtc"))
    sell = limit_order(symbol="BTC/USD", side="sell", qty="0.25", time_in_force="gtc")
    client.post("/v2/orders", json=sell)
    of_pairs = "/v1beta3/crypto/us/trades?symbols=BTC/USD"
    wait_for(lambda: client.get("/v2/stocks/AAPL/trades/latest").status_code == 200)
    wait_for(lambda: client.get(of_pairs).json()["trades"])
    for quoted in ("/v2/stocks/quotes?symbols=AAPL", "/v1beta3/crypto/us/quotes?symbols=BTC/USD"):
        wait_for(lambda: client.get(quoted).json()["quotes"])  # noqa: B023
    values = {"symbol": "AAPL", "loc": "us", "market_type": "stocks", "ticktype": "trade"}
    symbols = "BTC/USD" if "crypto" in path else "AAPL"
    wanted = {"symbols": symbols, "timeframe": "1Min", "tape": "C"}
    described = market_data["paths"][path]["get"].get("parameters", [])
    asked = {
        name: value for name, value in wanted.items() if name in _names(market_data, described)
    }
    answer = client.get(path.format(**values), params=asked)
    assert check(market_data, path, answer)


def _names(document: dict[str, Any], parameters: list[dict[str, Any]]) -> set[str]:
    """Return the names of parameters, some of which are references."""
    known = document["components"]["parameters"]
    whole = (
        known[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in parameters
    )
    return {parameter["name"] for parameter in whole}
