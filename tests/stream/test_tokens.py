"""Streams with bearer tokens: as with keys, until the token ends."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.stream import TradingStream
from websockets.exceptions import ConnectionClosed

from tests.stream.conftest import client, order
from tests.stream.test_clients import Heard, running
from tests.support import http, metrics
from tests.support.issuer import Issuer, SigningKey
from tests.support.ports import free_port
from tests.support.venue import Bearer, Venue
from tests.support.waiting import until

UNAUTHORIZED = {"status": "unauthorized", "action": "authenticate"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer().serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def metrics_url() -> str:
    """Return where the streams' process serves its metrics."""
    return f"http://127.0.0.1:{free_port()}/metrics"


@pytest.fixture(scope="module")
def trusting(
    issuer: Issuer,
    metrics_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    new_migrated_database: Callable[[], str],
) -> Iterator[Venue]:
    """Yield a venue that takes tokens, with streams."""
    environment = issuer.environment(leeway_s="0", refresh_s="0.5")
    venue = Venue(tmp_path_factory.mktemp("venue"), new_migrated_database(), environment)
    try:
        venue.start()
        venue.start_stream(
            authentication_timeout_s="30",
            connections_per_key_max="3",
            http_port=metrics_url.rpartition(":")[2].removesuffix("/metrics"),
        )
        yield venue
    finally:
        venue.stop()


@pytest.fixture
def account_id(trusting: Venue) -> int:
    return trusting.open_account(may_sell_short=True).account_id


@pytest.fixture
def token(issuer: Issuer, account_id: int) -> Bearer:
    return issuer.token(account_id)


async def refusal(venue: Venue, path: str = "/stream", **command: Any) -> Any:
    """Return what a client hears before it is closed, and the close's code."""
    heard: list[Any] = []
    async with client(venue, path) as one:

        async def hear_all() -> None:
            while True:
                heard.append(await one.hear())

        await one.say(**command)
        with pytest.raises(ConnectionClosed) as closed:
            await hear_all()
    assert closed.value.rcvd is not None
    return heard, closed.value.rcvd.code


async def test_alpaca_pys_streams_work_with_an_oauth_token(trusting: Venue, token: Bearer) -> None:
    updates, trades, books = Heard(), Heard(), Heard()
    trading = TradingStream("oauth", token.token, url_override=f"{trusting.stream_url}/stream")
    trading.subscribe_trade_updates(updates.handler)
    stocks = StockDataStream("oauth", token.token, url_override=f"{trusting.stream_url}/v2/iex")
    stocks.subscribe_trades(trades.handler, "AAPL")
    pairs = CryptoDataStream(
        "oauth", token.token, url_override=f"{trusting.stream_url}/v1beta3/crypto/us"
    )
    pairs.subscribe_orderbooks(books.handler, "BTC/USD")
    async with running(trading), running(stocks), running(pairs):
        entered = order(trusting, token, qty="3", limit_price="50.25")
        order(trusting, token, qty="3", side="sell", limit_price="50.25")
        update = await updates.next()
        trade = await trades.next()
        book = await books.next()
    assert (str(update.event), str(update.order.id)) == ("new", entered["id"])
    assert (trade.symbol, trade.price) == ("AAPL", 50.25)
    assert book.symbol == "BTC/USD"


async def test_a_token_may_be_named_as_alpaca_documents_it(trusting: Venue, token: Bearer) -> None:
    async with client(trusting) as one:
        await one.say(action="authenticate", data={"oauth_token": token.token})
        assert (await one.hear())["data"]["status"] == "authorized"
        await one.say(action="listen", data={"streams": ["trade_updates"]})
        assert (await one.hear())["data"]["streams"] == ["trade_updates"]
        entered = order(trusting, token)
        (update,) = await one.updates(1)
    assert update["order"]["id"] == entered["id"]


async def test_a_key_beside_a_token_is_refused(trusting: Venue, token: Bearer) -> None:
    key = trusting.open_account()
    data = {"oauth_token": token.token, "key_id": key.key_id, "secret_key": key.secret}
    async with client(trusting) as one:
        await one.say(action="authenticate", data=data)
        said = {**UNAUTHORIZED, "message": "give a key or a token, not both"}
        assert (await one.hear())["data"] == said


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_000_000_000},
        {"aud": "https://other.example"},
        {"key": SigningKey("first")},
        {"scope": "openvenue:data"},
        {"scope": ""},
        {"openvenue_account": 987_654},
        {"header": {"kid": "unknown"}},
    ],
    ids=["expired", "audience", "signature", "scope", "no scope", "account", "unknown key"],
)
async def test_a_token_that_is_no_good_gets_no_updates(
    trusting: Venue, issuer: Issuer, account_id: int, changes: dict[str, Any]
) -> None:
    data = {"oauth_token": issuer.token(account_id, **changes).token}
    heard, code = await refusal(trusting, action="authenticate", data=data)
    assert heard == [
        {
            "stream": "authorization",
            "data": {**UNAUTHORIZED, "message": "access key verification failed"},
        }
    ]
    assert code == 1008


