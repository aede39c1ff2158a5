"""A stop order waits until a trade reaches its stop price, and is a market or limit order then."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http.order_body import decode_new_order
from openvenue.http.order_terms import fill_in, protection_price_ticks
from openvenue.http.problems import Problem
from openvenue.security.keys import NewKey

from tests.api.orders import FORGETFUL, limit_order
from tests.api.test_order_entry import AAPL
from tests.api.test_post_only import refusal
from tests.api.test_self_trade_prevention import entered, outcome, read
from tests.support.venue import Venue

BATCH = "/v2/orders:batch"
LAST = "100"
STOP = "105"
PROTECTION = "107.63"  # 2.5 % above STOP, rounded up


@pytest.fixture
def others(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    """Yield the client of an account that trades AAPL with itself, the first time at LAST."""
    with venue.client(new_account(may_sell_short=True)) as trader:
        trade(trader, LAST)
        yield trader


def trade(trader: httpx.Client, price: str) -> None:
    """Trade 1 AAPL at `price`; precondition: no order rests at it or better."""
    entered(trader, limit_order(side="sell", qty="1", limit_price=price))
    assert entered(trader, limit_order(qty="1", limit_price=price))["status"] == "filled"


def offer(trader: httpx.Client, qty: str, price: str) -> None:
    entered(trader, limit_order(side="sell", qty=qty, limit_price=price))


def stop(**changes: Any) -> dict[str, Any]:
    """Return a stop order to buy 10 AAPL."""
    return limit_order(**{"type": "stop", "limit_price": None, "stop_price": STOP, **changes})


def stop_limit(**changes: Any) -> dict[str, Any]:
    """Return a stop-limit order to buy 10 AAPL."""
    return stop(**{"type": "stop_limit", "limit_price": "106", **changes})


def prices(order: dict[str, Any]) -> tuple[str | None, str | None]:
    return order["stop_price"], order["limit_price"]


def buying_power(client: httpx.Client) -> float:
    return float(client.get("/v2/account").json()["buying_power"])


def reserved(client: httpx.Client) -> float:
    return 10_000_000 - buying_power(client)


@pytest.mark.parametrize(
    ("body", "limit_price", "reserves"),
    [
        (stop(), None, 10 * 107.63),
        (stop_limit(), "106", 1060),
        (stop_limit(limit_price="104"), "104", 1040),
    ],
)
def test_an_order_waits_wherever_it_is_read_and_reserves_what_it_may_pay(
    venue: Venue,
    client: httpx.Client,
    others: httpx.Client,
    body: dict[str, Any],
    limit_price: str | None,
    reserves: float,
) -> None:
    order = entered(client, body | {"client_order_id": "waits"})
    assert (order["status"], order["type"], order["order_type"]) == ("new", *[body["type"]] * 2)
    assert prices(order) == (STOP, limit_price)
    assert "triggered_at" not in order
    assert read(client, order) == order
    by_name = {"client_order_id": "waits"}
    assert client.get("/v2/orders:by_client_order_id", params=by_name).json() == order
    for query in ({}, {"direction": "asc"}, {"status": "all"}):
        assert client.get("/v2/orders", params=query).json() == [order]
    assert reserved(client) == pytest.approx(reserves)
    assert client.get("/v1/book/AAPL").json()["bids"] == []


def test_an_order_to_sell_reserves_its_shares(
    venue: Venue, client: httpx.Client, account: NewKey, others: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 10)
    order = entered(client, stop(side="sell", stop_price="95", qty="7"))
    assert prices(order) == ("95", None)
    assert client.get("/v2/positions/AAPL").json()["qty_available"] == "3"
    answer = client.post("/v2/orders", json=stop(side="sell", stop_price="95", qty="4"))
    assert refusal(answer)[::2] == (
        403,
        "insufficient qty available for order (requested: 4, available: 3)",
    )


def test_an_order_to_buy_beyond_the_buying_power_is_refused(
    client: httpx.Client, others: httpx.Client
) -> None:
    answer = client.post("/v2/orders", json=stop(qty="100000"))
    assert refusal(answer)[::2] == (403, "insufficient buying power")
    assert answer.json()["cost_basis"] == "10763000"


def test_a_trade_at_the_stop_price_triggers_an_order_to_buy(
    client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, stop())
    trade(others, "104.99")
    assert read(client, order) == order
    offer(others, "4", "105.5")
    offer(others, "2", PROTECTION)
    offer(others, "4", "107.64")
    trade(others, STOP)
    after = read(client, order)
    # The engine cancels what is left at the protection price.
    assert outcome(after) == ("canceled", "6")
    assert after["filled_avg_price"] == "106.21"
    assert prices(after) == (STOP, None)
    assert after["triggered_at"] == after["updated_at"] == after["canceled_at"]
    assert after["triggered_at"] > order["created_at"]
    assert reserved(client) == pytest.approx(6 * 106.21)
    for query in ({"status": "closed"}, {"status": "all", "direction": "asc"}):
        assert client.get("/v2/orders", params=query).json() == [after]


def test_a_trade_at_the_stop_price_triggers_an_order_to_sell(
    venue: Venue, client: httpx.Client, account: NewKey, others: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 10)
    order = entered(client, stop(side="sell", stop_price="95"))
    trade(others, "95.01")
    assert read(client, order) == order
    # It sells at any price.
    entered(others, limit_order(qty="10", limit_price="1"))
    trade(others, "95")
    after = read(client, order)
    assert (*outcome(after), after["filled_avg_price"]) == ("filled", "10", "1")
    assert after["triggered_at"] == after["filled_at"]


def test_the_rest_of_a_stop_limit_order_is_in_the_book(
    client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, stop_limit())
    offer(others, "4", "105.5")
    trade(others, STOP)
    after = read(client, order)
    assert (*outcome(after), prices(after)) == ("partially_filled", "4", (STOP, "106"))
    assert after["triggered_at"] == after["updated_at"]
    assert client.get("/v2/orders").json() == [after]
    assert client.get("/v1/book/AAPL").json()["bids"][0]["price"] == "106"
    for query in ({"direction": "asc"}, {"status": "all"}):
        assert client.get("/v2/orders", params=query).json() == [after]
    entered(others, limit_order(side="sell", qty="6", limit_price="106"))
    filled = read(client, order)
    assert outcome(filled) == ("filled", "10")
    assert filled["triggered_at"] == after["triggered_at"] < filled["filled_at"]


def test_a_stop_limit_order_that_finds_no_counterpart_rests(
    venue: Venue, client: httpx.Client, account: NewKey, others: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 10)
    body = stop_limit(side="sell", stop_price="95", limit_price="94", time_in_force="gtc")
    order = entered(client, body)
    trade(others, "94.5")
    after = read(client, order)
    assert outcome(after) == ("new", "0")
    assert after["triggered_at"] == after["updated_at"]
    assert client.get("/v1/book/AAPL").json()["asks"][0]["price"] == "94"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (stop(stop_price=LAST), "canceled"),
        (stop(stop_price="99"), "canceled"),
        (stop_limit(stop_price=LAST, limit_price="99"), "new"),
    ],
)
def test_an_order_whose_stop_price_is_reached_triggers_at_once(
    client: httpx.Client, others: httpx.Client, body: dict[str, Any], status: str
) -> None:
    order = entered(client, body)
    # The answer shows it as it was entered.
    assert order["status"] == "new"
    assert "triggered_at" not in order
    after = read(client, order)
    assert after["status"] == status
    assert after["triggered_at"] > order["created_at"]


def test_an_order_triggers_the_next(client: httpx.Client, others: httpx.Client) -> None:
    first = entered(client, stop(qty="3"))
    second = entered(client, stop(qty="2", stop_price="105.5"))
    offer(others, "5", "106")
    trade(others, STOP)
    assert outcome(read(client, first)) == ("filled", "3")
    assert outcome(read(client, second)) == ("filled", "2")


def test_a_waiting_order_is_canceled_as_any_other(
    client: httpx.Client, others: httpx.Client
) -> None:
    alone, in_batch, *rest = (entered(client, body()) for body in (stop, stop_limit) * 2)
    assert client.delete(f"/v2/orders/{alone['id']}").status_code == 204
    (result,) = client.post("/v2/orders:cancel", json={"ids": [in_batch["id"]]}).json()
    assert result["body"]["status"] == "canceled"
    assert {one["status"] for one in client.delete("/v2/orders").json()} == {200}
    for order in (alone, in_batch, *rest):
        after = read(client, order)
        assert after["status"] == "canceled"
        assert "triggered_at" not in after
    assert reserved(client) == 0
    trade(others, STOP)
    assert client.get("/v2/orders", params={"status": "open"}).json() == []


def test_closing_a_position_with_its_orders_cancels_those_that_wait(
    venue: Venue, client: httpx.Client, account: NewKey, others: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 5)
    order = entered(client, stop(side="sell", qty="5", stop_price="95"))
    entered(others, limit_order(qty="5", limit_price="99"))
    closed = client.delete("/v2/positions", params={"cancel_orders": True})
    assert [one["status"] for one in closed.json()] == [200]
    assert read(client, order)["status"] == "canceled"
    assert client.get("/v2/positions").json() == []


def test_a_replacement_moves_stop_price_and_protection_price(
    venue: Venue, client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, stop())
    changes = {"stop_price": "110", "qty": "8"}
    new = client.patch(f"/v2/orders/{order['id']}", json=changes).json()
    assert (new["replaces"], new["type"], new["status"]) == (order["id"], "stop", "new")
    assert (new["qty"], *prices(new)) == ("8", "110", None)
    assert reserved(client) == pytest.approx(8 * 112.75)
    assert read(client, order)["replaced_by"] == new["id"]
    for query in ({}, {"direction": "asc"}):
        assert client.get("/v2/orders", params=query).json() == [new]
    # The quantity alone leaves both prices.
    less = client.patch(f"/v2/orders/{new['id']}", json={"qty": "2"}).json()
    assert prices(less) == ("110", None)
    assert reserved(client) == pytest.approx(2 * 112.75)
    trade(others, "109")
    assert read(client, less) == less
    offer(others, "2", "112.75")
    trade(others, "110")
    assert outcome(read(client, less)) == ("filled", "2")


def test_a_replacement_of_a_stop_limit_order_may_change_both_prices(
    venue: Venue, client: httpx.Client, account: NewKey, others: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 10)
    order = entered(client, stop_limit(side="sell", stop_price="95", limit_price="94"))
    new = client.patch(f"/v2/orders/{order['id']}", json={"limit_price": "93"}).json()
    assert prices(new) == ("95", "93")
    changes = {"stop_price": "96", "limit_price": "96.5", "time_in_force": "gtc"}
    last = client.patch(f"/v2/orders/{new['id']}", json=changes).json()
    assert (*prices(last), last["time_in_force"]) == ("96", "96.5", "gtc")
    # Already reached: it triggers at once.
    again = client.patch(f"/v2/orders/{last['id']}", json={"stop_price": "101"}).json()
    assert "triggered_at" not in again
    assert read(client, again)["triggered_at"] > again["created_at"]


def test_a_triggered_order_keeps_its_stop_price(client: httpx.Client, others: httpx.Client) -> None:
    order = entered(client, stop_limit())
    trade(others, STOP)
    path = f"/v2/orders/{order['id']}"
    assert refusal(client.patch(path, json={"stop_price": "106"})) == (
        422,
        42210000,
        "stop_price cannot be replaced: a trade has reached it",
    )
    triggered = read(client, order)
    accepted = client.patch(path, json={"limit_price": "105.5"}, headers={"Prefer": ""}).json()
    assert accepted["triggered_at"] == triggered["triggered_at"]
    new = read(client, accepted)
    assert (new["triggered_at"], *prices(new)) == (triggered["triggered_at"], STOP, "105.5")
    for query in ({}, {"direction": "asc"}):
        assert client.get("/v2/orders", params=query).json() == [new]


@pytest.mark.parametrize(
    ("body", "changes", "code", "message"),
    [
        (stop(), {"limit_price": "106"}, 40010001, "stop orders require no limit_price"),
        (stop(), {"stop_price": STOP}, 42210000, "order parameters are not changed"),
        (stop(), {"stop_price": "0"}, 40010001, "stop_price must be > 0"),
        (stop(), {"stop_price": "105.001"}, 42210000, "invalid stop_price 105.001 is not a multi"),
        (
            stop(),
            {"stop_price": "100001"},
            40010001,
            "limit_price or stop_price is outside the asset's price limits",
        ),
        (
            stop(),
            {"time_in_force": "ioc"},
            42210000,
            "stop orders must have time_in_force day or gtc",
        ),
        (
            stop_limit(),
            {"time_in_force": "fok"},
            42210000,
            "stop_limit orders must have time_in_force day or gtc",
        ),
        (limit_order(), {"stop_price": "9"}, 40010001, "limit orders require no stop_price"),
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
        (stop(stop_price=None), 40010001, "stop orders require stop_price"),
        (stop(limit_price="106"), 40010001, "stop orders require no limit_price"),
        (stop_limit(stop_price=None), 40010001, "stop_limit orders require stop_price"),
        (stop_limit(limit_price=None), 40010001, "stop_limit orders require limit_price"),
        (limit_order(stop_price="9"), 40010001, "limit orders require no stop_price"),
        (stop(type="market"), 40010001, "market orders require no stop_price"),
        (stop(stop_price="-1"), 40010001, "stop_price must be > 0"),
        (stop(stop_price="x"), 40010001, "stop_price: 'x' is not a decimal number"),
        (
            stop(stop_price="100001"),
            40010001,
            "limit_price or stop_price is outside the asset's price limits",
        ),
        (
            stop(stop_price="105.001"),
            42210000,
            "invalid stop_price 105.001 is not a multiple of 0.01: sub-penny increment does not "
            "fulfill minimum pricing criteria",
        ),
        (
            stop(time_in_force="ioc"),
            42210000,
            "stop orders must have time_in_force day or gtc",
        ),
        (
            stop_limit(time_in_force="fok"),
            42210000,
            "stop_limit orders must have time_in_force day or gtc",
        ),
        (stop(post_only=True), 42210000, "a post_only order must be a limit order"),
        (
            stop(trail_price="1"),
            40010001,
            "stop orders require no trail_price and no trail_percent",
        ),
    ],
)
def test_an_order_with_other_prices_than_its_types_is_refused(
    client: httpx.Client, body: dict[str, Any], code: int, message: str
) -> None:
    assert refusal(client.post("/v2/orders", json=body)) == (422, code, message)
    (result,) = client.post(BATCH, json={"orders": [body]}).json()
    assert (result["status"], result["body"]["message"]) == (422, message)
    assert client.get("/v2/orders", params={"status": "all"}).json() == []


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (stop(), {"stop_price": "106"}),
        (stop_limit(), {"stop_price": "106"}),
        (stop_limit(), {"limit_price": "107"}),
    ],
)
def test_the_same_order_again_is_recognized_by_its_prices(
    client: httpx.Client, others: httpx.Client, body: dict[str, Any], change: dict[str, str]
) -> None:
    body |= {"client_order_id": "again"}
    first = entered(client, body)
    assert entered(client, body) == first
    answer = client.post("/v2/orders", json=body | change)
    assert refusal(answer)[::2] == (422, "client_order_id must be unique")
    trade(others, STOP)
    # The first answer shows the accepted order, the second its outcome.
    accepted = client.post("/v2/orders", json=body, headers={"Prefer": ""}).json()
    assert accepted == first | {"status": "accepted"}
    assert entered(client, body) == read(client, first) != first


def test_the_same_replacement_again_is_the_same_order(
    client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, stop())
    path = f"/v2/orders/{order['id']}"
    changes = {"stop_price": "110", "client_order_id": "higher"}
    new = client.patch(path, json=changes).json()
    assert client.patch(path, json=changes).json() == new
    answer = client.patch(path, json=changes | {"stop_price": "111"})
    assert refusal(answer)[::2] == (422, "client_order_id must be unique")
    trade(others, "110")
    assert client.patch(path, json=changes).json() == read(client, new)


def test_orders_of_a_batch_wait_each_for_itself(client: httpx.Client, others: httpx.Client) -> None:
    orders = [stop(), stop(stop_price=None), stop_limit(), stop(stop_price=LAST)]
    results = client.post(BATCH, json={"orders": orders}).json()
    assert [result["status"] for result in results] == [200, 422, 200, 200]
    waiting = [results[place]["body"] for place in (0, 2)]
    assert client.get("/v2/orders").json() == waiting[::-1]
    assert read(client, results[3]["body"])["status"] == "canceled"


def test_orders_of_a_whole_batch_wait_or_none_is_entered(
    client: httpx.Client, others: httpx.Client
) -> None:
    whole = {"orders": [stop(), stop_limit(), limit_order()], "all_or_nothing": True}
    results = client.post(BATCH, json=whole).json()
    assert [outcome(result["body"]) for result in results] == [("new", "0")] * 3
    assert len(client.get("/v2/orders").json()) == 3
    whole["orders"] = [stop(), stop(qty="100000")]
    answer = client.post(BATCH, json=whole)
    assert refusal(answer)[::2] == (
        403,
        "orders[1]: insufficient buying power; no order of the batch was entered",
    )
    assert len(client.get("/v2/orders").json()) == 3


def test_another_accounts_order_is_not_seen(
    venue: Venue, client: httpx.Client, others: httpx.Client
) -> None:
    order = entered(client, stop())
    path = f"/v2/orders/{order['id']}"
    assert others.get(path).status_code == 404
    assert others.patch(path, json={"stop_price": "90"}).status_code == 404
    assert others.delete(path).status_code == 404
    assert read(client, order) == order


def test_an_order_waits_through_a_restart_and_a_day_order_until_its_days_end(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    with venue.client(venue.open_account(may_sell_short=True)) as client:
        trade(client, LAST)
        of_day = entered(client, stop(qty="1"))
        stays = entered(client, stop_limit(time_in_force="gtc"))
        venue.engine.stop(signal.SIGKILL)
        venue.start_engine()
        venue.wait_until_ready()
        assert [read(client, order) for order in (of_day, stays)] == [of_day, stays]
        venue.apply(pb.AdminRequest(end_trading_day=pb.EndTradingDay()))
        expired = read(client, of_day)
        assert expired["status"] == "expired"
        assert client.get("/v2/orders").json() == [stays]
        trade(client, STOP)
        assert read(client, of_day) == expired
        assert "triggered_at" in read(client, stays)
        closed = client.get("/v2/orders", params={"status": "closed"}).json()
        assert expired in closed


def test_the_history_recognizes_an_order_that_the_engine_has_forgotten(
    new_venue: Callable[..., Venue],
) -> None:
    # The engine forgets ids, and knows the order to replace still.
    venue = new_venue(**FORGETFUL | {"OPENVENUE_ENGINE_MAX_ORDERS": "64"}).start()
    with venue.client(venue.open_account(1)) as client:
        bodies = [body(client_order_id=body.__name__) for body in (stop, stop_limit)]
        orders = []
        for body in bodies:
            orders.append(entered(client, body))
            client.delete("/v2/orders")
        moved = entered(client, stop(client_order_id="moved"))
        path = f"/v2/orders/{moved['id']}"
        change = {"stop_price": "110", "client_order_id": "changed"}
        changed = client.patch(path, json=change).json()
        client.delete("/v2/orders")
        for number in range(20):
            entered(client, limit_order(client_order_id=f"other {number}", time_in_force="ioc"))
        for body, order in zip(bodies, orders, strict=True):
            again = entered(client, body)
            assert again == read(client, order)
            assert (again["status"], prices(again)) == ("canceled", prices(order))
            other = client.post("/v2/orders", json=body | {"stop_price": "106"})
            assert refusal(other)[::2] == (422, "client_order_id must be unique")
            whole = {"orders": [body], "all_or_nothing": True}
            assert client.post(BATCH, json=whole).json()[0]["body"] == again
        again = client.patch(path, json=change).json()
        assert again == read(client, changed)
        assert (again["status"], prices(again)) == ("canceled", ("110", None))
        other = client.patch(path, json=change | {"stop_price": "111"})
        assert refusal(other)[::2] == (422, "client_order_id must be unique")


@pytest.mark.parametrize(
    ("stop_price", "highest", "expected"),
    [
        ("0.01", 10**7, 2),
        ("25", 10**7, 2_600),
        ("49.99", 10**7, 5_199),
        ("50", 10**7, 5_125),
        ("105", 10**7, 10_763),
        ("105", 10_600, 10_600),
    ],
)
def test_the_protection_price_is_alpacas_rounded_up_to_a_tick(
    stop_price: str, highest: int, expected: int
) -> None:
    ticks = round(float(stop_price) * 100)
    instrument = replace(AAPL, max_price_ticks=highest)
    assert protection_price_ticks(ticks, instrument) == expected


def test_an_order_that_an_older_engine_would_not_hold_back_is_refused() -> None:
    for body in (stop(), stop_limit()):
        wanted = decode_new_order(json.dumps(body).encode())
        fill_in(pb.NewOrder(), wanted, replace(AAPL, engine_schema=5))
        with pytest.raises(Problem, match="older version, which does not know stop_price"):
            fill_in(pb.NewOrder(), wanted, replace(AAPL, engine_schema=4))
