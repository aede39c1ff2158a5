"""POST /v2/orders: accepted orders and their answers, refused orders and their reasons."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http.app import Application
from openvenue.http.order_body import (
    NewOrderRequest,
    decode_new_order,
    decode_replace,
    tells_terms,
)
from openvenue.http.order_terms import fill_in
from openvenue.http.problems import Problem
from openvenue.security.keys import NewKey

from tests.api.orders import client_of, limit_order, market_order, worker_of
from tests.support.examples import examples
from tests.support.venue import Venue


def submit(client: httpx.Client, **changes: object) -> httpx.Response:
    return client.post("/v2/orders", json=limit_order(**changes))


def test_an_accepted_order_is_returned_in_alpacas_shape(client: httpx.Client) -> None:
    response = submit(client, client_order_id="shape", limit_price="10.50", qty="3")
    assert response.status_code == 200
    order = response.json()
    assert order["client_order_id"] == "shape"
    assert order["symbol"] == "AAPL"
    assert order["asset_class"] == "us_equity"
    assert (order["qty"], order["filled_qty"], order["filled_avg_price"]) == ("3", "0", None)
    assert (order["limit_price"], order["notional"]) == ("10.5", None)
    assert (order["type"], order["order_type"], order["order_class"]) == (
        "limit",
        "limit",
        "simple",
    )
    assert (order["side"], order["time_in_force"], order["status"]) == ("buy", "day", "new")
    assert order["created_at"] == order["submitted_at"] == order["updated_at"]
    assert order["extended_hours"] is False


def test_an_order_without_a_client_order_id_gets_one(client: httpx.Client) -> None:
    first, second = submit(client).json(), submit(client).json()
    assert first["id"] != second["id"]
    assert first["client_order_id"] != second["client_order_id"]


@pytest.mark.parametrize(("qty", "price"), [(10, 10), ("10", "10.00"), (1e1, 10.0), ("1E1", "1e1")])
def test_numbers_are_read_as_decimals_from_their_text(
    client: httpx.Client, qty: object, price: object
) -> None:
    order = submit(client, qty=qty, limit_price=price).json()
    assert (order["qty"], order["limit_price"]) == ("10", "10")


def test_fractions_of_a_crypto_lot_are_exact(client: httpx.Client) -> None:
    body = limit_order(symbol="BTC/USD", qty="0.0003", limit_price="50000.1", time_in_force="gtc")
    order = client.post("/v2/orders", json=body).json()
    assert (order["qty"], order["limit_price"]) == ("0.0003", "50000.1")
    assert order["asset_class"] == "crypto"


@pytest.mark.parametrize("symbol", ["BTC/USD", "BTCUSD"])
def test_a_pair_is_known_by_both_of_alpacas_spellings(client: httpx.Client, symbol: str) -> None:
    body = limit_order(symbol=symbol, qty="1", limit_price="100", time_in_force="gtc")
    assert client.post("/v2/orders", json=body).json()["symbol"] == "BTC/USD"


def test_an_asset_id_serves_as_the_symbol(client: httpx.Client) -> None:
    asset_id = client.get("/v2/assets/AAPL").json()["id"]
    assert submit(client, symbol=asset_id).json()["symbol"] == "AAPL"


def test_orders_trade_at_the_resting_orders_price(
    venue: Venue, client: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    price = "77.10"
    with venue.client(new_account()) as buyer:
        account_number = int(client.get("/v2/account").json()["account_number"])
        venue.give(account_number, 1, 100)
        sell = submit(client, side="sell", qty="4", limit_price=price).json()
        buy = submit(buyer, qty="5", limit_price="78", time_in_force="ioc").json()
        assert (buy["status"], buy["filled_qty"], buy["filled_avg_price"]) == (
            "canceled",
            "4",
            "77.1",
        )
        assert buy["canceled_at"] == buy["updated_at"]
        sold = client.get(f"/v2/orders/{sell['id']}").json()
        assert (sold["status"], sold["filled_avg_price"]) == ("filled", "77.1")
        assert sold["filled_at"] is not None


def test_a_market_order_without_liquidity_is_canceled_at_once(client: httpx.Client) -> None:
    body = market_order(symbol="BTC/USD", qty="1", time_in_force="gtc", side="buy")
    order = client.post("/v2/orders", json=body).json()
    assert (order["type"], order["limit_price"], order["status"]) == ("market", None, "canceled")


def test_the_same_order_sent_again_is_the_same_order(client: httpx.Client) -> None:
    first = submit(client, client_order_id="again")
    second = submit(client, client_order_id="again")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert len(client.get("/v2/orders").json()) == 1


def test_the_same_client_order_id_with_another_body_is_refused(client: httpx.Client) -> None:
    submit(client, client_order_id="taken")
    response = submit(client, client_order_id="taken", qty="11")
    assert response.status_code == 422
    assert response.json()["message"] == "client_order_id must be unique"
    assert [order["qty"] for order in client.get("/v2/orders").json()] == ["10"]


def test_unknown_fields_that_only_describe_the_order_are_ignored(client: httpx.Client) -> None:
    assert submit(client, subtag="x", source=None, anything={"at": ["all"]}).status_code == 200


def test_nulls_mean_absent(client: httpx.Client) -> None:
    body = limit_order() | {"notional": None, "stop_price": None, "take_profit": None}
    assert client.post("/v2/orders", json=body).status_code == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbol": None}, "symbol is required"),
        ({"symbol": "NOPE"}, "asset 'NOPE' is not found"),
        ({"symbol": "OLD"}, "asset is not active"),
        ({"side": "hold"}, "side must be buy or sell, not 'hold'"),
        ({"type": "stop"}, "stop orders require no limit_price"),
        (
            {"type": "iceberg"},
            "order type 'iceberg' is not supported: use market, limit, stop, stop_limit or "
            "trailing_stop",
        ),
        (
            {"time_in_force": "opg"},
            "time_in_force 'opg' is not supported: use day, gtc, ioc or fok",
        ),
        ({"qty": None}, "qty is required"),
        ({"qty": "0"}, "qty must be > 0"),
        ({"qty": "-1"}, "qty must be > 0"),
        ({"qty": "1.5"}, "qty: 1.5 is not a multiple of 1"),
        ({"qty": "ten"}, "qty: 'ten' is not a decimal number"),
        ({"qty": "NaN"}, "qty: 'NaN' is not a decimal number"),
        ({"qty": [1]}, "qty: '[1]' is not a decimal number"),
        ({"qty": "2000000"}, "qty must be positive and not above the asset's largest order"),
        ({"qty": "9" * 30}, "qty: 9"),
        ({"limit_price": None}, "limit orders require limit_price"),
        (
            {"limit_price": "100001"},
            "limit_price or stop_price is outside the asset's price limits",
        ),
        ({"type": "market"}, "market orders require no limit_price"),
        ({"notional": "100"}, "notional is not supported by this venue: give qty"),
        ({"notional": "100", "qty": None}, "notional is not supported by this venue: give qty"),
        ({"stop_price": "9"}, "limit orders require no stop_price"),
        ({"trail_percent": 1}, "limit orders require no trail_price and no trail_percent"),
        ({"order_class": "bracket"}, "order_class 'bracket' is not supported: use simple"),
        ({"take_profit": {"limit_price": "11"}}, "take_profit is not supported by this venue"),
        ({"order_class": "mleg", "symbol": None}, "order_class 'mleg' is not supported"),
        ({"legs": [{"symbol": "AAPL"}], "symbol": None, "side": None}, "legs is not supported"),
        ({"advanced_instructions": {"display_qty": "1"}}, "advanced_instructions is not supported"),
        ({"position_intent": "nonsense"}, "position_intent must be one of buy_to_open, "),
        ({"self_trade_prevention": "none"}, "self_trade_prevention must be one of cancel_newest, "),
        ({"client_order_id": "x" * 129}, "client_order_id must be 1 to 128 printable characters"),
        ({"client_order_id": "a\u0000b"}, "client_order_id must be 1 to 128 printable characters"),
        (
            {"client_order_id": "ü" * 70},
            "client_order_id has 140 bytes in UTF-8 and the venue keep",
        ),
        ({"client_order_id": "😀" * 128}, "client_order_id has 512 bytes in UTF-8 and the venue"),
        ({"client_order_id": 7}, "Expected `str | null`, got `int` - at `$.client_order_id`"),
    ],
)
def test_an_invalid_order_is_refused_with_the_reason(
    client: httpx.Client, changes: dict[str, object], message: str
) -> None:
    response = submit(client, **changes)
    assert response.status_code == 422, response.text
    assert response.json()["code"] == 40010001
    assert response.json()["message"].startswith(message)


# Unknown fields that ccxt and hand-written bots send.
@pytest.mark.parametrize(
    "name",
    [
        "stopPrice",
        "stopLoss",
        "takeProfit",
        "stop_loss_price",
        "triggerPrice",
        "trailingPercent",
        "postOnly",
        "selfTradePrevention",
        "stp_mode",
        "reduceOnly",
        "displayQty",
        "min_qty",
        "hidden",
        "expire_time",
        "timeInForce",
        "clientOrderId",
        "quantity",
    ],
)
def test_no_field_that_would_change_the_order_is_dropped(client: httpx.Client, name: str) -> None:
    refused = submit(client, **{name: "9"})
    assert (refused.status_code, refused.json()["code"]) == (422, 40010001)
    assert refused.json()["message"].startswith(name)
    assert client.get("/v2/orders").json() == []
    assert client.post("/v2/orders", json=limit_order() | {name: None}).status_code == 200
    assert submit(client, **{name: False}).status_code == 200


def test_extended_hours_are_accepted_as_the_venue_is_always_open(client: httpx.Client) -> None:
    entered = submit(client, extended_hours=True).json()
    assert entered["status"] == "new"
    # The engine keeps no such field, and no answer says what the next one would not.
    found = client.get(f"/v2/orders/{entered['id']}").json()
    assert entered["extended_hours"] is found["extended_hours"] is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"limit_price": "10.001"},
            "invalid limit_price 10.001 is not a multiple of 0.01: sub-penny",
        ),
        (
            {"symbol": "BTC/USD", "limit_price": "100.05"},
            "invalid limit_price 100.05 is not a multi",
        ),
        (
            {"side": "sell", "position_intent": "buy_to_open"},
            "position intent mismatch, side: sell, specified: buy_to_open",
        ),
    ],
)
def test_terms_that_are_possible_but_not_for_this_order_have_a_code_of_their_own(
    client: httpx.Client, changes: dict[str, object], message: str
) -> None:
    response = submit(client, **changes)
    assert (response.status_code, response.json()["code"]) == (422, 42210000)
    assert response.json()["message"].startswith(message)


def test_128_characters_may_be_a_client_order_id(client: httpx.Client) -> None:
    assert submit(client, client_order_id="x" * 128).json()["client_order_id"] == "x" * 128
    assert submit(client, client_order_id="ü" * 64).json()["client_order_id"] == "ü" * 64


def test_an_order_beyond_the_buying_power_is_forbidden_with_the_figures(
    client: httpx.Client,
) -> None:
    submit(client, qty="1", limit_price="10")
    response = submit(client, qty="1000000", limit_price="11")
    assert (response.status_code, response.json()["code"]) == (403, 40310000)
    assert response.json()["message"] == "insufficient buying power"
    figures = (response.json()["buying_power"], response.json()["cost_basis"])
    assert figures == ("9999990", "11000000")


def test_selling_more_than_is_free_is_forbidden_with_the_figures(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 7)
    submit(client, side="sell", qty="5", limit_price="900")
    response = submit(client, side="sell", qty="3", limit_price="900")
    assert (response.status_code, response.json()["code"]) == (403, 40310000)
    refusal = response.json()
    assert refusal["message"] == (
        "insufficient qty available for order (requested: 3, available: 2)"
    )
    figures = [refusal[name] for name in ("symbol", "available", "existing_qty", "held_for_orders")]
    assert figures == ["AAPL", "2", "7", "5"]


def test_a_lack_for_a_pair_names_its_currency(client: httpx.Client) -> None:
    pair = {"symbol": "BTC/USD", "qty": "1", "time_in_force": "gtc"}
    sell = submit(client, side="sell", limit_price="100", **pair).json()
    assert sell["message"] == "insufficient balance for BTC (requested: 1, available: 0)"
    assert (sell["symbol"], sell["available"], sell["balance"]) == ("BTC", "0", "0")
    buy = submit(client, limit_price="100000", **{**pair, "qty": "1000"}).json()
    assert buy["message"] == (
        "insufficient balance for USD (requested: 100000000, available: 10000000)"
    )


def test_open_orders_have_a_limit_for_an_account_and_for_the_venue(
    new_venue: Callable[..., Venue],
) -> None:
    limits = {
        "OPENVENUE_ENGINE_MAX_OPEN_ORDERS": "3",
        "OPENVENUE_ENGINE_MAX_OPEN_ORDERS_PER_ACCOUNT": "2",
    }
    venue = new_venue(**limits).start(projector=False)
    with venue.client(venue.open_account(1)) as one, venue.client(venue.open_account(2)) as other:
        first = submit(one).json()
        assert submit(one).status_code == 200
        of_account = submit(one)
        assert (of_account.status_code, of_account.json()["code"]) == (403, 40310000)
        assert "as many open orders as it may" in of_account.json()["message"]

        assert submit(other).status_code == 200
        of_venue = submit(other)
        assert (of_venue.status_code, of_venue.json()["code"]) == (503, 50310000)
        assert of_venue.headers["retry-after"] == "1"
        assert "as many open orders as it takes" in of_venue.json()["message"]
        assert other.post("/v2/orders", json=market_order()).status_code == 200

        assert one.delete(f"/v2/orders/{first['id']}").status_code == 204
        assert submit(other).status_code == 200


def test_an_account_has_so_many_positions_and_gives_their_places_back(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue(OPENVENUE_ENGINE_MAX_POSITIONS_PER_ACCOUNT="1").start(projector=False)
    pair = {"symbol": "BTC/USD", "qty": "1", "time_in_force": "gtc", "limit_price": "100"}
    with venue.client(venue.open_account(1)) as client:
        first = submit(client).json()
        refused = submit(client, **pair)
        assert (refused.status_code, refused.json()["code"]) == (403, 40310000)
        assert "as many positions as it may" in refused.json()["message"]
        assert client.delete(f"/v2/orders/{first['id']}").status_code == 204
        assert submit(client, **pair).status_code == 200


def test_an_order_sent_again_is_answered_from_the_history_once_the_engine_has_forgotten_it(
    new_venue: Callable[..., Venue],
) -> None:
    limits = {
        "OPENVENUE_ENGINE_MAX_ORDERS": "4",
        "OPENVENUE_ENGINE_MAX_OPEN_ORDERS": "2",
        "OPENVENUE_ENGINE_MAX_CLIENT_IDS": "64",
    }
    venue = new_venue(**limits).start()
    with venue.client(venue.open_account(1)) as client:
        first = submit(client, client_order_id="first", time_in_force="ioc").json()
        for number in range(8):
            submit(client, client_order_id=f"{number}", time_in_force="ioc")
        again = submit(client, client_order_id="first", time_in_force="ioc")
        assert (again.status_code, again.json()["id"]) == (200, first["id"])
        assert again.json()["status"] == "canceled"
        other = submit(client, client_order_id="first", time_in_force="ioc", qty="11")
        assert (other.status_code, other.json()["message"]) == (
            422,
            "client_order_id must be unique",
        )
        orders = client.get("/v2/orders", params={"status": "all"}).json()
        assert [order["client_order_id"] for order in orders].count("first") == 1


def test_an_id_that_the_engine_has_forgotten_is_not_executed_again(
    new_venue: Callable[..., Venue],
) -> None:
    limits = {
        "OPENVENUE_ENGINE_MAX_ORDERS": "4",
        "OPENVENUE_ENGINE_MAX_OPEN_ORDERS": "2",
        "OPENVENUE_ENGINE_MAX_CLIENT_IDS": "4",
        "OPENVENUE_ENGINE_MAX_ACCOUNTS": "2",
    }
    venue = new_venue(**limits).start()
    with venue.client(venue.open_account(1)) as client:
        resting = submit(client, client_order_id="resting", time_in_force="gtc").json()
        change = {"qty": "9", "client_order_id": "changed"}
        changed = client.patch(f"/v2/orders/{resting['id']}", json=change).json()
        assert client.delete(f"/v2/orders/{changed['id']}").status_code == 204
        other = submit(client, client_order_id="other", time_in_force="gtc").json()
        first = submit(client, client_order_id="first", time_in_force="ioc").json()
        for number in range(8):
            submit(client, client_order_id=f"{number}", time_in_force="ioc")
        # The filter in front of the history survives a restart, and the engine's snapshot.
        venue.engine.stop()
        venue.start_engine()
        venue.wait_until_ready()
        again = submit(client, client_order_id="first", time_in_force="ioc")
        assert (again.status_code, again.json()["id"]) == (200, first["id"])
        varied = submit(client, client_order_id="first", time_in_force="ioc", qty="11")
        assert (varied.status_code, varied.json()["message"]) == (
            422,
            "client_order_id must be unique",
        )
        as_new_order = submit(client, client_order_id="changed", time_in_force="gtc")
        assert as_new_order.status_code == 422
        # A replacement under an old id reaches the history too.
        on_other = client.patch(f"/v2/orders/{other['id']}", json=change)
        assert on_other.status_code == 422
        orders = client.get("/v2/orders", params={"status": "all"}).json()
        names = [order["client_order_id"] for order in orders]
        assert sorted(names) == sorted({*names})


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b'{"symbol": }', b"\xff\xfe", b'{"x":' + b"[" * 10_000),
        # An escape makes the venue look whether a field is repeated, also in undecoded numbers.
        b'{"symbol":"\\r","qty":"\x80","side":"","type":"","time_in_force":""}',
        b'{"symbol":"\\r","qty":' + b"1" * 5000 + b',"side":"","type":"","time_in_force":""}',
    ],
)
def test_a_body_that_is_no_json_is_a_bad_request(client: httpx.Client, body: bytes) -> None:
    response = client.post("/v2/orders", content=body)
    assert (response.status_code, response.json()["code"]) == (400, 40010000)


@pytest.mark.parametrize("escape", [r"\ud800", r"\udc00", r"\ud800\ud800"])
def test_half_a_surrogate_pair_is_named(client: httpx.Client, escape: str) -> None:
    body = json.dumps(limit_order(client_order_id="?")).replace("?", escape)
    response = client.post("/v2/orders", content=body.encode())
    assert (response.status_code, response.json()["code"]) == (400, 40010000)
    assert "half of a UTF-16 surrogate pair" in response.json()["message"]


def test_a_body_that_is_no_object_is_invalid(client: httpx.Client) -> None:
    assert client.post("/v2/orders", content=b"[]").status_code == 422


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused(client: httpx.Client, chunked: bool) -> None:
    body = json.dumps(limit_order(padding="x" * 70_000)).encode()
    response = client.post("/v2/orders", content=iter([body[:9], body[9:]]) if chunked else body)
    assert (response.status_code, response.json()["code"]) == (413, 41310000)
    assert client.get("/v2/orders").json() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)
ORDER_FIELDS = [
    *(*limit_order(), "stop_price", "client_order_id", "notional", "trail", "extended_hours")
]


@st.composite
def almost_orders(draw: st.DrawFn) -> bytes:
    """A plain order with fields replaced by anything and bytes overwritten."""
    changes = draw(st.dictionaries(st.sampled_from(ORDER_FIELDS), JSON, max_size=3))
    body = bytearray(json.dumps({**limit_order(), **changes}).encode())
    for _ in range(draw(st.integers(0, 3))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body)


AAPL = Instrument(1, "id", "AAPL", "Apple", "us_equity", True, 10**7, 10**9, 1, 10**7, 10**6)


@pytest.mark.parametrize("field", [{"self_trade_prevention": "cancel_both"}, {"post_only": True}])
def test_a_field_that_an_older_engine_would_ignore_is_refused(field: dict[str, Any]) -> None:
    wanted = decode_new_order(json.dumps(limit_order() | field).encode())
    fill_in(pb.NewOrder(), wanted, replace(AAPL, engine_schema=4))
    with pytest.raises(Problem, match=f"older version, which does not know {next(iter(field))}"):
        fill_in(pb.NewOrder(), wanted, replace(AAPL, engine_schema=3))


@settings(max_examples=examples(300), deadline=None)
@given(body=st.binary() | almost_orders())
def test_any_body_is_an_order_or_has_a_problem(body: bytes) -> None:
    with contextlib.suppress(Problem):
        order = pb.NewOrder()
        fill_in(order, decode_new_order(body), AAPL)
        assert order.qty_lots > 0
    with contextlib.suppress(Problem):
        decode_replace(body)


@given(name=st.text(st.characters(codec="ascii"), max_size=20))
def test_a_field_either_tells_terms_or_is_ignored(name: str) -> None:
    body = json.dumps(limit_order() | {name: "1"}).encode()
    try:
        decode_new_order(body)
    except Problem:
        assert tells_terms(name) or name in NewOrderRequest.__struct_fields__ or "_" in name
    else:
        assert not tells_terms(name) or name in NewOrderRequest.__struct_fields__


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary() | almost_orders())
@example(body=json.dumps(limit_order()).encode().replace(b'"qty": "10"', b'"qty": "\xff"'))
@example(body=json.dumps(limit_order(client_order_id="\ud800")).encode())
def test_no_body_whatever_is_answered_with_a_failure_of_ours(
    client: httpx.Client, body: bytes
) -> None:
    resting = submit(client, qty="1", limit_price="1").json()["id"]
    for answer in (
        client.post("/v2/orders", content=body),
        client.patch(f"/v2/orders/{resting}", content=body),
    ):
        assert answer.status_code < 500, answer.text
    client.delete("/v2/orders")


@pytest.mark.parametrize("name", ["qty", "limit_price"])
def test_an_amount_that_is_no_utf_8_is_invalid(client: httpx.Client, name: str) -> None:
    def body_of(fields: dict[str, str]) -> bytes:
        return json.dumps({**fields, name: "?"}).encode().replace(b"?", b"\xff")

    for answer in (
        client.post("/v2/orders", content=body_of(limit_order())),
        client.patch(f"/v2/orders/{submit(client).json()['id']}", content=body_of({})),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
        assert name in answer.json()["detail"]


async def test_a_fault_of_ours_after_the_order_was_entered_leaves_its_id_to_look_it_up_by(
    application: Application, account: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(application, account) as client:
        entered = (await client.post("/v2/orders", json=limit_order())).json()
        with monkeypatch.context() as patch:
            patch.setattr(worker_of(application).views, "order", lambda *_: 1 / 0)
            answers = [
                await client.post("/v2/orders", json=limit_order()),
                await client.patch(f"/v2/orders/{entered['id']}", json={"qty": "3"}),
            ]
        for answer in answers:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "outcome is unknown" in answer.json()["detail"]
            by_id = {"client_order_id": answer.json()["client_order_id"]}
            found = await client.get("/v2/orders:by_client_order_id", params=by_id)
            assert found.json()["status"] == "new"
