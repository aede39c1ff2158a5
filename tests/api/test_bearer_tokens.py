"""Bearer tokens of an issuer: what they may do, and what is refused whoever signed it."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import CryptoLatestQuoteRequest, StockLatestTradeRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from openvenue.db.tables import account_configurations
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.api.orders import limit_order
from tests.support import http
from tests.support.issuer import Issuer, SigningKey, segment
from tests.support.venue import Bearer, Venue, in_database, key_headers, log_lines
from tests.support.waiting import wait_for

NOBODY = 987_654_321
LONG_AGO_S, FAR_AHEAD_S = 1_000_000_000, 4_000_000_000


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Yield the issuer of the module's venue."""
    with Issuer().serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def trusting(
    issuer: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
    new_migrated_database: Callable[[], str],
) -> Iterator[Venue]:
    """Yield a venue that takes tokens, which the module's tests share."""
    venue = Venue(
        tmp_path_factory.mktemp("venue"),
        new_migrated_database(),
        environment=issuer.environment(),
    )
    try:
        yield venue.start(workers="2")
    finally:
        venue.stop()


@pytest.fixture
def account_id(trusting: Venue) -> int:
    return trusting.open_account().account_id


def get(venue: Venue, token: Bearer | str, path: str = "/v2/account") -> Any:
    encoded = token if isinstance(token, str) else token.token
    headers = {"Authorization": f"Bearer {encoded}"}
    return http.get(venue.url + path, headers=headers, timeout=60)


def assert_refused(answer: Any, detail: str) -> None:
    """Assert that the answer is the 401 of a token with this sentence, in all its places."""
    assert answer.status_code == 401, answer.text
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (document["code"], document["message"]) == (40110000, detail)
    assert document["detail"] == detail
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="OpenVenue", error="invalid_token", error_description="{detail}"'
    )


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


# --- Attacks -------------------------------------------------------------------------------------

STRANGER = SigningKey("first")


def test_a_stranger_with_the_same_key_id_is_refused(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    assert_refused(
        get(trusting, issuer.token(account_id, key=STRANGER)), "the token's signature is wrong"
    )


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"iss": "https://issuer.example"}, "the token is of another issuer"),
        ({"iss": None}, "the token lacks one of exp, iss and aud"),
        ({"iss": 7}, "the token is of another issuer"),
        ({"aud": "https://other.example"}, "the token is for another audience"),
        ({"aud": ["https://other.example", 7]}, "the token is for another audience"),
        ({"aud": {"https://venue.example": 1}}, "the token is for another audience"),
        ({"aud": None}, "the token lacks one of exp, iss and aud"),
        ({"exp": None}, "the token lacks one of exp, iss and aud"),
        ({"exp": "soon"}, "the token is malformed"),
        ({"exp": float("inf")}, "the token is malformed"),
        ({"exp": [9e9]}, "the token is malformed"),
        ({"exp": LONG_AGO_S}, "the token has expired"),
        ({"nbf": FAR_AHEAD_S}, "the token is not valid yet"),
        ({"iat": FAR_AHEAD_S}, "the token is not valid yet"),
        ({"cnf": {"jkt": "x"}}, "the token is bound to a key of its client (cnf)"),
    ],
)
def test_claims_that_are_not_for_this_venue_now_are_refused(
    trusting: Venue, issuer: Issuer, account_id: int, claims: dict[str, Any], detail: str
) -> None:
    assert_refused(get(trusting, issuer.token(account_id, **claims)), detail)


@pytest.mark.parametrize(
    "account",
    [
        None,
        0,
        -1,
        1 << 32,
        1.0,
        True,
        "",
        "0",
        "-7",
        "+7",
        " 7",
        "\u0667",
        "7e0",
        "0x7",
        [7],
        {},
        "7" * 99,
    ],
)
def test_a_token_without_an_accounts_number_is_refused(
    trusting: Venue, issuer: Issuer, account: Any
) -> None:
    assert_refused(
        get(trusting, issuer.token(1, openvenue_account=account)),
        "the token's claim openvenue_account has no account's number",
    )


