"""Serves /healthz, /metrics and what each venue's last plan was made from, over HTTP."""

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from openvenue_operator.model import Situation


class Looking(Protocol):
    """What is served of a venue's loop."""

    namespace: str
    name: str
    finished_at: float
    situation: Situation | None


@asynccontextmanager
async def serving(
    host: str, port: int, loops: Collection[Looking], hang_timeout_s: float
) -> AsyncIterator[int]:
    """Serve until the context ends; gives the port. `loops` is read at each request."""

    async def healthz(_request: web.Request) -> web.Response:
        hung = [
            f"{loop.namespace}/{loop.name}: no look finished for {age_s:.0f} s"
            for loop in loops
            if (age_s := time.monotonic() - loop.finished_at) > hang_timeout_s
        ]
        return web.Response(text="\n".join(hung) or "ok", status=503 if hung else 200)

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
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/venues/{namespace}/{name}", show_situation)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
