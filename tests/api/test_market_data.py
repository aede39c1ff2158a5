"""Market data over REST, to alpaca-py, ccxt and a plain client."""

import base64
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import ccxt
import httpx
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import MarketType, MostActivesBy
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.historical.screener import ScreenerClient
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    MarketMoversRequest,
    MostActivesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order
from tests.support.venue import Venue, run_apart
from tests.support.waiting import wait_for

_numbers = itertools.count(500)

PRICES = ("50", "52", "49.5", "51")
BID, ASK = "48", "53"


class Traded(NamedTuple):
    """A share and a pair of which 1, 2, 3 and 4 were traded at PRICES, with a bid and an ask."""

    stock: str
    pair: str
    key: NewKey


@pytest.fixture(scope="module")
def venue(venue_with: Callable[..., Venue]) -> Venue:
    """A venue of these tests: they define instruments."""
    return venue_with()


@pytest.fixture(scope="module")
def traded(venue: Venue) -> Traded:
    number = next(_numbers)
    stock, pair = f"MD{number}", f"MD{number}/USD"
    seller, buyer = (venue.open_account(number * 10 + side) for side in (0, 1))
    classes = (
        (number, stock, pb.ASSET_CLASS_US_EQUITY),
        (number + 1000, pair, pb.ASSET_CLASS_CRYPTO),
    )
    for instrument_id, symbol, asset_class in classes:
        terms = pb.DefineInstrument(
            instrument_id=instrument_id,
            symbol=symbol,
            name=symbol,
            asset_class=asset_class,
            state=pb.INSTRUMENT_STATE_ACTIVE,
            tick_size_nanos=10_000_000,
            lot_size_nanos=1_000_000_000,
            min_price_ticks=1,
            max_price_ticks=100_000,
            max_order_qty_lots=1_000_000,
        )
        venue.apply(pb.AdminRequest(define_instrument=terms))
        venue.give(seller.account_id, instrument_id, 1000)
        with venue.client(seller) as selling, venue.client(buyer) as buying:
            for qty, price in enumerate(PRICES, 1):
                enter(selling, symbol, "sell", qty, price)
                enter(buying, symbol, "buy", qty, price)
            enter(selling, symbol, "sell", 6, ASK)
            enter(buying, symbol, "buy", 5, BID)
    with venue.client(buyer) as client:
        path = f"/v1beta3/crypto/us/trades?symbols={pair}"
        wait_for(lambda: len(client.get(path).json()["trades"].get(pair, [])) == len(PRICES))
    return Traded(stock, pair, buyer)


def enter(client: httpx.Client, symbol: str, side: str, qty: int, price: str) -> None:
    order = limit_order(
        symbol=symbol, side=side, qty=str(qty), limit_price=price, time_in_force="gtc"
    )
    answer = client.post("/v2/orders", json=order)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def stocks(venue: Venue, traded: Traded) -> Any:
    key = traded.key
    return StockHistoricalDataClient(key.key_id, key.secret, url_override=venue.url)


@pytest.fixture
def pairs(venue: Venue, traded: Traded) -> Any:
    key = traded.key
    return CryptoHistoricalDataClient(key.key_id, key.secret, url_override=venue.url)


@pytest.fixture
def client(venue: Venue, traded: Traded) -> Any:
    with venue.client(traded.key) as client:
        yield client


def total(bars: list[Any]) -> tuple[float, ...]:
    """Return open, high, low, close, volume, trades and value of bars: trades may be in two."""
    return (
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
        sum(bar.trade_count for bar in bars),
        round(sum(bar.vwap * bar.volume for bar in bars), 6),
    )


def token(text: str) -> str:
    """Return a page token with this content."""
    return base64.urlsafe_b64encode(text.encode()).decode()


ALL_TRADES = (50, 52, 49.5, 51, 10, 4, 50 + 104 + 148.5 + 204)


@pytest.mark.parametrize("timeframe", [TimeFrame.Minute, TimeFrame.Hour, TimeFrame.Day])
def test_alpaca_py_reads_bars(
    stocks: Any, pairs: Any, traded: Traded, timeframe: TimeFrame
) -> None:
    since = datetime.now(UTC) - timedelta(days=2)
    request: dict[str, Any] = {"timeframe": timeframe, "start": since}
    of_stock = stocks.get_stock_bars(StockBarsRequest(symbol_or_symbols=traded.stock, **request))
    of_pair = pairs.get_crypto_bars(CryptoBarsRequest(symbol_or_symbols=traded.pair, **request))
    for bars in (of_stock[traded.stock], of_pair[traded.pair]):
        assert total(bars) == ALL_TRADES