def test_alg_none_is_refused(trusting: Venue, issuer: Issuer, account_id: int) -> None:
    payload = segment(issuer.claims(account_id))
    for algorithm in ("none", "None", "NONE", "", None):
        header = segment({"alg": algorithm, "kid": "first", "typ": "at+jwt"})
        for signature in ("", segment(b"x")):
            assert_refused(
                get(trusting, f"{header}.{payload}.{signature}"),
                "the token's algorithm is none of RS256, ES256",
            )


def test_the_public_key_is_no_secret_of_hs256(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    public = issuer.key.private.public_key()
    encodings = [
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        json.dumps(issuer.key.jwk()).encode(),
        issuer.key.jwk()["n"].encode(),
        b"",
    ]
    for algorithm in ("HS256", "RS256"):
        signed = (
            f"{segment({'alg': algorithm, 'kid': 'first'})}.{segment(issuer.claims(account_id))}"
        )
        for secret in encodings:
            mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            assert get(trusting, f"{signed}.{segment(mac)}").status_code == 401


def test_a_header_that_brings_a_key_or_names_a_place_for_one_is_not_followed(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    with Issuer(key=SigningKey("evil")).serving() as attacker:
        place = f"{attacker.url}/keys"
        for header in (
            {"jku": place},
            {"x5u": place},
            {"jwk": attacker.key.jwk()},
            {"jku": place, "kid": "first"},
            {"jwk": attacker.key.jwk(), "kid": "first"},
        ):
            token = issuer.token(account_id, key=attacker.key, header=header)
            assert get(trusting, token).status_code == 401
        assert attacker.asked == []
    # The issuer's own tokens may have them.
    token = issuer.token(account_id, header={"jku": place, "jwk": attacker.key.jwk()})
    assert get(trusting, token).status_code == 200


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ({"typ": "logout+jwt"}, "this kind of token is not for access (typ)"),
        ({"typ": "dpop+jwt"}, "this kind of token is not for access (typ)"),
        ({"crit": ["exp"]}, "the token is malformed"),
        ({"crit": ["b64"], "b64": True}, "the token has critical headers, which nobody knows here"),
        ({"crit": ["b64"], "b64": False}, "the token is malformed"),
        ({"kid": None}, "the token does not say which key signed it (kid)"),
    ],
)
def test_headers_that_mean_something_else_are_refused(
    trusting: Venue,
    issuer: Issuer,
    account_id: int,
    header: dict[str, Any],
    detail: str,
) -> None:
    assert_refused(get(trusting, issuer.token(account_id, header=header)), detail)


