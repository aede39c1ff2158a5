"""Bearer tokens of an issuer: what they may do, for whom, and beside which credentials."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import CryptoLatestQuoteRequest, StockLatestTradeRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from openvenue.db.tables import account_configurations
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.api.orders import limit_order
from tests.api.tokens import assert_refused, get
from tests.support import http
from tests.support.issuer import Issuer, SigningKey
from tests.support.venue import Venue, in_database, key_headers
from tests.support.waiting import wait_for

NOBODY = 987_654_321


# --- What a token may do -------------------------------------------------------------------------


def test_a_token_trades_for_its_account(trusting: Venue, issuer: Issuer, account_id: int) -> None:
    with trusting.client(issuer.token(account_id)) as client:
        order = client.post("/v2/orders", json=limit_order()).json()
        assert order["status"] == "new"
        assert client.get("/v2/orders").json() == [order]
        answer = client.delete(f"/v2/orders/{order['id']}")
        assert answer.status_code == 204
        assert int(answer.headers["x-ratelimit-remaining"]) > 0
    assert trusting.metric("token_checks_total", result="verified") > 0
    wait_for(lambda: trusting.metric("issuer_keys") >= 1)


def test_alpaca_py_works_with_an_oauth_token(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    token = issuer.token(account_id).token
    client: Any = TradingClient(oauth_token=token, url_override=trusting.url)
    order = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=9
        )
    )
    assert client.get_order_by_id(order.id).symbol == "AAPL"
    client.cancel_order_by_id(order.id)
    assert float(client.get_account().cash) == 10_000_000
    trusting.give(account_id, 1, 1)
    client.submit_order(
        LimitOrderRequest(
            symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=9
        )
    )
    other = trusting.open_account()
    trusting.give(other.account_id, 1, 1)
    with trusting.client(other) as seller:
        sell = limit_order(side="sell", qty="1", limit_price="9")
        assert seller.post("/v2/orders", json=sell).status_code == 200
        wait_for(lambda: seller.get("/v2/stocks/AAPL/trades/latest").status_code == 200)
    stocks: Any = StockHistoricalDataClient(oauth_token=token, url_override=trusting.url)
    latest = stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))
    assert latest["AAPL"].price == 9
    pairs: Any = CryptoHistoricalDataClient(oauth_token=token, url_override=trusting.url)
    pairs.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("openvenue:read openvenue:trade", (200, 200, 200)),
        ("openvenue:read", (200, 200, 403)),
        ("email openvenue:data", (200, 403, 403)),
        (["openvenue:read", "openvenue:trade"], (200, 200, 200)),
        ("read trade data", (403, 403, 403)),
        ("openvenue:readtrade", (403, 403, 403)),
        ({"openvenue:read": True}, (403, 403, 403)),
        (None, (403, 403, 403)),
    ],
)
def test_a_tokens_scopes_are_those_of_a_key(
    trusting: Venue, issuer: Issuer, account_id: int, scope: Any, statuses: tuple[int, ...]
) -> None:
    with trusting.client(issuer.token(account_id, scope=scope)) as client:
        answers = [
            client.get("/v2/clock"),
            client.get("/v2/orders"),
            client.post("/v2/orders", json=limit_order(limit_price="1")),
        ]
    assert tuple(answer.status_code for answer in answers) == statuses
    for answer in answers:
        if answer.status_code == 403:
            assert answer.json()["code"] == 40110000
            assert answer.json()["message"].startswith("this token ")
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_token_for_market_data_does_not_trade(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    key = trusting.open_account()
    with trusting.client(issuer.token(account_id, scope="openvenue:data")) as client:
        for method, path in [
            ("POST", "/v2/orders"),
            ("DELETE", "/v2/orders"),
            ("PATCH", "/v2/account/configurations"),
            ("DELETE", "/v2/positions"),
        ]:
            answer = client.request(method, path, json=limit_order())
            assert answer.json()["message"] == (
                f"this token may only read market data: {method} needs a token that may trade"
            )
    with trusting.client(issuer.token(account_id)) as owner:
        assert owner.get("/v2/orders").json() == []
    with trusting.client(key) as other:
        assert other.get("/v2/orders").json() == []


def test_the_account_may_be_a_number_in_words(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    assert get(trusting, issuer.token(account_id, openvenue_account=str(account_id))).is_success


def test_a_token_may_end_after_all_clocks(trusting: Venue, issuer: Issuer, account_id: int) -> None:
    token = issuer.token(account_id, exp=10**400)
    assert [get(trusting, token).status_code for _ in range(2)] == [200, 200]


def test_a_token_of_an_account_that_is_not_there_is_refused_everywhere(
    trusting: Venue, issuer: Issuer
) -> None:
    token = issuer.token(NOBODY)
    with trusting.client(token) as client:
        answers = [
            client.get("/v2/account"),
            client.get("/v2/clock"),
            client.get("/v2/watchlists"),
            client.post("/v2/watchlists", json={"name": "mine"}),
            client.patch("/v2/account/configurations", json={"no_shorting": True}),
            client.post("/v2/orders", json=limit_order()),
            client.get("/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD"),
        ]
    for answer in answers:
        assert answer.status_code == 403
        assert answer.json()["message"] == (
            f"the token is for account {NOBODY}, which this venue does not have"
        )
    opened = trusting.open_account(NOBODY)
    try:
        assert get(trusting, token).status_code == 200
        with trusting.client(opened) as client:
            assert client.get("/v2/watchlists").json() == []
    finally:
        assert opened.account_id == NOBODY


# --- What an account's owner has configured ------------------------------------------------------


def test_a_configuration_reaches_tokens_as_fast_as_keys(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    key = trusting.limited_key(account_id)
    soon_s = trusting.settings.auth_cache_ttl_s / 3
    with (
        trusting.client(issuer.token(account_id)) as client,
        trusting.client(key) as by_key,
        trusting.client(issuer.token(account_id, sub="another bot")) as another,
    ):

        def refused(owner: Any) -> bool:
            answer = owner.post("/v2/orders", json=limit_order(limit_price="1"))
            return bool(answer.status_code == 403)

        assert not refused(client)
        change = {"suspend_trade": True}
        for owner in (client, by_key):
            assert owner.patch("/v2/account/configurations", json=change).status_code == 200
            for everybody in (client, by_key, another):
                wait_for(lambda who=everybody: refused(who), soon_s)  # type: ignore[misc]
            assert owner.patch(
                "/v2/account/configurations", json={"suspend_trade": False}
            ).is_success
            for everybody in (client, by_key, another):
                wait_for(lambda who=everybody: not refused(who), soon_s)  # type: ignore[misc]
        client.delete("/v2/orders")


@pytest.mark.parametrize(
    ("column", "shown"),
    [("suspend_trade", "trade_suspended_by_user"), ("trading_blocked", "trading_blocked")],
)
def test_a_configuration_that_another_process_writes_reaches_tokens(
    trusting: Venue, issuer: Issuer, account_id: int, column: str, shown: str
) -> None:
    """The account has no key in force, so its keys' notification says nothing."""

    async def suspend(connection: AsyncConnection) -> None:
        row = {"shard_id": 0, "account_id": account_id, column: True}
        await connection.execute(account_configurations.insert().values(row))

    with trusting.client(issuer.token(account_id)) as client:
        assert client.post("/v2/orders", json=limit_order(limit_price="1")).status_code == 200
        in_database(trusting, suspend)
        wait_for(
            lambda: client.post("/v2/orders", json=limit_order()).status_code == 403,
            trusting.settings.auth_cache_ttl_s / 3,
        )
        assert client.get("/v2/account").json()[shown] is True
        client.delete("/v2/orders")


