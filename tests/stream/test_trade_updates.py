"""`/stream`: each update of an account's orders once, in order, whatever dies between."""

import asyncio
import signal
from typing import Any

import pytest
from openvenue.security.keys import NewKey, revoke_key
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.stream.conftest import client, order
from tests.support.venue import Venue, in_database

STOP = {"type": "stop", "limit_price": None, "stop_price": "105"}
TRAILING = {"type": "trailing_stop", "limit_price": None, "trail_price": "5"}


def seqs(updates: list[dict[str, Any]]) -> list[int]:
    return [update["seq"] for update in updates]


async def test_an_orders_life_in_alpacas_words(
    shared: Venue, trader: NewKey, other_trader: NewKey
) -> None:
    async with client(shared) as stream:
        await stream.listen(trader)
        first = order(shared, trader)
        order(shared, other_trader, side="sell", qty="4")
        with shared.client(trader) as http:
            second = http.patch(f"/v2/orders/{first['id']}", json={"qty": "8"}).json()
            last = http.get(f"/v2/orders/{second['id']}").json()
            updates = await stream.updates(4)
            assert updates[3]["order"] == last
            http.delete(f"/v2/orders/{second['id']}")
        order(shared, trader, type="market", limit_price=None, time_in_force="day")
        updates += await stream.updates(3)
    assert [update["event"] for update in updates] == [
        *("new", "partial_fill", "replaced", "new", "canceled", "new", "canceled")
    ]
    assert updates[0]["order"] == first
    fill = updates[1]
    assert (fill["price"], fill["qty"], fill["position_qty"]) == ("100", "4", "4")
    assert (fill["order"]["filled_qty"], fill["order"]["status"]) == ("4", "partially_filled")
    assert updates[2]["order"]["replaced_by"] == second["id"]
    assert [update["prev_seq"] for update in updates[1:]] == seqs(updates[:-1])


async def test_self_trade_prevention_is_told_of_both_orders(
    shared: Venue, trader: NewKey, other_trader: NewKey
) -> None:
    async with client(shared) as stream:
        await stream.listen(trader)
        rests = order(shared, trader, side="sell", qty="3")
        order(shared, other_trader, side="sell", qty="2")
        came = order(shared, trader, qty="4", self_trade_prevention="cancel_oldest")
        last = order(shared, trader, qty="1", side="sell", self_trade_prevention="cancel_both")
        updates = await stream.updates(7)
        with shared.client(trader) as http:
            assert updates[2]["order"] == http.get(f"/v2/orders/{rests['id']}").json()
            assert updates[5]["order"] == http.get(f"/v2/orders/{came['id']}").json()
            assert updates[6]["order"] == http.get(f"/v2/orders/{last['id']}").json()
    assert [(update["event"], update["order"]["id"]) for update in updates] == [
        ("new", rests["id"]),
        ("new", came["id"]),
        ("canceled", rests["id"]),
        ("partial_fill", came["id"]),
        ("new", last["id"]),
        ("canceled", came["id"]),
        ("canceled", last["id"]),
    ]
    assert [update["order"].get("self_trade_prevention") for update in updates] == [
        *(None, "cancel_oldest", None, "cancel_oldest", "cancel_both", "cancel_oldest"),
        "cancel_both",
    ]
    assert [update["prev_seq"] for update in updates[1:]] == seqs(updates[:-1])


def trade_at(venue: Venue, trader: NewKey, price: str) -> None:
    """Let an account trade with itself at that price."""
    for side in ("sell", "buy"):
        order(venue, trader, side=side, qty="1", limit_price=price)


async def test_a_stop_order_is_told_of_as_it_trades(
    shared: Venue, trader: NewKey, other_trader: NewKey
) -> None:
    trade_at(shared, other_trader, "100")
    async with client(shared) as stream:
        await stream.listen(trader)
        first = order(shared, trader, **STOP)
        with shared.client(trader) as http:
            second = http.patch(f"/v2/orders/{first['id']}", json={"stop_price": "106"}).json()
            order(shared, other_trader, side="sell", qty="4", limit_price="107")
            trade_at(shared, other_trader, "106")
            updates = await stream.updates(5)
            assert updates[0]["order"] == first
            assert updates[2]["order"] == second
            assert updates[4]["order"] == http.get(f"/v2/orders/{second['id']}").json()
    assert [(update["event"], update["order"]["stop_price"]) for update in updates] == [
        *(("new", "105"), ("replaced", "105"), ("new", "106")),
        *(("partial_fill", "106"), ("canceled", "106")),
    ]
    assert {update["order"]["limit_price"] for update in updates} == {None}
    assert {update["order"]["type"] for update in updates} == {"stop"}
    triggered = [update["order"].get("triggered_at") for update in updates]
    assert triggered == [None, None, None, *[updates[3]["timestamp"]] * 2]
    assert (updates[3]["price"], updates[3]["position_qty"]) == ("107", "4")
    assert [update["prev_seq"] for update in updates[1:]] == seqs(updates[:-1])


