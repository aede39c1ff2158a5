"""Market data of currency pairs: what traded here, and the books.

It needs no key, unless a setting says so, because ccxt sends none.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents.resources import market_data as documents
from openvenue.engine.instruments import Instrument
from openvenue.http import market_data
from openvenue.http.dependencies import (
    WorkerOf,
    json_response,
    may_read_pairs,
    only_known_parameters,
)
from openvenue.http.market_data import WantedSpan, WantedTimeframe
from openvenue.http.openapi import answers


async def _pairs(
    worker: WorkerOf,
    loc: documents.PairLocation,
    symbols: Annotated[str, Query(description="Comma-separated.")],
) -> list[Instrument]:
    return await market_data.instruments_of(worker, symbols, "crypto")


def _public(
    document: Any, *error_statuses: int, meanings: Mapping[int, str] | None = None
) -> dict[str, Any]:
    return answers(document, *error_statuses, key_optional=True, meanings=meanings)


Pairs = Annotated[list[Instrument], Depends(_pairs)]

router = APIRouter(
    prefix="/v1beta3/crypto/{loc}",
    tags=["market data"],
    dependencies=[Depends(may_read_pairs), Depends(only_known_parameters)],
)


@router.get("/bars", openapi_extra=_public(documents.Bars, 422))
async def list_crypto_bars(
    worker: WorkerOf,
    pairs: Pairs,
    timeframe: WantedTimeframe,
    span: WantedSpan,
) -> Response:
    """List bars by symbol and time. A time frame without a trade has none."""
    page = await market_data.bars_page(worker, pairs, span, timeframe)
    return json_response(documents.Bars(*page))


@router.get("/trades", openapi_extra=_public(documents.CryptoTrades, 422))
async def list_crypto_trades(
    worker: WorkerOf,
    pairs: Pairs,
    span: WantedSpan,
) -> Response:
    """List trades by symbol and time."""
    return json_response(documents.Trades(*await market_data.trades_page(worker, pairs, span)))


@router.get(
    "/quotes",
    openapi_extra=_public(documents.CryptoQuotes, 404, 422, meanings=market_data.NO_QUOTES),
)
async def list_crypto_quotes(
    worker: WorkerOf,
    pairs: Pairs,
    span: WantedSpan,
) -> Response:
    """List quotes by symbol and time: one for each change of the best bid or ask."""
    return json_response(documents.Quotes(*await market_data.quotes_page(worker, pairs, span)))


@router.get("/latest/bars", openapi_extra=_public(documents.LatestBars, 422))
async def latest_crypto_bars(
    worker: WorkerOf,
    pairs: Pairs,
) -> Response:
    """Return the last bar of a minute of each symbol that has traded."""
    return json_response(documents.LatestBars(await market_data.latest_bars(worker, pairs)))


@router.get("/latest/trades", openapi_extra=_public(documents.LatestCryptoTrades, 422))
async def latest_crypto_trades(
    worker: WorkerOf,
    pairs: Pairs,
) -> Response:
    """Return the last trade of each symbol that has traded."""
    return json_response(documents.LatestTrades(await market_data.latest_trades(worker, pairs)))


@router.get("/latest/quotes", openapi_extra=_public(documents.LatestCryptoQuotes, 422, 429))
async def latest_crypto_quotes(
    worker: WorkerOf,
    pairs: Pairs,
) -> Response:
    """Return the best bid and ask of each symbol now."""
    return json_response(documents.LatestQuotes(await market_data.latest_quotes(worker, pairs)))


@router.get("/latest/orderbooks", openapi_extra=_public(documents.Orderbooks, 422, 429))
async def latest_crypto_orderbooks(
    worker: WorkerOf,
    pairs: Pairs,
) -> Response:
    """Return the book of each symbol now, at most 1,000 levels a side."""
    return json_response(documents.Orderbooks(await market_data.orderbooks(worker, pairs)))


@router.get("/snapshots", openapi_extra=_public(documents.Snapshots, 422, 429))
async def crypto_snapshots(
    worker: WorkerOf,
    pairs: Pairs,
) -> Response:
    """Return what is known of each symbol now."""
    return json_response(documents.Snapshots(await market_data.snapshots(worker, pairs)))
