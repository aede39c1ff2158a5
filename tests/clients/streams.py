"""Calls of the live clients: alpaca-py's streams, and what ccxt.pro watches.

A stream subscribes to everything before it runs, and hears what a trade of each instrument makes.
Bars come when a minute is over. All streams wait for the same minute: they run together from the
first call of any.
"""

import asyncio
import queue
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import ccxt.pro
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.trading.stream import TradingStream
from openvenue.security.keys import NewKey

from tests.api.orders import market_order
from tests.clients.calls import Call, Client, MissingMethod
from tests.clients.market import OFFERS, PAIR, STOCK, new_trader
from tests.support.venue import Venue
from tests.support.waiting import wait_for

MINUTE_S = 90.0
"""How long a bar may take on a busy machine."""
_SOON_S = 20.0
_QUIET_S = 0.5
_MOST_OF_A_TRADE = {STOCK: "1", PAIR: "0.5"}


class Live:
    """A stream in a thread of its own, and what it heard."""

    def __init__(self, stream: Any, trade: Callable[[str], None], symbol: str) -> None:
        self.stream = stream
        self.symbol = symbol
        self.trade = partial(trade, symbol)
        self.heard: defaultdict[str, queue.SimpleQueue[Any]] = defaultdict(queue.SimpleQueue)
        self._thread = threading.Thread(target=stream.run, daemon=True)

    def subscribe(self, method: str) -> None:
        """Call a method that takes a handler, before or while the stream runs."""

        async def handler(message: Any) -> None:
            self.heard[method].put(message)

        of_symbols = method.startswith("subscribe_") and method != "subscribe_trade_updates"
        symbols = (self.symbol,) if of_symbols else ()
        getattr(self.stream, method)(handler, *symbols)

    def run(self) -> None:
        self._thread.start()
        wait_for(lambda: self.stream._running, _SOON_S)
        self.answered()

    def answered(self) -> None:
        """Wait until the server has answered what it was sent."""

        async def ping() -> None:
            await (await self.stream._ws.ping())

        asyncio.run_coroutine_threadsafe(ping(), self.stream._loop).result(_SOON_S)

    def next(self, method: str, within_s: float = _SOON_S) -> Any:
        return self.heard[method].get(timeout=within_s)

    def hears_nothing(self, method: str) -> bool:
        """True if trades make nothing on a subscription."""
        while not self.heard[method].empty():
            self.heard[method].get()
        self.trade()
        try:
            self.heard[method].get(timeout=_QUIET_S)
        except queue.Empty:
            return True
        return False

    def ended(self) -> bool:
        self._thread.join(_SOON_S)
        return not self._thread.is_alive()


class _Streams:
    """All of alpaca-py's streams of one account, and ccxt.pro's bars."""

    def __init__(self, venue: Venue, kinds: dict[type, tuple[str, str]]) -> None:
        self._venue = venue
        self.key = key = new_trader(venue)
        self.of = {
            kind: Live(
                kind(key.key_id, key.secret, url_override=venue.stream_url + path),
                self.trade,
                symbol,
            )
            for kind, (path, symbol) in kinds.items()
        }
        for kind, live in self.of.items():
            for method in _subscribing(kind):
                live.subscribe(method)
            live.run()
        self.bars: Any = asyncio.run_coroutine_threadsafe(_watch(venue, key, "watchOHLCV"), _loop())
        for symbol in _MOST_OF_A_TRADE:
            self.trade(symbol)

    def trade(self, symbol: str) -> None:
        with self._venue.client(self.key) as client:
            order = market_order(symbol=symbol, qty=_MOST_OF_A_TRADE[symbol])
            assert client.post("/v2/orders", json=order).status_code == 200


_PATHS = {
    TradingStream: ("/stream", STOCK),
    StockDataStream: ("/v2/iex", STOCK),
    CryptoDataStream: ("/v1beta3/crypto/us", PAIR),
}
_run: dict[str, _Streams] = {}


def _streams(venue: Venue) -> _Streams:
    """Return a venue's streams, which run from the first call on."""
    if venue.stream_url not in _run:
        _run[venue.stream_url] = _Streams(venue, _PATHS)
    return _run[venue.stream_url]


def _methods(kind: type) -> set[str]:
    return {
        name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
    }


def _subscribing(kind: type) -> list[str]:
    return sorted(
        name
        for name in _methods(kind)
        if name.startswith("subscribe_") or (name.startswith("register_"))
    )


def _live_client(kind: type, *calls: Call) -> Client:
    return Client(
        f"alpaca-py: {kind.__name__}",
        lambda venue, _: _streams(venue).of[kind],
        frozenset(_methods(kind)),
        calls,
    )


def _hears(method: str, shows: Callable[[Any], object], within_s: float = _SOON_S) -> Call:
    return Call(method, lambda live: shows(live.next(method, within_s)))


