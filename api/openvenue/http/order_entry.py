"""POST /v2/orders, the hot path: plain ASGI and msgspec, nothing else.

Decode, convert to ticks and lots, hand to the engine session, wait for the durable answer, encode.
A resend of the same client_order_id with the same body gets the same order; so a client that lost
an answer can always ask again.
"""

import asyncio
import time

import msgspec
from starlette.types import Receive, Scope, Send

from openvenue import metrics
from openvenue.documents import resources
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.access import principal_of, rate_limit_headers
from openvenue.http.asgi import JSON, read_body, send_document, send_problem
from openvenue.http.engine_calls import command_of, engine_reply
from openvenue.http.order_body import check_order_class, decode_new_order
from openvenue.http.order_terms import checked_client_order_id, fill_in, new_client_order_id
from openvenue.http.problems import Problem
from openvenue.http.rejections import entered_order
from openvenue.http.restrictions import restrict_order
from openvenue.http.worker import Worker
from openvenue.security.principal import NotAuthenticated, Principal
from openvenue.telemetry import get_logger

_ROUTE = "POST /v2/orders"
_FAILURES = (400, 401, 403, 413, 422, 429, 500, 503)

_encode = msgspec.json.Encoder().encode
_log = get_logger(__name__)


class OrderEntry:
    """The ASGI endpoint; answers 503 until `worker` is set."""

    def __init__(self, body_bytes_max: int) -> None:
        self.worker: Worker | None = None
        self._body_bytes_max = body_bytes_max
        for status in _FAILURES:
            metrics.HTTP_REQUESTS.labels(_ROUTE, str(status))  # Shown from the start.
        self._accepted = metrics.PendingCounter(metrics.HTTP_REQUESTS.labels(_ROUTE, "200"))
        self._latency = metrics.PendingHistogram(
            metrics.HTTP_LATENCY_SECONDS.labels(_ROUTE), metrics.HTTP_LATENCY_BUCKETS_SECONDS
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_at = time.perf_counter()
        try:
            document = await self._submit(scope, receive)
        except (Exception, asyncio.CancelledError) as error:
            problem = error if isinstance(error, Problem) else _failed_before_entry(error)
            await send_problem(send, problem, scope["path"], *rate_limit_headers(scope))
            metrics.HTTP_REQUESTS.labels(_ROUTE, str(problem.status)).inc()
        else:
            await send_document(send, 200, document, JSON, *rate_limit_headers(scope))
            self._accepted.pending += 1
        self._latency.observe(time.perf_counter() - started_at)

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        self._accepted.export()
        self._latency.export()

    async def _submit(self, scope: Scope, receive: Receive) -> bytes:
        if self.worker is None:
            raise problems.unavailable("the worker is starting")
        principal = await principal_of(self.worker, scope)
        body = await read_body(receive, self._body_bytes_max)
        return await submit_order(self.worker, principal, body)


async def submit_order(worker: Worker, principal: Principal, body: bytes) -> bytes:
    """Execute one order and return its JSON document.

    Raises Problem unless the order was accepted.
    """
    wanted = decode_new_order(body)
    check_order_class(wanted.order_class)
    instrument = worker.instruments.get(wanted.symbol) or await _find(worker, wanted.symbol)
    client_order_id = wanted.client_order_id or new_client_order_id()
    request = pb.Request()
    order = request.new_order
    fill_in(order, wanted, instrument)
    order.account_id = principal.account_id
    order.client_order_id = checked_client_order_id(client_order_id)
    intent = order.position_intent
    if principal.restrictions is not None:
        await restrict_order(worker, principal.restrictions, order, instrument)
    with command_of(client_order_id):
        return _encode(await enter(worker, request, instrument, intent))


async def enter(
    worker: Worker,
    request: pb.Request,
    instrument: Instrument,
    intent: "pb.PositionIntent.ValueType",
) -> resources.Order:
    """Send a new order to the engine and return its document.

    To be called within `command_of`. `intent` is the position intent that the client gave. Raises
    Problem unless the order was accepted.
    """
    order = request.new_order
    reply = await engine_reply(worker, request, order.client_order_id)
    if reply.HasField("order"):
        return worker.views.order(reply.order, instrument)
    terms = pb.Order(
        account_id=order.account_id,
        qty_lots=order.qty_lots,
        limit_price_ticks=order.limit_price_ticks,
        position_intent=intent,
    )
    return await entered_order(worker, request, reply, terms, instrument)


async def _find(worker: Worker, symbol: str) -> Instrument:
    try:
        instrument = await worker.instruments.find(symbol)
    except EngineUnavailable as error:
        raise problems.unavailable(str(error)) from error
    if instrument is None:
        raise problems.invalid(f"asset {symbol!r} is not found" if symbol else "symbol is required")
    return instrument


def _failed_before_entry(error: BaseException) -> Problem:
    """Return the problem of an order that failed before it was sent to the engine."""
    if isinstance(error, NotAuthenticated):
        return problems.of_authentication(error)
    if isinstance(error, asyncio.CancelledError):
        return problems.unavailable(
            "the worker stopped before the order was entered: send it again"
        )
    _log.error("order not entered", exc_info=error)
    return Problem(500, problems.INTERNAL, "the venue failed to enter the order; this is a bug")
