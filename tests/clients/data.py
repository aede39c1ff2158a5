"""Calls of alpaca-py's clients for market data."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from alpaca.data.enums import MarketType
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.screener import ScreenerClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    MarketMoversRequest,
    MostActivesRequest,
    NewsRequest,
    OptionBarsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    OptionTradesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from pydantic import BaseModel

from tests.clients.calls import Call, alpaca_client
from tests.clients.market import OFFERS, OPTION, PAIR, STOCK, before_all_trades


def _of(
    symbol: str, kind: type[BaseModel], method: str, price: Callable[[Any], float], **terms: Any
) -> Call:
    """Return a call for data of a symbol, in which `price` finds the price of its offer."""

    def is_right(client: Any) -> bool:
        started = {"start": before_all_trades()} if "start" in kind.model_fields else {}
        found = getattr(client, method)(kind(symbol_or_symbols=symbol, **started, **terms))
        found = getattr(found, "data", found)
        return list(found) == [symbol] and price(found[symbol]) == OFFERS[symbol]

    return Call(method, is_right)


def _last_close(bars: Any) -> float:
    return float(bars[-1].close)


def _last_price(trades: Any) -> float:
    return float(trades[-1].price)


def _last_ask(quotes: Any) -> float:
    return float(quotes[-1].ask_price)


def _best_offer(book: Any) -> float:
    return float(book.asks[0].price)


def _no_option(kind: type[BaseModel], method: str, **terms: Any) -> Call:
    def is_right(client: Any) -> bool:
        found = getattr(client, method)(kind(symbol_or_symbols=OPTION, **terms))
        return not getattr(found, "data", found)

    return Call(method, is_right, empty=True)


STOCKS = alpaca_client(
    StockHistoricalDataClient,
    _of(STOCK, StockBarsRequest, "get_stock_bars", _last_close, timeframe=TimeFrame.Minute),
    _of(STOCK, StockQuotesRequest, "get_stock_quotes", _last_ask),
    _of(STOCK, StockTradesRequest, "get_stock_trades", _last_price),
    _of(STOCK, StockLatestTradeRequest, "get_stock_latest_trade", attrgetter("price")),
    _of(STOCK, StockLatestQuoteRequest, "get_stock_latest_quote", attrgetter("ask_price")),
    _of(STOCK, StockLatestBarRequest, "get_stock_latest_bar", attrgetter("close")),
    _of(STOCK, StockSnapshotRequest, "get_stock_snapshot", attrgetter("latest_trade.price")),
)

PAIRS = alpaca_client(
    CryptoHistoricalDataClient,
    _of(PAIR, CryptoBarsRequest, "get_crypto_bars", _last_close, timeframe=TimeFrame.Minute),
    _of(PAIR, CryptoQuoteRequest, "get_crypto_quotes", _last_ask),
    _of(PAIR, CryptoTradesRequest, "get_crypto_trades", _last_price),
    _of(PAIR, CryptoLatestTradeRequest, "get_crypto_latest_trade", attrgetter("price")),
    _of(PAIR, CryptoLatestQuoteRequest, "get_crypto_latest_quote", attrgetter("ask_price")),
    _of(PAIR, CryptoLatestBarRequest, "get_crypto_latest_bar", attrgetter("close")),
    _of(PAIR, CryptoLatestOrderbookRequest, "get_crypto_latest_orderbook", _best_offer),
    _of(PAIR, CryptoSnapshotRequest, "get_crypto_snapshot", attrgetter("latest_trade.price")),
)


def _actives(client: Any) -> set[str]:
    return {each.symbol for each in client.get_most_actives(MostActivesRequest()).most_actives}


def _movers(client: Any) -> MarketType:
    request = MarketMoversRequest(market_type=MarketType.CRYPTO)
    return MarketType(client.get_market_movers(request).market_type)


SCREENER = alpaca_client(
    ScreenerClient,
    Call("get_most_actives", lambda client: STOCK in _actives(client)),
    Call("get_market_movers", lambda client: _movers(client) == MarketType.CRYPTO),
)

OPTIONS = alpaca_client(
    OptionHistoricalDataClient,
    _no_option(OptionBarsRequest, "get_option_bars", timeframe=TimeFrame.Day),
    _no_option(OptionTradesRequest, "get_option_trades"),
    _no_option(OptionLatestTradeRequest, "get_option_latest_trade"),
    _no_option(OptionLatestQuoteRequest, "get_option_latest_quote"),
    _no_option(OptionSnapshotRequest, "get_option_snapshot"),
    Call(
        "get_option_chain",
        lambda client: not client.get_option_chain(OptionChainRequest(underlying_symbol=STOCK)),
        empty=True,
    ),
    Call(
        "get_option_exchange_codes",
        lambda client: not client.get_option_exchange_codes(),
        empty=True,
    ),
)

NEWS = alpaca_client(
    NewsClient,
    Call(
        "get_news",
        lambda client: not client.get_news(NewsRequest(symbols=STOCK)).data["news"],
        empty=True,
    ),
)

CORPORATE_ACTIONS = alpaca_client(
    CorporateActionsClient,
    Call(
        "get_corporate_actions",
        lambda client: (
            not client.get_corporate_actions(CorporateActionsRequest(symbols=[STOCK])).data
        ),
        empty=True,
    ),
)
