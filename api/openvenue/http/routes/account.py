"""The account and its positions, from the engine's memory."""

from fastapi import APIRouter, Depends, Response

from openvenue.documents import resources
from openvenue.documents.views import Marked
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.dependencies import (
    Authenticated,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.history import account_of
from openvenue.http.open_orders import OpenBuys, open_buys
from openvenue.http.openapi import answers
from openvenue.http.worker import Worker

router = APIRouter(tags=["account"])


@router.get("/v2/account", openapi_extra=answers(resources.Account, 403, 429))
async def get_account(worker: WorkerOf, principal: Authenticated) -> Response:
    """Return the account, its positions valued at their last prices.

    `cash` excludes what open orders to buy pairs reserve, but not what orders to buy shares do.
    """
    account = await account_of(worker, principal.account_id)
    instruments = {
        position.instrument_id: await worker.instruments.of_id(position.instrument_id)
        for position in account.positions
    }
    held_micros = 0
    if any(instrument.asset_class == "crypto" for instrument in worker.instruments.all()):
        for instrument_id, buys in (await open_buys(worker, account)).items():
            if (await worker.instruments.of_id(instrument_id)).asset_class == "crypto":
                held_micros += buys.reserved_micros
    return json_response(worker.views.account(account, instruments, held_micros))


@router.get(
    "/v2/positions",
    openapi_extra=answers(list[resources.Position], 403, 422, 429),
    dependencies=[Depends(only_known_parameters)],
)
async def list_positions(worker: WorkerOf, principal: Authenticated) -> Response:
    """List what the account holds."""
    account = await account_of(worker, principal.account_id)
    held = [position for position in account.positions if position.qty_lots]
    is_short = any(position.qty_lots < 0 for position in held)
    buys = await open_buys(worker, account) if is_short else {}
    return json_response([await _document(worker, position, buys) for position in held])


@router.get(
    "/v2/positions/{symbol_or_asset_id:path}",
    openapi_extra=answers(
        resources.Position,
        *(403, 404, 422, 429),
        meanings={404: "The account holds none of it, or there is no such asset"},
    ),
)
async def get_position(
    worker: WorkerOf, principal: Authenticated, symbol_or_asset_id: str
) -> Response:
    """Return the account's position in one asset."""
    instrument = await worker.instruments.find(symbol_or_asset_id)
    if instrument is not None:
        account = await account_of(worker, principal.account_id)
        for position in account.positions:
            if position.instrument_id == instrument.instrument_id and position.qty_lots:
                buys = (
                    await open_buys(worker, account, position.instrument_id)
                    if position.qty_lots < 0
                    else {}
                )
                return json_response(await _document(worker, position, buys))
    raise problems.not_found("position does not exist")


async def _document(
    worker: Worker, position: pb.Position, buys: dict[int, OpenBuys]
) -> resources.Position:
    instrument = await worker.instruments.of_id(position.instrument_id)
    covering_lots = buys.get(position.instrument_id, OpenBuys()).lots
    return Marked(position, instrument).document(covering_lots)