def test_alpaca_py_reads_trades(stocks: Any, pairs: Any, traded: Traded) -> None:
    of_stock = stocks.get_stock_trades(StockTradesRequest(symbol_or_symbols=traded.stock))
    of_pair = pairs.get_crypto_trades(CryptoTradesRequest(symbol_or_symbols=traded.pair))
    expected = [(float(price), size) for size, price in enumerate(PRICES, 1)]
    for trades in (of_stock[traded.stock], of_pair[traded.pair]):
        assert [(trade.price, trade.size) for trade in trades] == expected
    assert of_stock[traded.stock][0].exchange == "V"


def quoted(bid: Any, ask: Any) -> tuple[float, ...]:
    """Return a quote of prices and sizes; a side that is None is empty."""
    return (*(bid or (0, 0)), *(ask or (0, 0)))


def all_quotes() -> list[tuple[float, ...]]:
    """Return the quotes of `traded`: each offer is bought at once, then both sides stay."""
    expected = []
    for size, price in enumerate(PRICES, 1):
        expected += [quoted(None, (float(price), size)), quoted(None, None)]
    last = (float(ASK), 6)
    return [*expected, quoted(None, last), quoted((float(BID), 5), last)]


def test_alpaca_py_reads_quotes(stocks: Any, pairs: Any, traded: Traded) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    of_stock: Any = StockQuotesRequest(symbol_or_symbols=traded.stock, start=since)
    of_pair: Any = CryptoQuoteRequest(symbol_or_symbols=traded.pair, start=since)
    wait_for(lambda: len(stocks.get_stock_quotes(of_stock)[traded.stock]) == len(all_quotes()))
    wait_for(lambda: len(pairs.get_crypto_quotes(of_pair)[traded.pair]) == len(all_quotes()))
    for quotes in (
        stocks.get_stock_quotes(of_stock)[traded.stock],
        pairs.get_crypto_quotes(of_pair)[traded.pair],
    ):
        assert [
            (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) for quote in quotes
        ] == all_quotes()
        assert [quote.timestamp for quote in quotes] == sorted(quote.timestamp for quote in quotes)
    first = stocks.get_stock_quotes(of_stock)[traded.stock][0]
    assert (first.bid_exchange, first.ask_exchange, first.tape) == ("V", "V", "C")


def test_a_span_of_quotes_has_its_ends(client: httpx.Client, traded: Traded) -> None:
    path = f"/v2/stocks/{traded.stock}/quotes"
    wait_for(lambda: len(client.get(path).json()["quotes"]) == len(all_quotes()))
    whole = client.get(path).json()["quotes"]
    span = {"start": whole[2]["t"], "end": whole[5]["t"]}
    assert client.get(path, params=span).json()["quotes"] == whole[2:6]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_of_quotes_follow_each_other_also_within_one_time(
    venue: Venue, client: httpx.Client, traded: Traded, sort: str, limit: int
) -> None:
    path = f"/v1beta3/crypto/us/quotes?symbols={traded.pair}"
    wait_for(lambda: len(client.get(path).json()["quotes"][traded.pair]) == len(all_quotes()))
    # A batch of orders may have quotes of one microsecond.
    run_apart(let_quotes_be_of_one_time(venue, int(traded.stock[2:]) + 1000))
    wanted: dict[str, Any] = {"symbols": traded.pair, "limit": limit, "sort": sort}
    found: list[tuple[float, ...]] = []
    for _ in range(100):
        page = client.get("/v1beta3/crypto/us/quotes", params=wanted).json()
        quotes = page["quotes"][traded.pair]
        assert len(quotes) <= limit
        found += [(each["bp"], each["bs"], each["ap"], each["as"]) for each in quotes]
        if page["next_page_token"] is None:
            break
        wanted["page_token"] = page["next_page_token"]
    assert found == (all_quotes() if sort == "asc" else all_quotes()[::-1])


