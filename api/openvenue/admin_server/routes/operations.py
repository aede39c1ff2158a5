"""The state of the venue, and snapshots."""

import msgspec
from fastapi import APIRouter, Response

from openvenue.admin import documents
from openvenue.admin.status import venue_status
from openvenue.admin_server.documentation import answers
from openvenue.admin_server.services import AdministratorOf, AdminOf, ServicesOf, json_response

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


@router.post("/snapshots", status_code=201, openapi_extra=answers(Snapshot, status=201))
async def take_snapshot(admin: AdminOf) -> Response:
    """Make the engine write a snapshot; answered when it is on disk, which may take minutes."""
    return json_response(Snapshot(await admin.snapshot()), 201)
