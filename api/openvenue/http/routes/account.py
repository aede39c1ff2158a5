"""The account and its positions, from the engine's memory."""

from fastapi import APIRouter, Response

from openvenue.http import problems, resources
from openvenue.http.dependencies import AccountId, WorkerOf, json_response
from openvenue.http.history import account_of
from openvenue.http.openapi import answers

router = APIRouter(tags=["account"])


@router.get("/v2/account", openapi_extra=answers(resources.Account, 403, 429))
async def get_account(worker: WorkerOf, account_id: AccountId) -> Response:
    """Return the account, its positions valued at their last prices."""
    account = await account_of(worker, account_id)
    instruments = {
        position.instrument_id: await worker.instruments.of_id(position.instrument_id)
        for position in account.positions
    }
    return json_response(worker.views.account(account, instruments))


@router.get("/v2/positions", openapi_extra=answers(list[resources.Position], 403, 429))
async def list_positions(worker: WorkerOf, account_id: AccountId) -> Response:
    """List what the account holds."""
    account = await account_of(worker, account_id)
    return json_response(
        [
            worker.views.position(position, await worker.instruments.of_id(position.instrument_id))
            for position in account.positions
            if position.qty_lots
        ]
    )


@router.get(
    "/v2/positions/{symbol_or_asset_id:path}",
    openapi_extra=answers(resources.Position, 403, 404, 422, 429),
)
async def get_position(
    worker: WorkerOf, account_id: AccountId, symbol_or_asset_id: str
) -> Response:
    """Return what the account holds of one asset."""
    instrument = await worker.instruments.find(symbol_or_asset_id)
    if instrument is not None:
        account = await account_of(worker, account_id)
        for position in account.positions:
            if position.instrument_id == instrument.instrument_id and position.qty_lots:
                return json_response(worker.views.position(position, instrument))
    raise problems.not_found("position does not exist")