def test_a_changed_token_is_refused_also_after_the_right_one(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    other = trusting.open_account().account_id
    token = issuer.token(account_id, scope="openvenue:read").token
    assert get(trusting, token).status_code == 200
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    for change in ({"openvenue_account": other}, {"scope": "openvenue:trade"}):
        changed = f"{header}.{segment({**claims, **change})}.{signature}"
        assert_refused(get(trusting, changed), "the token's signature is wrong")
    foreign = issuer.token(other).token.rpartition(".")[2]
    assert_refused(get(trusting, f"{header}.{payload}.{foreign}"), "the token's signature is wrong")
    assert get(trusting, token).status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        *("x", "x.y", "x.y.z", "..", "e30.e30.e30", "x.y.z.w.v", "=.=.=", "a" * 4000),
        f"{segment(b'[' * 3000)}.e30.e30",
        f"{segment(b'null')}.e30.e30",
        f"{segment({'alg': ['RS256'], 'kid': {}})}.e30.e30",
    ],
)
def test_what_is_no_token_is_refused(trusting: Venue, token: str) -> None:
    answer = get(trusting, token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_of_any_size_is_refused_without_work(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    huge = issuer.token(account_id, padding="x" * 9000)
    assert_refused(get(trusting, huge), "the token is longer than 8192 bytes")
    # Beyond what a request's head may be, nobody looks at it.
    assert get(trusting, "x" * 70_000).status_code == 431


def test_a_weak_or_private_or_unsuitable_key_is_not_used(
    new_venue: Callable[..., Venue],
) -> None:
    weak = SigningKey("weak", private=rsa.generate_private_key(65537, 1024))
    revealed, curve = SigningKey("revealed"), SigningKey("curve", "ES256")
    encrypts, secret = SigningKey("encrypts"), "s" * 64
    with Issuer(key=curve).serving() as own:
        own.published = [
            weak.jwk(),
            revealed.jwk(private=True),
            {**encrypts.jwk(), "use": "enc"},
            {"kty": "oct", "kid": "shared", "k": segment(secret.encode())},
            {**curve.jwk(), "alg": "ES384", "kid": "other algorithm"},
            {"kty": "RSA", "kid": 7},
            {"kid": "nothing"},
            curve.jwk(),
        ]
        venue = new_venue(**own.environment()).start(projector=False)
        account_id = venue.open_account().account_id
        assert get(venue, own.token(account_id)).status_code == 200
        for key in (weak, revealed, encrypts):
            assert get(venue, own.token(account_id, key=key)).status_code == 401
        named = {"kid": "shared", "typ": "at+jwt"}
        symmetric = jwt.encode(own.claims(account_id), secret, "HS256", headers=named)
        assert get(venue, symmetric).status_code == 401
        other = own.token(account_id, header={"kid": "other algorithm"})
        assert_refused(
            get(venue, other), "the issuer publishes no such key for the token's algorithm"
        )


# --- Keys of the issuer --------------------------------------------------------------------------


def test_a_flood_of_unknown_keys_asks_the_issuer_seldom_and_hurts_nobody(
    new_venue: Callable[..., Venue],
) -> None:
    with Issuer().serving() as own:
        venue = new_venue(**own.environment(ask_interval_s="2")).start(projector=False)
        account_id = venue.open_account().account_id
        good = own.token(account_id)
        assert get(venue, good).status_code == 200
        before, started = own.readings, time.monotonic()
        statuses: list[int] = []
        stop = threading.Event()

        def flood(number: int) -> None:
            sent = 0
            while not stop.is_set():
                sent += 1
                header = {"kid": f"unknown {number} {sent}"}
                statuses.append(get(venue, own.token(account_id, header=header)).status_code)

        threads = [threading.Thread(target=flood, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        known = []
        while time.monotonic() - started < 5:
            asked_at = time.monotonic()
            assert get(venue, good).status_code == 200
            known.append(time.monotonic() - asked_at)
        stop.set()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - started
        assert set(statuses) == {401}
        assert 1 <= own.readings - before <= took_s / 2 + 1
        # None of the known ones waited for the issuer.
        assert sorted(known)[len(known) // 2] < 0.5


def test_tokens_that_wait_for_the_issuer_are_bounded(new_venue: Callable[..., Venue]) -> None:
    with Issuer().serving() as own:
        environment = own.environment(ask_interval_s="30")
        venue = new_venue(**environment).start(projector=False, auth_lookups_max="2")
        account_id = venue.open_account().account_id
        good = own.token(account_id)
        assert get(venue, good).status_code == 200
        statuses: list[int] = []

        def ask(number: int) -> None:
            token = own.token(account_id, header={"kid": f"unknown {number}"})
            try:
                statuses.append(get(venue, token, "/v2/clock").status_code)
            except Exception as error:
                statuses.append(-1)
                raise AssertionError from error

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: statuses.count(503) == 2)
        assert get(venue, good).status_code == 200
        (line, *_) = log_lines(venue, "token not checked")
        assert line["cause"] == "refused"
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [401, 401, 503, 503]


def test_a_new_key_is_taken_at_once_and_an_old_one_until_it_is_gone(
    new_venue: Callable[..., Venue],
) -> None:
    with Issuer().serving() as own:
        venue = new_venue(**own.environment(refresh_s="0.5")).start(projector=False)
        account_id = venue.open_account().account_id
        old = own.token(account_id)
        assert get(venue, old).status_code == 200
        second = SigningKey("second", "ES256")
        own.published = [second.jwk(), own.key.jwk()]
        new = own.token(account_id, key=second)
        assert get(venue, new).status_code == 200
        assert get(venue, old).status_code == 200
        own.published = [second.jwk()]
        wait_for(lambda: get(venue, old).status_code == 401)
        assert_refused(
            get(venue, old), "the issuer publishes no such key for the token's algorithm"
        )
        assert get(venue, new).status_code == 200
        # Another key under the same name is another key.
        replaced = SigningKey("second", "ES256")
        own.published = [replaced.jwk()]
        wait_for(lambda: get(venue, new).status_code == 401)
        assert_refused(get(venue, new), "the token's signature is wrong")
        assert get(venue, own.token(account_id, key=replaced)).status_code == 200


def test_known_keys_go_on_for_a_bounded_time_while_the_issuer_is_away(
    new_venue: Callable[..., Venue],
) -> None:
    own = Issuer()
    with own.serving():
        environment = own.environment(refresh_s="0.2", stale_max_s="3")
        venue = new_venue(**environment).start(projector=False)
        account = venue.open_account()
        good, later = own.token(account.account_id), own.token(account.account_id, sub="later")
        assert get(venue, good).status_code == 200
    away_at = time.monotonic()
    while time.monotonic() - away_at < 1.5:
        assert get(venue, good).status_code == 200
    # Also one that was never seen before, of a known key.
    assert get(venue, later).status_code == 200
    unknown = own.token(account.account_id, header={"kid": "unknown"})
    refused = get(venue, unknown)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["message"] == (
        "the token cannot be checked at the moment: its issuer does not answer"
    )
    wait_for(lambda: get(venue, good).status_code == 503, 10)
    # API keys need no issuer.
    assert http.get(f"{venue.url}/v2/account", headers=key_headers(account)).status_code == 200
    assert venue.readiness().status_code == 200
    assert venue.metric("issuer_reads_total", result="failed") > 0
    with own.serving():
        wait_for(lambda: get(venue, good).status_code == 200, 20)


def test_an_issuer_that_is_not_the_configured_one_is_not_believed(
    new_venue: Callable[..., Venue],
) -> None:
    named: list[tuple[dict[str, str], str]] = [
        ({"issuer": "https://issuer.example"}, "calls itself"),
        ({"issuer": "URL/"}, "calls itself"),
        ({"jwks_uri": "http://keys.example/keys"}, "is not an https:// URL"),
        ({"jwks_uri": "file:///etc/passwd"}, "is not an https:// URL"),
        ({"jwks_uri": "http://["}, "cannot be used"),
    ]
    answered = [
        ((200, b"{}"), "missing required field"),
        ((200, b"<html>"), "cannot be used"),
        ((302, b""), "answers 302"),
        ((200, b"[" + b" " * (300 << 10) + b"]"), "is larger than"),
    ]
    with Issuer().serving() as own:
        own.answer = (500, b"")
        venue = new_venue(**own.environment()).start(projector=False)
        account_id = venue.open_account().account_id
        token = own.token(account_id)

        def assert_not_believed(reason: str) -> None:
            """The venue logs a failure when it differs from the one before."""
            before = len(failures())

            def is_said() -> bool:
                assert get(venue, token).status_code == 503
                return len(failures()) > before

            wait_for(is_said)
            assert reason in failures()[-1], failures()

        def failures() -> list[str]:
            lines = log_lines(venue, "issuer's keys not read: known ones stay as they are")
            return [line["reason"] for line in lines]

        for answer, reason in answered:
            own.answer = answer
            assert_not_believed(reason)
        own.answer = None
        for discovery, reason in named:
            own.discovery = {name: text.replace("URL", own.url) for name, text in discovery.items()}
            assert_not_believed(reason)
        assert own.readings == 0
        # It is believed once it is what it should be.
        own.discovery = {}
        wait_for(lambda: get(venue, token).status_code == 200)


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


def test_no_log_has_a_token(trusting: Venue, issuer: Issuer, account_id: int) -> None:
    token = issuer.token(account_id, key=STRANGER).token
    get(trusting, token)
    wait_for(lambda: log_lines(trusting, "token refused"))
    for child in trusting.processes.values():
        log = child.log.read_text(errors="replace")
        assert token not in log
        assert token.split(".")[1] not in log
