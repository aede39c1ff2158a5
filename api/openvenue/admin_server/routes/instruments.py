"""Instruments: defined, and their changeable terms changed."""

from fastapi import APIRouter, Request, Response

from openvenue.admin import documents
from openvenue.admin.instruments import WantedTerms, define_instrument
from openvenue.admin_server.bodies import TermsRequest
from openvenue.admin_server.documentation import accepts, answers
from openvenue.admin_server.services import AdminOf, ServicesOf, json_response
from openvenue.http.json_body import decode_body

router = APIRouter(prefix="/v1/admin/instruments", tags=["instruments"])


@router.get("", openapi_extra=answers(list[documents.Instrument]))
async def list_instruments(admin: AdminOf) -> Response:
    """List all instruments by number."""
    return json_response([documents.instrument(info) for info in await admin.instruments()])


@router.get("/{symbol:path}", openapi_extra=answers(documents.Instrument, 404))
async def show_instrument(admin: AdminOf, symbol: str) -> Response:
    """Show an instrument's terms."""
    return json_response(documents.instrument(await admin.instrument(symbol)))


@router.put(
    "/{symbol:path}",
    openapi_extra={**accepts(TermsRequest), **answers(documents.Instrument, 404, 409, 413)},
)
async def put_instrument(
    admin: AdminOf, services: ServicesOf, symbol: str, request: Request
) -> Response:
    """Define an instrument, or change one: what is absent stays. Sending it again is safe."""
    body = decode_body(await request.body(), TermsRequest)
    wanted = WantedTerms(
        body.name,
        body.asset_class,
        body.tick,
        body.lot,
        body.min_price,
        body.max_price,
        body.max_qty,
        body.state,
    )
    wanted.check_names()
    async with services.numbering:
        defined = await define_instrument(admin, symbol, wanted)
    return json_response(documents.instrument(defined))
