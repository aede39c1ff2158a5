"""An answer shows the order as it was accepted, or its outcome on request."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openvenue.http.order_answers import wants_outcome
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.support import http
from tests.support.venue import Venue, key_headers

OUTCOME = {"Prefer": "wait"}
ENDS = ("filled_at", "canceled_at", "expired_at", "replaced_at", "replaced_by")


def plain_client(venue: Venue, key: NewKey) -> httpx.Client:
    """Return a client that sends no preference, as Alpaca's clients."""
    headers = key_headers(key)
    del headers["Prefer"]
    return http.Client(base_url=venue.url, headers=headers, timeout=15)


@pytest.fixture
def plain(venue: Venue, account: NewKey) -> Iterator[httpx.Client]:
    with plain_client(venue, account) as client:
        yield client


@pytest.fixture
def seller(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    key = new_account()
    venue.give(key.account_id, 1, 100)
    with plain_client(venue, key) as client:
        yield client


def shows_acceptance(order: dict[str, Any]) -> bool:
    return (
        (order["status"], order["filled_qty"], order["filled_avg_price"]) == ("accepted", "0", None)
        and order["updated_at"] == order["submitted_at"] == order["created_at"]
        and all(order[end] is None for end in ENDS)
    )


def test_an_order_that_trades_at_once_is_answered_as_it_was_accepted(
    plain: httpx.Client, seller: httpx.Client
) -> None:
    sell = limit_order(side="sell", qty="4", limit_price="61")
    assert shows_acceptance(seller.post("/v2/orders", json=sell).json())
    answer = plain.post("/v2/orders", json=limit_order(qty="4", limit_price="61"))
    assert shows_acceptance(answer.json())
    assert "Preference-Applied" not in answer.headers
    read = plain.get(f"/v2/orders/{answer.json()['id']}").json()
    assert (read["status"], read["filled_qty"], read["filled_avg_price"]) == ("filled", "4", "61")
    changed = {name for name, value in answer.json().items() if read[name] != value}
    assert changed <= {"status", "filled_qty", "filled_avg_price", "filled_at", "updated_at"}


@pytest.mark.parametrize("preference", ["wait", "Wait=10", "respond-async, wait; x=1"])
def test_who_prefers_to_wait_gets_the_outcome(
    plain: httpx.Client, seller: httpx.Client, preference: str
) -> None:
    seller.post("/v2/orders", json=limit_order(side="sell", qty="2", limit_price="62"))
    body = limit_order(qty="3", limit_price="62", time_in_force="ioc")
    answer = plain.post("/v2/orders", json=body, headers={"Prefer": preference})
    assert answer.headers["Preference-Applied"] == "wait"
    order = answer.json()
    assert (order["status"], order["filled_qty"], order["filled_avg_price"]) == (
        *("canceled", "2", "62"),
    )
    assert plain.get(f"/v2/orders/{order['id']}").json() == order


def test_the_same_request_again_has_the_same_answer_whatever_became_of_the_order(
    plain: httpx.Client,
) -> None:
    body = limit_order(client_order_id="again as accepted")
    first = plain.post("/v2/orders", json=body).json()
    plain.delete(f"/v2/orders/{first['id']}")
    assert plain.post("/v2/orders", json=body).json() == first
    now = plain.post("/v2/orders", json=body, headers=OUTCOME).json()
    assert now == plain.get(f"/v2/orders/{first['id']}").json()
    assert now["status"] == "canceled"


def test_an_order_that_only_the_history_still_has_is_answered_as_it_was_accepted(
    new_venue: Callable[..., Venue],
) -> None:
    limits = {
        "OPENVENUE_ENGINE_MAX_ORDERS": "4",
        "OPENVENUE_ENGINE_MAX_OPEN_ORDERS": "2",
        "OPENVENUE_ENGINE_MAX_CLIENT_IDS": "64",
    }
    venue = new_venue(**limits).start()
    with plain_client(venue, venue.open_account(1)) as client:
        names = ["first", *(str(number) for number in range(8))]
        answers = [
            client.post("/v2/orders", json=limit_order(client_order_id=name, time_in_force="ioc"))
            for name in names
        ]
        body = limit_order(client_order_id="first", time_in_force="ioc")
        assert client.post("/v2/orders", json=body).json() == answers[0].json()
        now = client.post("/v2/orders", json=body, headers=OUTCOME).json()
        assert (now["status"], now["id"]) == ("canceled", answers[0].json()["id"])


def test_a_market_order_without_liquidity_is_accepted_and_then_canceled(
    plain: httpx.Client,
) -> None:
    body = market_order(symbol="BTC/USD", qty="1", time_in_force="gtc")
    accepted = plain.post("/v2/orders", json=body).json()
    assert shows_acceptance(accepted)
    assert plain.get(f"/v2/orders/{accepted['id']}").json()["status"] == "canceled"


def test_a_refused_order_stays_an_error(plain: httpx.Client) -> None:
    for headers in ({}, OUTCOME):
        body = limit_order(qty="900000", limit_price="1000")
        answer = plain.post("/v2/orders", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, 40310000)
        assert "Preference-Applied" not in answer.headers


def test_a_replacement_is_answered_as_it_was_accepted_with_what_was_filled_before(
    plain: httpx.Client, seller: httpx.Client
) -> None:
    old = plain.post("/v2/orders", json=limit_order(limit_price="63")).json()
    for qty, price in (("4", "63"), ("3", "64")):
        seller.post("/v2/orders", json=limit_order(side="sell", qty=qty, limit_price=price))
    # At the new price it trades with the second one at once.
    change = {"limit_price": "64", "client_order_id": "replacement as accepted"}
    path = f"/v2/orders/{old['id']}"
    new = plain.patch(path, json=change).json()
    assert (new["status"], new["replaces"], new["replaced_by"]) == ("accepted", old["id"], None)
    assert (new["filled_qty"], new["filled_avg_price"]) == ("4", "63")
    assert plain.patch(path, json=change).json() == new
    outcome = plain.patch(path, json=change, headers=OUTCOME)
    assert outcome.headers["Preference-Applied"] == "wait"
    assert (outcome.json()["status"], outcome.json()["filled_qty"]) == ("partially_filled", "7")


def test_closing_orders_are_answered_as_they_were_accepted(
    plain: httpx.Client, seller: httpx.Client
) -> None:
    plain.post("/v2/orders", json=limit_order(qty="30", limit_price="65"))
    closed = seller.delete("/v2/positions/AAPL", params={"qty": "10"}).json()
    assert shows_acceptance(closed)
    assert seller.get(f"/v2/orders/{closed['id']}").json()["status"] == "filled"
    answer = seller.delete("/v2/positions/AAPL", params={"qty": "10"}, headers=OUTCOME)
    assert (answer.headers["Preference-Applied"], answer.json()["status"]) == ("wait", "filled")
    (result,) = seller.delete("/v2/positions").json()
    assert (result["status"], shows_acceptance(result["body"])) == (200, True)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([], False),
        ([b"wait"], True),
        ([b"respond-async", b"WAIT = 5 ; a=b"], True),
        ([b"return=minimal, wait=1"], True),
        ([b"waiting"], False),
        ([b"return=wait"], False),
        ([b""], False),
    ],
)
def test_the_preference_is_read_from_all_prefer_headers(values: list[bytes], wanted: bool) -> None:
    headers = [(b"host", b"wait"), *((b"prefer", value) for value in values)]
    assert wants_outcome(headers) is wanted
