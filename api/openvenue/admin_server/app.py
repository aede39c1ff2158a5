"""The application of the administration: its routes, bounds, documents and failures."""

import time
from http import HTTPStatus

from fastapi import APIRouter, Depends, FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openvenue.admin_server import metrics
from openvenue.admin_server.documentation import ADMIN
from openvenue.admin_server.failures import install_admin_failures
from openvenue.admin_server.idempotency import only_where_it_counts
from openvenue.admin_server.routes import accounts, audit, drop_copy, instruments, keys, operations
from openvenue.admin_server.services import Services, admitted
from openvenue.http.dependencies import only_known_parameters
from openvenue.http.failures import SAFE_METHODS, install_failure_handlers
from openvenue.http.middleware import LimitBody
from openvenue.telemetry import get_logger

ROUTERS: tuple[APIRouter, ...] = (
    accounts.router,
    keys.router,
    instruments.router,
    operations.router,
    audit.router,
    drop_copy.router,
)
_CHECKS = (Depends(only_known_parameters), Depends(only_where_it_counts))

_log = get_logger("openvenue.administration")


def application(services: Services) -> ASGIApp:
    """Return the ASGI application."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.services = services
    for router in ROUTERS:
        # Who asks is the first question, before anything about the request is answered.
        app.include_router(router, dependencies=[Depends(admitted), *_CHECKS])

    def methods_at(path: str) -> set[str]:
        methods: set[str] = set()
        for router in (app.router, *ROUTERS):
            for route in router.routes:
                if isinstance(route, Route) and route.path_regex.match(path):
                    methods |= route.methods or set()
        return methods | {"HEAD"} if "GET" in methods else methods

    install_failure_handlers(app, methods_at)
    install_admin_failures(app)
    ADMIN.install(app)
    return _Observed(LimitBody(app, services.settings.request_body_bytes_max))


class _Observed:
    """Counts and times answers, and logs who changed something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_at = time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"]
        # HEAD is answered as GET; the server leaves out the body.
        routed = {**scope, "method": "GET"} if method == "HEAD" else scope
        routed.setdefault("state", {})["head"] = method == "HEAD"
        try:
            await self._app(routed, receive, send_observed)
        finally:
            route = getattr(routed.get("route"), "path", "other")
            metrics.REQUESTS.labels(f"{method} {route}", str(status)).inc()
            metrics.REQUEST_SECONDS.observe(time.perf_counter() - started_at)
            administrator = routed["state"].get("administrator")
            if administrator is not None and method not in SAFE_METHODS:
                # Keys are not in the journal, so this is where their changes are.
                _log.warning(
                    "administration",
                    method=method,
                    path=scope["path"],
                    status=status,
                    by=administrator.fingerprint,
                )
