"""Middleware of all requests to FastAPI; order entry does the same by itself."""

import asyncio
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openvenue import metrics
from openvenue.http import problems
from openvenue.http.access import rate_limit_headers
from openvenue.http.asgi import send_problem
from openvenue.http.failures import stopped


class CountRequests:
    """Counts and times answers by route. Answers if the worker stops before the application
    does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_at = time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if headers := rate_limit_headers(routed):
                    message["headers"] = [*message["headers"], *headers]
            await send(message)

        # HEAD is answered as GET; the server leaves out the body.
        routed = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        # Copies of the scope that the application makes share it.
        routed.setdefault("state", {})
        try:
            await self._app(routed, receive, send_counted)
        except asyncio.CancelledError:
            # The server stops and no longer waits.
            if status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            await send_problem(send_counted, stopped(scope["method"]), scope["path"])
        finally:
            route = getattr(routed.get("route"), "path", "other")
            name = f"{scope['method']} {route}"
            metrics.HTTP_REQUESTS.labels(name, str(status)).inc()
            metrics.HTTP_LATENCY_SECONDS.labels(name).observe(time.perf_counter() - started_at)


class LimitBody:
    """Refuses a body beyond a bound while the application reads it."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        left = self._bytes_max

        async def receive_bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise problems.too_large(self._bytes_max)
            return message

        await self._app(scope, receive_bounded, send)