async def let_quotes_be_of_one_time(venue: Venue, instrument_id: int) -> None:
    connection = await asyncpg.connect(venue.database_url.replace("+asyncpg", ""))
    await connection.execute(
        "UPDATE quotes SET quoted_at = (SELECT max(quoted_at) FROM quotes WHERE instrument_id = $1)"
        " WHERE instrument_id = $1",
        instrument_id,
    )
    await connection.close()


def test_alpaca_py_reads_what_is_latest(stocks: Any, pairs: Any, traded: Traded) -> None:
    stock: dict[str, Any] = {"symbol_or_symbols": traded.stock}
    pair: dict[str, Any] = {"symbol_or_symbols": traded.pair}
    trades = (
        stocks.get_stock_latest_trade(StockLatestTradeRequest(**stock))[traded.stock],
        pairs.get_crypto_latest_trade(CryptoLatestTradeRequest(**pair))[traded.pair],
    )
    assert [(trade.price, trade.size) for trade in trades] == [(51, 4)] * 2
    quotes = (
        stocks.get_stock_latest_quote(StockLatestQuoteRequest(**stock))[traded.stock],
        pairs.get_crypto_latest_quote(CryptoLatestQuoteRequest(**pair))[traded.pair],
    )
    for quote in quotes:
        assert (quote.bid_price, quote.bid_size) == (48, 5)
        assert (quote.ask_price, quote.ask_size) == (53, 6)
    assert stocks.get_stock_latest_bar(StockLatestBarRequest(**stock))[traded.stock].close == 51
    book = pairs.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(**pair))[traded.pair]
    assert [(level.price, level.size) for level in book.bids] == [(48, 5)]
    assert [(level.price, level.size) for level in book.asks] == [(53, 6)]


def test_alpaca_py_reads_snapshots(stocks: Any, pairs: Any, traded: Traded) -> None:
    found = (
        stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=traded.stock)),
        pairs.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols=traded.pair)),
    )
    for snapshots, symbol in zip(found, (traded.stock, traded.pair), strict=True):
        snapshot = snapshots[symbol]
        assert snapshot.latest_trade.price == snapshot.daily_bar.close == 51
        assert (snapshot.latest_quote.bid_price, snapshot.latest_quote.ask_price) == (48, 53)
        assert snapshot.minute_bar.close == 51
        assert snapshot.previous_daily_bar is None


