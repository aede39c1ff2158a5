"""Requests from a route to the engine: the reply, or the problem to answer the client with."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import grpc

from openvenue import metrics
from openvenue.engine.errors import EngineBusy, EngineUnavailable, FateUnknown
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.worker import Worker
from openvenue.telemetry import get_logger, log_refusal

_STOPPED = "the worker stopped"

_log = get_logger(__name__)


async def engine_reply(
    worker: Worker,
    request: pb.Request,
    client_order_id: str | None = None,
    advice: str = problems.READ_THE_ORDER,
) -> pb.Reply:
    """Send a command to the engine and return its reply.

    Raises Problem: 503 and 429 if nothing happened, and a 503 that says so if the fate is unknown;
    without a client order id it gives `advice`.
    """
    try:
        return await _submitted(worker, request)
    except FateUnknown as error:
        raise _unknown_fate(error, client_order_id, advice) from error


async def engine_replies(
    worker: Worker, requests: Sequence[pb.Request]
) -> list[pb.Reply | problems.Problem]:
    """Send commands to the engine in their order, together; return the reply or problem of each.

    Raises Problem, 503 or 429, if none was sent. If the server stops and no longer waits, commands
    without a reply are of unknown fate.
    """
    try:
        futures = worker.engine.submit_all(requests)
    except EngineBusy as error:
        _count_refusal("busy", str(error))
        raise problems.too_many(str(error)) from error
    except EngineUnavailable as error:
        _count_refusal("unavailable", str(error))
        raise problems.unavailable(str(error)) from error
    replies: list[pb.Reply | problems.Problem] = []
    stopped = False
    for request, future in zip(requests, futures, strict=True):
        try:
            if stopped and not future.done():
                raise FateUnknown(_STOPPED)
            replies.append(await future)
        except FateUnknown as error:
            replies.append(_unknown_fate(error, request.new_order.client_order_id or None))
        except EngineUnavailable as error:
            _count_refusal("unavailable", str(error))
            replies.append(problems.unavailable(str(error)))
        except asyncio.CancelledError:
            stopped = True
            unknown = FateUnknown(_STOPPED)
            replies.append(_unknown_fate(unknown, request.new_order.client_order_id or None))
    return replies


async def engine_answer(worker: Worker, query: pb.Request) -> pb.Reply:
    """Ask the engine and return its answer. Raises Problem: 503 and 429 if there is none."""
    try:
        return await _submitted(worker, query)
    except FateUnknown as error:
        _count_refusal("no_answer", str(error))
        raise problems.unavailable(f"{error}; nothing was changed: ask again") from error


async def _submitted(worker: Worker, request: pb.Request) -> pb.Reply:
    try:
        if worker.engine.message_due:
            # Let it leave first: the engine then works on it during the rest of this tick.
            await asyncio.sleep(0)
        return await worker.engine.submit(request)
    except EngineBusy as error:
        _count_refusal("busy", str(error))
        raise problems.too_many(str(error)) from error
    except EngineUnavailable as error:
        _count_refusal("unavailable", str(error))
        raise problems.unavailable(str(error)) from error


@contextlib.contextmanager
def unary_call(worker: Worker) -> Iterator[None]:
    """Hold one of the worker's places for calls beside the session, for the length of the block.

    Raises Problem: 429 if all are taken, 503 if the call in the block fails.
    """
    if worker.unary_calls >= worker.settings.unary_calls_max:
        reason = "as many books are being read as this worker reads at once"
        _count_refusal("unary_busy", reason)
        raise problems.too_many(reason)
    worker.unary_calls += 1
    try:
        yield
    except grpc.aio.AioRpcError as error:
        reason = f"the matching engine did not answer ({error.code().name})"
        _count_refusal("no_answer", reason)
        raise problems.unavailable(reason) from error
    finally:
        worker.unary_calls -= 1


@contextlib.contextmanager
def command_of(client_order_id: str) -> Iterator[None]:
    """Answer for faults of ours while an order is entered: the engine may have the order.

    Such a fault must not read as a failure. The answer has the id with which the client can look
    up the order, because the client may not have chosen it.
    """
    try:
        yield
    except problems.Problem:
        raise
    except asyncio.CancelledError:
        # The server stops and no longer waits.
        raise problems.fate_unknown(_STOPPED, client_order_id) from None
    except Exception as error:
        raise fault_of(error, client_order_id) from error


def fault_of(error: Exception, client_order_id: str) -> problems.Problem:
    """Return the Problem of a fault of ours after an order was sent to the engine."""
    _log.error("order entry failed", client_order_id=client_order_id, exc_info=error)
    return problems.fate_unknown("the venue failed to answer", client_order_id)


def _unknown_fate(
    error: FateUnknown, client_order_id: str | None, advice: str = problems.READ_THE_ORDER
) -> problems.Problem:
    metrics.ENGINE_FATE_UNKNOWN.inc()
    log_refusal(
        "command of unknown fate",
        "fate_unknown",
        reason=str(error),
        client_order_id=client_order_id,
    )
    return problems.fate_unknown(str(error), client_order_id, advice)


def order_of(reply: pb.Reply) -> pb.Order:
    """Return the order of a reply, or raise the reply's Problem."""
    body = reply.WhichOneof("body")
    if body == "order":
        return reply.order
    if body == "reject":
        raise problems.of_reject(reply.reject)
    raise not_taken(reply.not_sequenced)


def not_taken(refusal: pb.NotSequenced) -> problems.Problem:
    """Return the Problem of a request that the engine did not take; nothing happened."""
    if refusal.cause == pb.NotSequenced.CAUSE_RESOURCE_EXHAUSTED:
        _count_refusal("ring_full", refusal.message)
    if refusal.cause == pb.NotSequenced.CAUSE_READ_ONLY:
        _count_refusal("read_only", refusal.message)
    return problems.of_not_sequenced(refusal)


def not_taken_yet(refusal: pb.NotSequenced) -> problems.Problem:
    """Do the same for a command that engines of the version before do not know.

    During a rollout the worker may still be served by one.
    """
    if refusal.cause == pb.NotSequenced.CAUSE_INVALID_ARGUMENT:
        return problems.unavailable("the matching engine is being replaced")
    return not_taken(refusal)


def not_answered(reply: pb.Reply) -> problems.Problem:
    """Return the Problem of a query about an account: 403 if it is not open, else 503."""
    if reply.not_sequenced.cause == pb.NotSequenced.CAUSE_NOT_FOUND:
        return problems.of_reason(pb.REASON_UNKNOWN_ACCOUNT)
    return not_taken(reply.not_sequenced)


def _count_refusal(cause: str, reason: str) -> None:
    metrics.ENGINE_REFUSED.labels(cause).inc()
    log_refusal("request not carried out", cause, reason=reason)
