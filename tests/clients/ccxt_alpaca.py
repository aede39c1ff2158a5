"""Calls of ccxt's `alpaca`: every unified method that its `has` claims."""

import re
from collections.abc import Callable
from typing import Any

import ccxt
from openvenue.security.keys import NewKey

from tests.clients.calls import Call, Client, MissingMethod
from tests.clients.market import OFFERS, PAIR, before_all_trades
from tests.support.venue import Venue

# Kinds of API and of market, which are in `has` beside the methods.
FEATURES = {"publicAPI", "privateAPI", "sandbox", "spot"}

SINCE_MS = int(before_all_trades().timestamp() * 1000)
LOW, HIGH = 30_000, 90_000
"""Prices, in dollars, at which a bid and an offer rest in the book."""


def _made(venue: Venue, key: NewKey) -> ccxt.alpaca:
    # ccxt would wait, so as to send three requests a second.
    settings = {"apiKey": key.key_id, "secret": key.secret, "enableRateLimit": False}
    exchange = ccxt.alpaca(settings)
    exchange.urls["api"].update(trader=venue.url, market=venue.url)
    return exchange


def _claimed() -> frozenset[str]:
    has = ccxt.alpaca().has
    return frozenset(name for name, claim in has.items() if claim is True) - FEATURES


def _call(
    method: str,
    *arguments: Any,
    shows: Callable[[Any], object] = bool,
    asks_for: str = "",
    empty: bool = False,
    **parameters: Any,
) -> Call:
    """Return a call of a method by its name in `has`; `shows` judges the answer."""

    def is_right(exchange: Any) -> object:
        return shows(_method(exchange, method)(*arguments, **parameters))

    return Call(method, is_right, asks_for, empty)


def _method(exchange: Any, name: str) -> Callable[..., Any]:
    """Return a method by its name in `has`: fetchOHLCV is fetch_ohlcv in Python."""
    method = getattr(exchange, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(), None)
    if method is None:
        raise MissingMethod(name)
    return method  # type: ignore[no-any-return]


def _rests(exchange: Any) -> str:
    return str(exchange.create_order(PAIR, "limit", "buy", 0.5, LOW)["id"])


def _reads_order(exchange: Any) -> bool:
    return bool(exchange.fetch_order(_rests(exchange))["status"] == "open")


def _edits(exchange: Any) -> bool:
    edited = exchange.edit_order(_rests(exchange), PAIR, "limit", "buy", 0.4, LOW + 1)
    now = exchange.fetch_order(edited["id"])
    return (now["amount"], now["price"], now["status"]) == (0.4, LOW + 1, "open")


def _cancels(exchange: Any) -> bool:
    order_id = _rests(exchange)
    exchange.cancel_order(order_id)
    return bool(exchange.fetch_order(order_id)["status"] == "canceled")


def _cancels_all(exchange: Any) -> bool:
    _rests(exchange)
    exchange.cancel_all_orders()
    return _nothing(exchange.fetch_open_orders(PAIR))


def _enters(
    method: str, *arguments: Any, becomes: str, asks_for: str = "", **parameters: Any
) -> Call:
    """Return a call that enters an order, which then has the status that it becomes."""

    def is_right(exchange: Any) -> bool:
        order = _method(exchange, method)(*arguments, **parameters)
        now = exchange.fetch_order(order["id"])
        return (order["status"], now["status"]) == ("open", becomes)

    return Call(method, is_right, asks_for)


def _each(field: str, found: Any) -> set[object]:
    return {one[field] for one in found}


def _all(field: str, value: object) -> Callable[[Any], bool]:
    return lambda found: _each(field, found) == {value}


def _nothing(found: Any) -> bool:
    return isinstance(found, list) and not found


CCXT = Client(
    "ccxt: alpaca",
    _made,
    _claimed(),
    (
        _call("fetchTime"),
        _call("fetchMarkets", shows=lambda markets: [each["symbol"] for each in markets] == [PAIR]),
        _call("fetchBalance", shows=lambda balance: balance["free"]["USD"] > 0),
        _call("fetchTicker", PAIR, shows=lambda ticker: ticker["last"] == OFFERS[PAIR]),
        _call("fetchTickers", [PAIR], shows=lambda tickers: list(tickers) == [PAIR]),
        _call("fetchTrades", PAIR, shows=lambda trades: trades[-1]["price"] == OFFERS[PAIR]),
        _call("fetchOHLCV", PAIR, "1m", SINCE_MS, shows=lambda bars: bars[-1][4] == OFFERS[PAIR]),
        _call("fetchOrderBook", PAIR, shows=lambda book: book["asks"][0][0] == OFFERS[PAIR]),
        _call("fetchL1OrderBook", PAIR),
        _enters("createOrder", PAIR, "limit", "buy", 0.5, LOW, becomes="open"),
        _enters(
            "createOrder",
            *(PAIR, "limit", "buy", 0.5, LOW, {"timeInForce": "IOC"}),
            becomes="canceled",
            asks_for="timeInForce IOC",
        ),
        _enters(
            "createOrder",
            *(PAIR, "limit", "buy", 0.5, LOW, {"postOnly": True}),
            becomes="open",
            asks_for="postOnly",
        ),
        _enters("createLimitOrder", PAIR, "sell", 0.5, HIGH, becomes="open"),
        _enters("createMarketOrder", PAIR, "buy", 0.5, becomes="closed"),
        _enters("createMarketBuyOrder", PAIR, 0.5, becomes="closed"),
        _enters("createMarketOrderWithCost", PAIR, "buy", 1000, becomes="closed"),
        _enters("createMarketBuyOrderWithCost", PAIR, 1000, becomes="closed"),
        _enters("createMarketSellOrderWithCost", PAIR, 1000, becomes="closed"),
        _enters("createStopOrder", PAIR, "limit", "buy", 0.5, HIGH, HIGH, becomes="open"),
        _enters("createTriggerOrder", PAIR, "limit", "buy", 0.5, HIGH, HIGH, becomes="open"),
        Call("fetchOrder", _reads_order),
        Call("editOrder", _edits),
        _call("fetchOrders", PAIR, shows=_all("symbol", PAIR)),
        _call("fetchOpenOrders", PAIR, shows=_all("status", "open")),
        _call("fetchClosedOrders", PAIR, shows=lambda found: "closed" in _each("status", found)),
        # ccxt takes the fills of shares for fills of the pair too.
        _call("fetchMyTrades", PAIR, shows=lambda fills: OFFERS[PAIR] in _each("price", fills)),
        Call("cancelOrder", _cancels),
        Call("cancelAllOrders", _cancels_all),
        _call("fetchDeposits", shows=_nothing, empty=True),
        _call("fetchWithdrawals", shows=_nothing, empty=True),
        _call("fetchDepositsWithdrawals", shows=_nothing, empty=True),
        _call("fetchDepositAddress", "BTC"),
        _call("withdraw", "BTC", 1, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    ),
)