async def test_a_token_for_market_data_gets_market_data(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    token = issuer.token(account_id, scope="openvenue:data")
    async with client(trusting, "/v2/iex") as one:
        await one.hear()
        await one.say(action="auth", key="oauth", secret=token.token)
        assert await one.hear() == [{"T": "success", "msg": "authenticated"}]


@pytest.mark.parametrize("path", ["/stream", "/v2/iex"])
async def test_a_session_ends_with_its_token_and_no_other_does(
    trusting: Venue, issuer: Issuer, account_id: int, path: str
) -> None:
    brief = issuer.token(account_id, exp=int(time.time()) + 3)
    longer = issuer.token(account_id)
    async with client(trusting, path) as stays, client(trusting, path) as ends:
        for one, token in ((stays, longer), (ends, brief)):
            if path != "/stream":
                await one.hear()
            await one.say(action="auth", key="oauth", secret=token.token)
            await one.hear()
        said = [await ends.hear()]
        with pytest.raises(ConnectionClosed) as closed:
            await ends.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert "the key or token was revoked or has expired" in str(said)
        # Up to a turn of the check later.
        assert -0.1 < time.time() - _ends_at(brief) < 5
        await stays.connection.ping()
        if path == "/stream":
            await stays.say(action="listen", data={"streams": []})
            assert (await stays.hear())["stream"] == "listening"


async def test_a_session_ends_when_the_issuer_withdraws_its_tokens_key(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    withdrawn = SigningKey("withdrawn", "ES256")
    issuer.published.append(withdrawn.jwk())
    token, other = issuer.token(account_id, key=withdrawn), issuer.token(account_id)
    async with client(trusting) as ends, client(trusting) as stays:
        for one, bearer in ((ends, token), (stays, other)):
            await one.say(action="authenticate", data={"oauth_token": bearer.token})
            assert (await one.hear())["data"]["status"] == "authorized"
        issuer.published.pop()
        assert (await ends.hear())["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosed):
            await ends.hear()
        await stays.say(action="listen", data={"streams": []})
        assert (await stays.hear())["stream"] == "listening"


async def test_tokens_of_one_account_share_the_number_of_connections(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    open_ones = []
    for number in range(3):
        one = client(trusting)
        opened = await one.__aenter__()
        open_ones.append(one)
        data = {"oauth_token": issuer.token(account_id, sub=f"bot {number}").token}
        await opened.say(action="authenticate", data=data)
        assert (await opened.hear())["data"]["status"] == "authorized"
    data = {"oauth_token": issuer.token(account_id, sub="one more").token}
    heard, _ = await refusal(trusting, action="authenticate", data=data)
    assert heard[0]["data"]["message"] == "connection limit exceeded"
    for one in open_ones:
        await one.__aexit__(None, None, None)


async def test_the_streams_export_what_they_know_of_the_issuer_and_its_tokens(
    trusting: Venue, issuer: Issuer, account_id: int, metrics_url: str
) -> None:
    def figure(name: str, **labels: str) -> float:
        text = http.get(metrics_url, timeout=20).text
        return metrics.total(text, f"openvenue_api_{name}", **labels)

    verified, hit = (figure("token_checks_total", result=each) for each in ("verified", "hit"))
    expired = figure("token_refusals_total", cause="expired")
    reads = figure("issuer_reads_total", result="ok")
    token, late = issuer.token(account_id), issuer.token(account_id, exp=1_000_000_000)
    for each in (token, token, late):
        async with client(trusting) as one:
            await one.say(action="authenticate", data={"oauth_token": each.token})
            await one.hear()
    await until(lambda: figure("token_checks_total", result="verified") == verified + 1)
    await until(lambda: figure("token_checks_total", result="hit") >= hit + 1)
    await until(lambda: figure("token_refusals_total", cause="expired") == expired + 1)
    await until(lambda: figure("issuer_reads_total", result="ok") > reads)
    await until(lambda: figure("issuer_keys") == len(issuer.published))
    await until(lambda: 0 < figure("issuer_keys_age_seconds") < 60)
    assert figure("auth_cache_age_seconds") < 60


def _ends_at(token: Bearer) -> float:
    claims = jwt.decode(token.token, options={"verify_signature": False})
    return float(claims["exp"])
