"""Serves /healthz, /readyz, /metrics and the input of each venue's last plan, over HTTP."""

import socket
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from openvenue_operator.model import Situation


class Reconciling(Protocol):
    """The parts of a venue's loop that are served."""

    namespace: str
    name: str
    finished_at: float
    succeeded_at: float
    situation: Situation | None


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; `::` means all families that there are."""
    if host == "::" and socket.has_dualstack_ipv6():
        return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
    host = "0.0.0.0" if host == "::" else host  # noqa: S104
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


class Readiness:
    """Readiness of the operator."""

    def __init__(self, failing_timeout_s: float) -> None:
        self.problem: str | None = "Venues cannot be read yet"
        """Reason why it cannot watch Venues; None: it does."""
        self._failing_timeout_s = failing_timeout_s

    def problems(self, loops: Collection[Reconciling]) -> list[str]:
        """Return the problems that make it unready; empty if it is ready."""
        now = time.monotonic()
        failing = [
            f"{loop.namespace}/{loop.name}: every reconciliation has failed for {age_s:.0f} s"
            for loop in loops
            if (age_s := now - loop.succeeded_at) > self._failing_timeout_s
        ]
        return failing if self.problem is None else [self.problem, *failing]


@asynccontextmanager
async def serving(
    host: str,
    port: int,
    loops: Collection[Reconciling],
    hang_timeout_s: float,
    readiness: Readiness,
) -> AsyncIterator[int]:
    """Serve until the context ends; yield the port. `loops` is read at each request."""

    async def healthz(_request: web.Request) -> web.Response:
        hung = [
            f"{loop.namespace}/{loop.name}: no reconciliation finished for {age_s:.0f} s"
            for loop in loops
            if (age_s := time.monotonic() - loop.finished_at) > hang_timeout_s
        ]
        return web.Response(text="\n".join(hung) or "ok", status=503 if hung else 200)

    async def readyz(_request: web.Request) -> web.Response:
        problems = readiness.problems(loops)
        return web.Response(text="\n".join(problems) or "ok", status=503 if problems else 200)

    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def show_situation(request: web.Request) -> web.Response:
        wanted = (request.match_info["namespace"], request.match_info["name"])
        for loop in loops:
            if (loop.namespace, loop.name) == wanted and loop.situation is not None:
                body = msgspec.json.encode(loop.situation, order="deterministic")
                return web.Response(body=body, content_type="application/json")
        raise web.HTTPNotFound(text="no plan was made for such a Venue by this operator")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/venues/{namespace}/{name}", show_situation)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.SockSite(runner, listening_socket(host, port))
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
