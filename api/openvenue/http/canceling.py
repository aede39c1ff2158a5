"""Cancels of one order, and of all open orders of an account, or some of them."""

from collections.abc import Sequence
from http import HTTPStatus

from openvenue.documents import resources
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_reply, not_taken_yet
from openvenue.http.worker import Worker

ALL_INSTRUMENTS = (0,)

_ASK_AGAIN = "ask again, which cancels what is still open"


async def cancel(worker: Worker, account_id: int, order_id: int) -> pb.Reply:
    """Ask the engine to cancel what is left of an order. Raises Problem as `engine_reply` does."""
    command = pb.CancelOrder(account_id=account_id, order_id=order_id)
    return await engine_reply(worker, pb.Request(cancel_order=command))


async def cancel_open_orders(
    worker: Worker,
    account_id: int,
    instrument_ids: Sequence[int] = ALL_INSTRUMENTS,
    side: "pb.Side.ValueType" = pb.SIDE_UNSPECIFIED,
) -> list[resources.CancelResult]:
    """Cancel the account's open orders, oldest first: of these instruments, of one side or both.

    One command of the engine cancels up to thousands. Raises Problem as `engine_reply` does; if
    some were canceled before, it is a 503 that says how many.
    """
    canceled: list[int] = []
    for instrument_id in instrument_ids:
        command = pb.CancelOrders(account_id=account_id, instrument_id=instrument_id, side=side)
        while True:
            try:
                reply = await _cancel_many(worker, command)
            except problems.Problem as problem:
                if not canceled:
                    raise
                raise problems.unavailable(
                    f"{len(canceled)} orders were canceled and others may still be open "
                    f"({problem.detail}): ask again"
                ) from problem
            canceled += reply.order_ids
            if reply.stopped_at_order_id == 0:
                break
            command.from_order_id = reply.stopped_at_order_id
    public_id = worker.views.order_ids.format
    return [resources.CancelResult(public_id(number), HTTPStatus.OK) for number in canceled]


async def _cancel_many(worker: Worker, command: pb.CancelOrders) -> pb.CanceledOrders:
    request = pb.Request(cancel_orders=command)
    reply = await engine_reply(worker, request, advice=_ASK_AGAIN)
    body = reply.WhichOneof("body")
    if body == "canceled_orders":
        return reply.canceled_orders
    if body == "reject":
        raise problems.of_reject(reply.reject)
    raise not_taken_yet(reply.not_sequenced)
