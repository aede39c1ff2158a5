"""Orders: read, list, replace, cancel. Submitting is in `openvenue.http.order_entry`.

The engine's memory answers for the newest open orders, of all symbols or of one, and for every
order that it still holds. The database answers for all other lists and orders, once it holds
everything that the account was told. So a client always reads what it wrote.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from openvenue.documents import resources
from openvenue.documents.times import Moment, in_range
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.asset_classes import parse_asset_classes
from openvenue.http.canceling import ALL_INSTRUMENTS, cancel, cancel_open_orders
from openvenue.http.dependencies import (
    Authenticated,
    WantsOutcome,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.engine_calls import (
    command_of,
    engine_answer,
    engine_reply,
    not_taken,
    order_of,
)
from openvenue.http.history import history_of, past_order
from openvenue.http.open_orders import open_orders
from openvenue.http.openapi import AS_ACCEPTED, accepts, answers
from openvenue.http.order_answers import applied_preference, as_accepted
from openvenue.http.order_body import (
    CLIENT_ORDER_ID_SCHEMA,
    ReplaceRequest,
    decode_replace,
    given,
)
from openvenue.http.order_terms import (
    check_may_stay,
    checked_client_order_id,
    new_client_order_id,
    parse_qty,
    parse_time_in_force,
    replace_prices,
)
from openvenue.http.rejections import entered_order
from openvenue.http.restrictions import restrict_replacement
from openvenue.http.worker import Worker
from openvenue.queries import orders as order_queries
from openvenue.queries.orders import OrderFilter
from openvenue.security.principal import Principal
from openvenue.vocabulary import SIDES, Side

SYMBOLS_MAX = 100

_MAY_NOT = {403: "The key may not, or its account is not open"}
_NO_SUCH_ORDER = {404: "The account has no such order"}

router = APIRouter(tags=["orders"])


@router.get(
    "/v2/orders",
    openapi_extra=answers(list[resources.Order], 403, 422, 429),
    dependencies=[Depends(only_known_parameters)],
)
async def list_orders(
    worker: WorkerOf,
    principal: Authenticated,
    status: Literal["open", "closed", "all"] = "open",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Moment = None,
    until: Moment = None,
    direction: Literal["asc", "desc"] = "desc",
    symbols: Annotated[str | None, Query(description="Comma-separated.")] = None,
    side: Side | None = None,
    asset_class: Annotated[
        str | None, Query(description="Comma-separated; `all` if it is left out.")
    ] = None,
    before_order_id: Annotated[
        str | None, Query(description="Only orders older than this one of the account's.")
    ] = None,
    after_order_id: Annotated[
        str | None, Query(description="Only orders newer than this one of the account's.")
    ] = None,
    nested: Annotated[bool, Query(description="Without effect: no order has legs.")] = False,
) -> Response:
    """List orders by time of creation, exclusive of `after` and `until`.

    The list shows everything that the account was told before. The engine answers for open orders,
    newest first, of all symbols or of one, also those before `before_order_id`. The history answers
    for `direction=asc`, `side`, `after`, `until`, `asset_class`, `after_order_id`, several symbols,
    and `status` closed or all; 503 if it is too far behind.
    """
    asset_classes = None if asset_class is None else parse_asset_classes(asset_class)
    instrument_ids: list[int] = []
    if symbols:
        instrument_ids = await _instruments_of(worker, symbols)
        if not instrument_ids:
            return json_response([])
    before = 0
    if before_order_id is not None or after_order_id is not None:
        if any(bound is not None for bound in (after, until)) or None not in (
            before_order_id,
            after_order_id,
        ):
            raise problems.invalid(
                "before_order_id and after_order_id go neither with each other nor with after and "
                "until"
            )
        if before_order_id is not None:
            before, until = await _creation(worker, principal, "before_order_id", before_order_id)
        elif after_order_id is not None:
            _, after = await _creation(worker, principal, "after_order_id", after_order_id)
    in_memory = (
        status == "open"
        and direction == "desc"
        and after is None
        and (until is None or before)
        and side is None
        and asset_classes is None
        and len(instrument_ids) <= 1
    )
    if in_memory:
        page = await open_orders(
            worker, principal.account_id, *instrument_ids, before=before, limit=limit
        )
        return json_response([await _document(worker, order) for order in page])
    wanted = OrderFilter(
        status=status,
        limit=limit,
        after=None if after is None else in_range(after),
        until=None if until is None else in_range(until),
        oldest_first=direction == "asc",
        instrument_ids=instrument_ids,
        side=side,
        asset_classes=asset_classes,
    )
    async with history_of(worker, principal.account_id) as connection:
        rows = await order_queries.list_orders(
            connection, worker.settings.shard_id, principal.account_id, wanted
        )
    return json_response(await _row_documents(worker, principal, rows))


@router.delete(
    "/v2/orders",
    status_code=HTTPStatus.MULTI_STATUS,
    openapi_extra=answers(
        list[resources.CancelResult], 403, 422, 429, status=207, meanings=_MAY_NOT
    ),
    dependencies=[Depends(only_known_parameters)],
)
async def cancel_all_orders(
    worker: WorkerOf,
    principal: Authenticated,
    symbols: Annotated[
        str | None, Query(description="Comma-separated; all if it is left out.")
    ] = None,
    side: Annotated[Side | None, Query(description="Both if it is left out.")] = None,
) -> Response:
    """Cancel the account's open orders, oldest first: all, or those of some symbols or of one side.

    The engine cancels those of a symbol, or of all symbols, by one command; thousands by several.
    503 if it fails on the way; it says how many were canceled so far.
    """
    instrument_ids = list(ALL_INSTRUMENTS)
    if symbols is not None:
        instrument_ids = await _instruments_of(worker, symbols, all_must_exist=True)
    wire_side = SIDES.numbers[side] if side is not None else pb.SIDE_UNSPECIFIED
    results = await cancel_open_orders(worker, principal.account_id, instrument_ids, wire_side)
    return json_response(results, HTTPStatus.MULTI_STATUS)


@router.get(
    "/v2/orders:by_client_order_id",
    openapi_extra=answers(resources.Order, 403, 404, 422, 429, meanings=_NO_SUCH_ORDER),
)
async def get_order_by_client_order_id(
    worker: WorkerOf,
    principal: Authenticated,
    client_order_id: Annotated[
        str, Query(json_schema_extra={**CLIENT_ORDER_ID_SCHEMA, "minLength": 1})
    ],
) -> Response:
    """Return the order of a client_order_id; this is also how to learn an unknown fate."""
    client_order_id = checked_client_order_id(client_order_id)
    query = pb.GetOrder(account_id=principal.account_id, client_order_id=client_order_id)
    return json_response(await _find(worker, principal, query, client_order_id=client_order_id))


@router.get(
    "/v2/orders/{order_id}",
    openapi_extra=answers(resources.Order, 403, 404, 422, 429, meanings=_NO_SUCH_ORDER),
)
async def get_order(
    worker: WorkerOf, principal: Authenticated, order_id: str, nested: bool = False
) -> Response:
    """Return one order."""
    number = _order_number(worker, order_id)
    query = pb.GetOrder(account_id=principal.account_id, order_id=number)
    return json_response(await _find(worker, principal, query, order_id=number))


@router.patch(
    "/v2/orders/{order_id}",
    openapi_extra={
        **AS_ACCEPTED,
        **accepts(ReplaceRequest),
        **answers(
            resources.Order,
            *(400, 403, 404, 413, 422, 429),
            meanings={
                403: "The key may not, or the account lacks money or shares for the change",
                **_NO_SUCH_ORDER,
                422: "A field is not supported or cannot be, nothing would change, or the order "
                "has ended",
            },
        ),
    },
)
async def replace_order(
    worker: WorkerOf,
    principal: Authenticated,
    outcome: WantsOutcome,
    order_id: str,
    request: Request,
) -> Response:
    """Replace an order by a new one that names it in `replaces` and keeps the filled quantity.

    Shows the new order as it was accepted; with `Prefer: wait`, the outcome.
    """
    wanted = decode_replace(await request.body())
    number = _order_number(worker, order_id)
    current = order_of(
        await engine_answer(
            worker,
            pb.Request(get_order=pb.GetOrder(account_id=principal.account_id, order_id=number)),
        )
    )
    instrument = await worker.instruments.of_id(current.instrument_id)
    command = pb.ReplaceOrder(account_id=principal.account_id, order_id=number)
    terms = pb.Order()
    terms.CopyFrom(current)
    if given(wanted.qty):
        command.qty_lots = terms.qty_lots = parse_qty(wanted.qty, instrument)
    replace_prices(command, terms, wanted, instrument)
    if wanted.time_in_force is not None:
        time_in_force = parse_time_in_force(wanted.time_in_force)
        command.time_in_force = terms.time_in_force = time_in_force
        check_may_stay(terms)
    client_order_id = checked_client_order_id(wanted.client_order_id or new_client_order_id())
    if terms == current:
        raise problems.unprocessable("order parameters are not changed")
    command.client_order_id = client_order_id
    if principal.restrictions is not None:
        await restrict_replacement(worker, principal.restrictions, command, current, instrument)
    with command_of(client_order_id):
        sent = pb.Request(replace_order=command)
        reply = await engine_reply(worker, sent, client_order_id)
        document = await entered_order(worker, sent, reply, terms, instrument, current)
        if not outcome:
            as_accepted(document, worker.views.order(current, instrument))
        return json_response(document, headers=applied_preference(outcome))


@router.delete(
    "/v2/orders/{order_id}",
    status_code=204,
    openapi_extra=answers(
        None,
        *(403, 404, 422, 429),
        status=204,
        meanings={**_MAY_NOT, **_NO_SUCH_ORDER, 422: "The order has ended already"},
    ),
)
async def cancel_order(worker: WorkerOf, principal: Authenticated, order_id: str) -> Response:
    """Cancel what is left of an order."""
    number = _order_number(worker, order_id)
    order_of(await cancel(worker, principal.account_id, number))
    return Response(status_code=204)


async def _creation(
    worker: Worker, principal: Principal, parameter: str, order_id: str
) -> tuple[int, datetime]:
    """Return the number of one of the account's orders, and when it was created.

    No two orders of a venue are created at the same time. Raises Problem 422 if there is none.
    """
    number = worker.views.order_ids.parse(order_id)
    if number is not None:
        query = pb.GetOrder(account_id=principal.account_id, order_id=number)
        try:
            document = await _find(worker, principal, query, order_id=number)
        except problems.Problem as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
        else:
            return number, datetime.fromisoformat(document.created_at)
    raise problems.invalid(f"{parameter}: order is not found")


async def _instruments_of(
    worker: Worker, symbols: str, *, all_must_exist: bool = False
) -> list[int]:
    """Return the ids of the instruments among comma-separated symbols.

    Raises Problem 422 if there are too many or, on request, one that does not exist or none.
    """
    names = {symbol.strip() for symbol in symbols.split(",")} - {""}
    if len(names) > SYMBOLS_MAX:
        raise problems.invalid(f"symbols names more than {SYMBOLS_MAX} symbols")
    found = await asyncio.gather(*(worker.instruments.find(name) for name in names))
    if all_must_exist:
        if not names:
            raise problems.invalid("symbols names no symbol")
        for name, instrument in zip(names, found, strict=True):
            if instrument is None:
                raise problems.invalid(f"asset {name!r} is not found")
    return sorted({instrument.instrument_id for instrument in found if instrument is not None})


async def _find(
    worker: Worker, principal: Principal, query: pb.GetOrder, **by: Any
) -> resources.Order:
    """Return an order from the engine, or from the database where the engine has let go of it."""
    reply = await engine_answer(worker, pb.Request(get_order=query))
    if reply.HasField("order"):
        return await _document(worker, reply.order)
    if reply.not_sequenced.cause != pb.NotSequenced.CAUSE_NOT_FOUND:
        raise not_taken(reply.not_sequenced)
    found = await past_order(worker, principal.account_id, **by)
    if found is None:
        raise problems.order_not_found()
    return found


async def _document(worker: Worker, order: pb.Order) -> resources.Order:
    return worker.views.order(order, await worker.instruments.of_id(order.instrument_id))


async def _row_documents(
    worker: Worker, principal: Principal, rows: Sequence[Any]
) -> list[resources.Order]:
    """Return the documents of rows; what moves with the market comes from the engine."""
    moving = [row.order_id for row in rows if _trails(row)]
    queries = [pb.GetOrder(account_id=principal.account_id, order_id=each) for each in moving]
    found = await asyncio.gather(
        *(_find(worker, principal, query, order_id=query.order_id) for query in queries)
    )
    present = dict(zip(moving, found, strict=True))
    return [present.get(row.order_id) or await _row_document(worker, row) for row in rows]


def _trails(row: Any) -> bool:
    return row.type == "trailing_stop" and row.ended_at is None and row.triggered_at is None


async def _row_document(worker: Worker, row: Any) -> resources.Order:
    return worker.views.order_row(row, await worker.instruments.of_id(row.instrument_id))


def _order_number(worker: Worker, order_id: str) -> int:
    number = worker.views.order_ids.parse(order_id)
    if number is None:
        raise problems.order_not_found()
    return number
