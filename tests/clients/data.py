"""Calls of alpaca-py's clients for market data."""

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

from tests.clients.calls import PAIR, STOCK, Call, alpaca_client, since

OPTION = "AAPL270115C00250000"


def _of(symbol: str, kind: type, method: str, **terms: Any) -> Call:
    """Return a call whose answer has something of the symbol, and of nothing else."""

    def is_right(client: Any) -> bool:
        started = {"start": since()} if "start" in kind.model_fields else {}  # type: ignore[attr-defined]
        found = getattr(client, method)(kind(symbol_or_symbols=symbol, **started, **terms))
        found = getattr(found, "data", found)
        return list(found) == [symbol] and bool(found[symbol])

    return Call(method, is_right)


def _no_option(kind: type, method: str, **terms: Any) -> Call:
    def is_right(client: Any) -> bool:
        found = getattr(client, method)(kind(**{"symbol_or_symbols": OPTION, **terms}))
        return not getattr(found, "data", found)

    return Call(method, is_right, empty=True)


STOCKS = alpaca_client(
    StockHistoricalDataClient,
    _of(STOCK, StockBarsRequest, "get_stock_bars", timeframe=TimeFrame.Minute),
    _of(STOCK, StockQuotesRequest, "get_stock_quotes"),
    _of(STOCK, StockTradesRequest, "get_stock_trades"),
    _of(STOCK, StockLatestTradeRequest, "get_stock_latest_trade"),
    _of(STOCK, StockLatestQuoteRequest, "get_stock_latest_quote"),
    _of(STOCK, StockLatestBarRequest, "get_stock_latest_bar"),
    _of(STOCK, StockSnapshotRequest, "get_stock_snapshot"),
)

PAIRS = alpaca_client(
    CryptoHistoricalDataClient,
    _of(PAIR, CryptoBarsRequest, "get_crypto_bars", timeframe=TimeFrame.Minute),
    _of(PAIR, CryptoQuoteRequest, "get_crypto_quotes"),
    _of(PAIR, CryptoTradesRequest, "get_crypto_trades"),
    _of(PAIR, CryptoLatestTradeRequest, "get_crypto_latest_trade"),
    _of(PAIR, CryptoLatestQuoteRequest, "get_crypto_latest_quote"),
    _of(PAIR, CryptoLatestBarRequest, "get_crypto_latest_bar"),
    _of(PAIR, CryptoLatestOrderbookRequest, "get_crypto_latest_orderbook"),
    _of(PAIR, CryptoSnapshotRequest, "get_crypto_snapshot"),
)

SCREENER = alpaca_client(
    ScreenerClient,
    Call(
        "get_most_actives",
        lambda client: {STOCK, PAIR} & _ranked(client.get_most_actives(MostActivesRequest())),
    ),
    Call("get_market_movers", lambda client: client.get_market_movers(_movers()).market_type),
)


def _ranked(actives: Any) -> set[str]:
    return {each.symbol for each in actives.most_actives}


def _movers() -> MarketMoversRequest:
    return MarketMoversRequest(market_type=MarketType.CRYPTO)


OPTIONS = alpaca_client(
    OptionHistoricalDataClient,
    _no_option(OptionBarsRequest, "get_option_bars", timeframe=TimeFrame.Day),
    _no_option(OptionTradesRequest, "get_option_trades"),
    _no_option(OptionLatestTradeRequest, "get_option_latest_trade"),
    _no_option(OptionLatestQuoteRequest, "get_option_latest_quote"),
    _no_option(OptionSnapshotRequest, "get_option_snapshot"),
    _no_option(OptionChainRequest, "get_option_chain", underlying_symbol=STOCK),
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
