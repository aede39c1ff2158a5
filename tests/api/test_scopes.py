"""Scopes of a key: a read-only key reads everything, changes nothing and never gets more."""

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from openvenue.db.tables import api_keys
from openvenue.http.app import _ROUTERS, Application
from openvenue.http.routes import absent
from openvenue.security import keys
from openvenue.security.keys import NewKey
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.routing import Route

from tests.api.conftest import Credential
from tests.api.orders import client_of, limit_order, worker_of
from tests.support import http
from tests.support.venue import Bearer, Venue, in_database, key_headers
from tests.support.waiting import wait_for

PARAMETERS = {
    "symbol": "AAPL",
    "symbol_or_asset_id": "AAPL",
    "market": "NASDAQ",
    "market_type": "stocks",
    "ticktype": "trade",
    "loc": "us",
    "activity_type": "FILL",
}
QUERIES = {
    "/v2/orders:by_client_order_id": "client_order_id=of-the-account",
    "/v2/watchlists:by_name": "name=watched",
    "/v2/stocks/meta/conditions/{ticktype}": "tape=C",
}
BODIES: dict[str, Any] = {"POST": limit_order(), "PATCH": {"qty": "2"}}
PAIRS = "/v1beta3/crypto/{loc}"
NEED_NO_KEY = {"/healthz", "/openapi.json", "/docs"}

# As the version before scopes reads keys.
KEYS_OF_BEFORE = """
SELECT secret_hash FROM api_keys WHERE key_id = :key_id AND shard_id = 0 AND revoked_at IS NULL
"""


@pytest.fixture
def read_only(venue: Venue, account: NewKey) -> NewKey:
    """Return a second key to the account, which reads only."""
    return venue.read_only_key(account.account_id)


def routes_of(application: Application) -> set[tuple[str, str]]:
    """Return method and path of every route, the hot ones included."""
    found = set(application._hot)
    for router in (application._routed.router, *_ROUTERS):
        for route in router.routes:
            if isinstance(route, Route):
                found |= {(method, route.path) for method in route.methods or ()}
            else:
                # Anything else has to say here what a read-only key may do with it.
                assert type(route).__name__ == "_IncludedRouter", route
    return found


def url_of(path: str, order_id: str, watchlist_id: str = "x") -> str:
    parameters = defaultdict(lambda: "x", PARAMETERS)
    parameters |= {"order_id": order_id, "watchlist_id": watchlist_id}
    filled = re.sub(r"{(\w+)(:\w+)?}", lambda match: parameters[match[1]], path)
    return f"{filled}?{query}" if (query := query_of(path)) else filled


def query_of(path: str) -> str:
    """Return what a request of this path has to ask for."""
    if path in QUERIES:
        return QUERIES[path]
    needed = []
    if path.startswith(("/v2/stocks/", PAIRS)) and "{symbol}" not in path and "/meta/" not in path:
        needed.append("symbols=AAPL")
    if path.endswith("/bars") and "/latest/" not in path:
        needed.append("timeframe=1Day")
    return "&".join(needed)


@pytest.fixture
def traded(venue: Venue, new_account: Callable[..., NewKey]) -> None:
    """Let AAPL have traded."""
    seller, buyer = new_account(), new_account()
    venue.give(seller.account_id, 1, 1)
    with venue.client(seller) as selling, venue.client(buyer) as buying:
        buying.post("/v2/orders", json=limit_order(qty="1", limit_price="99"))
        selling.post("/v2/orders", json=limit_order(side="sell", qty="1", limit_price="99"))
        wait_for(lambda: buying.get("/v2/stocks/AAPL/trades/latest").status_code == 200)


@pytest.mark.usefixtures("traded")
async def test_of_all_routes_a_read_only_key_or_token_may_use_those_that_read(
    venue: Venue, application: Application, account: NewKey, credential: Credential
) -> None:
    venue.give(account.account_id, 1, 5)
    refused, answered = set(), set()
    reads = credential(account, keys.READ_ONLY)
    kind = "token" if isinstance(reads, Bearer) else "key"
    async with client_of(application, account) as owner, client_of(application, reads) as asker:
        entered = await owner.post("/v2/orders", json=limit_order(client_order_id="of-the-account"))
        order = entered.json()
        watchlist = (await owner.post("/v2/watchlists", json={"name": "watched"})).json()
        for method, path in sorted(routes_of(application)):
            url = url_of(path, order["id"], watchlist["id"])
            answer = await asker.request(method, url, json=BODIES.get(method))
            if (method, path) in absent.NOT_FOUND and method == "GET":
                assert answer.status_code == 404
            elif method in ("GET", "HEAD"):
                answered.add((method, path, answer.status_code))
            if method in ("GET", "HEAD"):
                continue
            refused.add((method, path))
            assert answer.status_code == 403, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            message = f"this {kind} may only read: {method} needs a {kind} that may trade"
            document = answer.json()
            assert (document["code"], document["message"]) == (40110000, message)
            assert document["type"] == "urn:openvenue:problem:not-allowed"
        assert (await owner.get("/v2/orders")).json() == [order]
    assert [answer for answer in answered if answer[2] != 200] == []
    assert {path for _, path, _ in answered} > NEED_NO_KEY
    assert refused == {
        *(("POST", f"/v2/orders{action}") for action in ("", ":batch", ":cancel")),
        ("DELETE", "/v2/orders"),
        ("PATCH", "/v2/orders/{order_id}"),
        ("DELETE", "/v2/orders/{order_id}"),
        ("PATCH", "/v2/account/configurations"),
        ("POST", "/v2/watchlists"),
        *((method, "/v2/watchlists/{watchlist_id}") for method in ("PUT", "POST", "DELETE")),
        ("DELETE", "/v2/watchlists/{watchlist_id}/{symbol:path}"),
        *((method, "/v2/watchlists:by_name") for method in ("PUT", "POST", "DELETE")),
        *((method, path) for method, path in absent.NOT_FOUND if method != "GET"),
        ("DELETE", "/v2/positions"),
        ("DELETE", "/v2/positions/{symbol_or_asset_id:path}"),
    }


