"""An account's orders canceled by an administrator; an account set back, or copied."""

from collections.abc import Callable

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.admin.test_audit import commands, story
from tests.api.orders import limit_order
from tests.support.venue import Venue


@pytest.fixture
def trading(administered: Venue, alice: NewKey) -> httpx.Client:
    """Return a client of Alice, who holds 5 shares and has three orders open."""
    administered.give(alice.account_id, 1, 5)
    client = administered.client(alice)
    for changes in ({}, {"side": "sell", "qty": "2", "limit_price": "900"}, {"symbol": "BTC/USD"}):
        entered = client.post("/v2/orders", json=limit_order(**changes))
        assert entered.status_code == 200, entered.text
    return client


def path_of(key: NewKey) -> str:
    return f"/v1/admin/accounts/{key.account_id}"


def open_orders(client: httpx.Client) -> list[tuple[str, str]]:
    return [(order["symbol"], order["side"]) for order in client.get("/v2/orders").json()]


def test_an_administrator_cancels_orders_by_symbol_and_side(
    admin: httpx.Client, alice: NewKey, trading: httpx.Client
) -> None:
    orders = f"{path_of(alice)}/orders"
    sells = admin.delete(orders, params={"symbol": "AAPL", "side": "sell"})
    assert (sells.status_code, sells.json()["canceled"]) == (200, 1)
    assert open_orders(trading) == [("BTC/USD", "buy"), ("AAPL", "buy")]
    assert admin.delete(orders).json() == {"account_id": alice.account_id, "canceled": 2}
    assert open_orders(trading) == []


def test_the_audit_trail_says_who_canceled_and_so_does_the_orders_story(
    admin: httpx.Client, alice: NewKey, trading: httpx.Client
) -> None:
    order_id = trading.get("/v2/orders").json()[0]["id"]
    admin.delete(f"{path_of(alice)}/orders", params={"side": "buy"})
    newest = commands(admin)[0]
    assert (newest["command"], newest["account_id"]) == ("cancel_orders", alice.account_id)
    assert newest["details"] == {"side": "buy", "canceled": 2}
    end = story(admin, order_id)["entries"][-1]
    assert (end["command"], end["administrator"]) == ("cancel_orders", newest["administrator"])
    reasons = [(event["event"], event["reason"]) for event in end["events"]]
    assert reasons == [("canceled", "user_canceled")]


def test_what_a_trader_cancels_together_is_not_in_the_audit_trail(
    admin: httpx.Client, alice: NewKey, trading: httpx.Client
) -> None:
    order_id = trading.get("/v2/orders").json()[0]["id"]
    trading.delete("/v2/orders")
    newest = commands(admin)[0]
    assert newest["command"] != "cancel_orders"
    end = story(admin, order_id)["entries"][-1]
    assert (end["command"], end["account_id"]) == ("cancel_orders", alice.account_id)
    assert end["administrator"] is None


def test_a_reset_account_has_its_cash_and_nothing_else(
    admin: httpx.Client, alice: NewKey, trading: httpx.Client
) -> None:
    for _ in range(2):  # It may be sent again.
        reset = admin.post(f"{path_of(alice)}/reset", json={"cash": "2500.5"})
        assert (reset.status_code, reset.json()["cash"]) == (200, "2500.5")
        shown = admin.get(path_of(alice)).json()
        assert (shown["buying_power"], shown["positions"]) == ("2500.5", [])
    assert open_orders(trading) == []
    assert trading.get("/v2/positions").json() == []
    assert trading.get("/v2/orders", params={"status": "all"}).json() != []


def test_a_clone_has_terms_cash_and_positions_but_no_orders(
    admin: httpx.Client, administered: Venue, alice: NewKey, trading: httpx.Client
) -> None:
    body = {"name": "alice again", "account_id": 5_000_000}
    made = admin.post(f"{path_of(alice)}/clone", json=body)
    assert made.status_code == 201, made.text
    source, clone = admin.get(path_of(alice)).json(), made.json()
    for field in ("may_sell_short", "credit_limit", "cash"):
        assert clone[field] == source[field]
    assert [(held["symbol"], held["qty"], held["cost"]) for held in clone["positions"]] == [
        (held["symbol"], held["qty"], held["cost"]) for held in source["positions"]
    ]
    assert (clone["name"], clone["buying_power"]) == ("alice again", clone["cash"])
    again = admin.post(f"{path_of(alice)}/clone", json=body)
    assert (again.status_code, again.json()["code"]) == (409, 40910000)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "reset", {"cash": "-1"}, 422, "cash must not be below zero"),
        ("POST", "reset", {}, 422, "cash is required"),
        ("POST", "reset", {"cash": "1", "keys": True}, 422, "keys"),
        ("POST", "clone", {"name": ""}, 422, "the name must not be empty"),
        ("POST", "clone", {"name": "x", "account_id": 0}, 422, "account_id must be from 1"),
        ("DELETE", "orders?symbol=NOPE", None, 404, "no instrument NOPE"),
        ("DELETE", "orders?side=long", None, 422, "side"),
        ("DELETE", "orders?instrument=AAPL", None, 422, "instrument"),
    ],
)
def test_a_request_that_cannot_be_changes_nothing(
    admin: httpx.Client,
    trader: Callable[[], NewKey],
    method: str,
    path: str,
    body: dict[str, object] | None,
    status: int,
    said: str,
) -> None:
    key = trader()
    before = admin.get(path_of(key)).json()
    refused = admin.request(method, f"{path_of(key)}/{path}", json=body)
    assert (refused.status_code, said in refused.text) == (status, True), refused.text
    assert admin.get(path_of(key)).json() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "reset", {"cash": "1"}),
        ("POST", "clone", {"name": "x"}),
        ("DELETE", "orders", None),
    ],
)
def test_an_account_that_does_not_exist_is_404(
    admin: httpx.Client, method: str, path: str, body: dict[str, object] | None
) -> None:
    refused = admin.request(method, f"/v1/admin/accounts/3999999/{path}", json=body)
    assert refused.status_code == 404, refused.text
