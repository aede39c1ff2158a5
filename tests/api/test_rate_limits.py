"""Rate limits in Alpaca's form: headers on every answer to a key, and a 429 that says when."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order
from tests.support import http
from tests.support.venue import Venue, key_headers
from tests.support.waiting import wait_for

HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
def limited(venue: Venue, account: NewKey) -> Callable[[int], NewKey]:
    """Return a function that makes a key to the account with its own rate limit."""
    return lambda rate: venue.limited_key(account.account_id, requests_per_minute=rate)


def test_every_answer_to_a_key_says_what_is_left(
    venue: Venue, limited: Callable[[int], NewKey]
) -> None:
    asked_at = time.time()
    with venue.client(limited(60)) as client:
        answers = [
            client.get("/v2/account"),
            client.post("/v2/orders", json=limit_order()),
            client.post("/v2/orders", json=limit_order(qty="-1")),
            client.get("/v2/orders/unknown"),
            client.head("/v2/clock"),
            client.get("/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD"),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 404, 200, 200]
    for number, answer in enumerate(answers):
        limit, remaining, reset = (int(answer.headers[name]) for name in HEADERS)
        assert limit == 60
        # Requests flow in meanwhile, one a second.
        sent = number + 1
        assert 60 - sent <= remaining <= 60 - sent + 1 + time.time() - asked_at
        assert asked_at < reset < time.time() + 9
        assert len(answer.headers.get_list("x-ratelimit-limit")) == 1


@pytest.mark.parametrize("path", ["/v2/account", "/v2/orders"])
def test_a_key_beyond_its_limit_gets_429_and_nothing_happens(
    venue: Venue, account: NewKey, limited: Callable[[int], NewKey], path: str
) -> None:
    refused_before = venue.metric("rate_limited_total")
    with venue.client(limited(3)) as client:
        statuses = [client.get("/v2/clock").status_code for _ in range(3)]
        assert statuses == [200] * 3
        answer = client.post(path, json=limit_order()) if "orders" in path else client.get(path)
    assert answer.status_code == 429
    document = answer.json()
    assert document["code"] == 42910000
    assert document["message"].startswith(
        "rate limit exceeded: this key may send 3 requests a minute"
    )
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert answer.headers["content-type"] == "application/problem+json"
    # The account's other keys are not limited by it.
    assert http.get(f"{venue.url}/v2/orders", headers=key_headers(account)).json() == []
    wait_for(lambda: venue.metric("rate_limited_total") == refused_before + 1)


def test_each_item_of_a_batch_counts(
    venue: Venue, account: NewKey, limited: Callable[[int], NewKey]
) -> None:
    items = [limit_order(client_order_id=f"item-{number}") for number in range(8)]
    with venue.client(limited(10)) as client:
        first = client.post("/v2/orders:batch", json={"orders": items[:5]})
        second = client.post("/v2/orders:batch", json={"orders": items})
        ids = [item["client_order_id"] for item in items]
        third = client.post("/v2/orders:cancel", json={"client_order_ids": ids})
    assert third.status_code == 429
    assert (first.status_code, second.status_code) == (207, 429)
    assert int(first.headers["x-ratelimit-remaining"]) in (5, 6)
    assert int(second.headers["retry-after"]) >= 1
    with venue.client(account) as owner:
        assert len(owner.get("/v2/orders").json()) == 5


def test_workers_share_a_limit(venue: Venue, limited: Callable[[int], NewKey]) -> None:
    key = limited(60)

    def ask(_number: int) -> int:
        # A connection of its own, so that the kernel chooses the worker.
        return http.get(f"{venue.url}/v2/clock", headers=key_headers(key)).status_code

    started_at = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(ask, range(120)))
    flowed_in = time.monotonic() - started_at
    assert set(statuses) == {200, 429}
    assert 60 <= statuses.count(200) <= 60 + flowed_in + 2


def test_the_venues_limit_holds_for_keys_without_their_own_and_can_be_turned_off(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start(projector=False, rate_limit_per_minute="2")
    key = venue.open_account(1)
    with venue.client(key) as client:
        assert [client.get("/v2/clock").status_code for _ in range(3)] == [200, 200, 429]
    with venue.client(venue.limited_key(key.account_id, requests_per_minute=0)) as client:
        answers = [client.get("/v2/clock") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert "x-ratelimit-limit" not in answers[0].headers
    venue.api.stop()
    venue.start_api(rate_limit_per_minute="unlimited")
    with venue.client(key) as client:
        assert {client.get("/v2/clock").status_code for _ in range(10)} == {200}


def test_alpaca_py_waits_and_tries_again_by_itself(
    venue: Venue, limited: Callable[[int], NewKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "APCA_RETRY_WAIT", "1")
    key = limited(60)
    client = TradingClient(key.key_id, key.secret, url_override=venue.url)
    refused_before = venue.metric("rate_limited_total")
    calls: list[Any] = [client.get_clock() for _ in range(62)]
    assert len(calls) == 62
    wait_for(lambda: venue.metric("rate_limited_total") > refused_before)
