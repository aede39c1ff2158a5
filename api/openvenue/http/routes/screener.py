"""Ranks assets by today's (UTC) trades on this venue."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query, Response

from openvenue.documents.resources import market_data as documents
from openvenue.documents.times import format_ns, now_ns
from openvenue.http.dependencies import (
    ReaderOfMarketData,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.market_data import market_database
from openvenue.http.openapi import answers
from openvenue.http.worker import Worker
from openvenue.queries import market
from openvenue.vocabulary import AssetClass

if TYPE_CHECKING:
    from collections.abc import Callable

router = APIRouter(
    prefix="/v1beta1/screener",
    tags=["market data"],
    dependencies=[Depends(only_known_parameters)],
)


class _Day(NamedTuple):
    """An instrument that traded today: its bar, and the price from which it moved."""

    symbol: str
    bar: Any
    before: Any

    @property
    def change(self) -> Any:
        return self.bar.close - self.before


@router.get("/stocks/most-actives", openapi_extra=answers(documents.MostActives, 422))
async def list_most_actives(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    by: Literal["volume", "trades"] = "volume",
    top: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    """List the shares with the most volume, or trades, today."""
    keys: dict[str, Callable[[_Day], Any]] = {
        "volume": lambda day: day.bar.volume,
        "trades": lambda day: day.bar.trades,
    }
    days = sorted(await _today(worker, "us_equity"), key=keys[by], reverse=True)
    found = [
        documents.MostActive(day.symbol, documents.number(day.bar.volume), day.bar.trades)
        for day in days[:top]
    ]
    return json_response(documents.MostActives(found, format_ns(now_ns())))


@router.get("/{market_type}/movers", openapi_extra=answers(documents.Movers, 422))
async def list_movers(
    worker: WorkerOf,
    _principal: ReaderOfMarketData,
    market_type: Literal["stocks", "crypto"],
    top: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """List what rose and fell most since the close of the day before, or since today's open."""
    days = await _today(worker, "us_equity" if market_type == "stocks" else "crypto")
    days.sort(key=lambda day: day.change / day.before)
    gainers = [_mover(day) for day in reversed(days) if day.change > 0][:top]
    losers = [_mover(day) for day in days if day.change < 0][:top]
    return json_response(documents.Movers(gainers, losers, market_type, format_ns(now_ns())))


def _mover(day: _Day) -> documents.Mover:
    return documents.Mover(
        symbol=day.symbol,
        percent_change=documents.number(round(100 * day.change / day.before, 2)),
        change=documents.number(day.change),
        price=documents.number(day.bar.close),
    )


async def _today(worker: Worker, asset_class: AssetClass) -> list[_Day]:
    instruments = [each for each in worker.instruments.all() if each.asset_class == asset_class]
    ids = [each.instrument_id for each in instruments]
    async with market_database(worker) as connection:
        bars = await market.latest_bars(connection, worker.settings.shard_id, ids, "1Day", count=2)
    today = datetime.now(UTC).date()
    found = []
    for instrument in instruments:
        if instrument.instrument_id not in bars:
            continue
        last, *earlier = bars[instrument.instrument_id]
        if last.started_at.astimezone(UTC).date() == today:
            before = earlier[0].close if earlier else last.open
            found.append(_Day(instrument.symbol, last, before))
    return found
