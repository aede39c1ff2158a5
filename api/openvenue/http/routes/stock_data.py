"""Market data of shares: what traded here, and the books."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents.resources import market_data as documents
from openvenue.engine.instruments import Instrument
from openvenue.http import market_data, problems
from openvenue.http.dependencies import (
    ReaderOfMarketData,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.market_data import WantedSpan, WantedTimeframe
from openvenue.http.openapi import answers

_NO_SUCH_ASSET = {404: "There is no such asset"}
_NO_QUOTES = {404: "There is no such asset, or the venue keeps no history of quotes"}
_NOTHING_YET = {404: "There is no such asset, or it has not traded yet"}


async def _stocks(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    symbols: Annotated[str, Query(description="Comma-separated.")],
) -> list[Instrument]:
    return await market_data.instruments_of(worker, symbols, "us_equity")


async def _stock(worker: WorkerOf, _principal: ReaderOfMarketData, symbol: str) -> Instrument:
    return await market_data.stock_of(worker, symbol)


Stocks = Annotated[list[Instrument], Depends(_stocks)]
OneStock = Annotated[Instrument, Depends(_stock)]


def _without_effect(
    feed: Annotated[
        documents.StockFeed | None,
        Query(description="Without effect: every feed has the venue's own trades."),
    ] = None,
    currency: Annotated[Literal["USD"], Query(description="Of all prices.")] = "USD",
) -> None:
    """Take what clients send, and what changes nothing here."""


def _of_history_without_effect(
    asof: Annotated[
        str | None, Query(description="Without effect: symbols do not change.", max_length=40)
    ] = None,
) -> None:
    """Take what clients send with a history."""


def _of_bars_without_effect(
    adjustment: Annotated[
        str, Query(description="Without effect: there are no splits.", max_length=100)
    ] = "raw",
) -> None:
    """Take what clients send with bars."""


_LATEST: list[Any] = [Depends(only_known_parameters), Depends(_without_effect)]
_HISTORY = [*_LATEST, Depends(_of_history_without_effect)]
_BARS = [*_HISTORY, Depends(_of_bars_without_effect)]

router = APIRouter(prefix="/v2/stocks", tags=["market data"])


@router.get("/bars", openapi_extra=answers(documents.Bars, 422), dependencies=_BARS)
async def list_stock_bars(
    worker: WorkerOf,
    stocks: Stocks,
    timeframe: WantedTimeframe,
    span: WantedSpan,
) -> Response:
    """List bars by symbol and time. A time frame without a trade has none."""
    page = await market_data.bars_page(worker, stocks, span, timeframe)
    return json_response(documents.Bars(*page))


@router.get("/trades", openapi_extra=answers(documents.StockTrades, 422), dependencies=_HISTORY)
async def list_stock_trades(worker: WorkerOf, stocks: Stocks, span: WantedSpan) -> Response:
    """List trades by symbol and time."""
    return json_response(documents.Trades(*await market_data.trades_page(worker, stocks, span)))


@router.get(
    "/quotes",
    openapi_extra=answers(documents.StockQuotes, 404, 422, meanings=market_data.NO_QUOTES),
    dependencies=_HISTORY,
)
async def list_stock_quotes(worker: WorkerOf, stocks: Stocks, span: WantedSpan) -> Response:
    """List quotes by symbol and time: one for each change of the best bid or ask."""
    return json_response(documents.Quotes(*await market_data.quotes_page(worker, stocks, span)))


@router.get("/bars/latest", openapi_extra=answers(documents.LatestBars, 422), dependencies=_LATEST)
async def latest_stock_bars(worker: WorkerOf, stocks: Stocks) -> Response:
    """Return the last bar of a minute of each symbol that has traded."""
    return json_response(documents.LatestBars(await market_data.latest_bars(worker, stocks)))


@router.get(
    "/trades/latest", openapi_extra=answers(documents.LatestStockTrades, 422), dependencies=_LATEST
)
async def latest_stock_trades(worker: WorkerOf, stocks: Stocks) -> Response:
    """Return the last trade of each symbol that has traded."""
    return json_response(documents.LatestTrades(await market_data.latest_trades(worker, stocks)))


@router.get(
    "/quotes/latest",
    openapi_extra=answers(documents.LatestStockQuotes, 422, 429),
    dependencies=_LATEST,
)
async def latest_stock_quotes(worker: WorkerOf, stocks: Stocks) -> Response:
    """Return the best bid and ask of each symbol now."""
    return json_response(documents.LatestQuotes(await market_data.latest_quotes(worker, stocks)))


@router.get(
    "/snapshots",
    openapi_extra=answers(dict[str, documents.StockSnapshot], 422, 429),
    dependencies=_LATEST,
)
async def stock_snapshots(worker: WorkerOf, stocks: Stocks) -> Response:
    """Return what is known of each symbol now."""
    return json_response(await market_data.snapshots(worker, stocks))


@router.get("/meta/exchanges", openapi_extra=answers(dict[str, str]))
async def list_exchanges(_principal: ReaderOfMarketData) -> Response:
    """Return the meaning of the code of an exchange: this venue's."""
    return json_response({documents.EXCHANGE: "OpenVenue"})


