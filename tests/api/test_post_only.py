"""A post-only order rests, or is refused: it never takes."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.api.test_self_trade_prevention import entered, rows
from tests.support.venue import Venue

BATCH = "/v2/orders:batch"
ASK = "62"


@pytest.fixture
def offered(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    """Yield the client of an account that offers 5 AAPL at ASK."""
    with venue.client(new_account(may_sell_short=True)) as seller:
        entered(seller, limit_order(side="sell", qty="5", limit_price=ASK, time_in_force="gtc"))
        yield seller


def passive(**changes: Any) -> dict[str, Any]:
    return limit_order(**{"post_only": True, "limit_price": "61.99", **changes})


def refusal(answer: httpx.Response) -> tuple[int, int, str]:
    return answer.status_code, answer.json()["code"], answer.json()["message"]


def test_an_order_that_would_trade_at_once_is_refused_and_another_rests(
    client: httpx.Client, offered: httpx.Client
) -> None:
    for price in (ASK, "63"):
        answer = client.post("/v2/orders", json=passive(limit_price=price))
        assert refusal(answer) == (
            422,
            42210000,
            f"a post-only order at {price} would trade at once",
        )
    assert client.get("/v2/orders", params={"status": "all"}).json() == []
    assert offered.get("/v2/orders").json()[0]["filled_qty"] == "0"
    order = entered(client, passive())
    assert (order["status"], order["post_only"]) == ("new", True)
    # It is passive when it comes, and trades as any other when it rests.
    taker = limit_order(side="sell", qty="10", limit_price="61.99")
    assert entered(offered, taker)["status"] == "filled"
    assert client.get(f"/v2/orders/{order['id']}").json()["status"] == "filled"


def test_an_order_shows_it_wherever_it_is_read_if_it_is_post_only(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    order = entered(client, passive(time_in_force="gtc"))
    plain = entered(client, passive(post_only=False))
    assert "post_only" not in plain
    for query in ({}, {"direction": "asc"}, {"status": "all"}):
        found = client.get("/v2/orders", params=query).json()
        shown = {one["id"]: one.get("post_only") for one in found}
        assert shown == {order["id"]: True, plain["id"]: None}
    held = rows(venue, account.account_id)
    assert held[order["client_order_id"]] == ("new", None, None, True)
    assert held[plain["client_order_id"]] == ("new", None, None, None)


def test_a_replacement_is_post_only_too(
    venue: Venue, client: httpx.Client, account: NewKey, offered: httpx.Client
) -> None:
    order = entered(client, passive())
    venue.wait_until_projected(client)
    path = f"/v2/orders/{order['id']}"
    answer = client.patch(path, json={"limit_price": ASK})
    assert refusal(answer) == (422, 42210000, f"a post-only order at {ASK} would trade at once")
    assert client.get(path).json() == order
    answer = client.patch(path, json={"time_in_force": "ioc"})
    assert refusal(answer) == (
        422,
        42210000,
        "a post_only order must have time_in_force day or gtc",
    )
    answer = client.patch(path, json={"post_only": True})
    assert answer.json()["message"].startswith("post_only cannot be replaced")
    second = client.patch(path, json={"limit_price": "61.98"}).json()
    third = client.patch(f"/v2/orders/{second['id']}", json={"qty": "3"}).json()
    assert (third["post_only"], third["status"]) == (True, "new")
    venue.wait_until_projected(client)
    held = rows(venue, account.account_id)
    assert {row[3] for row in held.values()} == {True}
    assert len(held) == 3


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            market_order(post_only=True),
            42210000,
            "a post_only order must be a limit order",
        ),
        (
            passive(time_in_force="ioc"),
            42210000,
            "a post_only order must have time_in_force day or gtc",
        ),
        (
            passive(time_in_force="fok"),
            42210000,
            "a post_only order must have time_in_force day or gtc",
        ),
        (
            passive(post_only="yes"),
            40010001,
            "Expected `bool | null`, got `str` - at `$.post_only`",
        ),
    ],
)
def test_an_order_that_cannot_rest_is_not_post_only(
    client: httpx.Client, body: dict[str, Any], code: int, message: str
) -> None:
    assert refusal(client.post("/v2/orders", json=body)) == (422, code, message)
    (result,) = client.post(BATCH, json={"orders": [body]}).json()
    assert (result["status"], result["body"]["message"]) == (422, message)


def test_the_same_order_again_is_recognized_by_it(client: httpx.Client) -> None:
    body = passive(client_order_id="passive")
    first = entered(client, body)
    assert entered(client, body) == first
    answer = client.post("/v2/orders", json=body | {"post_only": False})
    assert refusal(answer)[::2] == (422, "client_order_id must be unique")


def test_a_refused_order_may_come_again_under_its_id(
    client: httpx.Client, offered: httpx.Client
) -> None:
    body = passive(limit_price=ASK, client_order_id="again")
    assert client.post("/v2/orders", json=body).status_code == 422
    offered.delete("/v2/orders")
    assert entered(client, body)["status"] == "new"


def test_each_order_of_a_batch_is_refused_for_itself(
    client: httpx.Client, offered: httpx.Client
) -> None:
    orders = [passive(limit_price=ASK), passive(), limit_order(qty="5", limit_price=ASK)]
    refused, rests, takes = client.post(BATCH, json={"orders": orders}).json()
    assert (refused["status"], refused["body"]["message"]) == (
        422,
        f"a post-only order at {ASK} would trade at once",
    )
    assert (rests["body"]["status"], takes["body"]["status"]) == ("new", "filled")


def test_one_that_would_trade_stands_against_a_whole_batch(
    client: httpx.Client, offered: httpx.Client
) -> None:
    whole = {"orders": [passive(), passive(limit_price=ASK)], "all_or_nothing": True}
    answer = client.post(BATCH, json=whole)
    assert refusal(answer) == (
        422,
        42210000,
        "orders[1]: a post-only order would trade at once; no order of the batch was entered",
    )
    assert answer.json()["item"] == 1
    assert client.get("/v2/orders", params={"status": "all"}).json() == []
    offered.delete("/v2/orders")
    results = client.post(BATCH, json=whole).json()
    assert [result["body"]["post_only"] for result in results] == [True, True]
