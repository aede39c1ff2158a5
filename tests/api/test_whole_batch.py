"""POST /v2/orders:batch with all_or_nothing: every order is entered, or none is."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import FORGETFUL, limit_order, market_order
from tests.support.venue import Venue

BATCH = "/v2/orders:batch"
NONE_ENTERED = "; no order of the batch was entered"


def send(client: httpx.Client, *orders: Any, **headers: str) -> httpx.Response:
    return client.post(BATCH, json={"orders": orders, "all_or_nothing": True}, headers=headers)


def entered(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 207, answer.text
    results = answer.json()
    assert {result["status"] for result in results} == {200}
    return [result["body"] for result in results]


def refusal(answer: httpx.Response) -> tuple[int, int, str]:
    """Return status, place and message, less what each message ends with."""
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    prefix = f"orders[{problem['item']}]: "
    assert problem["message"].startswith(prefix)
    assert problem["message"].endswith(NONE_ENTERED)
    return (
        answer.status_code,
        problem["item"],
        problem["message"].removeprefix(prefix).removesuffix(NONE_ENTERED),
    )


def open_orders(client: httpx.Client) -> list[str]:
    return [order["client_order_id"] for order in client.get("/v2/orders?limit=500").json()]


def test_all_orders_are_entered_in_their_order(
    venue: Venue, client: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    with venue.client(new_account()) as seller:
        venue.give(int(seller.get("/v2/account").json()["account_number"]), 1, 10)
        seller.post("/v2/orders", json=limit_order(side="sell", qty="4", limit_price="77"))
    orders = [limit_order(qty="1", limit_price="77", client_order_id=f"{n}") for n in range(3)]
    answers = entered(send(client, *orders, limit_order(symbol="BTC/USD", time_in_force="gtc")))
    assert [answer["status"] for answer in answers] == [*["filled"] * 3, "new"]
    assert [answer["client_order_id"] for answer in answers[:3]] == ["0", "1", "2"]
    ids = [answer["id"] for answer in answers]
    assert ids == sorted(ids)
    assert client.get(f"/v2/orders/{ids[0]}").json() == answers[0]
    as_accepted = entered(send(client, limit_order(qty="1", limit_price="77"), Prefer=""))
    assert as_accepted[0]["status"] == "accepted"


@pytest.mark.parametrize(
    ("orders", "status", "item", "message"),
    [
        ([limit_order(), 7], 422, 1, "Expected `object`, got `int`"),
        ([limit_order(), limit_order(symbol="NOPE")], 422, 1, "asset 'NOPE' is not found"),
        ([limit_order(), limit_order(limit_price="0.005")], 422, 1, "increment"),
        ([limit_order(), limit_order(qty="0")], 422, 1, "qty"),
        ([limit_order(), limit_order(side="sell")], 403, 1, "insufficient qty available"),
        (
            [limit_order(qty="600000"), limit_order(qty="600000")],
            403,
            1,
            "insufficient buying power",
        ),
        ([limit_order(), market_order()], 422, 1, "a market order must be the only order of its"),
        ([market_order(), limit_order()], 422, 0, "a market order must be the only order of its"),
        (
            [limit_order(client_order_id="same"), limit_order(client_order_id="same")],
            422,
            1,
            "client_order_id must be unique",
        ),
        (
            [limit_order(), limit_order(position_intent="buy_to_close")],
            422,
            1,
            "position intent mismatch",
        ),
    ],
)
def test_one_order_that_would_be_refused_stands_against_all(
    client: httpx.Client, orders: list[Any], status: int, item: int, message: str
) -> None:
    got = refusal(send(client, *orders))
    assert (got[:2], message in got[2]) == ((status, item), True), got
    assert open_orders(client) == []


def test_what_is_no_batch_says_so(client: httpx.Client) -> None:
    answer = client.post(BATCH, json={"orders": [limit_order()], "all_or_nothing": "yes"})
    assert (answer.status_code, "Expected `bool`" in answer.json()["message"]) == (422, True)
    twice = '{"orders": [], "all_or_nothing": true, "all_or_nothing": false}'
    assert client.post(BATCH, content=twice).status_code in (400, 422)
    good = '{"orders": [%s], "all_or_nothing": true, "all_or_nothing": false}'
    order = '{"symbol":"AAPL","qty":"1","side":"buy","type":"limit","time_in_force":"day",'
    answer = client.post(BATCH, content=good % (order + '"limit_price":"1"}'))
    assert (answer.status_code, "given twice" in answer.json()["message"]) == (400, True)
    assert open_orders(client) == []


def test_the_same_batch_again_is_the_same_orders(client: httpx.Client) -> None:
    orders = [limit_order(qty="400000", client_order_id=f"again {n}") for n in range(2)]
    first = entered(send(client, *orders))
    # The account has no money left, and the repetition needs none.
    assert entered(send(client, *orders)) == first
    assert refusal(send(client, *orders, limit_order(qty="1"))) == (
        422,
        0,
        "client_order_id must be unique",
    )
    assert refusal(send(client, {**orders[0], "qty": "1"}, orders[1]))[0] == 422
    assert len(open_orders(client)) == 2


def test_restrictions_of_the_account_stand_against_all(client: httpx.Client) -> None:
    client.patch("/v2/account/configurations", json={"suspend_trade": True})
    try:
        assert refusal(send(client, limit_order(), limit_order()))[:2] == (403, 0)
    finally:
        client.patch("/v2/account/configurations", json={"suspend_trade": False})
    assert open_orders(client) == []


def test_an_account_without_shorting_sells_together_what_it_has(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    key = new_account(may_sell_short=True)
    venue.give(key.account_id, 1, 10)
    with venue.client(key) as client:
        client.patch("/v2/account/configurations", json={"no_shorting": True})
        sell = limit_order(side="sell", qty="6", limit_price="900")
        assert refusal(send(client, sell, sell))[:2] == (403, 1)
        entered(send(client, sell, {**sell, "qty": "4"}))


def test_what_the_engine_has_forgotten_comes_from_the_history(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue(**FORGETFUL).start()
    with venue.client(venue.open_account(1)) as client:
        orders = [limit_order(client_order_id=f"{n}", time_in_force="ioc") for n in range(3)]
        first = entered(send(client, *orders))
        for number in range(20):
            body = limit_order(client_order_id=f"other {number}", time_in_force="ioc")
            client.post("/v2/orders", json=body)
        again = entered(send(client, *orders))
        assert [order["id"] for order in again] == [order["id"] for order in first]
        assert refusal(send(client, {**orders[0], "qty": "1"}, *orders[1:]))[:2] == (422, 0)
        new = limit_order(client_order_id="new", time_in_force="ioc")
        assert refusal(send(client, new, orders[2]))[:2] == (422, 1)
        # A filter that is so full takes some new ids for forgotten ones, too.
        for number in range(20):
            names = [f"fresh {number} {n}" for n in range(3)]
            fresh = [limit_order(client_order_id=name, time_in_force="ioc") for name in names]
            assert len(entered(send(client, *fresh))) == 3


def test_a_kill_of_the_engine_leaves_all_of_a_batch_or_none(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(engine_reply_timeout_s="2")
    size = 250
    with venue.client(venue.open_account()) as client:
        for kill in range(3):
            killer = threading.Timer(0.1 + 0.03 * kill, venue.engine.stop, [signal.SIGKILL])
            batches: list[list[dict[str, Any]]] = []
            acknowledged = 0
            killer.start()
            while True:
                name = f"{kill} {len(batches)}"
                ids = [f"{name} {n}" for n in range(size)]
                batches.append(
                    [limit_order(client_order_id=each, time_in_force="ioc") for each in ids]
                )
                answer = send(client, *batches[-1])
                if answer.status_code != 207:
                    assert answer.status_code == 503, answer.text
                    break
                acknowledged += 1
            killer.join()
            venue.start_engine()
            venue.wait_until_ready()
            venue.wait_until_projected(client)
            for place, orders in enumerate(batches):
                found = [
                    client.get(
                        "/v2/orders:by_client_order_id",
                        params={"client_order_id": order["client_order_id"]},
                    ).status_code
                    for order in (orders[0], orders[size // 2], orders[-1])
                ]
                expected = [{200}] if place < acknowledged else [{200}, {404}]
                assert {*found} in expected, (place, found)
            assert len(entered(send(client, *batches[-1]))) == size