def test_ccxt_reads_market_data(venue: Venue, traded: Traded) -> None:
    exchange = ccxt.alpaca({"apiKey": traded.key.key_id, "secret": traded.key.secret})
    exchange.urls["api"].update(trader=venue.url, market=venue.url)
    since = exchange.milliseconds() - 24 * 3600 * 1000
    candles = exchange.fetch_ohlcv(traded.pair, "1d", since=since - 24 * 3600 * 1000)
    assert candles[-1][4] == 51
    assert sum(candle[5] for candle in candles) == 10
    assert sum(c[5] for c in exchange.fetch_ohlcv(traded.pair, "1m", since=since)) == 10
    trades = exchange.fetch_trades(traded.pair)
    assert [trade["price"] for trade in trades][-1] == 51
    book = exchange.fetch_order_book(traded.pair)
    assert (book["bids"], book["asks"]) == ([[48, 5]], [[53, 6]])
    ticker = exchange.fetch_ticker(traded.pair)
    assert (ticker["bid"], ticker["ask"], ticker["last"]) == (48, 53, 51)
    assert set(exchange.fetch_tickers([traded.pair])) == {traded.pair}


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 100])
def test_pages_follow_each_other_without_gap_or_repetition(
    venue: Venue, client: httpx.Client, traded: Traded, sort: str, limit: int
) -> None:
    symbols = f"{traded.stock},AAPL"
    with venue.client(traded.key) as buying:
        enter(buying, "AAPL", "buy", 1, "1")  # It has a book and no trade of this test's.
    wanted: dict[str, Any] = {"symbols": symbols, "limit": limit, "sort": sort}
    wanted["start"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    prices: list[float] = []
    for _ in range(1000):
        page = client.get("/v2/stocks/trades", params=wanted).json()
        trades = page["trades"]
        assert sum(map(len, trades.values())) <= limit
        prices += [trade["p"] for trade in trades.get(traded.stock, [])]
        if page["next_page_token"] is None:
            break
        wanted["page_token"] = page["next_page_token"]
    expected = [float(price) for price in PRICES]
    assert prices == (expected if sort == "asc" else expected[::-1])


def test_pages_of_bars_follow_each_other(client: httpx.Client, traded: Traded) -> None:
    path = f"/v2/stocks/{traded.stock}/bars"
    start = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    wanted = {"timeframe": "1Min", "start": start}
    whole = client.get(path, params=wanted).json()
    assert whole["next_page_token"] is None
    bars, token = [], None
    for _ in whole["bars"]:
        page = client.get(path, params={**wanted, "limit": 1, "page_token": token or ""}).json()
        bars += page["bars"]
        token = page["next_page_token"]
    assert bars == whole["bars"]


def test_symbols_of_the_other_class_and_unknown_ones_are_left_out(
    client: httpx.Client, traded: Traded
) -> None:
    symbols = f"{traded.stock},{traded.pair},NOSUCH"
    quotes = client.get("/v2/stocks/quotes/latest", params={"symbols": symbols}).json()["quotes"]
    assert list(quotes) == [traded.stock]
    path = "/v1beta3/crypto/us/latest/quotes"
    assert list(client.get(path, params={"symbols": symbols}).json()["quotes"]) == [traded.pair]
    old_spelling = traded.pair.replace("/", "")
    answer = client.get(path, params={"symbols": old_spelling})
    assert list(answer.json()["quotes"]) == [traded.pair]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v2/stocks/bars?symbols=AAPL&timeframe=7Day", "timeframe: it is none of 1Min"),
        ("/v2/stocks/bars?symbols=AAPL&timeframe=60Min", "timeframe: it is none of 1Min"),
        ("/v2/stocks/bars?symbols=AAPL", "timeframe"),
        ("/v2/stocks/bars?timeframe=1Day", "symbols"),
        ("/v2/stocks/bars?symbols=,&timeframe=1Day", "symbols: name at least one"),
        ("/v2/stocks/trades?symbols=AAPL&limit=10001", "limit"),
        ("/v2/stocks/trades?symbols=AAPL&page_token=nonsense", "page_token: it came with no"),
        ("/v2/stocks/trades?symbols=AAPL&page_token=WzEsMl0=", "page_token: it came with no"),
        *(
            (f"/v2/stocks/trades?symbols=AAPL&page_token={token(text)}", "page_token: it came")
            for text in (
                '["AAPL","2026-01-01T00:00:00",5]',
                f'["AAPL","2026-01-01T00:00:00Z",{1 << 63}]',
            )
        ),
        ("/v2/stocks/trades?symbols=AAPL&currency=EUR", "currency"),
        ("/v2/stocks/quotes?symbols=AAPL&currency=EUR", "currency"),
        ("/v2/stocks/quotes?symbols=AAPL&feed=mine", "feed"),
        ("/v2/stocks/quotes?symbols=AAPL&timeframe=1Min", "timeframe: this path has no such"),
        ("/v2/stocks/AAPL/quotes?limit=10001", "limit"),
        ("/v1beta3/crypto/us/quotes?symbols=BTC/USD&feed=sip", "feed: this path has no such"),
        ("/v2/stocks/trades?symbols=AAPL&side=buy", "side: this path has no such"),
        ("/v2/stocks/trades?symbols=AAPL&start=5", "start"),
        ("/v1beta3/crypto/moon/trades?symbols=BTC/USD", "loc"),
        ("/v2/stocks/trades?symbols=" + ",".join(f"S{n}" for n in range(101)), "more than 100"),
    ],
)
def test_a_request_that_cannot_be_is_refused(client: httpx.Client, path: str, detail: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422, answer.text
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("what", ["bars/latest", "trades/latest"])
def test_a_symbol_that_has_not_traded_has_nothing_latest(
    client: httpx.Client, venue: Venue, what: str
) -> None:
    assert client.get(f"/v2/stocks/NOSUCH/{what}").status_code == 404
    number = next(_numbers)
    terms = pb.DefineInstrument(
        instrument_id=number,
        symbol=f"MD{number}",
        asset_class=pb.ASSET_CLASS_US_EQUITY,
        state=pb.INSTRUMENT_STATE_ACTIVE,
        tick_size_nanos=10_000_000,
        lot_size_nanos=1_000_000_000,
        min_price_ticks=1,
        max_price_ticks=100,
        max_order_qty_lots=100,
    )
    venue.apply(pb.AdminRequest(define_instrument=terms))
    answer = client.get(f"/v2/stocks/MD{number}/{what}")
    assert (answer.status_code, answer.json()["message"]) == (404, f"MD{number} has not traded yet")
    empty = client.get(f"/v2/stocks/MD{number}/quotes/latest").json()["quote"]
    assert (empty["bp"], empty["ap"]) == (0, 0)
    assert set(client.get(f"/v2/stocks/MD{number}/snapshot").json()) == {"symbol", "latestQuote"}


def test_the_codes_of_trades_and_quotes_have_a_meaning(
    client: httpx.Client, traded: Traded
) -> None:
    trade = client.get(f"/v2/stocks/{traded.stock}/trades/latest").json()["trade"]
    quote = client.get(f"/v2/stocks/{traded.stock}/quotes/latest").json()["quote"]
    exchanges = client.get("/v2/stocks/meta/exchanges").json()
    assert {trade["x"], quote["bx"], quote["ax"]} <= set(exchanges)
    for kind, of in (("trade", trade), ("quote", quote)):
        meanings = client.get(f"/v2/stocks/meta/conditions/{kind}?tape=C").json()
        assert set(of["c"]) <= set(meanings)


def test_the_screener_ranks_what_traded_today(
    venue: Venue, client: httpx.Client, traded: Traded
) -> None:
    screener = ScreenerClient(traded.key.key_id, traded.key.secret, url_override=venue.url)
    actives: Any = screener.get_most_actives(MostActivesRequest(top=100, by=MostActivesBy.TRADES))
    found = {active.symbol: active for active in actives.most_actives}
    assert (found[traded.stock].volume, found[traded.stock].trade_count) == (10, 4)
    counts = [active.trade_count for active in actives.most_actives]
    assert counts == sorted(counts, reverse=True)
    movers: Any = screener.get_market_movers(
        MarketMoversRequest(top=50, market_type=MarketType.CRYPTO)
    )
    (mover,) = (each for each in movers.gainers if each.symbol == traded.pair)
    assert (mover.price, mover.change, mover.percent_change) == (51, 1, 2)
    assert traded.pair not in {each.symbol for each in movers.losers}
    assert client.get("/v1beta1/screener/bonds/movers").status_code == 422


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("timeframe", ["1Min", "12Month"])
def test_a_token_of_a_time_that_cannot_be_gives_an_empty_page_or_all(
    client: httpx.Client, traded: Traded, moment: str, timeframe: str
) -> None:
    for sort in ("asc", "desc"):
        wanted = {"timeframe": timeframe, "start": "2000-01-01", "sort": sort}
        wanted["page_token"] = token(f'["{traded.stock}","{moment}"]')
        answer = client.get(f"/v2/stocks/{traded.stock}/bars", params=wanted)
        assert answer.status_code == 200
        has_items = (sort == "asc") == moment.startswith("0001")
        assert bool(answer.json()["bars"]) == has_items, answer.text


def test_a_venue_without_quotes_says_so_and_shows_the_latest(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue(OPENVENUE_QUOTES_HISTORY="false").start()
    key = venue.open_account()
    order = limit_order(symbol="AAPL", limit_price="10", time_in_force="gtc")
    with venue.client(key) as client:
        assert client.post("/v2/orders", json=order).status_code == 200
        venue.wait_until_projected(client)
        for path in (
            "/v2/stocks/AAPL/quotes",
            "/v2/stocks/quotes?symbols=AAPL",
            "/v1beta3/crypto/us/quotes?symbols=BTC/USD",
        ):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
            assert "no history of quotes" in answer.json()["message"]
    data = StockHistoricalDataClient(key.key_id, key.secret, url_override=venue.url)
    with pytest.raises(APIError, match="no history of quotes"):
        data.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="AAPL"))
    latest: Any = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    shown: Any = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))
    assert latest["AAPL"].bid_price == shown["AAPL"].latest_quote.bid_price == 10

    async def count() -> Any:
        connection = await asyncpg.connect(venue.database_url.replace("+asyncpg", ""))
        rows = await connection.fetchval("SELECT count(*) FROM quotes")
        await connection.close()
        return rows

    assert run_apart(count()) == 0
