"""The ASGI application of one worker.

The hot routes (order entry, health) are answered on bare ASGI; everything else goes on to FastAPI.
Both share the same bounds, problem documents and metrics.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openvenue import metrics
from openvenue.http.closing import asking_to_leave
from openvenue.http.failures import install_failure_handlers
from openvenue.http.fast_route import FastRoute
from openvenue.http.middleware import CountRequests, LimitBody
from openvenue.http.openapi import API, HOT_PATHS
from openvenue.http.order_batch import BATCH_PATH, CANCEL_PATH, cancel_orders, submit_orders
from openvenue.http.order_entry import ORDERS_PATH, submit_order
from openvenue.http.probes import answer_health
from openvenue.http.rate_limits import RateLimits
from openvenue.http.routes import (
    absent,
    account,
    activities,
    calendar,
    configurations,
    crypto_data,
    market,
    orders,
    portfolio,
    positions,
    screener,
    stock_data,
    watchlists,
)
from openvenue.http.worker import Worker, running_worker
from openvenue.serving.supervisor_link import SupervisorLink
from openvenue.settings import Settings

_ROUTERS: tuple[APIRouter, ...] = (
    orders.router,
    account.router,
    configurations.router,
    activities.router,
    portfolio.router,
    positions.router,
    absent.router,  # Some of its paths would be symbols of assets.
    market.router,
    calendar.router,
    watchlists.router,
    stock_data.router,
    crypto_data.router,
    screener.router,
)


class Application:
    """The ASGI entry: dispatches hot routes, hands the rest to FastAPI."""

    def __init__(
        self,
        settings: Settings,
        *,
        follow_supervisor: Callable[[], SupervisorLink],
        patience_s: float,
        rate_limits: RateLimits | None = None,
    ) -> None:
        self._rate_limits = rate_limits or RateLimits()
        self._settings = settings
        self._follow_supervisor = follow_supervisor
        self._patience_s = patience_s
        self._fast = {
            path: FastRoute(f"POST {path}", status, body_bytes_max, execute)
            for path, status, body_bytes_max, execute in (
                (ORDERS_PATH, 200, settings.request_body_bytes_max, submit_order),
                (BATCH_PATH, 207, settings.batch_body_bytes_max, submit_orders),
                (CANCEL_PATH, 207, settings.batch_body_bytes_max, cancel_orders),
            )
        }
        self._routed = self._routed_application()
        self._bounded = CountRequests(LimitBody(self._routed, settings.request_body_bytes_max))
        self._hot: dict[tuple[str, str], Callable[[Scope, Receive, Send], Awaitable[None]]] = {
            **{("POST", path): route.answer for path, route in self._fast.items()},
            ("GET", "/healthz"): answer_health,
            ("HEAD", "/healthz"): answer_health,
        }
        self.worker: Worker | None = None
        self.connections = 0
        self.unread_bytes = 0
        self.leaves = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """Run the worker that the requests need."""
        async with running_worker(
            self._settings,
            self._follow_supervisor(),
            self._rate_limits,
            patience_s=self._patience_s,
            leaves=lambda: self.leaves,
        ) as worker:
            worker.exporters.append(self._export_metrics)
            for route in self._fast.values():
                worker.exporters.append(route.export_metrics)
                route.worker = worker
            self.worker = self._routed.state.worker = worker
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
        answer = self._hot.get((scope["method"], scope["path"]), self._bounded)
        await answer(scope, receive, send)

    def _export_metrics(self) -> None:
        metrics.CONNECTIONS.set(self.connections)
        metrics.UNREAD_BYTES.set(self.unread_bytes)

    def _routed_application(self) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            async with self.running():
                yield

        app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
        for router in _ROUTERS:
            app.include_router(router)
        install_failure_handlers(app, self.methods_at)
        API.install(app, HOT_PATHS)
        return app
