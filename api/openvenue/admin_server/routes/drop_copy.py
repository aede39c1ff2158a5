"""The drop copy, as server-sent events."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from openvenue.admin.errors import AdminError, NotAdmitted
from openvenue.admin_server.documentation import answers
from openvenue.admin_server.drop_copy import DropCopyDocument
from openvenue.admin_server.services import ServicesOf
from openvenue.http import problems

_SEQ_MAX = (1 << 63) - 1
_MEDIA_TYPE = "text/event-stream"

router = APIRouter(prefix="/v1/admin", tags=["drop copy"])


def _documented() -> dict[str, Any]:
    extra = answers(DropCopyDocument)
    content = extra["responses"]["200"].pop("content")["application/json"]
    extra["responses"]["200"]["content"] = {_MEDIA_TYPE: {"schema": {"type": "string"}}}
    extra["responses"]["200"]["description"] = (
        "Server-sent events without end. `order_update` has a DropCopyDocument, and its `id` is "
        "the `seq`; `listening` and `gap` say from where on; `end` why the stream ends."
    )
    extra["responses"]["200"]["x-event-schema"] = content["schema"]
    return extra


@router.get("/drop-copy", openapi_extra=_documented())
async def follow_order_updates(
    services: ServicesOf,
    request: Request,
    after: Annotated[
        int | None, Query(ge=0, le=_SEQ_MAX, description="`seq` of the last update that you have.")
    ] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=_SEQ_MAX)] = None,
) -> Response:
    """Follow the updates of all accounts' orders: each once, in their order.

    With `after`, or `Last-Event-ID` as clients of server-sent events send it when they connect
    again, those that came since are sent first.
    """
    if request.state.head:
        return Response(media_type=_MEDIA_TYPE)
    headers = request.headers.raw

    async def still_admitted() -> bool:
        try:
            await services.tokens.admit(headers)
        except NotAdmitted:
            return False
        except (AdminError, problems.Problem):
            return True  # The engine does not answer, and so there are no updates either.
        return True

    events = await services.drop_copies.follow(
        last_event_id if last_event_id is not None else after, still_admitted
    )
    return StreamingResponse(events, media_type=_MEDIA_TYPE)
