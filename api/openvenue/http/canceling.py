"""Cancels of one order, and of all that an account has open."""

import asyncio
from http import HTTPStatus

from openvenue.documents import resources
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_reply, order_of
from openvenue.http.open_orders import ENGINE_PAGE_MAX, open_orders
from openvenue.http.worker import Worker

CANCEL_ALL_ORDERS_MAX = 10_000


async def cancel(worker: Worker, account_id: int, order_id: int) -> pb.Reply:
    """Ask the engine to cancel what is left of an order. Raises Problem as `engine_reply` does."""
    command = pb.CancelOrder(account_id=account_id, order_id=order_id)
    return await engine_reply(worker, pb.Request(cancel_order=command))


async def cancel_open_orders(worker: Worker, account_id: int) -> list[resources.CancelResult]:
    """Cancel the account's open orders, newest first, at most CANCEL_ALL_ORDERS_MAX.

    Raises Problem 503 if some could not be found in time; it says how many were canceled so far.
    """
    results: list[resources.CancelResult] = []
    before = 0
    while len(results) < CANCEL_ALL_ORDERS_MAX:
        try:
            page = await open_orders(worker, account_id, before=before, limit=ENGINE_PAGE_MAX)
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
    return results


async def _cancel_result(worker: Worker, account_id: int, order_id: int) -> resources.CancelResult:
    public_id = worker.views.order_ids.format(order_id)
    try:
        order = order_of(await cancel(worker, account_id, order_id))
    except problems.Problem as problem:
        return resources.CancelResult(public_id, problem.status)
    try:
        instrument = await worker.instruments.of_id(order.instrument_id)
    except EngineUnavailable:
        # It is canceled anyway; only its instrument could not be read.
        return resources.CancelResult(public_id, HTTPStatus.OK)
    document = worker.views.order(order, instrument)
    return resources.CancelResult(public_id, HTTPStatus.OK, document)