def test_all_tokens_of_an_account_share_one_rate_limit(
    new_venue: Callable[..., Venue], issuer: Issuer
) -> None:
    venue = new_venue(**issuer.environment()).start(projector=False, rate_limit_per_minute="4")
    account = venue.open_account()
    tokens = [issuer.token(account.account_id, sub=f"bot {number}") for number in range(5)]
    answers = [get(venue, token, "/v2/clock") for token in tokens]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert (
        answers[-1]
        .json()["message"]
        .startswith("rate limit exceeded: the account's tokens may send 4 requests a minute")
    )
    assert int(answers[-1].headers["retry-after"]) >= 1
    # A key has its own, and so has another account.
    assert http.get(f"{venue.url}/v2/clock", headers=key_headers(account)).status_code == 200
    assert get(venue, issuer.token(venue.open_account().account_id), "/v2/clock").is_success


# --- What is no credential, or two ---------------------------------------------------------------


def test_a_key_and_a_token_in_one_request_are_refused(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    key = trusting.limited_key(account_id)
    token = issuer.token(account_id)
    both = {**key_headers(token), **key_headers(key)}
    halves = [{**both, name: ""} for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")]
    for headers in (both, *halves):
        answer = http.get(f"{trusting.url}/v2/account", headers=headers)
        assert answer.status_code == 400
        assert answer.json()["message"] == "a request has a key or a bearer token, not both"
    twice = [("Authorization", f"Bearer {token.token}")] * 2
    answer = http.get(f"{trusting.url}/v2/account", headers=twice)
    assert (answer.status_code, answer.json()["code"]) == (400, 40010000)


def test_without_credentials_the_answer_names_both_kinds(trusting: Venue) -> None:
    for headers in ({}, {"Authorization": "Basic dXNlcjpwYXNz"}):
        answer = http.get(f"{trusting.url}/v2/account", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == (
            'APCA-API-KEY-ID realm="OpenVenue", Bearer realm="OpenVenue"'
        )


def test_the_schemes_name_may_be_of_any_case(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    headers = {"Authorization": f"bEARER  {issuer.token(account_id).token}"}
    assert http.get(f"{trusting.url}/v2/account", headers=headers).status_code == 200


def test_public_data_refuses_a_token_that_is_no_good(trusting: Venue, issuer: Issuer) -> None:
    path = "/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD"
    assert http.get(trusting.url + path).status_code == 200
    assert get(trusting, "x.y.z", path).status_code == 401


def test_a_venue_without_an_issuer_takes_no_token_and_looks_at_none(
    venue: Venue, issuer: Issuer
) -> None:
    account = venue.open_account()
    token = issuer.token(account.account_id)
    assert get(venue, token).status_code == 401
    assert "Bearer" not in get(venue, token).headers["www-authenticate"]
    # A proxy in front may use the header for itself.
    both = {**key_headers(token), **key_headers(account)}
    assert http.get(f"{venue.url}/v2/account", headers=both).status_code == 200


# --- What an issuer's tokens are like -----------------------------------------------------------


def test_a_token_ends_also_while_it_is_remembered(
    new_venue: Callable[..., Venue], issuer: Issuer
) -> None:
    venue = new_venue(**issuer.environment(leeway_s="0")).start(projector=False)
    token = issuer.token(venue.open_account().account_id, exp=int(time.time()) + 2)
    assert get(venue, token).status_code == 200
    wait_for(lambda: get(venue, token).status_code == 401, 10)
    assert_refused(get(venue, token), "the token has expired")


def test_only_access_tokens_are_taken_where_that_is_wanted(
    new_venue: Callable[..., Venue], issuer: Issuer
) -> None:
    venue = new_venue(**issuer.environment(require_at_jwt="true")).start(projector=False)
    account_id = venue.open_account().account_id
    kinds = {"at+jwt": 200, "application/at+JWT": 200, "JWT": 401, "": 401}
    for kind, status in kinds.items():
        token = issuer.token(account_id, header={"typ": kind})
        assert get(venue, token).status_code == status, kind


def test_other_claims_may_carry_account_and_scopes(
    new_venue: Callable[..., Venue], issuer: Issuer
) -> None:
    named = {"account_claim": "https://venue.example/account", "scope_claim": "roles"}
    environment = issuer.environment(**named, scope_prefix="", algorithms="ES256,PS256")
    with Issuer(key=SigningKey("curve", "ES256")).serving() as own:
        venue = new_venue(**{**environment, "OPENVENUE_OIDC_ISSUER": own.url})
        venue.start(projector=False)
        account_id = venue.open_account().account_id
        claims: Any = {"https://venue.example/account": account_id, "roles": ["read", "admin"]}
        token = own.token(1, openvenue_account=None, scope=None, **claims)
        assert get(venue, token).status_code == 200
        with venue.client(token) as client:
            assert client.delete("/v2/orders").status_code == 403