async def test_a_trailing_stop_order_is_told_of_as_it_begins_and_ends(
    shared: Venue, trader: NewKey, other_trader: NewKey
) -> None:
    trade_at(shared, other_trader, "100")
    async with client(shared) as stream:
        await stream.listen(trader)
        first = order(shared, trader, **TRAILING)
        trade_at(shared, other_trader, "90")
        with shared.client(trader) as http:
            second = http.patch(f"/v2/orders/{first['id']}", json={"trail": "8"}).json()
            trade_at(shared, other_trader, "88")
            trade_at(shared, other_trader, "96")
            updates = await stream.updates(4)
            assert updates[0]["order"] == first
            assert updates[1]["order"] == http.get(f"/v2/orders/{first['id']}").json()
            assert updates[2]["order"] == second
            assert updates[3]["order"] == http.get(f"/v2/orders/{second['id']}").json()
    shown = [
        (one["event"], *(one["order"][name] for name in ("hwm", "stop_price", "trail_price")))
        for one in updates
    ]
    assert shown == [
        ("new", "100", "105", "5"),
        ("replaced", "90", "95", "5"),
        ("new", "90", "98", "8"),
        ("canceled", "88", "96", "8"),
    ]


@pytest.mark.parametrize("fields", [{"post_only": True}, STOP])
async def test_a_stream_that_starts_later_knows_what_open_orders_said(
    streaming: Venue, alice: NewKey, fields: dict[str, Any]
) -> None:
    fields = {"self_trade_prevention": "cancel_newest", **fields}
    entered = order(streaming, alice, **fields)
    with streaming.client(alice) as http:
        streaming.wait_until_projected(http)
        streaming.stream.stop()
        streaming.start_stream(window_entries="0")
        async with client(streaming) as stream:
            await stream.listen(alice)
            http.delete(f"/v2/orders/{entered['id']}")
            (update,) = await stream.updates(1)
    assert update["order"].items() >= fields.items()


async def test_an_account_sees_nothing_of_another(
    shared: Venue, trader: NewKey, other_trader: NewKey
) -> None:
    async with client(shared) as stream:
        await stream.listen(other_trader)
        order(shared, trader)
        order(shared, other_trader, side="sell", qty="3")
        updates = await stream.updates(2)
    assert [update["event"] for update in updates] == ["new", "fill"]
    assert {update["order"]["side"] for update in updates} == {"sell"}


async def test_each_update_comes_once_although_stream_and_engine_are_killed(
    streaming: Venue, alice: NewKey
) -> None:
    entered = []
    received = []
    async with client(streaming) as stream:
        await stream.listen(alice)
        entered += [order(streaming, alice)["id"] for _ in range(5)]
        received += await stream.updates(3)
        await asyncio.to_thread(streaming.stream.stop, signal.SIGKILL)
    entered += [order(streaming, alice)["id"] for _ in range(5)]
    await asyncio.to_thread(streaming.start_stream)
    async with client(streaming) as stream:
        await stream.listen(alice, resume=received[-1]["seq"])
        received += await stream.updates(7)
        await asyncio.to_thread(streaming.engine.stop, signal.SIGKILL)
        await asyncio.to_thread(streaming.start_engine)
        await asyncio.to_thread(streaming.wait_until_ready)
        entered += [order(streaming, alice)["id"] for _ in range(5)]
        received += await stream.updates(5)
    assert [update["order"]["id"] for update in received] == entered
    assert [update["prev_seq"] for update in received[1:]] == seqs(received[:-1])


async def test_a_client_that_comes_back_too_late_is_told_of_the_gap(
    streaming: Venue, alice: NewKey
) -> None:
    streaming.stream.stop()
    streaming.start_stream(window_messages_max="3")
    async with client(streaming) as stream:
        await stream.listen(alice)
        for _ in range(10):
            order(streaming, alice, qty="1")
        seen = await stream.updates(10)
    async with client(streaming) as stream:
        await stream.listen(alice, resume=seen[0]["seq"])
        gap = await stream.hear()
        assert (gap["stream"], gap["data"]["from"]) == ("gap", seen[0]["seq"])
        missed = [update for update in seen if update["seq"] > gap["data"]["to"]]
        assert await stream.updates(len(missed)) == missed


async def test_a_revoked_key_closes_its_sockets(shared: Venue, trader: NewKey) -> None:
    async with client(shared) as stream:
        await stream.listen(trader)
        in_database(
            shared, lambda connection: revoke_key(connection, shared.shard_id, trader.key_id)
        )
        assert (await stream.hear())["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosedError) as closed:
            await stream.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_wrong_secret_is_refused_and_closes(shared: Venue, trader: NewKey) -> None:
    async with client(shared) as stream:
        await stream.say(action="auth", key=trader.key_id, secret="wrong")
        assert (await stream.hear())["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosedError):
            await stream.hear()


async def test_nobody_listens_without_a_key(shared: Venue) -> None:
    async with client(shared) as stream:
        await stream.say(action="listen", data={"streams": ["trade_updates"]})
        assert (await stream.hear())["data"]["status"] == "unauthorized"


async def test_an_unknown_path_is_404(shared: Venue) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with client(shared, "/v2/other"):
            pass
    assert refused.value.response.status_code == 404
