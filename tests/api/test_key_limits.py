"""Limits of a key: its end, the networks of its clients, its rotation, and market data alone."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from openvenue.db.tables import api_keys
from openvenue.security import keys
from openvenue.security.keys import KeyLimits, NewKey
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.api.orders import limit_order
from tests.stream.conftest import client as stream_client
from tests.support import http
from tests.support.venue import Venue, in_database, key_headers
from tests.support.waiting import wait_for

LOOPBACK = [ip_network("127.0.0.0/8")]
ELSEWHERE = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
WITHIN_S = 1.0


def status(venue: Venue, key: NewKey, **headers: str) -> int:
    """Return the status of a request over a connection of its own: of any worker."""
    answer = http.get(f"{venue.url}/v2/account", headers={**key_headers(key), **headers})
    return answer.status_code


def change(venue: Venue, key: NewKey, **changes: Any) -> None:
    def work(connection: AsyncConnection) -> Awaitable[KeyLimits | None]:
        return keys.change_limits(
            connection, 0, key.key_id, lambda limits: replace(limits, **changes)
        )

    assert in_database(venue, work) is not None


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_key_ends_by_itself_at_its_time(venue: Venue, account: NewKey) -> None:
    ends_at = time.time() + 1.5
    key = venue.limited_key(account.account_id, expires_at=datetime.fromtimestamp(ends_at, UTC))
    while (now := time.time()) < ends_at - 0.3:
        assert status(venue, key) == 200
        time.sleep(0.1)
    wait_for(lambda: status(venue, key) == 401)
    assert now < ends_at <= time.time() < ends_at + WITHIN_S
    assert status(venue, account) == 200


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_is_over(
    venue: Venue, account: NewKey
) -> None:
    old = venue.limited_key(account.account_id, networks=LOOPBACK, requests_per_minute=77)

    def rotate(connection: AsyncConnection) -> Awaitable[NewKey | None]:
        return keys.rotate_key(connection, 0, old.key_id, timedelta(seconds=2))

    assert status(venue, old) == 200
    new = in_database(venue, rotate)
    rotated_at = time.monotonic()
    assert (new.account_id, tuple(new.scopes)) == (old.account_id, ("read", "trade"))
    assert new.limits == KeyLimits(None, LOOPBACK, 77)
    assert new.secret != old.secret
    assert status(venue, old) == status(venue, new) == 200
    wait_for(lambda: status(venue, old) == 401)
    assert 1.5 < time.monotonic() - rotated_at < 2 + WITHIN_S
    assert status(venue, new) == 200
    assert in_database(venue, rotate) is None


def test_a_key_for_other_networks_is_refused_with_the_address_that_was_seen(
    venue: Venue, account: NewKey
) -> None:
    key = venue.limited_key(account.account_id, networks=ELSEWHERE)
    with venue.client(key) as client:
        for method, path in (
            ("GET", "/v2/account"),
            ("GET", "/v2/clock"),
            ("DELETE", "/v2/orders"),
        ):
            answer = client.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (403, 40110000)
            assert answer.json()["message"] == "this key may not be used from 127.0.0.1"
        assert client.post("/v2/orders", json=limit_order()).status_code == 403
        # The venue trusts no proxy here.
        claimed = client.get("/v2/account", headers={"X-Forwarded-For": "192.0.2.1"})
        assert claimed.status_code == 403
    wait_for(lambda: venue.metric("address_refusals_total") >= 5)


def test_limits_that_change_hold_within_a_second_in_every_worker(
    venue: Venue, account: NewKey
) -> None:
    key = venue.limited_key(account.account_id)
    assert {status(venue, key) for _ in range(8)} == {200}
    for networks, expected in ((ELSEWHERE, 403), (LOOPBACK, 200), (ELSEWHERE, 403), (None, 200)):
        change(venue, key, networks=networks)
        changed_at = time.monotonic()
        while [status(venue, key) for _ in range(8)] != [expected] * 8:
            assert time.monotonic() - changed_at < WITHIN_S
    change(venue, key, expires_at=in_seconds(-1))
    wait_for(lambda: status(venue, key) == 401)


def test_the_address_behind_a_trusted_proxy_counts(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, trusted_proxies="127.0.0.1/32, 10.0.0.0/8")
    key = venue.limited_key(venue.open_account(1).account_id, networks=ELSEWHERE)
    for forwarded, expected in (
        ("192.0.2.1", 200),
        ("2001:db8::1", 200),
        ("198.51.100.1, 192.0.2.1, 10.0.0.5", 200),
        ("192.0.2.1, 198.51.100.1", 403),
        ("192.0.2.1, nonsense", 403),
        ("", 403),
    ):
        assert status(venue, key, **{"X-Forwarded-For": forwarded}) == expected, forwarded


async def test_sockets_of_a_key_end_with_it_or_when_its_networks_change(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    venue.start_stream()
    account_id = venue.open_account(1).account_id
    foreign = venue.limited_key(account_id, networks=ELSEWHERE)
    moving, ending = venue.limited_key(account_id, networks=LOOPBACK), venue.limited_key(account_id)
    async with stream_client(venue) as refused:
        await refused.say(action="auth", key=foreign.key_id, secret=foreign.secret)
        answer = (await refused.hear())["data"]
        assert answer["message"] == "the key may not be used from this address"
    async with stream_client(venue) as first, stream_client(venue) as second:
        await first.listen(moving)
        await second.listen(ending)
        changed_at = time.monotonic()
        change(venue, moving, networks=ELSEWHERE)
        change(venue, ending, expires_at=in_seconds(0.2))
        said = [(await each.hear())["data"]["message"] for each in (first, second)]
        assert said[0] == "the key may not be used from this address"
        assert said[1] == "the key or token was revoked or has expired"
        assert time.monotonic() - changed_at < 0.2 + 2 * WITHIN_S


def test_a_key_for_market_data_reads_that_and_nothing_of_the_account(
    venue: Venue, account: NewKey
) -> None:
    with venue.client(venue.data_only_key(account.account_id)) as client:
        for path in (
            "/v2/assets",
            "/v2/clock",
            "/v2/stocks/snapshots?symbols=AAPL",
            "/v1/book/AAPL",
        ):
            assert client.get(path).status_code == 200, path
        assert client.get("/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD").status_code == 200
        for path in ("/v2/account", "/v2/orders", "/v2/positions", "/v2/watchlists"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, 40110000)
            said = "this key may only read market data: GET needs a key that may read"
            assert answer.json()["message"] == said
        assert client.post("/v2/orders", json=limit_order()).status_code == 403


@pytest.mark.parametrize(
    "limits", [{"networks": LOOPBACK}, {"expires_at": datetime(2999, 1, 1, tzinfo=UTC)}]
)
def test_the_version_before_takes_no_secret_for_that_of_a_limited_key(
    venue: Venue, account: NewKey, limits: dict[str, Any]
) -> None:
    key = venue.limited_key(account.account_id, **limits)

    async def stored(connection: AsyncConnection) -> Any:
        query = select(api_keys.c.secret_hash).where(api_keys.c.key_id == key.key_id)
        return (await connection.execute(query)).scalar_one()

    hashed = hashlib.sha256(key.secret.encode()).digest()
    # The version before reads such a hash only without limits, or with scopes without `trade`.
    before = in_database(venue, stored)
    assert keys.hash_of_stored(before, ["read", "trade"]) is None
    assert keys.hash_of_stored(before, ["read"]) is None
    assert keys.hash_of_stored(before, ["read", "trade"], secured=True) == hashed


def test_a_key_does_not_lose_its_limits_by_a_change_of_its_row(
    venue: Venue, account: NewKey
) -> None:
    key = venue.limited_key(account.account_id, networks=LOOPBACK)

    async def forget(connection: AsyncConnection) -> None:
        changed = update(api_keys).where(api_keys.c.key_id == key.key_id)
        await connection.execute(changed.values(allowed_networks=None))

    assert status(venue, key) == 200
    in_database(venue, forget)
    wait_for(lambda: status(venue, key) == 401)
