"""A route on bare ASGI and msgspec, nothing else: authenticated, bounded, counted and timed."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from openvenue import metrics
from openvenue.http import problems
from openvenue.http.access import principal_of, rate_limit_headers
from openvenue.http.asgi import JSON, read_body, send_document, send_problem
from openvenue.http.order_answers import APPLIED, wants_outcome
from openvenue.http.problems import Problem
from openvenue.http.worker import Worker
from openvenue.security.principal import NotAuthenticated, Principal
from openvenue.telemetry import get_logger

Execute = Callable[[Worker, Principal, bytes, bool], Awaitable[bytes]]
"""Executes the body of a request, and returns the answer's: with the outcomes of orders, or with
the orders as accepted. Raises Problem. Any other exception, and a cancellation, mean that nothing
was sent to the engine."""

_FAILURES = (400, 401, 403, 413, 422, 429, 500, 503)
_AS_ACCEPTED = (JSON,)
_OUTCOME = (JSON, APPLIED)

_log = get_logger(__name__)


class FastRoute:
    """The ASGI endpoint; answers 503 until `worker` is set."""

    def __init__(self, route: str, status: int, body_bytes_max: int, execute: Execute) -> None:
        self.worker: Worker | None = None
        self._route = route
        self._status = status
        self._body_bytes_max = body_bytes_max
        self._execute = execute
        for failure in _FAILURES:
            metrics.HTTP_REQUESTS.labels(route, str(failure))  # Shown from the start.
        self._succeeded = metrics.PendingCounter(metrics.HTTP_REQUESTS.labels(route, str(status)))
        self._latency = metrics.PendingHistogram(
            metrics.HTTP_LATENCY_SECONDS.labels(route), metrics.HTTP_LATENCY_BUCKETS_SECONDS
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_at = time.perf_counter()
        try:
            if self.worker is None:
                raise problems.unavailable("the worker is starting")
            principal = await principal_of(self.worker, scope)
            body = await read_body(receive, self._body_bytes_max)
            outcome = wants_outcome(scope["headers"])
            document = await self._execute(self.worker, principal, body, outcome)
        except (Exception, asyncio.CancelledError) as error:
            problem = error if isinstance(error, Problem) else _failed_before_entry(error)
            await send_problem(send, problem, scope["path"], *rate_limit_headers(scope))
            metrics.HTTP_REQUESTS.labels(self._route, str(problem.status)).inc()
        else:
            headers = _OUTCOME if outcome else _AS_ACCEPTED
            left = rate_limit_headers(scope)
            await send_document(send, self._status, document, *headers, *left)
            self._succeeded.pending += 1
        self._latency.observe(time.perf_counter() - started_at)

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        self._succeeded.export()
        self._latency.export()


def _failed_before_entry(error: BaseException) -> Problem:
    """Return the problem of a request that failed before anything was sent to the engine."""
    if isinstance(error, NotAuthenticated):
        return problems.of_authentication(error)
    if isinstance(error, asyncio.CancelledError):
        return problems.unavailable(
            "the worker stopped before the order was entered: send it again"
        )
    _log.error("order not entered", exc_info=error)
    return Problem(500, problems.INTERNAL, "the venue failed to enter the order; this is a bug")
