"""The state of the venue, its suspension, and snapshots."""

import msgspec
from fastapi import APIRouter, Request, Response

from openvenue.admin import documents
from openvenue.admin.status import venue_status
from openvenue.admin.suspension import set_venue_suspended
from openvenue.admin_server.bodies import TradingRequest
from openvenue.admin_server.documentation import accepts, answers
from openvenue.admin_server.services import AdministratorOf, AdminOf, ServicesOf, json_response
from openvenue.http.json_body import decode_body

router = APIRouter(prefix="/v1/admin", tags=["operations"])


class Snapshot(msgspec.Struct):
    """A snapshot that is on disk: the state after this entry."""

    snapshot_sequence: int


@router.get("/status", openapi_extra=answers(documents.Status))
async def show_status(
    sender: AdministratorOf, services: ServicesOf, state_hash: bool = False
) -> Response:
    """Show the state of engine and projection; orders wait while the engine hashes its own."""
    if state_hash:
        sender.require_change("state_hash")
    status = await venue_status(sender.admin, services.database, with_state_hash=state_hash)
    return json_response(status)


@router.get("/trading", openapi_extra=answers(documents.VenueTrading))
async def show_trading(admin: AdminOf) -> Response:
    """Show whether trading is suspended for all accounts."""
    status = await admin.status()
    return json_response(documents.VenueTrading(suspended=status.suspended))


@router.put(
    "/trading",
    openapi_extra={**accepts(TradingRequest), **answers(documents.VenueTrading, 413)},
)
async def put_trading(admin: AdminOf, request: Request) -> Response:
    """Suspend trading for all accounts, or let those that are not blocked trade again.

    It is in force at once, and stays over restarts. With `cancel_orders`, what is open is
    canceled, account after account. Sending it again is safe.
    """
    wanted = decode_body(await request.body(), TradingRequest)
    state = await set_venue_suspended(
        admin, wanted.suspended, cancel_open_orders=wanted.cancel_orders
    )
    return json_response(state)


@router.post("/snapshots", status_code=201, openapi_extra=answers(Snapshot, status=201))
async def take_snapshot(admin: AdminOf) -> Response:
    """Make the engine write a snapshot; answered when it is on disk, which may take minutes."""
    return json_response(Snapshot(await admin.snapshot()), 201)
