"""The audit trail: who administrated what, and an order's whole story."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import NewKey

from tests.admin.conftest import client
from tests.stream.conftest import order
from tests.support.admin_access import NAME
from tests.support.venue import Venue


def commands(admin: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """Return all commands, from all pages."""
    found: list[dict[str, Any]] = []
    while True:
        answer = admin.get("/v1/admin/audit", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["scanned_from"] <= page["scanned_to"] + 1
        found += page["commands"]
        if page["next_before"] is None:
            return found
        params["before"] = page["next_before"]


def story(admin: httpx.Client, order_id: str) -> dict[str, Any]:
    answer = admin.get(f"/v1/admin/orders/{order_id}/story")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["next_after"] is None
    return told


def happened(told: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (entry["command"], [event["event"] for event in entry["events"]])
        for entry in told["entries"]
    ]


def test_commands_are_listed_with_who_gave_them_and_what_they_did(
    administered: Venue, admin: httpx.Client
) -> None:
    opened = admin.post("/v1/admin/accounts", json={"name": "eve", "cash": "70"}).json()
    number = opened["account_id"]
    admin.post(f"/v1/admin/accounts/{number}/withdrawals", json={"amount": "100"})
    admin.post(f"/v1/admin/accounts/{number}/positions", json={"symbol": "AAPL", "qty": "3"})
    listed = commands(admin, account_id=number)
    assert [(one["command"], one["reason"], one["details"]) for one in listed] == [
        ("adjust_position", None, {"symbol": "AAPL", "qty": "3", "cost": "0"}),
        ("adjust_balance", "insufficient_cash", {"amount": "-100"}),
        ("adjust_balance", None, {"amount": "70", "cash": "70"}),
        ("open_account", None, {"name": "eve", "may_sell_short": False, "credit_limit": "0"}),
    ]
    assert {(one["administrator"], one["account_id"]) for one in listed} == {(NAME, number)}
    sequences = [one["sequence"] for one in listed]
    assert sequences == sorted(sequences, reverse=True)
    assert all(one["at"].endswith("Z") for one in listed)


def test_the_whole_trail_has_every_command_once_and_no_order(
    administered: Venue, admin: httpx.Client, alice: NewKey
) -> None:
    order(administered, alice)
    whole = commands(admin, limit=500)
    assert commands(admin, limit=1) == whole
    assert commands(admin, limit=3) == whole
    names = {one["command"] for one in whole}
    assert {"define_instrument", "open_account", "configure"} <= names
    assert not names & {"new_order", "cancel_order", "replace_order"}
    by_engine = [one for one in whole if one["administrator"] is None]
    assert {one["command"] for one in by_engine} == {"configure"}
    assert commands(admin, administrator=NAME) == [one for one in whole if one not in by_engine]
    assert commands(admin, administrator="nobody") == []
    defined = next(one for one in whole if one["details"].get("symbol") == "BTC/USD")
    assert (defined["details"]["tick"], defined["details"]["class"]) == ("0.1", "crypto")
    assert defined["sequence"] < whole[0]["sequence"]
    assert commands(admin, before=1) == []


def test_a_filled_orders_story_names_both_sides(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    resting = order(administered, alice, qty="10")
    first = order(administered, bob, side="sell", qty="4", type="market", limit_price=None)
    order(administered, bob, side="sell", qty="6")
    told = story(admin, resting["id"])
    assert (told["account_id"], told["symbol"], told["ended"]) == (alice.account_id, "AAPL", True)
    assert told["client_order_id"] == resting["client_order_id"]
    assert happened(told) == [
        ("new_order", ["accepted"]),
        ("new_order", ["trade"]),
        ("new_order", ["trade"]),
    ]
    entered, traded, _ = told["entries"]
    assert entered["account_id"] == alice.account_id
    assert (entered["details"]["qty"], entered["details"]["limit_price"]) == ("10", "100")
    assert traded["account_id"] == bob.account_id
    (trade,) = traded["events"]
    assert (trade["qty"], trade["price"], trade["filled_qty"]) == ("4", "100", "4")
    assert (trade["liquidity"], trade["other_account_id"]) == ("maker", bob.account_id)
    assert trade["other_order_id"] == first["id"]
    number = told["order_number"]
    assert story(admin, str(number)) == told
    taker = story(admin, first["id"])
    assert happened(taker) == [("new_order", ["accepted", "trade"])]
    assert taker["entries"][0]["events"][1]["liquidity"] == "taker"


def test_a_story_has_what_was_refused_and_why(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    body = {"client_order_id": f"story-{alice.account_id}", "qty": "5"}
    entered = order(administered, alice, **body)
    assert order(administered, alice, **body)["id"] == entered["id"]
    with administered.client(alice) as trader:
        path = f"/v2/orders/{entered['id']}"
        replaced = trader.patch(path, json={"qty": "7", "limit_price": "99"}).json()
        # The API answers a cancel of an ended order by itself; the engine gets this one.
        assert trader.delete(f"/v2/orders/{replaced['id']}").status_code == 204
        assert trader.delete(f"/v2/orders/{replaced['id']}").status_code == 422
    told = story(admin, entered["id"])
    assert happened(told) == [
        ("new_order", ["accepted"]),
        ("new_order", ["duplicate"]),
        ("replace_order", ["replaced"]),
    ]
    assert told["entries"][-1]["events"][0]["other_order_id"] == replaced["id"]
    assert told["ended"]
    follower = story(admin, replaced["id"])
    assert follower["replaces"] == entered["id"]
    assert happened(follower)[:2] == [
        ("replace_order", ["accepted"]),
        ("cancel_order", ["canceled"]),
    ]
    made, canceled, *refused = follower["entries"]
    assert (made["details"]["qty"], made["details"]["limit_price"]) == ("7", "99")
    assert (canceled["events"][0]["reason"], canceled["events"][0]["qty"]) == ("user_canceled", "7")
    assert canceled["account_id"] == alice.account_id
    for entry in refused:
        assert entry["events"] == [{"event": "rejected", "reason": "order_not_open"}]


def test_an_order_that_cannot_rest_says_why_it_ended(
    administered: Venue, admin: httpx.Client, alice: NewKey
) -> None:
    entered = order(administered, alice, time_in_force="ioc", limit_price="1")
    told = story(admin, entered["id"])
    assert happened(told) == [("new_order", ["accepted", "canceled"])]
    assert told["entries"][0]["events"][1]["reason"] == "immediate_or_cancel"


def test_an_order_that_another_of_its_account_canceled_says_by_which_command(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    rests = order(administered, alice, side="sell", qty="3")
    order(administered, bob, side="sell", qty="2")
    comes = order(administered, alice, self_trade_prevention="cancel_both")
    for one, events in ((rests, ["canceled"]), (comes, ["accepted", "canceled"])):
        told = story(admin, one["id"])
        assert told["ended"]
        *_, last = told["entries"]
        assert (last["command"], last["account_id"]) == ("new_order", alice.account_id)
        assert last["details"]["client_order_id"] == comes["client_order_id"]
        assert last["details"]["self_trade_prevention"] == "cancel_both"
        assert last["details"]["post_only"] is None
        assert [event["event"] for event in last["events"]] == events
        assert last["events"][-1]["reason"] == "self_trade"
    canceled = story(admin, rests["id"])["entries"][-1]["events"][0]
    assert canceled["qty"] == "3"
    passive = order(administered, alice, limit_price="99", post_only=True)
    assert story(admin, passive["id"])["entries"][0]["details"]["post_only"] is True


def test_a_stop_orders_story_says_when_the_engine_triggered_it(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    waits = order(administered, alice, type="stop", limit_price=None, stop_price="105")
    order(administered, bob, side="sell", qty="5", limit_price="106")
    told = story(admin, waits["id"])
    assert not told["ended"]
    order(administered, bob, qty="1", limit_price="106")
    told = story(admin, waits["id"])
    assert happened(told) == [
        ("new_order", ["accepted"]),
        ("trigger_order", ["triggered", "trade", "canceled"]),
    ]
    entered, triggered = told["entries"]
    # The price above which it does not trade is no limit price of the client's.
    assert (entered["details"]["stop_price"], entered["details"]["limit_price"]) == (
        "105",
        "107.63",
    )
    assert (triggered["account_id"], triggered["administrator"]) == (None, None)
    assert triggered["events"][2]["reason"] == "no_liquidity"
    assert "trigger_order" not in {one["command"] for one in commands(admin)}


def test_a_trailing_stop_orders_story_says_how_far_it_came(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    order(administered, bob, side="sell", qty="2", limit_price="100")
    order(administered, bob, qty="1", limit_price="100")
    terms = {"type": "trailing_stop", "limit_price": None, "trail_percent": "5"}
    waits = order(administered, alice, **terms)
    with administered.client(alice) as trader:
        trader.delete(f"/v2/orders/{waits['id']}")
    told = story(admin, waits["id"])
    assert happened(told) == [
        ("new_order", ["accepted", "trailed"]),
        ("cancel_order", ["trailed", "canceled"]),
    ]
    entered, canceled = told["entries"]
    assert entered["details"]["trail_percent"] == "5"
    assert [canceled["events"][0][name] for name in ("hwm", "stop_price")] == ["100", "105"]


def test_a_story_continues_after_an_entry(
    administered: Venue, admin: httpx.Client, alice: NewKey
) -> None:
    entered = order(administered, alice)
    with administered.client(alice) as trader:
        trader.delete(f"/v2/orders/{entered['id']}")
    whole = story(admin, entered["id"])
    rest = admin.get(
        f"/v1/admin/orders/{entered['id']}/story",
        params={"after": whole["entries"][0]["sequence"]},
    ).json()
    assert rest["entries"] == whole["entries"][1:]
    assert rest["ended"]


@pytest.mark.parametrize(
    "order_id",
    ["0", "-1", "nope", "1", "999999999", "00000000-0000-8000-8000-00000fffffff", "9" * 40],
)
def test_what_is_no_order_has_no_story(admin: httpx.Client, order_id: str) -> None:
    answer = admin.get(f"/v1/admin/orders/{order_id}/story")
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)


def test_an_expired_orders_story_names_who_ended_the_day(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    venue.start_administration()
    key = venue.open_account()
    entered = order(venue, key, time_in_force="day")
    venue.apply(pb.AdminRequest(end_trading_day=pb.EndTradingDay()))
    with client(venue) as admin:
        told = story(admin, entered["id"])
        assert happened(told) == [
            ("new_order", ["accepted"]),
            ("end_trading_day", ["expired"]),
        ]
        assert told["entries"][1]["administrator"] == NAME
        assert told["entries"][1]["account_id"] is None
        assert commands(admin)[0]["command"] == "end_trading_day"
