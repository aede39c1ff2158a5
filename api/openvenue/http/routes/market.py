"""Assets, the clock and books: the same for every account."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents import resources, views
from openvenue.documents.times import format_ns, now_ns
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.asset_classes import parse_asset_classes
from openvenue.http.dependencies import (
    Authenticated,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.engine_calls import unary_call
from openvenue.http.openapi import answers
from openvenue.http.worker import Worker

BOOK_DEPTH_MAX = 1000

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
    _principal: Authenticated,
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
            for instrument in worker.instruments.all()
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
    worker: WorkerOf, _principal: Authenticated, symbol_or_asset_id: str
) -> Response:
    """Return one asset."""
    return json_response(views.asset(await _instrument(worker, symbol_or_asset_id)))


@router.get("/v2/clock", openapi_extra=answers(resources.Clock))
async def get_clock(worker: WorkerOf, _principal: Authenticated) -> Response:
    """Return the time. The venue is always open; a trading day ends as the next one begins."""
    day_end = format_ns(await worker.trading_day.end_ns())
    return json_response(resources.Clock(format_ns(now_ns()), True, day_end, day_end))


@router.get(
    "/v1/book/{symbol:path}",
    openapi_extra=answers(resources.Book, 404, 422, 429, meanings=_NO_SUCH_ASSET),
)
async def get_book(
    worker: WorkerOf,
    _principal: Authenticated,
    symbol: str,
    depth: Annotated[int, Query(ge=1, le=BOOK_DEPTH_MAX, description="Levels a side.")] = 10,
) -> Response:
    """Return the best price levels of one asset, as of the last durable command."""
    instrument = await _instrument(worker, symbol)
    request = pb.GetBookRequest(
        instrument_id=instrument.instrument_id, depth=depth, shard_id=worker.settings.shard_id
    )
    with unary_call(worker):
        snapshot = await worker.engine.market_data.GetBook(
            request, timeout=worker.settings.engine_reply_timeout_s
        )
    return json_response(views.book(snapshot, instrument))


def _check_attributes(attributes: str) -> None:
    for name in attributes.split(","):
        if name.strip() not in _ATTRIBUTES:
            raise problems.invalid(f"attributes: there is no attribute {name.strip()!r}")


async def _instrument(worker: Worker, symbol_or_asset_id: str) -> Instrument:
    instrument = await worker.instruments.find(symbol_or_asset_id)
    if instrument is None:
        raise problems.not_found(f"asset not found for {symbol_or_asset_id}")
    return instrument