@router.get("/meta/conditions/{ticktype}", openapi_extra=answers(dict[str, str], 422))
async def list_conditions(
    _principal: ReaderOfMarketData,
    ticktype: Literal["trade", "quote"],
    tape: Annotated[Literal["A", "B", "C", "N", "O"], Query(description="Without effect.")],
) -> Response:
    """Return the meaning of the conditions of trades or of quotes."""
    conditions = {
        "trade": {documents.TRADE_CONDITION: "Regular Sale"},
        "quote": {documents.QUOTE_CONDITION: "Regular, Two-Sided Open"},
    }
    return json_response(conditions[ticktype])


@router.get(
    "/{symbol}/bars",
    openapi_extra=answers(documents.SymbolBars, 404, 422, meanings=_NO_SUCH_ASSET),
    dependencies=_BARS,
)
async def list_bars_of_stock(
    worker: WorkerOf,
    stock: OneStock,
    timeframe: WantedTimeframe,
    span: WantedSpan,
) -> Response:
    """List the bars of one symbol by time."""
    page = await market_data.bars_page(worker, [stock], span, timeframe)
    return json_response(
        documents.SymbolBars(stock.symbol, page.items.get(stock.symbol, []), page.next_page_token)
    )


@router.get(
    "/{symbol}/trades",
    openapi_extra=answers(documents.SymbolTrades, 404, 422, meanings=_NO_SUCH_ASSET),
    dependencies=_HISTORY,
)
async def list_trades_of_stock(worker: WorkerOf, stock: OneStock, span: WantedSpan) -> Response:
    """List the trades of one symbol by time."""
    page = await market_data.trades_page(worker, [stock], span)
    return json_response(
        documents.SymbolTrades(stock.symbol, page.items.get(stock.symbol, []), page.next_page_token)
    )


@router.get(
    "/{symbol}/quotes",
    openapi_extra=answers(documents.SymbolQuotes, 404, 422, meanings=_NO_QUOTES),
    dependencies=_HISTORY,
)
async def list_quotes_of_stock(worker: WorkerOf, stock: OneStock, span: WantedSpan) -> Response:
    """List the quotes of one symbol by time: one for each change of the best bid or ask."""
    page = await market_data.quotes_page(worker, [stock], span)
    return json_response(
        documents.SymbolQuotes(stock.symbol, page.items.get(stock.symbol, []), page.next_page_token)
    )


@router.get(
    "/{symbol}/bars/latest",
    openapi_extra=answers(documents.LatestBar, 404, 422, meanings=_NOTHING_YET),
    dependencies=_LATEST,
)
async def latest_bar_of_stock(worker: WorkerOf, stock: OneStock) -> Response:
    """Return the last bar of a minute of one symbol."""
    found = await market_data.latest_bars(worker, [stock])
    return json_response(documents.LatestBar(stock.symbol, _traded(found, stock)))


@router.get(
    "/{symbol}/trades/latest",
    openapi_extra=answers(documents.LatestTrade, 404, 422, meanings=_NOTHING_YET),
    dependencies=_LATEST,
)
async def latest_trade_of_stock(worker: WorkerOf, stock: OneStock) -> Response:
    """Return the last trade of one symbol."""
    found = await market_data.latest_trades(worker, [stock])
    return json_response(documents.LatestTrade(stock.symbol, _traded(found, stock)))


@router.get(
    "/{symbol}/quotes/latest",
    openapi_extra=answers(documents.LatestQuote, 404, 422, 429, meanings=_NO_SUCH_ASSET),
    dependencies=_LATEST,
)
async def latest_quote_of_stock(worker: WorkerOf, stock: OneStock) -> Response:
    """Return the best bid and ask of one symbol now."""
    found = await market_data.latest_quotes(worker, [stock])
    return json_response(documents.LatestQuote(stock.symbol, found[stock.symbol]))


@router.get(
    "/{symbol}/snapshot",
    openapi_extra=answers(documents.SymbolSnapshot, 404, 422, 429, meanings=_NO_SUCH_ASSET),
    dependencies=_LATEST,
)
async def stock_snapshot(worker: WorkerOf, stock: OneStock) -> Response:
    """Return what is known of one symbol now."""
    found = await market_data.snapshots(worker, [stock])
    snapshot = found[stock.symbol]
    return json_response(
        documents.SymbolSnapshot(
            stock.symbol,
            snapshot.latest_quote,
            snapshot.latest_trade,
            snapshot.minute_bar,
            snapshot.daily_bar,
            snapshot.prev_daily_bar,
        )
    )


def _traded(found: dict[str, Any], stock: Instrument) -> Any:
    if stock.symbol not in found:
        raise problems.not_found(f"{stock.symbol} has not traded yet")
    return found[stock.symbol]
