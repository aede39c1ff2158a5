"""The audit trail: what administrators did, and what became of an order."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from openvenue.admin.journal import PAGE_MAX, AuditPage, OrderStory, audit, order_story
from openvenue.admin_server.documentation import answers
from openvenue.admin_server.services import AdminOf, ServicesOf, json_response

_SEQUENCE_MAX = (1 << 62) - 1
_ACCOUNT_NUMBER_MAX = (1 << 32) - 1

router = APIRouter(prefix="/v1/admin", tags=["audit"])


@router.get("/audit", openapi_extra=answers(AuditPage))
async def list_commands(
    admin: AdminOf,
    services: ServicesOf,
    before: Annotated[
        int | None,
        Query(ge=1, le=_SEQUENCE_MAX, description="Journal entries before it; default: the newest"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    administrator: Annotated[
        str | None, Query(max_length=32, description="Only with the token of this name.")
    ] = None,
    account_id: Annotated[
        int | None, Query(ge=1, le=_ACCOUNT_NUMBER_MAX, description="Only this account's.")
    ] = None,
) -> Response:
    """List administrative commands, the newest first.

    A request scans a bounded part of the journal: also an empty page may have a `next_before`.
    """
    async with services.scanning():
        page = await audit(
            admin,
            services.settings,
            before=before,
            limit=limit,
            administrator=administrator,
            account_id=account_id,
        )
    return json_response(page)


@router.get("/orders/{order_id}/story", openapi_extra=answers(OrderStory, 404))
async def tell_story(
    admin: AdminOf,
    services: ServicesOf,
    order_id: str,
    after: Annotated[
        int | None,
        Query(ge=0, le=_SEQUENCE_MAX, description="`next_after` of the page before."),
    ] = None,
) -> Response:
    """Tell an order's story from its first command on: who did what, when, and why it ended.

    The id is the order's, or its number. A request scans a bounded part of the journal.
    """
    async with services.scanning():
        story = await order_story(admin, services.settings, order_id, after=after)
    return json_response(story)
