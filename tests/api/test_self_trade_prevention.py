"""An order says what becomes of it where it would trade with an order of its own account."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from openvenue.security.keys import NewKey
from sqlalchemy import text

from tests.api.orders import FORGETFUL, limit_order, market_order
from tests.support.venue import Venue, in_database

PRICE = "61"
BATCH = "/v2/orders:batch"
MODES = ("cancel_newest", "cancel_oldest", "cancel_both")


class Sides(NamedTuple):
    """Two accounts that offer 2, 3 and 2 at PRICE: the other one, this one, and the other again."""

    account_id: int
    client: httpx.Client
    other: httpx.Client
    own_offer: dict[str, Any]


@pytest.fixture
def sides(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[Sides]:
    key, other_key = new_account(may_sell_short=True), new_account(may_sell_short=True)
    with venue.client(key) as client, venue.client(other_key) as other:
        offer(other, "2")
        own_offer = offer(client, "3")
        offer(other, "2")
        yield Sides(key.account_id, client, other, own_offer)


def offer(client: httpx.Client, qty: str, **changes: Any) -> dict[str, Any]:
    return entered(client, bid(side="sell", qty=qty, **changes))


def bid(**changes: Any) -> dict[str, Any]:
    return limit_order(**{"limit_price": PRICE, "time_in_force": "gtc", **changes})


def entered(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v2/orders", json=body)
    assert answer.status_code == 200, answer.text
    order: dict[str, Any] = answer.json()
    return order


def read(client: httpx.Client, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v2/orders/{order['id']}").json()
    return found


def outcome(order: dict[str, Any]) -> tuple[str, str]:
    return order["status"], order["filled_qty"]


def rows(venue: Venue, account_id: int) -> dict[str, tuple[Any, ...]]:
    """Return what the database says of each order of an account, by client_order_id."""
    query = text(
        "SELECT client_order_id, status, end_reason, self_trade_prevention, post_only "
        "FROM orders WHERE account_id = :account_id"
    )

    async def work(connection: Any) -> Any:
        return (await connection.execute(query, {"account_id": account_id})).all()

    return {row[0]: tuple(row[1:]) for row in in_database(venue, work)}


@pytest.mark.parametrize(
    ("mode", "of_the_bid", "of_the_own_offer", "others_left"),
    [
        (None, ("partially_filled", "7"), ("filled", "3"), 0),
        ("cancel_newest", ("canceled", "2"), ("new", "0"), 1),
        ("cancel_oldest", ("partially_filled", "4"), ("canceled", "0"), 0),
        ("cancel_both", ("canceled", "2"), ("canceled", "0"), 1),
    ],
)
def test_an_order_does_at_its_own_accounts_what_it_says(
    venue: Venue,
    sides: Sides,
    mode: str | None,
    of_the_bid: tuple[str, str],
    of_the_own_offer: tuple[str, str],
    others_left: int,
) -> None:
    came = entered(sides.client, bid(self_trade_prevention=mode))
    rested = read(sides.client, sides.own_offer)
    assert (outcome(came), outcome(rested)) == (of_the_bid, of_the_own_offer)
    assert came.get("self_trade_prevention") == mode
    assert "self_trade_prevention" not in rested
    for order in (came, rested):
        assert (order["canceled_at"] is not None) == (order["status"] == "canceled")
    # Another account's orders trade in any case, as far as the order comes to them.
    assert len(sides.other.get("/v2/orders").json()) == others_left
    # Engine and history say the same.
    assert read(sides.client, came) == came
    history = sides.client.get("/v2/orders", params={"status": "all"}).json()
    assert history == [came, rested]
    held = rows(venue, sides.account_id)
    for order, prevention in ((came, mode), (rested, None)):
        ended = "self_trade" if order["status"] == "canceled" else None
        row = (order["status"], ended, prevention, None)
        assert held[order["client_order_id"]] == row


def test_only_what_the_order_that_comes_says_counts(sides: Sides) -> None:
    sides.client.delete("/v2/orders")
    rests = offer(sides.client, "1", limit_price="60.5", self_trade_prevention="cancel_newest")
    came = entered(sides.client, bid(qty="1"))
    assert (came["status"], read(sides.client, rests)["status"]) == ("filled", "filled")


def test_an_order_of_another_account_is_none_of_its_own(sides: Sides) -> None:
    sides.client.delete(f"/v2/orders/{sides.own_offer['id']}")
    for mode in MODES:
        order = entered(sides.client, bid(qty="1", self_trade_prevention=mode))
        assert outcome(order) == ("filled", "1")


@pytest.mark.parametrize("mode", MODES)
def test_a_market_order_is_prevented_too(sides: Sides, mode: str) -> None:
    came = entered(sides.client, market_order(qty="4", self_trade_prevention=mode))
    expected = ("filled", "4") if mode == "cancel_oldest" else ("canceled", "2")
    assert outcome(came) == expected


def test_an_order_to_fill_or_kill_counts_no_order_of_its_account(sides: Sides) -> None:
    body = bid(qty="5", self_trade_prevention="cancel_oldest", time_in_force="fok")
    assert outcome(entered(sides.client, body)) == ("canceled", "0")
    assert outcome(read(sides.client, sides.own_offer)) == ("new", "0")


def test_a_replacement_does_what_its_predecessor_said(venue: Venue, sides: Sides) -> None:
    order = entered(sides.client, bid(self_trade_prevention="cancel_both", limit_price="5"))
    # The ledger has written it before it folds the replacement.
    venue.wait_until_projected(sides.client)
    answer = sides.client.patch(f"/v2/orders/{order['id']}", json={"limit_price": PRICE})
    assert answer.status_code == 200, answer.text
    came = answer.json()
    assert outcome(came) == ("canceled", "2")
    assert came["self_trade_prevention"] == "cancel_both"
    assert outcome(read(sides.client, sides.own_offer)) == ("canceled", "0")
    venue.wait_until_projected(sides.client)
    held = rows(venue, sides.account_id)
    assert held[came["client_order_id"]] == ("canceled", "self_trade", "cancel_both", None)
    assert held[order["client_order_id"]] == ("replaced", None, "cancel_both", None)


def test_the_same_order_again_is_recognized_by_its_prevention(sides: Sides) -> None:
    body = bid(qty="2", self_trade_prevention="cancel_oldest", client_order_id="prevented")
    first = entered(sides.client, body)
    assert entered(sides.client, body) == first
    for other in ("cancel_newest", None):
        answer = sides.client.post("/v2/orders", json=body | {"self_trade_prevention": other})
        assert (answer.status_code, answer.json()["message"]) == (
            422,
            "client_order_id must be unique",
        )


def test_orders_of_a_batch_are_prevented_each_for_itself(sides: Sides) -> None:
    sides.other.delete("/v2/orders")
    orders = [bid(qty="1", self_trade_prevention=mode) for mode in ("cancel_newest", *MODES[::-1])]
    results = sides.client.post(BATCH, json={"orders": orders}).json()
    assert [outcome(result["body"]) for result in results] == [
        ("canceled", "0"),
        ("canceled", "0"),
        ("new", "0"),  # Nothing is left to trade with.
        ("new", "0"),
    ]


def test_orders_of_a_whole_batch_are_prevented_among_each_other(sides: Sides) -> None:
    own = bid(side="sell", qty="1", limit_price="50", client_order_id="own")
    orders = [own, bid(qty="1", limit_price="50", self_trade_prevention="cancel_oldest")]
    answer = sides.client.post(BATCH, json={"orders": orders, "all_or_nothing": True})
    assert answer.status_code == 207, answer.text
    assert [outcome(result["body"]) for result in answer.json()][1] == ("new", "0")
    found = sides.client.get("/v2/orders:by_client_order_id", params={"client_order_id": "own"})
    assert outcome(found.json()) == ("canceled", "0")


def test_a_word_that_is_none_and_a_change_are_refused(sides: Sides) -> None:
    answer = sides.client.post("/v2/orders", json=bid(self_trade_prevention="cancel"))
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    assert answer.json()["message"] == (
        "self_trade_prevention must be one of cancel_newest, cancel_oldest, cancel_both, "
        "not 'cancel'"
    )
    change = {"self_trade_prevention": "cancel_both"}
    answer = sides.client.patch(f"/v2/orders/{sides.own_offer['id']}", json=change)
    assert (answer.status_code, answer.json()["message"]) == (
        422,
        "self_trade_prevention cannot be replaced: cancel the order and submit another",
    )


def test_the_history_recognizes_an_order_that_the_engine_has_forgotten(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue(**FORGETFUL).start()
    with venue.client(venue.open_account(1)) as client:
        bodies = [
            limit_order(client_order_id="prevented", self_trade_prevention="cancel_both"),
            limit_order(client_order_id="passive", post_only=True),
        ]
        orders = []
        for body in bodies:
            orders.append(entered(client, body))
            client.delete("/v2/orders")
        for number in range(20):
            entered(client, limit_order(client_order_id=f"other {number}", time_in_force="ioc"))
        for body, order in zip(bodies, orders, strict=True):
            again = entered(client, body)
            assert again == order | {
                name: again[name] for name in ("status", "updated_at", "canceled_at")
            }
            plain = limit_order(client_order_id=body["client_order_id"])
            answer = client.post("/v2/orders", json=plain)
            assert answer.json()["message"] == "client_order_id must be unique", answer.text
            whole = {"orders": [body], "all_or_nothing": True}
            assert client.post(BATCH, json=whole).json()[0]["body"] == again
