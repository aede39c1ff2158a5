"""Orders: read, list, replace, cancel. Submitting is in `openvenue.http.order_entry`.

The newest open orders, of all symbols or of one, and every single order that the engine still holds
are answered from its memory. All other lists and orders come from the database, after it holds
everything that the account has been told: so either way a client reads what it wrote.
"""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems, resources
from openvenue.http.dependencies import AccountId, WorkerOf, json_response
from openvenue.http.engine_calls import (
    command_of,
    engine_answer,
    engine_reply,
    not_answered,
    not_taken,
    order_of,
)
from openvenue.http.history import history_of
from openvenue.http.openapi import REPLACE_REQUEST, accepts, answers
from openvenue.http.order_terms import (
    NO_RAW,
    TIMES_IN_FORCE,
    checked_client_order_id,
    decode_body,
    given,
    new_client_order_id,
    parse_price,
    parse_qty,
)
from openvenue.http.worker import Worker
from openvenue.queries import orders as order_queries
from openvenue.queries.orders import OrderFilter

ENGINE_PAGE_MAX = 500
OPEN_ORDERS_ANSWERS_MAX = 1024
CANCEL_ALL_ORDERS_MAX = 10_000
SYMBOLS_MAX = 100

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

router = APIRouter(tags=["orders"])


class ReplaceRequest(msgspec.Struct):
    """What may change; absent fields stay."""

    qty: msgspec.Raw = NO_RAW
    limit_price: msgspec.Raw = NO_RAW
    time_in_force: str | None = None
    client_order_id: str | None = None
    stop_price: msgspec.Raw = NO_RAW
    trail: msgspec.Raw = NO_RAW


_decode_replace = msgspec.json.Decoder(ReplaceRequest).decode


@router.get("/v2/orders", openapi_extra=answers(list[resources.Order], 403, 422, 429))
async def list_orders(
    worker: WorkerOf,
    account_id: AccountId,
    status: Literal["open", "closed", "all"] = "open",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: datetime | None = None,
    until: datetime | None = None,
    direction: Literal["asc", "desc"] = "desc",
    symbols: Annotated[str | None, Query(description="Comma-separated.")] = None,
    side: Literal["buy", "sell"] | None = None,
    nested: Annotated[bool, Query(description="Ignored: no order has legs.")] = False,
) -> Response:
    """List orders by time of creation, exclusive of `after` and `until`.

    It shows all that the account was told before. Open orders, newest first, of all symbols or
    of one, come from the engine. With `direction=asc`, `side`, `after`, `until` or several
    symbols, and with `status` closed or all, they come from the history: 503 where that is too
    far behind.
    """
    instrument_ids: list[int] = []
    if symbols:
        instrument_ids = await _instruments_of(worker, symbols)
        if not instrument_ids:
            return json_response([])
    in_memory = (
        status == "open"
        and direction == "desc"
        and after is None
        and until is None
        and side is None
        and len(instrument_ids) <= 1
    )
    if in_memory:
        page = await _open_orders(worker, account_id, *instrument_ids, limit=limit)
        return json_response([await _document(worker, order) for order in page])
    wanted = OrderFilter(
        status=status,
        limit=limit,
        after=_in_range(after),
        until=_in_range(until),
        oldest_first=direction == "asc",
        instrument_ids=instrument_ids,
        side=side,
    )
    async with history_of(worker, account_id) as connection:
        rows = await order_queries.list_orders(
            connection, worker.settings.shard_id, account_id, wanted
        )
    return json_response([await _row_document(worker, row) for row in rows])


@router.delete(
    "/v2/orders",
    status_code=HTTPStatus.MULTI_STATUS,
    openapi_extra=answers(list[resources.CancelResult], 403, 429, status=207),
)
async def cancel_all_orders(worker: WorkerOf, account_id: AccountId) -> Response:
    """Cancel the account's open orders, newest first, at most 10,000 a call.

    503 where not all could be looked for; it says how many were canceled until then.
    """
    results: list[resources.CancelResult] = []
    before = 0
    while len(results) < CANCEL_ALL_ORDERS_MAX:
        try:
            page = await _open_orders(worker, account_id, before=before, limit=ENGINE_PAGE_MAX)
        except problems.Problem as problem:
            if not results:
                raise
            canceled = sum(result.status == HTTPStatus.OK for result in results)
            raise problems.unavailable(
                f"{canceled} orders were canceled and others may still be open, because the rest "
                f"could not be listed ({problem.detail}): ask again"
            ) from problem
        if not page:
            break
        before = page[-1].order_id
        results += await asyncio.gather(
            *(_cancel_result(worker, account_id, order.order_id) for order in page)
        )
    return json_response(results, HTTPStatus.MULTI_STATUS)


@router.get(
    "/v2/orders:by_client_order_id", openapi_extra=answers(resources.Order, 403, 404, 422, 429)
)
async def get_order_by_client_order_id(
    worker: WorkerOf, account_id: AccountId, client_order_id: str
) -> Response:
    """Return the order of a client_order_id: also the way to learn an unknown fate."""
    client_order_id = checked_client_order_id(client_order_id)
    query = pb.GetOrder(account_id=account_id, client_order_id=client_order_id)
    return json_response(await _find(worker, account_id, query, client_order_id=client_order_id))


@router.get("/v2/orders/{order_id}", openapi_extra=answers(resources.Order, 403, 404, 422, 429))
async def get_order(
    worker: WorkerOf, account_id: AccountId, order_id: str, nested: bool = False
) -> Response:
    """Return one order."""
    number = _order_number(worker, order_id)
    query = pb.GetOrder(account_id=account_id, order_id=number)
    return json_response(await _find(worker, account_id, query, order_id=number))


