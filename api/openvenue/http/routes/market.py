"""Assets and books: the same for every account."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents import resources, views
from openvenue.engine.instruments import Instrument
from openvenue.http import problems
from openvenue.http.asset_classes import parse_asset_classes
from openvenue.http.dependencies import (
    ReaderOfMarketData,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.market_data import BOOK_DEPTH_MAX, read_book
from openvenue.http.openapi import answers
from openvenue.http.worker import Worker

# Alpaca's attributes, none of which this venue's instruments have.
_ATTRIBUTES = (
    "ptp_no_exception",
    "ptp_with_exception",
    "ipo",
    "has_options",
    "options_late_close",
    "fractional_eh_enabled",
    "overnight_tradable",
    "overnight_halted",
)
_NO_SUCH_ASSET = {404: "There is no such asset"}

router = APIRouter(tags=["market"])


@router.get(
    "/v2/assets",
    openapi_extra=answers(list[resources.Asset], 422),
    dependencies=[Depends(only_known_parameters)],
)
async def list_assets(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    status: Literal["active", "inactive"] | None = None,
    asset_class: Annotated[
        str, Query(description="One of Alpaca's, several with commas, or `all`.")
    ] = "us_equity",
    exchange: str | None = None,
    attributes: Annotated[
        str | None, Query(description="Comma-separated; no asset here has any.")
    ] = None,
) -> Response:
    """List the assets of a class by symbol."""
    classes = parse_asset_classes(asset_class)
    if attributes is not None:
        _check_attributes(attributes)
        return json_response([])
    return json_response(
        [
            views.asset(instrument)
            for instrument in await worker.instruments.list_now()
            if (status is None or instrument.active == (status == "active"))
            and (classes is None or instrument.asset_class in classes)
            and exchange in (None, views.EXCHANGES[instrument.asset_class])
        ]
    )


@router.get(
    "/v2/assets/{symbol_or_asset_id:path}",
    openapi_extra=answers(resources.Asset, 404, 422, meanings=_NO_SUCH_ASSET),
)
async def get_asset(
    worker: WorkerOf, _principal: ReaderOfMarketData, symbol_or_asset_id: str
) -> Response:
    """Return one asset."""
    return json_response(views.asset(await _instrument(worker, symbol_or_asset_id)))


@router.get(
    "/v1/book/{symbol:path}",
    openapi_extra=answers(resources.Book, 404, 422, 429, meanings=_NO_SUCH_ASSET),
)
async def get_book(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    symbol: str,
    depth: Annotated[int, Query(ge=1, le=BOOK_DEPTH_MAX, description="Levels a side.")] = 10,
) -> Response:
    """Return the best price levels of one asset, as of the last durable command."""
    instrument = await _instrument(worker, symbol)
    return json_response(views.book(await read_book(worker, instrument, depth), instrument))


def _check_attributes(attributes: str) -> None:
    for name in attributes.split(","):
        if name.strip() not in _ATTRIBUTES:
            raise problems.invalid(f"attributes: there is no attribute {name.strip()!r}")


async def _instrument(worker: Worker, symbol_or_asset_id: str) -> Instrument:
    instrument = await worker.instruments.find(symbol_or_asset_id)
    if instrument is None:
        raise problems.not_found(f"asset not found for {symbol_or_asset_id}")
    return instrument
