"""The account, from the engine's memory."""

from fastapi import APIRouter, Response

from openvenue.documents import resources
from openvenue.http.dependencies import Authenticated, WorkerOf, json_response
from openvenue.http.history import account_of
from openvenue.http.open_orders import open_buys
from openvenue.http.openapi import answers

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
    day_before = await worker.days_before.of(principal.account_id)
    return json_response(
        worker.views.account(account, instruments, held_micros, principal.restrictions, day_before)
    )