@router.patch(
    "/v2/orders/{order_id}",
    openapi_extra={
        **accepts(REPLACE_REQUEST),
        **answers(resources.Order, 400, 403, 404, 413, 422, 429),
    },
)
async def replace_order(
    worker: WorkerOf, account_id: AccountId, order_id: str, request: Request
) -> Response:
    """Replace an order by a new one that names it in `replaces` and keeps what was filled."""
    wanted: ReplaceRequest = decode_body(_decode_replace, await request.body())
    number = _order_number(worker, order_id)
    current = order_of(
        await engine_answer(
            worker, pb.Request(get_order=pb.GetOrder(account_id=account_id, order_id=number))
        )
    )
    instrument = await worker.instruments.of_id(current.instrument_id)
    command = pb.ReplaceOrder(account_id=account_id, order_id=number)
    if given(wanted.qty):
        command.qty_lots = parse_qty(wanted.qty, instrument)
    if given(wanted.limit_price):
        command.limit_price_ticks = parse_price(wanted.limit_price, instrument)
    if wanted.time_in_force is not None:
        if wanted.time_in_force not in TIMES_IN_FORCE:
            raise problems.invalid("time_in_force must be day, gtc, ioc or fok")
        command.time_in_force = TIMES_IN_FORCE[wanted.time_in_force]
    if given(wanted.stop_price) or given(wanted.trail):
        raise problems.invalid("stop_price and trail are not supported by this venue")
    client_order_id = wanted.client_order_id or new_client_order_id()
    command.client_order_id = checked_client_order_id(client_order_id)
    with command_of(client_order_id):
        reply = await engine_reply(worker, pb.Request(replace_order=command), client_order_id)
        return json_response(worker.views.order(order_of(reply, instrument), instrument))


@router.delete(
    "/v2/orders/{order_id}",
    status_code=204,
    openapi_extra=answers(None, 403, 404, 422, 429, status=204),
)
async def cancel_order(worker: WorkerOf, account_id: AccountId, order_id: str) -> Response:
    """Cancel what is left of an order."""
    number = _order_number(worker, order_id)
    order_of(await _cancel(worker, account_id, number))
    return Response(status_code=204)


async def _cancel(worker: Worker, account_id: int, order_id: int) -> pb.Reply:
    command = pb.CancelOrder(account_id=account_id, order_id=order_id)
    return await engine_reply(worker, pb.Request(cancel_order=command))


async def _cancel_result(worker: Worker, account_id: int, order_id: int) -> resources.CancelResult:
    public_id = worker.views.order_ids.format(order_id)
    try:
        order = order_of(await _cancel(worker, account_id, order_id))
    except problems.Problem as problem:
        return resources.CancelResult(public_id, problem.status)
    try:
        document = await _document(worker, order)
    except EngineUnavailable:
        # It is canceled all the same; only its instrument could not be read.
        document = None
    return resources.CancelResult(public_id, HTTPStatus.OK, document)


async def _open_orders(
    worker: Worker, account_id: int, instrument_id: int = 0, *, before: int = 0, limit: int
) -> list[pb.Order]:
    """Return up to `limit` orders, newest first.

    The engine looks at a bounded number of orders for one answer, so that others do not wait.
    """
    orders: list[pb.Order] = []
    stopped_at = 0
    for _ in range(OPEN_ORDERS_ANSWERS_MAX):
        query = pb.ListOpenOrders(
            account_id=account_id,
            instrument_id=instrument_id,
            before_order_id=before,
            from_order_id=stopped_at,
            limit=limit - len(orders),
        )
        reply = await engine_answer(worker, pb.Request(list_open_orders=query))
        if not reply.HasField("order_list"):
            raise not_answered(reply)
        orders += reply.order_list.orders
        stopped_at = reply.order_list.stopped_at_order_id
        if stopped_at == 0 or len(orders) == limit:
            return orders
    raise problems.unavailable("the account has too many open orders to search them all")


async def _instruments_of(worker: Worker, symbols: str) -> list[int]:
    """Return the ids of the instruments among comma-separated symbols."""
    names = {symbol.strip() for symbol in symbols.split(",")} - {""}
    if len(names) > SYMBOLS_MAX:
        raise problems.invalid(f"symbols names more than {SYMBOLS_MAX} symbols")
    found = await asyncio.gather(*(worker.instruments.find(name) for name in names))
    return sorted({instrument.instrument_id for instrument in found if instrument is not None})


async def _find(worker: Worker, account_id: int, query: pb.GetOrder, **by: Any) -> resources.Order:
    """Return an order from the engine, or from the database where the engine has let go of it."""
    reply = await engine_answer(worker, pb.Request(get_order=query))
    if reply.HasField("order"):
        return await _document(worker, reply.order)
    if reply.not_sequenced.cause != pb.NotSequenced.CAUSE_NOT_FOUND:
        raise not_taken(reply.not_sequenced)
    async with history_of(worker, account_id) as connection:
        row = await order_queries.find_order(connection, worker.settings.shard_id, account_id, **by)
    if row is None:
        raise problems.order_not_found()
    return await _row_document(worker, row)


async def _document(worker: Worker, order: pb.Order) -> resources.Order:
    return worker.views.order(order, await worker.instruments.of_id(order.instrument_id))


async def _row_document(worker: Worker, row: Any) -> resources.Order:
    return worker.views.order_row(row, await worker.instruments.of_id(row.instrument_id))


def _order_number(worker: Worker, order_id: str) -> int:
    number = worker.views.order_ids.parse(order_id)
    if number is None:
        raise problems.order_not_found()
    return number


def _in_range(moment: datetime | None) -> datetime | None:
    """Return a bound that the database can hold; no order was created beyond it."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment, _EARLIEST), _LATEST)
