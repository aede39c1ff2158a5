"""The stop price of a trailing stop order follows the market until a trade reaches it."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http.order_body import decode_new_order
from openvenue.http.order_terms import fill_in
from openvenue.http.problems import Problem
from openvenue.security.keys import NewKey

from tests.api.orders import FORGETFUL, limit_order
from tests.api.test_order_entry import AAPL
from tests.api.test_post_only import refusal
from tests.api.test_self_trade_prevention import entered, outcome, read
from tests.api.test_stop_orders import BATCH, LAST, offer, others, reserved, trade
from tests.support.venue import Venue

__all__ = ["others"]


def trailing(**changes: Any) -> dict[str, Any]:
    """Return a trailing stop order to buy 10 AAPL."""
    terms = {"type": "trailing_stop", "limit_price": None, "trail_price": "5"}
    return limit_order(**terms | changes)


def percent(**changes: Any) -> dict[str, Any]:
    return trailing(**{"trail_price": None, "trail_percent": "1.5", **changes})


def prices(order: dict[str, Any]) -> tuple[str | None, ...]:
    names = ("hwm", "stop_price", "trail_price", "trail_percent", "limit_price")
    return tuple(order[name] for name in names)


@pytest.mark.parametrize(
    ("body", "shown", "reserves"),
    [
        (trailing(), ("100", "105", "5", None, None), 10 * 109.20),  # 4 % above 105
        (percent(), ("100", "101.5", None, "1.5", None), 10 * 105.56),
        (trailing(trail_price=0.05), ("100", "100.05", "0.05", None, None), 10 * 104.06),
    ],
)
def test_an_order_trails_the_last_price_and_reserves_what_it_may_pay(
    client: httpx.Client,
    others: httpx.Client,
    body: dict[str, Any],
    shown: tuple[str | None, ...],
    reserves: float,
) -> None:
    order = entered(client, body)
    assert (order["status"], order["type"]) == ("new", "trailing_stop")
    assert prices(order) == shown
    assert read(client, order) == order
    assert reserved(client) == pytest.approx(reserves)
    assert client.get("/v1/book/AAPL").json()["bids"] == []


def test_the_stop_price_follows_wherever_the_order_is_read(
    client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, trailing())
    trade(others, "90")
    trade(others, "94")
    moved = order | {"hwm": "90", "stop_price": "95"}
    assert read(client, order) == moved
    for query in ({}, {"direction": "asc"}, {"status": "all"}):
        assert client.get("/v2/orders", params=query).json() == [moved]


def test_a_trade_at_the_stop_price_triggers_an_order_to_buy(
    client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, trailing())
    trade(others, "90")
    offer(others, "4", "98")
    offer(others, "2", "98.8")
    offer(others, "4", "98.81")  # 4 % above 95 is 98.80
    trade(others, "95")
    after = read(client, order)
    assert (*outcome(after), after["filled_avg_price"]) == ("canceled", "6", "98.266666667")
    assert prices(after) == ("90", "95", "5", None, None)
    assert after["triggered_at"] == after["canceled_at"]
    for query in ({"status": "closed"}, {"status": "all", "direction": "asc"}):
        assert client.get("/v2/orders", params=query).json() == [after]


def test_a_trade_at_the_stop_price_triggers_an_order_to_sell(
    venue: Venue, client: httpx.Client, account: NewKey, others: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 10)
    order = entered(client, percent(side="sell", time_in_force="gtc"))
    assert prices(order) == ("100", "98.5", None, "1.5", None)
    trade(others, "120")
    entered(others, limit_order(qty="10", limit_price="117"))
    trade(others, "118.2")
    after = read(client, order)
    assert (*outcome(after), after["filled_avg_price"]) == ("filled", "10", "117")
    assert prices(after) == ("120", "118.2", None, "1.5", None)


def test_a_canceled_order_shows_how_far_it_came(client: httpx.Client, others: httpx.Client) -> None:
    order = entered(client, trailing())
    trade(others, "90")
    assert client.delete(f"/v2/orders/{order['id']}").status_code == 204
    after = read(client, order)
    assert (after["status"], prices(after)) == ("canceled", ("90", "95", "5", None, None))
    assert client.get("/v2/orders", params={"status": "closed"}).json() == [after]
    assert reserved(client) == 0


def test_a_replacement_changes_the_trail_and_keeps_the_mark(
    client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, trailing())
    trade(others, "90")
    trade(others, "92")
    path = f"/v2/orders/{order['id']}"
    body = {"trail": "8", "client_order_id": "longer"}
    new = client.patch(path, json=body).json()
    assert (new["replaces"], new["type"]) == (order["id"], "trailing_stop")
    assert prices(new) == ("90", "98", "8", None, None)
    assert client.patch(path, json=body).json() == new
    assert reserved(client) == pytest.approx(10 * 101.92)
    old = read(client, order)
    assert (old["replaced_by"], prices(old)) == (new["id"], ("90", "95", "5", None, None))
    fewer = client.patch(f"/v2/orders/{new['id']}", json={"qty": "2"}).json()
    assert (fewer["qty"], prices(fewer)) == ("2", prices(new))
    for query in ({}, {"direction": "asc"}):
        assert client.get("/v2/orders", params=query).json() == [fewer]
    in_percent = entered(client, percent())
    changed = client.patch(f"/v2/orders/{in_percent['id']}", json={"trail": "2.25"}).json()
    assert prices(changed) == ("92", "94.07", None, "2.25", None)


@pytest.mark.parametrize(
    ("body", "changes", "code", "message"),
    [
        (trailing(), {"stop_price": "106"}, 40010001, "trailing_stop orders require no stop_price"),
        (trailing(), {"limit_price": "9"}, 40010001, "trailing_stop orders require no limit_price"),
        (trailing(), {"trail": "5"}, 42210000, "order parameters are not changed"),
        (trailing(), {"trail": "0"}, 40010001, "trail must be > 0"),
        (percent(), {"trail": "100"}, 40010001, "trail must be < 100"),
        (trailing(), {"time_in_force": "ioc"}, 42210000, "trailing_stop orders must have time_in"),
        (limit_order(), {"trail": "9"}, 40010001, "limit orders require no trail"),
        (trailing(), {"trail_price": "9"}, 40010001, "trail_price is replaced by the field trail"),
    ],
)
def test_a_replacement_that_cannot_be_changes_nothing(
    client: httpx.Client,
    others: httpx.Client,
    body: dict[str, Any],
    changes: dict[str, str],
    code: int,
    message: str,
) -> None:
    order = entered(client, body)
    status, answered, sentence = refusal(client.patch(f"/v2/orders/{order['id']}", json=changes))
    assert (status, answered) == (422, code)
    assert sentence.startswith(message)
    assert client.get("/v2/orders").json() == [order]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            trailing(trail_percent="5"),
            40010001,
            "trailing_stop orders require one of trail_price and trail_percent",
        ),
        (
            trailing(trail_price=None),
            40010001,
            "trailing_stop orders require one of trail_price and trail_percent",
        ),
        (trailing(limit_price="9"), 40010001, "trailing_stop orders require no limit_price"),
        (trailing(stop_price="9"), 40010001, "trailing_stop orders require no stop_price"),
        (limit_order(trail_price="9"), 40010001, "limit orders require no trail_price and no"),
        (trailing(trail_price="0"), 40010001, "trail_price must be > 0"),
        (trailing(trail_price="0.001"), 42210000, "invalid trail_price 0.001 is not a multiple"),
        (percent(trail_percent="0.00001"), 40010001, "trail_percent: "),
        (percent(trail_percent="100"), 40010001, "trail_percent must be < 100"),
        (trailing(side="sell", trail_price="100"), 40010001, "limit_price or stop_price is outs"),
        (trailing(trail_price="1000000000000"), 40010001, "trail_price is above the asset's hi"),
        (trailing(time_in_force="ioc"), 42210000, "trailing_stop orders must have time_in_force"),
        (trailing(post_only=True), 42210000, "a post_only order must be a limit order"),
        (trailing(trail="5"), 40010001, "trail is not supported by this venue: give trail_pr"),
    ],
)
def test_an_order_with_other_fields_than_its_types_is_refused(
    client: httpx.Client, others: httpx.Client, body: dict[str, Any], code: int, message: str
) -> None:
    status, answered, sentence = refusal(client.post("/v2/orders", json=body))
    assert (status, answered, sentence[: len(message)]) == (422, code, message)
    assert client.get("/v2/orders", params={"status": "all"}).json() == []


def test_the_same_order_again_is_recognized_although_the_market_moved(
    client: httpx.Client, others: httpx.Client
) -> None:
    body = trailing(client_order_id="again")
    first = entered(client, body)
    trade(others, "90")
    assert entered(client, body) == first | {"hwm": "90", "stop_price": "95"}
    for change in ({"trail_price": "6"}, {"trail_price": None, "trail_percent": "5"}):
        answer = client.post("/v2/orders", json=body | change)
        assert refusal(answer)[::2] == (422, "client_order_id must be unique")


def test_orders_of_a_whole_batch_come_before_those_that_trade(
    client: httpx.Client, others: httpx.Client
) -> None:
    whole = {"orders": [trailing(), percent(), limit_order()], "all_or_nothing": True}
    results = client.post(BATCH, json=whole).json()
    assert [outcome(result["body"]) for result in results] == [("new", "0")] * 3
    whole["orders"] = [limit_order(), trailing()]
    answer = client.post(BATCH, json=whole)
    assert refusal(answer)[::2] == (
        422,
        "orders[1]: a trailing_stop order must come before the asset's market and limit orders in "
        "a batch of all or nothing; no order of the batch was entered",
    )
    assert len(client.get("/v2/orders").json()) == 3


def test_an_order_needs_a_price_to_follow_and_follows_on_after_a_restart(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    with venue.client(venue.open_account(may_sell_short=True)) as client:
        assert refusal(client.post("/v2/orders", json=trailing())) == (
            422,
            42210000,
            "a trailing_stop order follows the last price, and the asset has none yet",
        )
        trade(client, LAST)
        order = entered(client, trailing())
        trade(client, "90")
        venue.engine.stop(signal.SIGKILL)
        venue.start_engine()
        venue.wait_until_ready()
        assert prices(read(client, order)) == ("90", "95", "5", None, None)
        trade(client, "89")
        assert read(client, order)["stop_price"] == "94"
        trade(client, "94")
        assert read(client, order)["status"] == "canceled"


def test_the_history_recognizes_an_order_that_the_engine_has_forgotten(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue(**FORGETFUL | {"OPENVENUE_ENGINE_MAX_ORDERS": "64"}).start()
    others = venue.client(venue.open_account(2, may_sell_short=True))
    with others, venue.client(venue.open_account(1)) as client:

        def deal(price: str) -> None:  # an account has one open order at most
            offer(others, "1", price)
            entered(others, limit_order(qty="1", limit_price=price, time_in_force="ioc"))

        deal(LAST)
        bodies = [trailing(client_order_id="amount"), percent(client_order_id="percent")]
        orders = []
        for price, body in zip(("99.5", "99"), bodies, strict=True):
            orders.append(entered(client, body))
            deal(price)
            client.delete("/v2/orders")
        for number in range(20):
            entered(client, limit_order(client_order_id=f"other {number}", time_in_force="ioc"))
        for body, order in zip(bodies, orders, strict=True):
            again = entered(client, body)
            assert again == read(client, order)
            assert again["status"] == "canceled"
            assert float(again["hwm"]) < float(order["hwm"])
            other = client.post("/v2/orders", json=body | {"qty": "3"})
            assert refusal(other)[::2] == (422, "client_order_id must be unique")
        changed = bodies[0] | {"trail_price": "6"}
        answer = client.post("/v2/orders", json=changed)
        assert refusal(answer)[::2] == (422, "client_order_id must be unique")


def test_an_order_that_an_older_engine_would_not_follow_is_refused() -> None:
    wanted = decode_new_order(json.dumps(trailing()).encode())
    fill_in(pb.NewOrder(), wanted, replace(AAPL, engine_schema=6))
    with pytest.raises(Problem, match="older version, which does not know trail_price"):
        fill_in(pb.NewOrder(), wanted, replace(AAPL, engine_schema=5))
