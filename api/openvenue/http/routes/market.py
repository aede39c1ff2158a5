"""Assets, the clock and books: the same for every account."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems, resources, views
from openvenue.http.dependencies import AccountId, WorkerOf, json_response
from openvenue.http.engine_calls import unary_call
from openvenue.http.openapi import answers
from openvenue.http.times import format_ns, now_ns
from openvenue.http.worker import Worker

BOOK_DEPTH_MAX = 1000

router = APIRouter(tags=["market"])


@router.get("/v2/assets", openapi_extra=answers(list[resources.Asset], 422))
async def list_assets(
    worker: WorkerOf,
    _account_id: AccountId,
    status: Literal["active", "inactive"] | None = None,
    asset_class: Literal["us_equity", "crypto", "us_option"] | None = None,
    exchange: str | None = None,
    attributes: Annotated[str | None, Query(description="Ignored: no asset has any.")] = None,
) -> Response:
    """List the assets by symbol."""
    return json_response(
        [
            views.asset(instrument)
            for instrument in worker.instruments.all()
            if (status is None or instrument.active == (status == "active"))
            and asset_class in (None, instrument.asset_class)
            and exchange in (None, views.EXCHANGES[instrument.asset_class])
        ]
    )


@router.get(
    "/v2/assets/{symbol_or_asset_id:path}", openapi_extra=answers(resources.Asset, 404, 422)
)
async def get_asset(worker: WorkerOf, _account_id: AccountId, symbol_or_asset_id: str) -> Response:
    """Return one asset."""
    return json_response(views.asset(await _instrument(worker, symbol_or_asset_id)))


@router.get("/v2/clock", openapi_extra=answers(resources.Clock))
async def get_clock(worker: WorkerOf, _account_id: AccountId) -> Response:
    """Return the time. The venue is always open; a trading day ends as the next one begins."""
    day_end = format_ns(await worker.trading_day.end_ns())
    return json_response(resources.Clock(format_ns(now_ns()), True, day_end, day_end))


@router.get("/v1/book/{symbol:path}", openapi_extra=answers(resources.Book, 404, 422, 429))
async def get_book(
    worker: WorkerOf,
    _account_id: AccountId,
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


async def _instrument(worker: Worker, symbol_or_asset_id: str) -> Instrument:
    instrument = await worker.instruments.find(symbol_or_asset_id)
    if instrument is None:
        raise problems.not_found(f"asset not found for {symbol_or_asset_id}")
    return instrument
