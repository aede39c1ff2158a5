"""An account's configuration: kept, shown, and enforced on new orders and replacements."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.support.venue import Venue, run_apart
from tests.support.waiting import wait_for

PATH = "/v2/account/configurations"
DEFAULTS = {
    "suspend_trade": False,
    "no_shorting": False,
    "fractional_trading": True,
    "ptp_no_exception_entry": False,
    "dtbp_check": "entry",
    "pdt_check": "entry",
    "trade_confirm_email": "none",
    "max_margin_multiplier": "1",
    "max_options_trading_level": 0,
    "disable_overnight_trading": False,
}


def configure(client: httpx.Client, **fields: object) -> None:
    """Change fields and wait until both workers of the venue know it."""
    changed = client.patch(PATH, json=fields)
    assert changed.status_code == 200, changed.text
    assert changed.json().items() >= fields.items()
    suspended = changed.json()["suspend_trade"]
    streak = 0
    while streak < 8:  # Each request may reach another worker.
        shown = client.get("/v2/account", headers={"connection": "close"}).json()
        streak = streak + 1 if shown["trade_suspended_by_user"] == suspended else 0


def refused(answer: httpx.Response) -> str:
    assert (answer.status_code, answer.json()["code"]) == (403, 40310000), answer.text
    return str(answer.json()["message"])


def test_an_account_has_the_defaults_until_it_changes_them(client: httpx.Client) -> None:
    assert client.get(PATH).json() == DEFAULTS
    changes = {"no_shorting": True, "dtbp_check": "both", "ptp_no_exception_entry": True}
    assert client.patch(PATH, json=changes).json() == {**DEFAULTS, **changes}
    assert client.patch(PATH, json={}).json() == {**DEFAULTS, **changes}
    back = client.patch(PATH, json={"no_shorting": False, "pdt_check": None}).json()
    assert back == client.get(PATH).json() == {**DEFAULTS, **changes, "no_shorting": False}


@pytest.mark.parametrize(
    "fields",
    [
        {"max_margin_multiplier": "4"},
        {"trade_confirm_email": "all"},
        {"max_options_trading_level": 2},
        {"disable_overnight_trading": True},
        {"suspend_trade": "yes"},
        {"dtbp_check": "never"},
        {"suspend_trading": True},
        ["suspend_trade"],
    ],
)
def test_what_would_be_without_effect_is_refused(client: httpx.Client, fields: object) -> None:
    answer = client.patch(PATH, json=fields)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    assert client.get(PATH).json() == DEFAULTS


@pytest.mark.parametrize("body", ["{", '{"no_shorting": true, "no_shorting": false}'])
def test_a_malformed_configuration_is_refused(client: httpx.Client, body: str) -> None:
    assert client.patch(PATH, content=body).status_code == 400
    assert client.get(PATH).json() == DEFAULTS


def test_an_account_that_suspends_trading_only_cancels(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 5)
    first, second = (client.post("/v2/orders", json=limit_order()).json() for _ in range(2))
    configure(client, suspend_trade=True)
    message = "new orders are rejected by user request"
    assert refused(client.post("/v2/orders", json=limit_order())) == message
    assert refused(client.patch(f"/v2/orders/{first['id']}", json={"qty": "3"})) == message
    assert refused(client.delete("/v2/positions/AAPL")) == message
    (closed,) = client.delete("/v2/positions").json()
    assert (closed["status"], closed["body"]["message"]) == (403, message)
    assert client.delete(f"/v2/orders/{first['id']}").status_code == 204
    assert [one["id"] for one in client.delete("/v2/orders").json()] == [second["id"]]
    configure(client, suspend_trade=False)
    assert client.post("/v2/orders", json=limit_order()).status_code == 200


def test_a_suspended_account_still_learns_the_fate_of_an_order_that_it_sends_again(
    client: httpx.Client,
) -> None:
    body = limit_order(client_order_id="entered before")
    order = client.post("/v2/orders", json=body).json()
    change = {"qty": "3", "client_order_id": "replaced before"}
    replaced = client.patch(f"/v2/orders/{order['id']}", json=change).json()
    configure(client, suspend_trade=True)
    assert client.post("/v2/orders", json=body).json()["id"] == order["id"]
    assert client.post("/v2/orders", json={**body, "qty": "9"}).status_code == 422
    refused(client.post("/v2/orders", json={**body, "client_order_id": "not entered"}))
    again = client.patch(f"/v2/orders/{order['id']}", json=change)
    assert again.json()["id"] == replaced["id"]


def test_all_keys_of_the_account_are_restricted_and_no_others(
    venue: Venue, client: httpx.Client, account: NewKey, new_account: Callable[..., NewKey]
) -> None:
    second = run_apart(venue._create_key(account.account_id))
    with venue.client(second) as same, venue.client(new_account()) as other:
        assert same.post("/v2/orders", json=limit_order()).status_code == 200
        client.patch(PATH, json={"suspend_trade": True})
        wait_for(lambda: same.post("/v2/orders", json=limit_order()).status_code == 403)
        assert other.get(PATH).json() == DEFAULTS
        assert other.post("/v2/orders", json=limit_order()).status_code == 200


@pytest.fixture
def long_only(venue: Venue, new_account: Callable[..., NewKey]) -> Iterator[httpx.Client]:
    """Yield a client that may sell short but has no_shorting, and holds 5 AAPL, beside a bid."""
    key, bidder_key = new_account(may_sell_short=True), new_account()
    venue.give(key.account_id, 1, 5)
    with venue.client(key) as client, venue.client(bidder_key) as bidder:
        bidder.post("/v2/orders", json=limit_order(qty="50", limit_price="34"))
        configure(client, no_shorting=True)
        yield client


def test_without_shorting_a_sell_is_of_what_the_account_holds(long_only: httpx.Client) -> None:
    assert long_only.get("/v2/account").json()["shorting_enabled"] is False
    message = refused(long_only.post("/v2/orders", json=market_order(side="sell", qty="6")))
    assert message == "insufficient qty available for order (requested: 6, available: 5)"
    resting = limit_order(side="sell", qty="3", limit_price="900")
    assert long_only.post("/v2/orders", json=resting).status_code == 200
    message = refused(long_only.post("/v2/orders", json=market_order(side="sell", qty="3")))
    assert message == "insufficient qty available for order (requested: 3, available: 2)"
    sold = long_only.post("/v2/orders", json=market_order(side="sell", qty="2")).json()
    assert (sold["status"], sold["position_intent"]) == ("filled", "sell_to_close")
    opening = limit_order(side="sell", limit_price="900", position_intent="sell_to_open")
    assert "no_shorting" in refused(long_only.post("/v2/orders", json=opening))
    assert long_only.post("/v2/orders", json=limit_order(limit_price="1")).status_code == 200


def test_without_shorting_a_sell_is_not_replaced_by_a_larger_one(long_only: httpx.Client) -> None:
    resting = limit_order(side="sell", qty="3", limit_price="900")
    order = long_only.post("/v2/orders", json=resting).json()
    assert "no_shorting" in refused(long_only.patch(f"/v2/orders/{order['id']}", json={"qty": "9"}))
    lower = long_only.patch(f"/v2/orders/{order['id']}", json={"limit_price": "899"})
    assert lower.status_code == 200
    buy = long_only.post("/v2/orders", json=limit_order(limit_price="1")).json()
    assert long_only.patch(f"/v2/orders/{buy['id']}", json={"qty": "99"}).status_code == 200


def test_an_account_that_may_not_sell_short_anyway_may_replace_its_sells(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 5)
    resting = limit_order(side="sell", qty="3", limit_price="900")
    order = client.post("/v2/orders", json=resting).json()
    configure(client, no_shorting=True)
    assert client.patch(f"/v2/orders/{order['id']}", json={"qty": "5"}).status_code == 200


def test_without_fractional_trading_quantities_are_whole(client: httpx.Client) -> None:
    pair = {"symbol": "BTC/USD", "limit_price": "9", "time_in_force": "gtc"}
    order = client.post("/v2/orders", json=limit_order(**pair, qty="0.5")).json()
    configure(client, fractional_trading=False)
    assert "fractional_trading" in refused(
        client.post("/v2/orders", json=limit_order(**pair, qty="0.5"))
    )
    assert "fractional_trading" in refused(
        client.patch(f"/v2/orders/{order['id']}", json={"qty": "1.5"})
    )
    assert client.patch(f"/v2/orders/{order['id']}", json={"qty": "2"}).status_code == 200


def test_configurations_last_beyond_the_workers(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    with venue.client(venue.open_account(1)) as client:
        client.patch(PATH, json={"suspend_trade": True})
        venue.api.stop()
        venue.start_api()
        refused(client.post("/v2/orders", json=limit_order()))
        venue.engine.stop()
        assert client.get(PATH).json() == {**DEFAULTS, "suspend_trade": True}
