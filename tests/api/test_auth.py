"""Keys: required everywhere except for health and metrics, and revoked at once."""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from openvenue.db.tables import api_keys
from openvenue.security import keys
from openvenue.security.keys import NewKey
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.api.orders import limit_order
from tests.support import http
from tests.support.proxy import Proxy
from tests.support.venue import Venue, in_database, key_headers, log_lines, run_apart
from tests.support.waiting import wait_for

ROUTES = [
    ("POST", "/v2/orders"),
    ("GET", "/v2/orders"),
    ("POST", "/v2/orders:batch"),
    ("POST", "/v2/orders:cancel"),
    ("DELETE", "/v2/orders"),
    ("GET", "/v2/orders/00000000-0000-8000-8000-000000000001"),
    ("PATCH", "/v2/orders/00000000-0000-8000-8000-000000000001"),
    ("DELETE", "/v2/orders/00000000-0000-8000-8000-000000000001"),
    ("GET", "/v2/orders:by_client_order_id?client_order_id=x"),
    ("GET", "/v2/account"),
    ("GET", "/v2/positions"),
    ("GET", "/v2/positions/AAPL"),
    ("GET", "/v2/assets"),
    ("GET", "/v2/assets/AAPL"),
    ("GET", "/v2/clock"),
    ("GET", "/v1/book/AAPL"),
]


def status(venue: Venue, headers: dict[str, str], path: str = "/v2/clock") -> int:
    return http.get(venue.url + path, headers=headers, timeout=60).status_code


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_trading_route_needs_a_key(venue: Venue, method: str, path: str) -> None:
    response = http.request(method, venue.url + path)
    assert response.status_code == 401
    assert response.json()["code"] == 40110000
    assert response.json()["message"] == "request is not authorized"


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
def test_operational_routes_need_none(venue: Venue, path: str) -> None:
    assert http.get(venue.url + path).status_code == 200


def test_a_wrong_secret_an_unknown_key_and_a_missing_half_look_alike(
    venue: Venue, account: NewKey
) -> None:
    right = key_headers(account)
    wrong = [
        {**right, "APCA-API-SECRET-KEY": f"{account.secret}x"},
        {**right, "APCA-API-KEY-ID": "OVUNKNOWN"},
        {**right, "APCA-API-SECRET-KEY": ""},
        {"APCA-API-KEY-ID": account.key_id},
        {**right, "APCA-API-KEY-ID": "x" * 1000},
    ]
    bodies = []
    for headers in wrong:
        response = http.get(f"{venue.url}/v2/clock", headers=headers)
        assert response.status_code == 401
        bodies.append(response.text)
    assert len(set(bodies)) == 1
    assert status(venue, right) == 200


def test_a_refused_order_is_not_entered(venue: Venue, account: NewKey) -> None:
    headers = {**key_headers(account), "APCA-API-SECRET-KEY": "wrong"}
    answer = http.post(f"{venue.url}/v2/orders", headers=headers, json=limit_order())
    assert answer.status_code == 401
    assert http.get(f"{venue.url}/v2/orders", headers=key_headers(account)).json() == []


def test_a_revoked_key_stops_working_long_before_its_cache_entry_expires(
    venue: Venue, account: NewKey
) -> None:
    headers = key_headers(account)
    assert status(venue, headers) == 200
    assert in_database(
        venue,
        lambda connection: keys.revoke_key(connection, venue.settings.shard_id, account.key_id),
    )
    deadline = time.monotonic() + venue.settings.auth_cache_ttl_s / 3
    while status(venue, headers) == 200:
        assert time.monotonic() < deadline
    assert status(venue, headers) == 401


def test_a_key_made_after_it_was_asked_for_in_vain_works(venue: Venue, account: NewKey) -> None:
    secret = "s" * 43
    headers = {"APCA-API-KEY-ID": "OVLATER", "APCA-API-SECRET-KEY": secret}
    assert status(venue, headers) == 401

    async def insert(connection: AsyncConnection) -> None:
        await connection.execute(
            api_keys.insert().values(
                key_id="OVLATER",
                shard_id=venue.settings.shard_id,
                account_id=account.account_id,
                secret_hash=keys.hash_secret(secret.encode()),
            )
        )

    in_database(venue, insert)
    deadline = time.monotonic() + venue.settings.auth_cache_ttl_s / 3
    while status(venue, headers) != 200:
        assert time.monotonic() < deadline


