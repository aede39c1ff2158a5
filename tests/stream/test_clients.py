"""alpaca-py's and ccxt's streams, unmodified."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt.pro
import pytest
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.stream import TradingStream
from openvenue.security.keys import NewKey

from tests.stream.conftest import WITHIN_S, order
from tests.support.venue import Venue


class Heard:
    """What a client's handler got."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(self, update: Any) -> None:
        self._queue.put_nowait(update)

    async def next(self) -> Any:
        async with asyncio.timeout(WITHIN_S):
            return await self._queue.get()


@asynccontextmanager
async def running(stream: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(stream._run_forever())
    try:
        while not stream._running:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        # The server answers in order: the subscription before this pong is in force.
        await (await stream._ws.ping())
        yield
    finally:
        await stream.stop_ws()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.close()


async def test_alpaca_pys_trading_stream(shared: Venue, trader: NewKey) -> None:
    heard = Heard()
    stream = TradingStream(trader.key_id, trader.secret, url_override=f"{shared.stream_url}/stream")
    stream.subscribe_trade_updates(heard.handler)
    async with running(stream):
        first = order(shared, trader, qty="10")
        order(shared, trader, qty="4", side="sell")
        updates = [await heard.next() for _ in range(4)]
        with shared.client(trader) as http:
            http.patch(f"/v2/orders/{first['id']}", json={"qty": "8"})
            updates += [await heard.next() for _ in range(2)]
            http.delete("/v2/orders")
            updates.append(await heard.next())
    assert [str(update.event) for update in updates] == [
        *("new", "new", "partial_fill", "fill", "replaced", "new", "canceled")
    ]
    assert str(updates[0].order.id) == first["id"]
    assert (updates[3].price, updates[3].qty, updates[3].position_qty) == (100.0, 4.0, 0.0)


async def test_alpaca_pys_stock_data_stream(shared: Venue, trader: NewKey) -> None:
    trades, quotes = Heard(), Heard()
    stream = StockDataStream(
        trader.key_id, trader.secret, url_override=f"{shared.stream_url}/v2/iex"
    )
    stream.subscribe_trades(trades.handler, "AAPL")
    stream.subscribe_quotes(quotes.handler, "AAPL")
    async with running(stream):
        order(shared, trader, qty="3", limit_price="50.25")
        quote = await quotes.next()
        order(shared, trader, qty="3", side="sell", limit_price="50.25")
        trade = await trades.next()
    assert (quote.bid_price, quote.bid_size) == (50.25, 3)
    assert (trade.symbol, trade.price, trade.size, trade.exchange) == ("AAPL", 50.25, 3, "V")


async def test_alpaca_pys_crypto_data_stream(shared: Venue, trader: NewKey) -> None:
    books = Heard()
    url = f"{shared.stream_url}/v1beta3/crypto/us"
    stream = CryptoDataStream(trader.key_id, trader.secret, url_override=url)
    stream.subscribe_orderbooks(books.handler, "BTC/USD")
    async with running(stream):
        book = await books.next()
        assert (book.reset, book.bids, book.asks) == (True, [], [])
        order(shared, trader, symbol="BTC/USD", qty="0.5", limit_price="60000.5")
        delta = await books.next()
    assert [(level.price, level.size) for level in delta.bids] == [(60000.5, 0.5)]


Watch = Callable[[Any], Awaitable[Any]]


@pytest.fixture
async def exchange(shared: Venue, trader: NewKey) -> AsyncIterator[Any]:
    exchange = ccxt.pro.alpaca({"apiKey": trader.key_id, "secret": trader.secret})
    exchange.urls["api"]["trader"] = exchange.urls["api"]["market"] = shared.url
    exchange.urls["api"]["ws"] = {
        "crypto": f"{shared.stream_url}/v1beta3/crypto/us",
        "trading": f"{shared.stream_url}/stream",
    }
    await exchange.load_markets()
    yield exchange
    await exchange.close()


@pytest.mark.parametrize(
    ("watch", "shows"),
    [
        (lambda x: x.watch_trades("BTC/USD"), lambda r: (r[-1]["price"], r[-1]["amount"])),
        (lambda x: x.watch_orders("BTC/USD"), lambda r: (r[-1]["price"], r[-1]["amount"])),
        (lambda x: x.watch_my_trades("BTC/USD"), lambda r: (r[-1]["price"], r[-1]["amount"])),
        (lambda x: x.watch_ticker("BTC/USD"), lambda r: (r["bid"], r["bidVolume"])),
    ],
    ids=["trades", "orders", "my_trades", "ticker"],
)
async def test_ccxt_pro_watches(
    shared: Venue, trader: NewKey, exchange: Any, watch: Watch, shows: Callable[[Any], Any]
) -> None:
    watching = asyncio.ensure_future(watch(exchange))
    while not watching.done():  # The subscription comes some time after the call.
        order(shared, trader, symbol="BTC/USD", qty="0.5", limit_price="60000")
        await asyncio.wait((watching,), timeout=0.2)
        order(shared, trader, symbol="BTC/USD", qty="0.5", limit_price="60000", side="sell")
        await asyncio.wait((watching,), timeout=0.2)
    assert shows(await watching) in ((60000.0, 0.5), (0.0, 0.0))


async def test_ccxt_pro_watches_the_order_book(
    shared: Venue, trader: NewKey, exchange: Any
) -> None:
    async with asyncio.timeout(WITHIN_S):
        book = await exchange.watch_order_book("BTC/USD")
        assert (book["bids"], book["asks"]) == ([], [])
        order(shared, trader, symbol="BTC/USD", qty="0.5", limit_price="60000")
        book = await exchange.watch_order_book("BTC/USD")
    assert list(book["bids"]) == [[60000.0, 0.5]]
