"""The ASGI application of one worker.

The hot routes (order entry, health) are answered here, on bare ASGI; everything else goes on to
FastAPI. Both share the same bounds, problem documents and metrics.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from openvenue import metrics
from openvenue.engine.errors import EngineError
from openvenue.http import problems
from openvenue.http.closing import asking_to_leave
from openvenue.http.openapi import install_openapi
from openvenue.http.order_entry import submit_order
from openvenue.http.problems import Problem
from openvenue.http.protocol import mark_keyed
from openvenue.http.routes import account, market, orders
from openvenue.http.supervised import SupervisorLink
from openvenue.http.worker import Worker, running_worker
from openvenue.settings import Settings
from openvenue.telemetry import get_logger

_ORDER_ENTRY = "POST /v2/orders"
_ORDER_ENTRY_FAILURES = (400, 401, 403, 413, 422, 429, 500, 503)
_SAFE_METHODS = ("GET", "HEAD")
_ROUTERS: tuple[APIRouter, ...] = (
    orders.router,
    account.router,
    market.router,
)

_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", problems.MEDIA_TYPE.encode())

_log = get_logger(__name__)


class Application:
    """The ASGI entry: dispatches hot routes, hands the rest to FastAPI."""

    def __init__(
        self,
        settings: Settings,
        *,
        follow_supervisor: Callable[[], SupervisorLink],
        patience_s: float,
    ) -> None:
        self._settings = settings
        self._follow_supervisor = follow_supervisor
        self._patience_s = patience_s
        self._body_bytes_max = settings.request_body_bytes_max
        self._routed = _routed_application(self)
        self.worker: Worker | None = None
        self.connections = 0
        self.unread_bytes = 0
        self.leaves = False
        self._hot: dict[tuple[str, str], Callable[[Scope, Receive, Send], Awaitable[None]]] = {
            ("POST", "/v2/orders"): self._post_order,
            ("GET", "/healthz"): self._get_health,
            ("HEAD", "/healthz"): self._get_health,
        }
        for status in _ORDER_ENTRY_FAILURES:
            metrics.HTTP_REQUESTS.labels(_ORDER_ENTRY, str(status))  # Shown from the start.
        self._orders_accepted = metrics.PendingCounter(
            metrics.HTTP_REQUESTS.labels(_ORDER_ENTRY, "200")
        )
        self._order_latency = metrics.PendingHistogram(
            metrics.HTTP_LATENCY_SECONDS.labels(_ORDER_ENTRY), metrics.HTTP_LATENCY_BUCKETS_SECONDS
        )

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        metrics.CONNECTIONS.set(self.connections)
        metrics.UNREAD_BYTES.set(self.unread_bytes)
        self._orders_accepted.export()
        self._order_latency.export()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """Run the worker that the requests need."""
        async with running_worker(
            self._settings,
            self._follow_supervisor(),
            patience_s=self._patience_s,
            leaves=lambda: self.leaves,
        ) as worker:
            worker.exporters.append(self.export_metrics)
            self.worker = worker
            yield worker

    def methods_at(self, path: str) -> set[str]:
        """Return the methods of a path; empty if there is no such path."""
        methods = {method for method, hot_path in self._hot if hot_path == path}
        for router in (self._routed.router, *_ROUTERS):
            for route in router.routes:
                if isinstance(route, Route) and route.path_regex.match(path):
                    methods |= route.methods or set()
        return methods | {"HEAD"} if "GET" in methods else methods

    def supervised(self) -> bool:
        """True if the supervisor still runs."""
        return self.worker is None or not self.worker.supervisor.gone.is_set()

    def may_have_clients(self) -> bool:
        """True once a worker was ready: from then on clients may connect."""
        return self.worker is not None and bool(self.worker.supervisor.ever_ready.value)

    def drain(self, *, stopping: bool) -> None:
        """Ask clients to leave; if the venue stops, also fail readiness."""
        if self.worker is not None:
            self.worker.draining = True
            self.worker.stopping = stopping
            self.worker.report()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the application's lifespan."""
        if scope["type"] != "http":
            await self._routed(scope, receive, send)
            return
        if self.worker is not None and self.worker.draining:
            send = asking_to_leave(send)
        if scope["path"].startswith("//"):
            # The base URL that a client was given ends with a slash.
            scope["path"] = "/" + scope["path"].lstrip("/")
        hot = self._hot.get((scope["method"], scope["path"]))
        if hot is not None:
            await hot(scope, receive, send)
        else:
            await self._route(scope, receive, send)

    async def _post_order(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        try:
            document = await self._submit(scope, receive)
        except (Exception, asyncio.CancelledError) as error:
            problem = error if isinstance(error, Problem) else _failed_before_entry(error)
            await _send_problem(send, problem, scope["path"])
            metrics.HTTP_REQUESTS.labels(_ORDER_ENTRY, str(problem.status)).inc()
        else:
            await _send(send, 200, document, _JSON)
            self._orders_accepted.pending += 1
        self._order_latency.observe(time.perf_counter() - started_at)

    async def _submit(self, scope: Scope, receive: Receive) -> bytes:
        if self.worker is None:
            raise problems.unavailable("the worker is starting")
        account_id = await self.worker.authenticator.account_of(scope["headers"])
        mark_keyed(scope)
        body = await self._read_body(receive)
        return await submit_order(self.worker, account_id, body)

    async def _get_health(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await _send(send, 200, b'{"status":"ok","checks":{}}', _JSON)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to FastAPI, within the bound on bodies, and count its answer."""
        started_at = time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        left = self._body_bytes_max

        async def receive_bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise problems.too_large(self._body_bytes_max)
            return message

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # HEAD is answered as GET; the server leaves out the body.
        routed = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self._routed(routed, receive_bounded, send_counted)
        except asyncio.CancelledError:
            # The server stops and no longer waits.
            if status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            await _send_problem(send_counted, _stopped(scope["method"]), scope["path"])
        finally:
            route = getattr(routed.get("route"), "path", "other")
            name = f"{scope['method']} {route}"
            metrics.HTTP_REQUESTS.labels(name, str(status)).inc()
            metrics.HTTP_LATENCY_SECONDS.labels(name).observe(time.perf_counter() - started_at)

    async def _read_body(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            if len(body) > self._body_bytes_max:
                break
            message = await receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise problems.cut_off()
        if len(body) > self._body_bytes_max:
            raise problems.too_large(self._body_bytes_max)
        return body


def _routed_application(application: Application) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with application.running() as worker:
            app.state.worker = worker
            yield

    async def answer_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await _answer_problem(
            request, _problem_of(error, application, request.scope["path"])
        )

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(EngineError, _answer_engine_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(Exception, _answer_failure)
    install_openapi(app)
    return app


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return Response(
        error.body(request.url.path),
        error.status,
        headers=error.headers,
        media_type=problems.MEDIA_TYPE,
    )


async def _answer_engine_error(request: Request, error: Exception) -> Response:
    return await _answer_problem(request, problems.unavailable(str(error)))


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    )
    return await _answer_problem(request, problems.invalid(details))


def _problem_of(error: HTTPException, application: Application, path: str) -> Problem:
    """Return the problem of a request that no route takes."""
    if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return problems.bad_request(str(error.detail))
    if methods := application.methods_at(path):
        # The router knows only the methods of its first matching route, and no hot route.
        return problems.method_not_allowed(methods)
    without_slash = path.rstrip("/")
    if without_slash != path and application.methods_at(without_slash):
        return problems.not_found(f"endpoint not found: leave out the slash after {without_slash}")
    return problems.not_found("endpoint not found.")


async def _answer_failure(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours: a request that changes orders may have reached the engine."""
    _log.error("request failed", route=request.url.path, exc_info=error)
    if request.method in _SAFE_METHODS:
        problem = Problem(500, problems.INTERNAL, "the venue failed to answer; this is a bug")
    else:
        problem = problems.fate_unknown("the venue failed to answer", None)
    return await _answer_problem(request, problem)


def _stopped(method: str) -> Problem:
    """Return the problem of a request whose answer the stopping worker no longer waits for."""
    if method in _SAFE_METHODS:
        return problems.unavailable("the worker stopped; nothing was changed: ask again")
    return problems.fate_unknown("the worker stopped", None)


def _failed_before_entry(error: BaseException) -> Problem:
    """Return the problem of an order that failed before it was sent to the engine."""
    if isinstance(error, asyncio.CancelledError):
        return problems.unavailable(
            "the worker stopped before the order was entered: send it again"
        )
    _log.error("order not entered", exc_info=error)
    return Problem(500, problems.INTERNAL, "the venue failed to enter the order; this is a bug")


async def _send_problem(send: Send, problem: Problem, instance: str) -> None:
    headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    await _send(send, problem.status, problem.body(instance), _PROBLEM, *headers)


async def _send(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