def test_revoking_twice_or_an_unknown_key_says_so(venue: Venue, account: NewKey) -> None:
    def revoke(connection: AsyncConnection) -> Awaitable[Any]:
        return keys.revoke_key(connection, venue.settings.shard_id, account.key_id)

    assert in_database(venue, revoke) is True
    assert in_database(venue, revoke) is False

    def of_account(connection: AsyncConnection) -> Awaitable[Any]:
        return keys.list_keys(connection, venue.settings.shard_id, account.account_id)

    listed = in_database(venue, of_account)
    assert [(key.key_id, key.revoked_at is not None) for key in listed] == [(account.key_id, True)]


def test_the_database_never_holds_a_secret(venue: Venue, account: NewKey) -> None:
    async def read(connection: AsyncConnection) -> Any:
        return (await connection.execute(api_keys.select())).all()

    rows = in_database(venue, read)
    assert rows
    assert account.secret not in repr(rows)


def test_trading_goes_on_while_the_database_is_away(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(auth_cache_ttl_s="0.1")
    key = venue.open_account(1)
    with venue.client(key) as client:
        assert client.post("/v2/orders", json=limit_order()).status_code == 200
        run_apart(cut_off(venue.database_url))
        for _ in range(3):
            assert client.post("/v2/orders", json=limit_order()).status_code == 200
            time.sleep(0.12)  # past the cache entry's end
        history = client.get("/v2/orders", params={"status": "all"})
        assert history.status_code == 503
        assert history.headers["retry-after"] == "1"
        unknown = {"APCA-API-KEY-ID": "OVNOBODY", "APCA-API-SECRET-KEY": "x"}
        assert status(venue, unknown) == 503


@pytest.fixture
def database_proxy(new_venue: Callable[..., Venue]) -> Iterator[tuple[Venue, Proxy]]:
    """Yield a venue that is not started, and a proxy between its API and the database."""
    venue = new_venue()
    url = make_url(venue.database_url)
    with Proxy(unix_path=f"{url.query['host']}/.s.PGSQL.{url.port or 5432}") as proxy:
        yield venue, proxy


def start_behind(proxy: Proxy, venue: Venue, **environment: str) -> None:
    url = make_url(venue.database_url).difference_update_query(["host"])
    proxied = url.set(host="127.0.0.1", port=proxy.port)
    venue.start(
        projector=True, database_url=proxied.render_as_string(hide_password=False), **environment
    )


def test_no_order_waits_for_a_database_that_hangs(
    database_proxy: tuple[Venue, Proxy],
) -> None:
    venue, proxy = database_proxy
    # A request that waited for the database would outlast its client.
    start_behind(proxy, venue, auth_cache_ttl_s="0.2", auth_lookup_timeout_s="30")
    key = venue.open_account(1)
    with http.Client(base_url=venue.url, headers=key_headers(key), timeout=20) as client:
        assert client.post("/v2/orders", json=limit_order()).status_code == 200
        proxy.stall()
        while not venue.metric("auth_lookups_total", result="stale"):
            assert client.post("/v2/orders", json=limit_order()).status_code == 200
        history = [
            threading.Thread(
                target=lambda: status(venue, key_headers(key), "/v2/orders?status=all")
            )
            for _ in range(20)
        ]
        for thread in history:
            thread.start()
        for _ in range(200):
            assert client.post("/v2/orders", json=limit_order()).status_code == 200
        assert any(thread.is_alive() for thread in history)
        proxy.resume()
    for thread in history:
        thread.join()


def test_a_hanging_database_is_waited_for_only_so_long(
    database_proxy: tuple[Venue, Proxy],
) -> None:
    venue, proxy = database_proxy
    start_behind(
        proxy,
        venue,
        auth_cache_ttl_s="0.2",
        auth_cache_stale_max_s="1",
        auth_lookup_timeout_s="0.3",
    )
    headers = key_headers(venue.open_account(1))
    assert status(venue, headers) == 200
    proxy.stall()
    stranger = {"APCA-API-KEY-ID": "OVNOBODY", "APCA-API-SECRET-KEY": "x"}
    assert status(venue, stranger) == 503
    wait_for(lambda: status(venue, headers) == 503)
    assert venue.metric("auth_read_failures_total") > 0
    wait_for(lambda: venue.metric("auth_cache_age_seconds") > 1)
    proxy.resume()
    wait_for(lambda: status(venue, headers) == 200)
    wait_for(lambda: status(venue, stranger) == 401)


def test_a_key_revoked_while_notifications_are_lost_is_refused_within_the_ttl(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start(projector=False, auth_cache_ttl_s="0.5")
    key = venue.open_account(1)
    headers = key_headers(key)
    assert status(venue, headers) == 200

    async def revoke_silently(connection: AsyncConnection) -> None:
        await connection.execute(text("ALTER TABLE api_keys DISABLE TRIGGER api_keys_changed"))
        await keys.revoke_key(connection, venue.settings.shard_id, key.key_id)

    in_database(venue, revoke_silently)
    wait_for(lambda: status(venue, headers) == 401)


def test_requests_that_wait_for_a_check_of_their_key_are_bounded(
    database_proxy: tuple[Venue, Proxy],
) -> None:
    venue, proxy = database_proxy
    start_behind(proxy, venue, auth_lookup_timeout_s="30", auth_lookups_max="2")
    known = key_headers(venue.open_account(1))
    assert status(venue, known) == 200
    proxy.stall()
    strangers = [
        {"APCA-API-KEY-ID": f"OVNOBODY{number}", "APCA-API-SECRET-KEY": "x"} for number in range(3)
    ]
    waiting = [threading.Thread(target=status, args=(venue, strangers[n])) for n in range(2)]
    for thread in waiting:
        thread.start()
    wait_for(lambda: venue.metric("auth_lookups_total", result="miss") == 3)
    answer = http.get(f"{venue.url}/v2/clock", headers=strangers[2])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "too many keys" in answer.json()["detail"]
    wait_for(lambda: venue.metric("auth_lookups_total", result="refused") == 1)
    (line,) = log_lines(venue, "key not looked up")
    assert (line["cause"], line["waiting"]) == ("refused", 2)
    assert status(venue, known) == 200
    proxy.resume()
    for thread in waiting:
        thread.join()


async def cut_off(database_url: str) -> None:
    """Refuse new connections to a database, and end the existing ones."""
    url = make_url(database_url)
    engine = create_async_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false"))
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": url.database},
        )
    await engine.dispose()


def test_two_venues_on_one_database_never_accept_each_others_keys(
    new_venue: Callable[..., Venue],
) -> None:
    first = new_venue().start(projector=False)
    second = new_venue(OPENVENUE_SHARD_ID="1", OPENVENUE_ENGINE_SHARD_ID="1")
    database_of_its_own, second.database_url = second.database_url, first.database_url
    second.start(projector=False)
    theirs = [venue.open_account(1) for venue in (first, second)]

    async def listed_and_revoked(connection: AsyncConnection) -> tuple[list[str], bool]:
        listed = await keys.list_keys(connection, venue.settings.shard_id)
        revoked = await keys.revoke_key(connection, venue.settings.shard_id, other.key_id)
        return [key.key_id for key in listed], revoked

    mine, yours = theirs
    for venue, own, other in ((first, mine, yours), (second, yours, mine)):
        assert status(venue, key_headers(own)) == 200
        assert status(venue, key_headers(other)) == 401
        with venue.client(other) as stranger:
            assert stranger.post("/v2/orders", json=limit_order()).status_code == 401
        assert in_database(venue, listed_and_revoked) == ([own.key_id], False)
    second.stop()
    second.database_url = database_of_its_own
