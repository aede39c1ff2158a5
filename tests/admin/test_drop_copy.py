"""The drop copy: the updates of all accounts' orders, each once, in order, resumable."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.admin.conftest import client
from tests.stream.conftest import Client, order
from tests.stream.conftest import client as stream_client
from tests.support.venue import Venue
from tests.support.waiting import wait_for

Event = tuple[str, str, Any]


@contextmanager
def drop_copy(admin: httpx.Client, **params: Any) -> Iterator[Iterator[Event]]:
    """Yield the events of a drop copy as name, id and data; the first is read."""
    with admin.stream("GET", "/v1/admin/drop-copy", params=params) as answer:
        assert answer.status_code == 200, answer.read()
        headers = answer.request.headers
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = parsed(answer.iter_lines())
        name, event_id, listening = next(events)
        assert name == "listening"
        assert int(event_id) == params.get("after", listening["seq"]) or "last-event-id" in headers
        yield events


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    name = event_id = data = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            event_id = value
        elif field == "data":
            data = value
        elif not line and name:
            yield name, event_id, json.loads(data)
            name = event_id = data = ""


def updates(events: Iterator[Event], count: int) -> list[dict[str, Any]]:
    found = []
    for name, event_id, document in islice(events, count):
        assert name == "order_update"
        assert event_id == str(document["data"]["seq"])
        found.append(document)
    return found


def test_all_accounts_updates_come_in_their_order(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    with drop_copy(admin) as events:
        bought = order(administered, alice)
        sold = order(administered, bob, side="sell", qty="4")
        with administered.client(alice) as trader:
            trader.delete(f"/v2/orders/{bought['id']}")
        found = updates(events, 5)
    told = [(one["account_id"], one["data"]["event"], one["data"]["order"]["id"]) for one in found]
    assert told == [
        (alice.account_id, "new", bought["id"]),
        (bob.account_id, "new", sold["id"]),
        (alice.account_id, "partial_fill", bought["id"]),
        (bob.account_id, "fill", sold["id"]),
        (alice.account_id, "canceled", bought["id"]),
    ]
    places = [(one["data"]["prev_seq"], one["data"]["seq"]) for one in found]
    assert all(before[1] == after[0] for before, after in pairwise(places))
    assert {one["stream"] for one in found} == {"drop_copy"}


async def test_an_update_has_the_seq_that_its_accounts_stream_gives_it(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    if "stream" not in administered.processes:
        administered.start_stream()
    async with stream_client(administered) as connection:
        assert isinstance(connection, Client)
        await connection.listen(alice)
        with drop_copy(admin) as events:
            order(administered, alice)
            order(administered, bob, side="sell")
            copied = updates(events, 4)
        own = await connection.updates(2)
    of_alice = [one["data"] for one in copied if one["account_id"] == alice.account_id]
    assert [(one["event"], one["seq"]) for one in own] == [
        (one["event"], one["seq"]) for one in of_alice
    ]
    assert own[0]["order"] == of_alice[0]["order"]


def test_a_client_that_comes_back_gets_what_it_missed_once(
    administered: Venue, admin: httpx.Client, alice: NewKey
) -> None:
    with drop_copy(admin) as events:
        order(administered, alice)
        (first,) = updates(events, 1)
    entered = [order(administered, alice)["id"] for _ in range(5)]
    seq = first["data"]["seq"]
    with drop_copy(admin, after=seq) as events:
        later = order(administered, alice)["id"]
        missed = updates(events, 6)
    assert [one["data"]["order"]["id"] for one in missed] == [*entered, later]
    assert missed[0]["data"]["prev_seq"] == seq
    admin.headers["Last-Event-ID"] = str(missed[3]["data"]["seq"])
    with drop_copy(admin) as events:
        assert updates(events, 2) == missed[4:]


def test_many_copies_get_the_same(
    administered: Venue, admin: httpx.Client, alice: NewKey, bob: NewKey
) -> None:
    with drop_copy(admin) as events, drop_copy(admin) as others:
        for _ in range(20):
            order(administered, alice)
            order(administered, bob, side="sell")
        heard = [updates(each, 80) for each in (events, others)]
    assert heard[0] == heard[1]
    seqs = [one["data"]["seq"] for one in heard[0]]
    assert seqs == sorted(set(seqs))


def test_a_restart_gives_the_same_places(administered: Venue, alice: NewKey) -> None:
    with client(administered) as admin, drop_copy(admin) as events:
        order(administered, alice)
        (first,) = updates(events, 1)
        administered.administration.stop()
        assert [name for name, _, _ in events] == ["end"]
    second = order(administered, alice)
    administered.start_administration()
    with client(administered) as admin, drop_copy(admin, after=first["data"]["seq"] - 1) as events:
        again, missed = updates(events, 2)
    assert again["data"]["seq"] == first["data"]["seq"]
    assert again["data"]["order"] == first["data"]["order"]
    assert missed["data"]["order"]["id"] == second["id"]
    assert missed["data"]["prev_seq"] == first["data"]["seq"]


def test_what_the_window_no_longer_has_is_a_gap(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    venue.start_administration(window_messages_max="3")
    key = venue.open_account()
    with client(venue) as admin:
        with drop_copy(admin) as events:
            order(venue, key)
            (first,) = updates(events, 1)
        entered = [order(venue, key)["id"] for _ in range(5)]
        with drop_copy(admin, after=first["data"]["seq"]) as events:
            name, _, gap = next(events)
            kept = updates(events, 3)
    assert (name, gap["from"]) == ("gap", first["data"]["seq"])
    assert [one["data"]["order"]["id"] for one in kept] == entered[2:]
    assert kept[0]["data"]["prev_seq"] == gap["to"]


def test_it_goes_on_when_the_engine_comes_back(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    venue.admin.options[1] = venue.admin.target
    venue.start_administration()
    key = venue.open_account()
    with client(venue) as admin, drop_copy(admin) as events:
        first = order(venue, key)
        venue.engine.stop()
        venue.start_engine()
        venue.wait_until_ready()
        second = order(venue, key)
        found = updates(events, 2)
    assert [one["data"]["order"]["id"] for one in found] == [first["id"], second["id"]]


def test_it_ends_when_its_token_is_removed(administered: Venue, alice: NewKey) -> None:
    other = administered.admin.token_file.with_name("eve")
    other.write_text("eves-token-for-a-test")
    with (
        client(administered, "eves-token-for-a-test") as eve,
        drop_copy(eve) as events,
    ):
        other.unlink()
        assert next(events) == ("end", "", {"reason": "token"})
        assert next(events, None) is None


def test_there_are_no_more_than_the_setting_allows(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    venue.start_administration(drop_copies_max="1")
    with client(venue) as admin:
        with drop_copy(admin):
            refused = admin.get("/v1/admin/drop-copy")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")

        def is_free() -> bool:
            with admin.stream("GET", "/v1/admin/drop-copy") as answer:
                return answer.status_code == 200

        wait_for(is_free)


def test_a_client_that_does_not_read_holds_up_nobody(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    venue.start_administration()
    key = venue.open_account()
    with client(venue) as admin, drop_copy(admin) as slow, drop_copy(admin) as quick:
        batch = [
            {
                "symbol": "AAPL",
                "side": "buy",
                "type": "limit",
                "time_in_force": "ioc",
                "qty": "1",
                "limit_price": "1",
            }
        ] * 1000
        heard: list[dict[str, Any]] = []
        reading = threading.Thread(target=lambda: heard.extend(updates(quick, 24_000)))
        reading.start()
        with venue.client(key) as trader:
            for _ in range(12):
                assert trader.post("/v2/orders:batch", json={"orders": batch}).status_code == 207
        reading.join(60)
        assert len(heard) == 24_000
        # It was behind by more than waits for it, and still gets each once.
        assert updates(slow, 24_000) == heard


def test_a_client_that_got_no_update_resumes_from_where_it_began(
    administered: Venue, admin: httpx.Client, alice: NewKey
) -> None:
    with admin.stream("GET", "/v1/admin/drop-copy") as answer:
        name, event_id, _ = next(parsed(answer.iter_lines()))
    assert name == "listening"
    entered = order(administered, alice)
    admin.headers["Last-Event-ID"] = event_id
    with drop_copy(admin) as events:
        (missed,) = updates(events, 1)
    assert missed["data"]["order"]["id"] == entered["id"]


def test_a_fault_of_the_drop_copy_leaves_the_rest(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    key = venue.open_account()
    order(venue, key)
    with venue.client(key) as trader:
        venue.wait_until_projected(trader)
    venue.engine.stop()
    venue.projector.stop()
    shutil.rmtree(venue.directory / "journal")
    venue.start_engine()  # Its journal is another than the database's.
    venue.start_administration()
    with client(venue) as admin:
        refused = admin.get("/v1/admin/drop-copy")
        assert (refused.status_code, "belong together" in refused.text) == (503, True)
        assert admin.get("/v1/admin/accounts").json()["accounts"] == []


def test_head_has_no_stream(admin: httpx.Client) -> None:
    answer = admin.head("/v1/admin/drop-copy")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("after", ["-1", "x", str(1 << 63)])
def test_a_place_that_is_none_is_refused(admin: httpx.Client, after: str) -> None:
    assert admin.get("/v1/admin/drop-copy", params={"after": after}).status_code == 422