def _stays_silent(method: str, asks_for: str) -> Call:
    return Call(method, lambda live: live.heard[method].empty(), asks_for, empty=True)


def _unsubscribes(kind: str) -> Call:
    method = f"unsubscribe_{kind}"

    def is_right(live: Live) -> bool:
        getattr(live.stream, method)(live.symbol)
        live.answered()
        return live.hears_nothing(f"subscribe_{kind}")

    return Call(method, is_right)


def _ends(method: str) -> Call:
    """Return a call that ends a stream. The first one ends it, and the others find it ended."""

    def is_right(live: Live) -> bool:
        if method == "run":
            return bool(live.stream._running)
        found = getattr(live.stream, method)()
        if asyncio.iscoroutine(found):
            if live.stream._loop.is_running():
                asyncio.run_coroutine_threadsafe(found, live.stream._loop).result(_SOON_S)
            else:
                asyncio.run(found)
        return live.ended()

    return Call(method, is_right)


_ENDS = (_ends("run"), _ends("stop"), _ends("stop_ws"), _ends("close"))


def _data_calls(symbol: str) -> tuple[Call, ...]:
    offer = OFFERS[symbol]
    return (
        _hears("subscribe_trades", lambda trade: trade.price == offer),
        _hears("subscribe_quotes", lambda quote: quote.ask_price == offer),
        _hears("subscribe_bars", lambda bar: bar.close == offer, MINUTE_S),
        _hears("subscribe_daily_bars", lambda bar: bar.close == offer, MINUTE_S),
        _stays_silent("subscribe_updated_bars", "a trade later than its bar"),
        *map(_unsubscribes, ("trades", "quotes", "bars", "daily_bars", "updated_bars")),
    )


def _filled(live: Live) -> bool:
    events = [str(live.next("subscribe_trade_updates").event) for _ in range(2)]
    return events == ["new", "fill"]


TRADING_STREAM = _live_client(TradingStream, Call("subscribe_trade_updates", _filled), *_ENDS)
STOCK_STREAM = _live_client(
    StockDataStream,
    *_data_calls(STOCK),
    _stays_silent("subscribe_trading_statuses", "halts"),
    _unsubscribes("trading_statuses"),
    _stays_silent("register_trade_corrections", "corrected trades"),
    _stays_silent("register_trade_cancels", "canceled trades"),
    *_ENDS,
)
PAIR_STREAM = _live_client(
    CryptoDataStream,
    _hears("subscribe_orderbooks", lambda book: book.reset),
    *_data_calls(PAIR),
    _unsubscribes("orderbooks"),
    *_ENDS,
)


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


async def _watch(venue: Venue, key: NewKey, method: str) -> Any:
    exchange = ccxt.pro.alpaca({"apiKey": key.key_id, "secret": key.secret})
    exchange.urls["api"].update(trader=venue.url, market=venue.url)
    exchange.urls["api"]["ws"] = {
        "crypto": f"{venue.stream_url}/v1beta3/crypto/us",
        "trading": f"{venue.stream_url}/stream",
    }
    try:
        watch = getattr(exchange, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", method).lower(), None)
        if watch is None:
            raise MissingMethod(method)
        return await watch(PAIR)
    finally:
        await exchange.close()


def _watches(method: str, shows: Callable[[Any], object]) -> Call:
    def is_right(streams: "_Watching") -> object:
        watching = asyncio.run_coroutine_threadsafe(
            _watch(streams.venue, streams.key, method), _loop()
        )

        def heard() -> bool:
            if not watching.done():
                _streams(streams.venue).trade(PAIR)
            return watching.done()

        wait_for(heard, MINUTE_S)
        return shows(watching.result())

    return Call(method, is_right)


class _Watching:
    def __init__(self, venue: Venue, _: NewKey) -> None:
        self.venue = venue
        self.key = _streams(venue).key


WATCHES = Client(
    "ccxt.pro: alpaca",
    _Watching,
    frozenset(
        name
        for name, claim in ccxt.pro.alpaca().has.items()
        if claim is True and (name.startswith("watch") or name.endswith("Ws"))
    ),
    (
        _watches("watchTrades", lambda trades: trades[-1]["price"] == OFFERS[PAIR]),
        _watches("watchTicker", lambda ticker: ticker["ask"] == OFFERS[PAIR]),
        _watches("watchOrderBook", lambda book: book["asks"][0][0] == OFFERS[PAIR]),
        _watches("watchOrders", lambda orders: orders[-1]["symbol"] == PAIR),
        _watches("watchMyTrades", lambda fills: fills[-1]["price"] == OFFERS[PAIR]),
        Call(
            "watchOHLCV",
            lambda it: _streams(it.venue).bars.result(MINUTE_S)[-1][4] == OFFERS[PAIR],
        ),
    ),
)
