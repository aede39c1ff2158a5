"""An order's intent for the position is checked when the order is sequenced."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.support.venue import Venue


@pytest.fixture
def holder(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    """Yield a client that holds 5 AAPL and may sell short, beside a bid for 50."""
    key, bidder_key = new_account(may_sell_short=True), new_account()
    venue.give(key.account_id, 1, 5)
    with venue.client(key) as client, venue.client(bidder_key) as bidder:
        bid = bidder.post("/v2/orders", json=limit_order(qty="50", limit_price="33"))
        assert bid.json()["status"] == "new"
        yield client


def test_an_order_to_close_never_opens(holder: httpx.Client) -> None:
    def sell(qty: str) -> httpx.Response:
        order = market_order(side="sell", qty=qty, position_intent="sell_to_close")
        return holder.post("/v2/orders", json=order)

    refused = sell("20")
    assert (refused.status_code, refused.json()["code"]) == (422, 42210000)
    assert refused.json()["message"] == (
        "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
    )
    assert holder.get("/v2/positions/AAPL").json()["qty"] == "5"
    assert sell("5").json()["status"] == "filled"
    assert holder.get("/v2/positions").json() == []
    assert sell("1").status_code == 422


def test_an_order_to_open_never_closes(holder: httpx.Client) -> None:
    order = limit_order(side="sell", qty="1", limit_price="900", position_intent="sell_to_open")
    assert holder.post("/v2/orders", json=order).json()["code"] == 42210000
    buy = limit_order(qty="1", limit_price="1", position_intent="buy_to_open")
    assert holder.post("/v2/orders", json=buy).status_code == 200


def test_the_intent_is_returned_wherever_the_order_is_read(holder: httpx.Client) -> None:
    intent = {"position_intent": "buy_to_open"}
    order = holder.post("/v2/orders", json=limit_order(qty="2", limit_price="1", **intent)).json()
    replaced = holder.patch(f"/v2/orders/{order['id']}", json={"qty": "3"}).json()
    plain = holder.post("/v2/orders", json=limit_order(limit_price="1")).json()
    assert "position_intent" not in plain
    for answer in (
        holder.get("/v2/orders"),
        holder.get("/v2/orders", params={"direction": "asc"}),
    ):
        found = {one["id"]: one.get("position_intent") for one in answer.json()}
        assert found == {replaced["id"]: "buy_to_open", plain["id"]: None}