async def test_no_route_but_the_open_ones_can_do_without_a_key(application: Application) -> None:
    nobody = httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://venue")
    without = set()
    async with nobody as client:
        for method, path in routes_of(application):
            answer = await client.request(method, url_of(path, "x"), json=BODIES.get(method))
            if answer.status_code != 401:
                without.add(path)
    pairs = {path for _, path in routes_of(application) if path.startswith(PAIRS)}
    assert len(pairs) == 8
    assert without == NEED_NO_KEY | pairs


async def test_market_data_of_pairs_may_need_a_key_and_refuses_a_wrong_one(
    application: Application, account: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD"
    nobody = httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://venue")
    worker = worker_of(application)
    async with nobody as client, client_of(application, account) as owner:
        assert (await client.get(path)).status_code == 200
        wrong = {**key_headers(account), "APCA-API-SECRET-KEY": "x" * 40}
        assert (await client.get(path, headers=wrong)).status_code == 401
        closed = worker.settings.model_copy(update={"public_pair_data": False})
        monkeypatch.setattr(worker, "settings", closed)
        assert (await client.get(path)).status_code == 401
        assert (await owner.get(path)).status_code == 200


def test_every_refusal_of_a_key_is_documented(venue: Venue) -> None:
    for path, operations in http.get(f"{venue.url}/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "head"):
                assert "key may not" in operation["responses"]["403"]["description"].lower(), path


@pytest.mark.parametrize("body", ["", "{", " " * 100_000])
def test_a_key_is_refused_before_the_body_is_read(
    venue: Venue, read_only: NewKey, body: str
) -> None:
    with venue.client(read_only) as client:
        assert client.post("/v2/orders", content=body).status_code == 403
        assert client.get("/v2/orders").json() == []


def test_a_wrong_secret_of_a_read_only_key_is_unknown_not_forbidden(
    venue: Venue, read_only: NewKey
) -> None:
    headers = {**key_headers(read_only), "APCA-API-SECRET-KEY": f"{read_only.secret}x"}
    for method in ("GET", "DELETE"):
        assert http.request(method, f"{venue.url}/v2/orders", headers=headers).status_code == 401


def test_a_read_only_key_is_revoked_as_any_other(venue: Venue, read_only: NewKey) -> None:
    with venue.client(read_only) as client:
        assert client.get("/v2/clock").status_code == 200
        assert in_database(
            venue, lambda connection: keys.revoke_key(connection, 0, read_only.key_id)
        )
        wait_for(lambda: client.get("/v2/clock").status_code == 401)


def test_the_version_before_takes_no_secret_for_that_of_a_read_only_key(
    venue: Venue, account: NewKey, read_only: NewKey
) -> None:
    async def accepts(connection: AsyncConnection) -> list[bool]:
        accepted = []
        for key in (account, read_only):
            query = text(KEYS_OF_BEFORE).bindparams(key_id=key.key_id)
            stored = (await connection.execute(query)).scalar_one()
            given = hashlib.sha256(key.secret.encode()).digest()
            accepted.append(hmac.compare_digest(given, stored))
        return accepted

    assert in_database(venue, accepts) == [True, False]
    # Also none that somebody made up for it: no SHA-256 is as long.
    stored = keys.stored_hash(keys.hash_secret(b"secret"), keys.READ_ONLY)
    assert len(stored) > len(keys.hash_secret(b"any"))


def test_a_key_gets_no_scope_by_a_change_of_its_row(venue: Venue, read_only: NewKey) -> None:
    async def widen(connection: AsyncConnection) -> None:
        changed = update(api_keys).where(api_keys.c.key_id == read_only.key_id)
        await connection.execute(changed.values(scopes=["read", "trade"]))

    with venue.client(read_only) as client:
        assert client.get("/v2/orders").status_code == 200
        in_database(venue, widen)
        wait_for(lambda: client.get("/v2/orders").status_code == 401)
        assert client.delete("/v2/orders").status_code == 401


@pytest.mark.parametrize("scopes", [["read"], ["trade"], [], ["read", "trade", "withdraw"]])
def test_the_database_refuses_scopes_under_which_a_key_would_not_do_the_same_everywhere(
    venue: Venue, account: NewKey, scopes: list[str]
) -> None:
    async def change(connection: AsyncConnection) -> None:
        changed = update(api_keys).where(api_keys.c.key_id == account.key_id)
        await connection.execute(changed.values(scopes=scopes))

    with pytest.raises(IntegrityError, match="api_keys_scope"):
        in_database(venue, change)


def test_keys_are_listed_with_their_scopes(
    venue: Venue, account: NewKey, read_only: NewKey
) -> None:
    def of_account(connection: AsyncConnection) -> Awaitable[Any]:
        return keys.list_keys(connection, 0, account.account_id)

    listed = in_database(venue, of_account)
    assert {key.key_id: list(key.scopes) for key in listed} == {
        account.key_id: ["read", "trade"],
        read_only.key_id: ["read"],
    }
